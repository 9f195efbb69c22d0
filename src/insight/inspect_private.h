/* SPDX-License-Identifier: Apache-2.0 */
/* Inside inspect: looking things up in a view. */
#ifndef STRATA_INSIGHT_INSPECT_PRIVATE_H
#define STRATA_INSIGHT_INSPECT_PRIVATE_H

#include "insight/inspect.h"

struct look {
	struct view_files *v;
	struct inspection *out;
	struct buf text; /* of the file at hand */
	int fatal;	 /* NOMEM and its like: everything stops */
	struct error *e;
};

/* The whole of a small file in l->text; false where there is none. */
bool look_read(struct look *l, const char *path);
static inline struct view look_text(const struct look *l)
{
	return (struct view){ l->text.data, l->text.len };
}
/* The first bytes of a file, at most max; 0 where there is none. */
size_t look_head(struct look *l, const char *path, uint8_t *buf, size_t max);
/* Does the path name something (symlinks followed)? */
bool look_exists(struct look *l, const char *path);
/* Calls fn for every entry of a folder, LIMIT_INSPECT_ENTRIES at most. */
typedef void (*look_fn)(struct look *l, const char *dir,
	const struct entry *x, void *ctx);
void look_list(struct look *l, const char *dir, look_fn fn, void *ctx);
bool name_starts(const struct entry *x, const char *s);
bool name_ends(const struct entry *x, const char *s);
static inline struct view name_of(const struct entry *x)
{
	return (struct view){ x->name, x->name_len };
}
/* Adds a text to a list of them, once. */
void look_add(struct look *l, void *list, struct view text);

void look_linux(struct look *l);
void look_windows(struct look *l);
void look_boot(struct look *l);
void look_services(struct look *l);
void look_kernels(struct look *l);

#endif
