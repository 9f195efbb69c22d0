/* SPDX-License-Identifier: Apache-2.0 */
/* Owners that release themselves when they leave scope. An owner is declared
 * with an initial NULL or -1; success hands over with steal_ptr/steal_fd. */
#ifndef STRATA_BASE_CLEANUP_H
#define STRATA_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define AUTO_FREE CLEANUP(cleanup_free)
#define AUTO_FD CLEANUP(cleanup_fd)

/* Defines cleanup_NAME(type **) that calls fn on a pointer that is not NULL. */
#define DEFINE_CLEANUP_PTR(name, type, fn)                                     \
	static inline void cleanup_##name(type **p)                            \
	{                                                                      \
		if (*p)                                                        \
			fn(*p);                                                \
	}

#define steal_ptr(p)                                                           \
	({                                                                     \
		__typeof__(p) *pp_ = &(p);                                     \
		__typeof__(p) v_ = *pp_;                                       \
		*pp_ = NULL;                                                   \
		v_;                                                            \
	})

static inline int steal_fd(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

#endif
