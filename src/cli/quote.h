/* SPDX-License-Identifier: Apache-2.0 */
/* Names in lines for other programs. */
#ifndef STRATA_CLI_QUOTE_H
#define STRATA_CLI_QUOTE_H

#include "base/buf.h"

/* For a shell: in quotes where it must be. */
void quote_shell(struct buf *b, const char *s);
/* A value of qemu's and virt-install's lists: commas twice. */
void quote_value(struct buf *b, const char *s);
void quote_xml(struct buf *b, const char *s);

#endif
