/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STRATA_CLI_CONTENT_H
#define STRATA_CLI_CONTENT_H

#include "cli/target.h"

/* Writes the content of REV:PATH to stdout; t as for target_open. */
int content_to_stdout(struct cli *c, const char *text, struct target *t);

#endif
