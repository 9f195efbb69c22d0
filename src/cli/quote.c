/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/quote.h"

#include <string.h>

void quote_shell(struct buf *b, const char *s)
{
	if (*s && !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST"
			       "UVWXYZ0123456789-._/:=,+@")]) {
		buf_addstr(b, s);
		return;
	}
	buf_addch(b, '\'');
	for (; *s; s++)
		if (*s == '\'')
			buf_addstr(b, "'\\''");
		else
			buf_addch(b, *s);
	buf_addch(b, '\'');
}

void quote_value(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == ',')
			buf_addch(b, ',');
		buf_addch(b, *s);
	}
}

void quote_xml(struct buf *b, const char *s)
{
	for (; *s; s++)
		switch (*s) {
		case '&': buf_addstr(b, "&amp;"); break;
		case '<': buf_addstr(b, "&lt;"); break;
		case '\'': buf_addstr(b, "&apos;"); break;
		default: buf_addch(b, *s);
		}
}
