/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the compression off a file before its format is probed. */
#include "disk/wrap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "base/checked.h"
#include "base/limits.h"
#include "base/zero.h"
#include "disk/spool.h"
#include "disk/wrap_int.h"

#define CHUNK (256 * KIB)
#define BLOCK (4 * KIB)

const char *wrap_probe(struct source *file)
{
	uint8_t b[10];

	if (source_pread(file, b, sizeof(b), 0, NULL))
		return NULL;
	/* Deflate, no reserved flag. */
	if (b[0] == 0x1f && b[1] == 0x8b && b[2] == 8 && !(b[3] & 0xe0))
		return "gzip";
	if (!memcmp(b, "\xfd" "7zXZ\0", 6))
		return "xz";
	if (!memcmp(b, "\x28\xb5\x2f\xfd", 4))
		return "zstd";
	if (!memcmp(b, "BZh", 3) && b[3] >= '1' && b[3] <= '9' &&
		(!memcmp(b + 4, "\x31\x41\x59\x26\x53\x59", 6) ||
			!memcmp(b + 4, "\x17\x72\x45\x38\x50\x90", 6)))
		return "bzip2";
	if (!memcmp(b, "PK\3\4", 4))
		return "zip";
	return NULL;
}

struct unpack {
	const struct wrap_args *a;
	const struct wrap_codec *codec;
	struct source *in; /* the packed bytes */
	struct sink *out;
	uint64_t max, max_data;
	uint64_t at, data, done; /* bytes out, of them not zeros, bytes in */
	uint32_t crc;
	bool want_crc, declared; /* max is what the file itself says */
	const char *what;
	void *state;
	uint8_t *in_buf, *out_buf;
};

static int put_run(struct unpack *u, const uint8_t *p, size_t len, uint64_t off,
	struct error *e)
{
	u->data += len;
	return u->data > u->max_data
		       ? error_set(e, ERR_LIMIT,
				 "%s: %" PRIu64 " bytes unpack to more than %"
				 PRIu64 " bytes that are not zeros",
				 u->what, u->in->size, u->max_data)
		       : sink_pwrite(u->out, p, len, off, e);
}

/* Bytes that came out: leaves out blocks of zeros. */
static int put(struct unpack *u, size_t len, struct error *e)
{
	size_t run = 0, at = 0;

	if (len > u->max - u->at)
		return error_set(e, u->declared ? ERR_CORRUPT : ERR_LIMIT,
			"%s: %" PRIu64 " bytes unpack to more than %" PRIu64
			" bytes",
			u->what, u->in->size, u->max);
	if (u->want_crc)
		u->crc = (uint32_t)crc32(u->crc, u->out_buf, (uInt)len);
	while (at < len) {
		size_t n = size_min(len - at,
			BLOCK - (size_t)((u->at + at) % BLOCK));

		if (is_zero(u->out_buf + at, n)) {
			int r = put_run(u, u->out_buf + run, at - run,
				u->at + run, e);

			if (r)
				return r;
			run = at + n;
		}
		at += n;
	}
	at = (size_t)(len - run);
	u->at += len;
	return put_run(u, u->out_buf + run, at, u->at - at, e);
}

static int unpack_all(struct unpack *u, struct error *e)
{
	struct wrap_buf b = { 0 };
	int ended = 0;

	while (!ended) {
		size_t before;
		int r;

		if (!b.in_len && u->done < u->in->size) {
			if (u->a->progress &&
				u->a->progress(u->a->progress_ctx, u->done))
				return error_set(e, ERR_CANCELLED, "cancelled");
			b.in = u->in_buf;
			b.in_len = (size_t)u64_min(CHUNK,
				u->in->size - u->done);
			r = source_pread(u->in, u->in_buf, b.in_len, u->done,
				e);
			if (r)
				return r;
			u->done += b.in_len;
		}
		b.in_ends = u->done == u->in->size;
		b.out = u->out_buf;
		b.out_len = CHUNK;
		before = b.in_len;
		ended = u->codec->step(u->state, &b, e);
		if (ended < 0)
			return error_prefix(e, "unpacking at byte %" PRIu64,
				u->done - b.in_len);
		r = put(u, CHUNK - b.out_len, e);
		if (r)
			return r;
		/* No input left, none taken, nothing given: it wants more than
		 * there is. */
		if (!ended && !before && b.in_ends && b.out_len == CHUNK)
			return error_at(e, ERR_CORRUPT, u->done,
				"%s: the data is cut off", u->what);
	}
	if (b.in_len || u->done < u->in->size)
		finding_report(u->a->findings, FINDING_DISK_NOTE,
			u->done - b.in_len, u->what,
			"bytes follow the compressed data; they are ignored");
	return sink_truncate(u->out, u->at, e);
}

