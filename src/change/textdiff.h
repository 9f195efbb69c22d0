/* SPDX-License-Identifier: Apache-2.0 */
/* Two texts, line by line: which lines went and which came. */
#ifndef STRATA_CHANGE_TEXTDIFF_H
#define STRATA_CHANGE_TEXTDIFF_H

#include "base/cursor.h"
#include "base/error.h"

struct text_side {
	struct view text;
	size_t n;	 /* lines */
	size_t *start;	 /* n + 1 offsets */
	uint32_t *id;	 /* lines that are equal have equal numbers */
	bool *changed;	 /* the line has no partner on the other side */
};

struct text_diff {
	struct text_side side[2];
	size_t deleted, inserted;
};

/* Compares. The texts are borrowed until the release. Shortest script where
 * the work stays below a bound, else a longer one. LIMIT (a text of more than
 * LIMIT_DIFF_TEXT bytes), NOMEM. Memory: about 40 bytes a line. */
int text_diff(struct view a, struct view b, struct text_diff *out,
	struct error *e);
void text_diff_release(struct text_diff *d);

/* What git takes for binary: a NUL in the first 8000 bytes. */
bool text_is_binary(struct view text);

/* One line of a unified diff: kind is '@' (a hunk's header, made here), ' ',
 * '-', '+', or '\\' (the line before has no newline at its end). Lines come
 * without their newline. */
typedef int (*text_line_fn)(void *ctx, char kind, const void *line,
	size_t len);
int text_diff_unified(const struct text_diff *d, size_t context,
	text_line_fn fn, void *ctx);

#endif
