/* SPDX-License-Identifier: Apache-2.0 */
/* A temporary file without a name: written like a sink, then copied to
 * another or read as a source. In $TMPDIR, else /var/tmp (it can be as large
 * as a disk). */
#ifndef STRATA_DISK_SPOOL_H
#define STRATA_DISK_SPOOL_H

#include "os/sink.h"
#include "os/source.h"

struct spool;

/* IO, NOMEM. */
int spool_new(struct spool **out, struct error *e);
void spool_free(struct spool *s);
DEFINE_CLEANUP_PTR(spool, struct spool, spool_free)
#define AUTO_SPOOL CLEANUP(cleanup_spool) struct spool *

/* Borrowed until spool_free; writes by many threads, holes kept. */
struct sink *spool_sink(struct spool *s);
/* All of it, forwards, to another sink. */
int spool_copy(struct spool *s, struct sink *to, struct error *e);
/* The bytes as a source, which outlives the spool. name is for messages. */
int spool_source(struct spool *s, const char *name, struct source **out,
	struct error *e);

#endif
