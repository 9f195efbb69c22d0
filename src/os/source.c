/* SPDX-License-Identifier: Apache-2.0 */
/* Sources: the checks that all share, and those over memory. */
#include "os/source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

void source_init(struct source *s, const struct source_ops *ops, uint64_t size)
{
	s->ops = ops;
	s->size = size;
	s->sector_size = 512;
	atomic_init(&s->refs, 1);
}

struct source *source_ref(struct source *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void source_unref(struct source *s)
{
	if (!s ||
		atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) !=
			1)
		return;
	if (s->ops->close)
		s->ops->close(s);
	else
		free(s);
}

int source_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	if (!range_inside(off, len, s->size))
		return error_at(e, ERR_RANGE, off,
			"read of %zu bytes at offset %" PRIu64
			" is outside the %" PRIu64 " bytes of %s",
			len, off, s->size, s->ops->name);
	return len ? s->ops->pread(s, buf, len, off, e) : 0;
}

int source_extent_at(struct source *s, uint64_t off, struct source_extent *out,
	struct error *e)
{
	struct source_extent x = { .off = off,
		.len = s->size - off,
		.kind = SOURCE_DATA };
	uint64_t end;
	int r;

	if (off >= s->size)
		return error_at(e, ERR_RANGE, off,
			"extent at offset %" PRIu64 " is outside the %" PRIu64
			" bytes of %s",
			off, s->size, s->ops->name);
	if (s->ops->extent) {
		r = s->ops->extent(s, off, &x, e);
		if (r)
			return r;
		if (x.off > off || !u64_add(x.off, x.len, &end) ||
			end <= off || end > s->size)
			return error_at(e, ERR_CORRUPT, off,
				"%s gave an extent that does not hold the "
				"offset asked for",
				s->ops->name);
		x.len = end - off;
		x.off = off;
	}
	*out = x;
	return 0;
}

int source_next_data(struct source *s, uint64_t off, uint64_t end, uint64_t max,
	uint64_t *out_off, uint64_t *out_end, struct error *e)
{
	struct source_extent x = { 0 };
	uint64_t start = end, stop = end;
	int r;

	end = u64_min(end, s->size);
	while (off < end) {
		r = source_extent_at(s, off, &x, e);
		if (r)
			return r;
		off += x.len;
		if (x.kind == SOURCE_DATA) {
			if (start >= end)
				start = x.off;
			stop = off;
			if (stop - start >= max)
				break;
		} else if (start < end) {
			break;
		}
	}
	if (start >= end) {
		*out_off = *out_end = end;
		return 0;
	}
	*out_off = start;
	*out_end = u64_min(u64_min(stop, end),
		max < end - start ? start + max : end);
	return 0;
}

bool source_warm(struct source *s, uint64_t off, uint64_t len)
{
	if (!s->ops->warm)
		return false;
	if (off < s->size)
		s->ops->warm(s, off, u64_min(len, s->size - off));
	return true;
}

void source_will_need(struct source *s, uint64_t off, uint64_t len)
{
	if (s->ops->will_need && off < s->size)
		s->ops->will_need(s, off, u64_min(len, s->size - off));
}

int source_fd(struct source *s)
{
	return s->ops->fd ? s->ops->fd(s) : -1;
}

/* --- memory --- */

struct memory_source {
	struct source s;
	const uint8_t *data;
	void *owned;
};

static int memory_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e ATTR_UNUSED)
{
	struct memory_source *m = (struct memory_source *)s;

	memcpy(buf, m->data + off, len);
	return 0;
}

static void memory_close(struct source *s)
{
	struct memory_source *m = (struct memory_source *)s;

	free(m->owned);
	free(m);
}

static const struct source_ops memory_ops = {
	.name = "memory",
	.pread = memory_pread,
	.close = memory_close,
};

int source_memory(const void *data, size_t len, struct source **out,
	struct error *e)
{
	struct memory_source *m = calloc(1, sizeof(*m));

	if (!m)
		return error_nomem(e);
	source_init(&m->s, &memory_ops, len);
	m->data = data;
	*out = &m->s;
	return 0;
}

int source_memory_owned(void *data, size_t len, struct source **out,
	struct error *e)
{
	int r = source_memory(data, len, out, e);

	if (r)
		free(data);
	else
		((struct memory_source *)*out)->owned = data;
	return r;
}

/* --- zeros --- */

static int zero_pread(struct source *s ATTR_UNUSED, void *buf, size_t len,
	uint64_t off ATTR_UNUSED, struct error *e ATTR_UNUSED)
{
	memset(buf, 0, len);
	return 0;
}

static int zero_extent(struct source *s, uint64_t off ATTR_UNUSED,
	struct source_extent *out, struct error *e ATTR_UNUSED)
{
	*out = (struct source_extent){ .len = s->size, .kind = SOURCE_ZERO };
	return 0;
}

static const struct source_ops zero_ops = {
	.name = "zeros",
	.pread = zero_pread,
	.extent = zero_extent,
};

int source_zero(uint64_t size, struct source **out, struct error *e)
{
	struct source *s = calloc(1, sizeof(*s));

	if (!s)
		return error_nomem(e);
	source_init(s, &zero_ops, size);
	*out = s;
	return 0;
}

/* --- fault injection --- */

struct faulty_source {
	struct source s;
	struct source *base;
	uint64_t off, len;
};

static int faulty_pread(struct source *s, void *buf, size_t len, uint64_t off,
	struct error *e)
{
	struct faulty_source *f = (struct faulty_source *)s;

	if (off < f->off + f->len && f->off < off + len)
		return error_at(e, ERR_IO, u64_max(off, f->off),
			"injected read error");
	return source_pread(f->base, buf, len, off, e);
}

static int faulty_extent(struct source *s, uint64_t off,
	struct source_extent *out, struct error *e)
{
	return source_extent_at(((struct faulty_source *)s)->base, off, out, e);
}

static void faulty_close(struct source *s)
{
	source_unref(((struct faulty_source *)s)->base);
	free(s);
}

static const struct source_ops faulty_ops = {
	.name = "faulty source",
	.pread = faulty_pread,
	.extent = faulty_extent,
	.close = faulty_close,
};

int source_faulty(struct source *base, uint64_t off, uint64_t len,
	struct source **out, struct error *e)
{
	struct faulty_source *f;

	if (!range_inside(off, len, base->size))
		return error_set(e, ERR_ARG, "fault range is outside");
	f = calloc(1, sizeof(*f));
	if (!f)
		return error_nomem(e);
	source_init(&f->s, &faulty_ops, base->size);
	f->s.sector_size = base->sector_size;
	f->base = source_ref(base);
	f->off = off;
	f->len = len;
	*out = &f->s;
	return 0;
}