static int run(struct unpack *u, struct source **out, struct error *e)
{
	AUTO_SPOOL spool = NULL;
	AUTO_FREE uint8_t *in = malloc(CHUNK);
	AUTO_FREE uint8_t *buf = malloc(CHUNK);
	int r = in && buf ? spool_new(&spool, e) : error_nomem(e);

	if (r)
		return r;
	u->out = spool_sink(spool);
	u->in_buf = in;
	u->out_buf = buf;
	r = u->codec->open(&u->state, e);
	if (r)
		return r;
	r = unpack_all(u, e);
	u->codec->close(u->state);
	return r ? r : spool_source(spool, "unpacked image", out, e);
}

static const struct wrap_codec *codec_of(const char *kind)
{
	static const struct wrap_codec *const all[] = { &wrap_gzip, &wrap_xz,
		&wrap_zstd, &wrap_bzip2 };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (!strcmp(all[i]->name, kind))
			return all[i];
	return &wrap_deflate;
}

/* A cap of our own: so much of any file, so many times a large one. */
static uint64_t by_size(uint64_t given, uint64_t size, uint64_t free_bytes,
	uint64_t factor)
{
	uint64_t n;

	if (given)
		return given;
	return u64_mul(size, factor, &n) ? u64_max(n, free_bytes) : UINT64_MAX;
}

static int one(const struct wrap_args *a, struct source *file,
	const char *kind, struct source **out, struct wrap_info *info,
	struct error *e)
{
	struct unpack u = { .a = a,
		.codec = codec_of(kind),
		.what = kind,
		.in = file,
		.max = by_size(a->max, a->file->size, LIMIT_UNWRAP_FREE,
			LIMIT_UNWRAP_FACTOR),
		.max_data = by_size(a->max_data, a->file->size,
			LIMIT_UNWRAP_DATA_FREE, LIMIT_UNWRAP_DATA_FACTOR) };
	struct wrap_member m;
	AUTO_SOURCE bytes = NULL;
	int r;

	if (strcmp(kind, "zip") != 0)
		return run(&u, out, e);
	r = wrap_zip_member(file, &m, e);
	if (r)
		return r;
	snprintf(info->name, sizeof(info->name), "%s", m.name);
	r = source_window(file, m.off, m.packed, &bytes, e);
	if (r)
		return r;
	if (m.stored) {
		*out = steal_ptr(bytes);
		return 0;
	}
	u.in = bytes;
	if (m.size > u.max)
		return error_set(e, ERR_LIMIT,
			"zip: '%s' has %" PRIu64 " bytes, over %" PRIu64,
			m.name, m.size, u.max);
	u.want_crc = u.declared = true;
	u.max = m.size;
	r = run(&u, out, e);
	if (!r && (u.at != m.size || u.crc != m.crc)) {
		source_unref(*out);
		r = error_at(e, ERR_CORRUPT, m.off,
			"zip: '%s' does not have the size and checksum that "
			"the directory says",
			m.name);
	}
	return r;
}

int wrap_unwrap(const struct wrap_args *args, struct source **out,
	struct wrap_info *info, struct error *e)
{
	AUTO_SOURCE at = source_ref(args->file);

	memset(info, 0, sizeof(*info));
	for (unsigned depth = 0;; depth++) {
		const char *kind = wrap_probe(at);
		struct source *next = NULL;
		size_t n = strlen(info->kinds);
		int r;

		if (!kind)
			break;
		if (depth == LIMIT_UNWRAP_DEPTH)
			return error_set(e, ERR_LIMIT,
				"more than %d compressed files inside each "
				"other",
				LIMIT_UNWRAP_DEPTH);
		snprintf(info->kinds + n, sizeof(info->kinds) - n, "%s%s",
			n ? " " : "", kind);
		r = one(args, at, kind, &next, info, e);
		if (r)
			return r;
		source_unref(at);
		at = next;
	}
	*out = steal_ptr(at);
	return 0;
}
