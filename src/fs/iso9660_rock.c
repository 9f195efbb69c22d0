/* SPDX-License-Identifier: Apache-2.0 */
/* ISO 9660: System Use Sharing Protocol and Rock Ridge. See iso9660.h. */
#include "fs/iso9660.h"

#include <string.h>
#include "base/checked.h"
#include "base/cursor.h"
#include "base/limits.h"

#define SIG(a, b) ((unsigned)(a) << 8 | (unsigned)(b))

enum { /* component flags of SL */
	SL_CONTINUE = 1,
	SL_CURRENT = 2,
	SL_PARENT = 4,
	SL_ROOT = 8,
};

void iso_rock_release(struct iso_rock *r)
{
	buf_release(&r->name);
	buf_release(&r->link);
}

/* A number that stands there in both byte orders: the first is read. */
static uint32_t both32(struct cursor *c)
{
	uint32_t v = cur_le32(c);

	cur_skip(c, 4);
	return v;
}

static bool symlink_part(struct cursor *c, struct iso_rock *out)
{
	bool more = cur_u8(c) & 1; /* the target goes on in the next SL */

	if (!out->link_more)
		buf_clear(&out->link);
	while (c->left) {
		uint8_t flags = cur_u8(c), len = cur_u8(c);
		struct view text = cur_view(c, len);

		if (c->bad || out->link.len > LIMIT_SYMLINK)
			return false;
		if (flags & SL_ROOT) {
			buf_clear(&out->link);
			buf_addch(&out->link, '/');
			out->link_joined = true; /* no slash before the next */
			continue;
		}
		if (out->link.len && !out->link_joined)
			buf_addch(&out->link, '/');
		if (flags & SL_CURRENT)
			buf_addch(&out->link, '.');
		else if (flags & SL_PARENT)
			buf_addstr(&out->link, "..");
		else
			buf_add(&out->link, text.data, text.len);
		out->link_joined = flags & SL_CONTINUE;
	}
	out->link_more = more;
	out->has_link = true;
	return true;
}

static void times(struct cursor *c, struct iso_rock *out)
{
	uint8_t flags = cur_u8(c);
	size_t size = flags & 0x80 ? 17 : 7;
	const uint8_t *d;

	if (!(flags & 2)) /* the time of modification is the second one */
		return;
	if (flags & 1)
		cur_skip(c, size);
	d = cur_bytes(c, size);
	if (!d)
		return;
	out->mtime_ns = 0;
	out->mtime = size == 7 ? iso_date7(d) : iso_date17(d, &out->mtime_ns);
	out->has_mtime = true;
}

static void zisofs(struct cursor *c, uint8_t version, struct iso_rock *out)
{
	const uint8_t *algorithm = cur_bytes(c, 2);

	out->zf_header = cur_u8(c);
	out->zf_shift = cur_u8(c);
	if (!algorithm)
		return;
	if (version == 1 && !memcmp(algorithm, "pz", 2)) {
		out->zf_version = 1;
		out->zf_size = cur_le32(c);
	} else if (version == 2 && !memcmp(algorithm, "PZ", 2)) {
		out->zf_version = 2;
		out->zf_size = cur_le64(c);
	} else {
		out->zf_version = 255;
	}
}

/* The pieces are put together here, and taken apart in iso9660_aaip.c. */
static void attributes(struct cursor *c, struct iso_rock *out)
{
	uint8_t flags = cur_u8(c);

	out->has_attrs = true;
	if (!out->attrs || out->attrs_end)
		return;
	if (out->attrs->len + c->left > LIMIT_XATTRS_TOTAL)
		out->attrs_cut = true;
	else
		buf_add(out->attrs, c->p, c->left);
	out->attrs_end = !(flags & 1);
}

struct continuation {
	bool set;
	uint64_t off;
	uint32_t len;
};

