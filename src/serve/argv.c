/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/argv.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/buf.h"

void argv_add(struct argv *v, const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	if (!s || !vec_push(&v->words, s)) {
		free(s);
		v->oom = true;
	}
}

char *argv_doubled(const char *s)
{
	AUTO_BUF b = BUF_INIT;

	for (; *s; s++) {
		if (*s == ',')
			buf_addch(&b, ',');
		buf_addch(&b, *s);
	}
	return buf_steal(&b);
}

char *const *argv_done(struct argv *v)
{
	if (!v->oom && !vec_push(&v->words, NULL))
		v->oom = true;
	return v->oom ? NULL : v->words.items;
}

void argv_release(struct argv *v)
{
	for (size_t i = 0; i < v->words.len; i++)
		free(v->words.items[i]);
	vec_release(&v->words);
}

void argv_default_signals(void)
{
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
}
