/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"

void buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf)BUF_INIT;
}

uint8_t *buf_room(struct buf *b, size_t n)
{
	size_t want, cap;
	uint8_t *p;

	if (b->oom || !size_add(b->len, n, &want)) {
		b->oom = true;
		return NULL;
	}
	if (want <= b->cap && b->data)
		return b->data + b->len;
	cap = b->cap + b->cap / 2;
	if (cap < want)
		cap = want;
	if (cap < 64)
		cap = 64;
	p = realloc(b->data, cap);
	if (!p) {
		b->oom = true;
		return NULL;
	}
	b->data = p;
	b->cap = cap;
	return p + b->len;
}

uint8_t *buf_grow(struct buf *b, size_t n)
{
	uint8_t *p = buf_room(b, n);

	if (p)
		b->len += n;
	return p;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	uint8_t *d = buf_grow(b, n);

	if (d && n)
		memcpy(d, p, n);
}

void buf_addstr(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addch(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !buf_room(b, (size_t)n + 1)) {
		b->oom = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void buf_zero(struct buf *b, size_t n)
{
	uint8_t *d = buf_grow(b, n);

	if (d)
		memset(d, 0, n);
}

void buf_varint(struct buf *b, uint64_t v)
{
	uint8_t tmp[10];
	size_t n = 0;

	while (v >= 0x80) {
		tmp[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	tmp[n++] = (uint8_t)v;
	buf_add(b, tmp, n);
}

void buf_le16(struct buf *b, uint16_t v)
{
	uint8_t t[2];

	put_le16(t, v);
	buf_add(b, t, sizeof(t));
}

void buf_le32(struct buf *b, uint32_t v)
{
	uint8_t t[4];

	put_le32(t, v);
	buf_add(b, t, sizeof(t));
}

void buf_le64(struct buf *b, uint64_t v)
{
	uint8_t t[8];

	put_le64(t, v);
	buf_add(b, t, sizeof(t));
}

void buf_be32(struct buf *b, uint32_t v)
{
	uint8_t t[4];

	put_be32(t, v);
	buf_add(b, t, sizeof(t));
}

void buf_be64(struct buf *b, uint64_t v)
{
	uint8_t t[8];

	put_be64(t, v);
	buf_add(b, t, sizeof(t));
}

const char *buf_str(struct buf *b)
{
	uint8_t *p = buf_room(b, 1);

	if (!p)
		return "";
	*p = 0;
	return (const char *)b->data;
}

char *buf_steal(struct buf *b)
{
	char *p;

	buf_str(b);
	if (b->oom) {
		buf_release(b);
		return NULL;
	}
	p = (char *)b->data;
	*b = (struct buf)BUF_INIT;
	return p;
}