static void entry(struct iso *f, unsigned sig, uint8_t version,
	struct cursor c, struct iso_rock *out, struct continuation *next)
{
	switch (sig) {
	case SIG('C', 'E'): {
		uint64_t lba = both32(&c);
		uint64_t in = both32(&c);

		next->len = both32(&c);
		next->off = lba * f->block_size + in;
		next->set = !c.bad && next->len;
		break;
	}
	case SIG('E', 'R'):
		out->has_er = true;
		break;
	case SIG('P', 'X'):
		out->mode = both32(&c);
		out->nlink = both32(&c);
		out->uid = both32(&c);
		out->gid = both32(&c);
		out->has_px = !c.bad;
		out->serial = c.left >= 8 ? both32(&c) : 0;
		break;
	case SIG('P', 'N'):
		out->dev_high = both32(&c);
		out->dev_low = both32(&c);
		break;
	case SIG('N', 'M'): {
		uint8_t flags = cur_u8(&c);

		if (flags & 6) /* "." and "..": not used for names */
			break;
		if (out->name.len + c.left > LIMIT_NAME) {
			out->damaged = true;
			break;
		}
		buf_add(&out->name, c.p, c.left);
		out->has_name = true;
		break;
	}
	case SIG('S', 'L'):
		if (!symlink_part(&c, out))
			out->damaged = true;
		break;
	case SIG('T', 'F'):
		times(&c, out);
		break;
	case SIG('A', 'L'):
		attributes(&c, out);
		break;
	case SIG('C', 'L'):
		out->child_lba = both32(&c);
		out->has_child = !c.bad;
		break;
	case SIG('R', 'E'):
		out->relocated = true;
		break;
	case SIG('S', 'F'):
		out->sparse = true;
		break;
	case SIG('Z', 'F'):
		zisofs(&c, version, out);
		break;
	default: /* not ours (SUSP: ignore) */
		return;
	}
	if (c.bad)
		out->damaged = true;
}

/* One area of entries; what follows in a continuation area is in *next. */
static void area(struct iso *f, const uint8_t *p, size_t left,
	struct iso_rock *out, struct continuation *next)
{
	while (left >= 4 && p[0]) {
		size_t len = p[2];
		unsigned sig = SIG(p[0], p[1]);

		if (len < 4 || len > left) {
			out->damaged = true;
			return;
		}
		if (sig == SIG('S', 'T'))
			return;
		entry(f, sig, p[3], cursor_make(p + 4, len - 4), out, next);
		p += len;
		left -= len;
	}
}

int iso_rock_read(struct iso *f, const uint8_t *rec, uint64_t rec_off,
	unsigned skip, struct iso_rock *out, struct error *e)
{
	struct view v = iso_system_use(rec);
	struct continuation next = { 0 };
	AUTO_BUF b = BUF_INIT;

	(void)rec_off;
	if (v.len > skip)
		area(f, v.data + skip, v.len - skip, out, &next);
	/* the chain may loop: its length is bounded */
	for (int i = 0; next.set; i++) {
		struct continuation at = next;
		int r;

		next.set = false;
		if (i >= LIMIT_ISO_CONTINUATIONS ||
			at.len > LIMIT_ISO_CONTINUATION ||
			!range_inside(at.off, at.len, f->meta->size)) {
			out->damaged = true;
			break;
		}
		buf_clear(&b);
		if (!buf_grow(&b, at.len))
			return error_nomem(e);
		r = source_pread(f->meta, b.data, at.len, at.off, e);
		if (r)
			return r;
		area(f, b.data, b.len, out, &next);
	}
	if (out->name.oom || out->link.oom)
		return error_nomem(e);
	return 0;
}

int iso_rock_detect(struct iso *f, uint64_t root_off, struct error *e)
{
	static const unsigned skips[] = { 0, 14 /* behind CD-ROM XA */ };
	uint8_t rec[255];
	int r = iso_record_read(f, root_off, rec, e);

	if (r)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(skips); i++) {
		struct view v = iso_system_use(rec);
		const uint8_t *p = v.data + skips[i];
		struct iso_rock k = { 0 };

		/* SP is the first entry: "SP", 7, 1, be ef, skip */
		if (v.len < skips[i] + 7 || memcmp(p, "SP\7\1\xbe\xef", 6) != 0)
			continue;
		r = iso_rock_read(f, rec, root_off, skips[i], &k, e);
		f->rock = !r && (k.has_er || k.has_px);
		f->attrs = k.has_attrs;
		f->susp_skip = p[6];
		iso_rock_release(&k);
		return r;
	}
	return 0;
}
