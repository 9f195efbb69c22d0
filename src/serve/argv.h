/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a command that is to be run. */
#ifndef STRATA_SERVE_ARGV_H
#define STRATA_SERVE_ARGV_H

#include <stdbool.h>
#include "base/compiler.h"
#include "base/vec.h"

struct argv {
	VEC(char *) words;
	bool oom; /* a word is missing: it must not be run */
};

void argv_add(struct argv *v, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* A value in a list of qemu's: commas twice. To be freed; NULL: no memory. */
char *argv_doubled(const char *s);
/* The words, ended by NULL, for exec; NULL: out of memory. Borrowed. */
char *const *argv_done(struct argv *v);
void argv_release(struct argv *v);
#define AUTO_ARGV __attribute__((cleanup(argv_release))) struct argv

/* In a child before exec: signals as a program expects them. */
void argv_default_signals(void);

#endif
