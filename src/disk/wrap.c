/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the compression off a file before its format is probed. */
#include "disk/wrap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "base/checked.h"
#include "base/endian.h"
#include "base/limits.h"
#include "base/zero.h"
#include "disk/ova.h"
#include "disk/spool.h"
#include "disk/wrap_int.h"

#define CHUNK (256 * KIB)
#define BLOCK (4 * KIB)

/* Frames that decoders pass over (RFC 8878 section 3.1.2) stand before those of
 * zstd (pzstd does so), and before those of lz4: what is behind them? */
static const char *behind_skippable(struct source *file)
{
	uint64_t at = 0;
	uint8_t b[8];

	for (int i = 0; i < 16; i++) {
		if (!range_inside(at, sizeof(b), file->size) ||
			source_pread(file, b, sizeof(b), at, NULL))
			return NULL;
		if (!memcmp(b, "\x28\xb5\x2f\xfd", 4))
			return "zstd";
		if (!memcmp(b, "\x04\x22\x4d\x18", 4))
			return "lz4";
		if ((get_le32(b) & ~15u) != 0x184d2a50 ||
			!u64_add(at, 8 + (uint64_t)get_le32(b + 4), &at))
			return NULL;
	}
	return NULL;
}

/* The format of LZMA_alone has no magic. What liblzma's own tools ask: usual
 * properties, a dictionary of 2^n or 2^n + 2^(n-1) bytes, no size or one below
 * 256 GiB; and the range coder's first byte is zero. */
static bool is_lzma(struct source *file)
{
	uint8_t b[14];
	uint32_t dict, d;
	uint64_t size;

	if (source_pread(file, b, sizeof(b), 0, NULL) || b[0] != 0x5d || b[13])
		return false;
	dict = get_le32(b + 1);
	size = get_le64(b + 5);
	if (size != UINT64_MAX && size >= 256 * GIB)
		return false;
	if (dict == UINT32_MAX)
		return true;
	d = dict - 1;
	d |= d >> 2;
	d |= d >> 3;
	d |= d >> 4;
	d |= d >> 8;
	d |= d >> 16;
	return dict >= 4096 && d + 1 == dict;
}

const char *wrap_probe(struct source *file)
{
	uint8_t b[10];
	const char *kind;

	if (source_pread(file, b, sizeof(b), 0, NULL))
		return NULL;
	kind = behind_skippable(file);
	if (kind)
		return kind;
	/* Deflate, no reserved flag. */
	if (b[0] == 0x1f && b[1] == 0x8b && b[2] == 8 && !(b[3] & 0xe0))
		return "gzip";
	if (!memcmp(b, "\xfd" "7zXZ\0", 6))
		return "xz";
	if (!memcmp(b, "BZh", 3) && b[3] >= '1' && b[3] <= '9' &&
		(!memcmp(b + 4, "\x31\x41\x59\x26\x53\x59", 6) ||
			!memcmp(b + 4, "\x17\x72\x45\x38\x50\x90", 6)))
		return "bzip2";
	/* An empty one, or one that was cut into volumes of which there is but
	 * one, begins in other ways. */
	if (!memcmp(b, "PK\3\4", 4) || !memcmp(b, "PK\5\6", 4) ||
		!memcmp(b, "PK00PK\3\4", 8) || !memcmp(b, "PK\7\10PK\3\4", 8))
		return "zip";
	if (!memcmp(b, "LZIP", 4) && b[4] <= 1)
		return "lzip";
	if (is_lzma(file))
		return "lzma";
	return ova_tar_probe(file) && !ova_probe(file) ? "tar" : NULL;
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
		&wrap_zstd, &wrap_bzip2, &wrap_lz4, &wrap_lzma, &wrap_lzip };

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

/* LZMA in a zip (APPNOTE 5.8.8): version, length of the properties, those. As
 * LZMA_alone, with its size in front. */
static int zip_lzma(struct source *file, const struct wrap_member *m,
	struct source **out, struct error *e)
{
	AUTO_SOURCE head = NULL;
	uint8_t b[9], *h;
	int r;

	if (m->packed < sizeof(b))
		return error_at(e, ERR_CORRUPT, m->off, "zip: '%s' is cut off",
			m->name);
	r = source_pread(file, b, sizeof(b), m->off, e);
	if (r)
		return r;
	if (get_le16(b + 2) != 5)
		return error_at(e, ERR_UNSUPPORTED, m->off,
			"zip: '%s' has LZMA properties of %u bytes", m->name,
			get_le16(b + 2));
	h = malloc(13);
	if (!h)
		return error_nomem(e);
	memcpy(h, b + 4, 5);
	/* Bit 1: the data says itself where it ends. */
	put_le64(h + 5, m->flags & 2 ? UINT64_MAX : m->size);
	r = source_memory_owned(h, 13, &head, e);
	if (r)
		return r;
	return source_concat((struct source_segment[]){ { head, 0, 13 },
				     { file, m->off + 9, m->packed - 9 } },
		2, out, e);
}

/* The packed bytes of a member, and what unpacks them; NULL: nothing has to. */
static int zip_codec(struct source *file, const struct wrap_member *m,
	struct source **out, const struct wrap_codec **codec, struct error *e)
{
	static const struct {
		uint16_t method;
		const struct wrap_codec *codec;
	} all[] = { { ZIP_STORED, NULL }, { ZIP_DEFLATE, &wrap_deflate },
		{ ZIP_BZIP2, &wrap_bzip2 }, { ZIP_LZMA, &wrap_lzma },
		{ ZIP_ZSTD_OLD, &wrap_zstd }, { ZIP_ZSTD, &wrap_zstd },
		{ ZIP_XZ, &wrap_xz } };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i].method == m->method) {
			*codec = all[i].codec;
			return m->method == ZIP_LZMA
				       ? zip_lzma(file, m, out, e)
				       : source_window(file, m->off, m->packed,
						 out, e);
		}
	return error_set(e, ERR_UNSUPPORTED,
		"zip: '%s' is packed with method %u%s, which is not read",
		m->name, m->method,
		m->method == ZIP_DEFLATE64 ? " (Deflate64)" : "");
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

	if (!strcmp(kind, "tar"))
		return wrap_tar_member(file, a->findings, info->name, out, e);
	if (strcmp(kind, "zip") != 0)
		return run(&u, out, e);
	r = wrap_zip_member(file, a->findings, &m, e);
	if (r)
		return r;
	snprintf(info->name, sizeof(info->name), "%s", m.name);
	r = zip_codec(file, &m, &bytes, &u.codec, e);
	if (r)
		return r;
	if (!u.codec) {
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
