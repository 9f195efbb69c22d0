/* SPDX-License-Identifier: Apache-2.0 */
/* Growable arrays: VEC(type) is a struct with items, len, cap.
 *
 *	VEC(struct extent) v = { 0 };
 *	if (!vec_push(&v, x)) return error_nomem(e);
 *	vec_release(&v);
 */
#ifndef STRATA_BASE_VEC_H
#define STRATA_BASE_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#define VEC(type)                                                              \
	struct {                                                               \
		type *items;                                                   \
		size_t len, cap;                                               \
	}

/* Makes room for at least want items in all; grows by half. */
bool vec_reserve_raw(void **items, size_t *cap, size_t want, size_t item_size);

#define vec_reserve(v, want)                                                   \
	((want) <= (v)->cap ||                                                 \
		vec_reserve_raw((void **)&(v)->items, &(v)->cap, (want),       \
			sizeof(*(v)->items)))

/* Appends a copy; false when out of memory, and then nothing changed. */
#define vec_push(v, ...)                                                       \
	(vec_reserve((v), (v)->len + 1)                                        \
			? ((v)->items[(v)->len++] = (__VA_ARGS__), true)       \
			: false)

#define vec_release(v)                                                         \
	do {                                                                   \
		free((v)->items);                                              \
		(v)->items = NULL;                                             \
		(v)->len = (v)->cap = 0;                                       \
	} while (0)

#define vec_last(v) (&(v)->items[(v)->len - 1])

#endif
