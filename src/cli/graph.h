/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of descent that log --graph draws before its text. */
#ifndef STRATA_CLI_GRAPH_H
#define STRATA_CLI_GRAPH_H

#include "base/buf.h"
#include "base/vec.h"
#include "codec/digest.h"

struct graph {
	VEC(struct oid) columns; /* the commit that each line leads to */
	VEC(char *) rows;	 /* edges that are still to be drawn */
	size_t next;
};

void graph_release(struct graph *g);
/* Begins a commit: its own row, then rows of edges. false: no memory. */
bool graph_commit(struct graph *g, const struct oid *id,
	const struct oid *parents, size_t n);
/* Appends the next row's drawing, with a space behind it; once the edges are
 * drawn, the lines as they go on. */
void graph_row(struct graph *g, struct buf *out);
/* Is there an edge that is not drawn yet? */
bool graph_pending(const struct graph *g);

#endif
