/* SPDX-License-Identifier: Apache-2.0 */
/* Running the user's commands on what strata gives them. */
#ifndef STRATA_SERVE_COMMAND_H
#define STRATA_SERVE_COMMAND_H

#include <stdatomic.h>
#include <stdbool.h>
#include "base/error.h"

struct command_args {
	char *const *argv; /* the words, argc of them */
	int argc;
	const char *subject; /* what "{}" in a word stands for; NULL: no {} */
	const char *subject_env; /* a variable that is the subject too, or NULL */
	bool stdout_to_stderr;
	const atomic_bool *cancel; /* then it gets SIGTERM; may be NULL */
};

/* Runs it and waits. *out_status: its exit code, 128 + signal. ARG (no words),
 * NOTFOUND (no such program), IO, CANCELLED. */
int command_run(const struct command_args *a, int *out_status,
	struct error *e);

#endif
