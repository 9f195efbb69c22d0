/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: filled in once, where they happen. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(struct error *e, int code, int err, const char *fmt,
	va_list ap)
{
	e->code = code;
	e->err = err;
	e->has_offset = false;
	e->offset = 0;
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
}

int error_set(struct error *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return code;
	va_start(ap, fmt);
	fill(e, code, 0, fmt, ap);
	va_end(ap);
	return code;
}

int error_at(struct error *e, int code, uint64_t offset, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return code;
	va_start(ap, fmt);
	fill(e, code, 0, fmt, ap);
	va_end(ap);
	e->has_offset = true;
	e->offset = offset;
	return code;
}

int error_errno(struct error *e, const char *fmt, ...)
{
	int err = errno;
	int code = err == ENOENT   ? ERR_NOTFOUND
		   : err == EEXIST ? ERR_EXISTS
		   : err == ENOMEM ? ERR_NOMEM
				   : ERR_IO;
	va_list ap;

	if (e) {
		size_t n;

		va_start(ap, fmt);
		fill(e, code, err, fmt, ap);
		va_end(ap);
		n = strlen(e->msg);
		snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", strerror(err));
	}
	errno = err;
	return code;
}

int error_nomem(struct error *e)
{
	return error_set(e, ERR_NOMEM, "out of memory");
}

const char *error_untagged(const struct error *e, const char *tag)
{
	size_t n = strlen(tag);

	return !strncmp(e->msg, tag, n) && !strncmp(e->msg + n, ": ", 2)
		       ? e->msg + n + 2
		       : e->msg;
}

int error_prefix(struct error *e, const char *fmt, ...)
{
	char tmp[ERROR_MSG_MAX];
	va_list ap;
	size_t n, tag;

	if (!e)
		return ERR_IO;
	va_start(ap, fmt);
	vsnprintf(tmp, sizeof(tmp), fmt, ap);
	va_end(ap);
	n = strlen(tmp);
	/* A message that gets too long loses its end, not its place. */
	tmp[n > sizeof(tmp) - 3 ? sizeof(tmp) - 3 : n] = 0;
	n = strlen(tmp);
	/* "udf: the root: udf: ..." names the module once. */
	tag = strcspn(tmp, ": ");
	if (tmp[tag] == ':') {
		const char *rest;

		tmp[tag] = 0;
		rest = error_untagged(e, tmp);
		tmp[tag] = ':';
		memmove(e->msg, rest, strlen(rest) + 1);
	}
	memmove(e->msg + n + 2, e->msg, sizeof(e->msg) - n - 2);
	memcpy(e->msg, tmp, n);
	memcpy(e->msg + n, ": ", 2);
	e->msg[sizeof(e->msg) - 1] = 0;
	return e->code;
}

const char *error_code_name(int code)
{
	static const char *const names[] = { "ok", "range", "corrupt",
		"unsupported", "limit", "nomem", "io", "notfound", "exists",
		"busy", "conflict", "arg", "cancelled", "damaged" };

	return code <= 0 && -code < (int)ARRAY_LEN(names) ? names[-code]
							  : "unknown";
}
