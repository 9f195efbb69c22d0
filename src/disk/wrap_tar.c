/* SPDX-License-Identifier: Apache-2.0 */
/* A tar with one disk: Google Compute Engine's disk.raw.tar.gz, a Vagrant box
 * of libvirt, what people pack. Sparse members as GNU tar writes them: its own
 * format (type 'S', a list in the header) and pax 1.0 (a list before the
 * data). Members are windows on the file; nothing is written by name. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/limits.h"
#include "base/vec.h"
#include "disk/ova.h"
#include "disk/wrap_int.h"
#include "disk/wrap_pick.h"

/* Lists of a sparse member: each entry is a place and a length. */
struct sparse {
	struct source *file;
	uint64_t at, end;   /* of the stored data */
	uint64_t size;      /* of the whole */
	uint64_t done;      /* of the whole, in segments */
	VEC(struct source_segment) seg;
};

static int bad(uint64_t at, const char *why, struct error *e)
{
	return error_at(e, ERR_CORRUPT, at, "tar: %s", why);
}

static int add(struct sparse *s, struct source *src, uint64_t off, uint64_t len,
	struct error *e)
{
	if (!len)
		return 0;
	if (s->seg.len >= LIMIT_TAR_SPARSE)
		return error_at(e, ERR_LIMIT, off,
			"tar: a sparse member of over %u pieces",
			LIMIT_TAR_SPARSE);
	s->done += len;
	return vec_push(&s->seg, (struct source_segment){ src, off, len })
		       ? 0
		       : error_nomem(e);
}

/* The places ascend, the data lies one behind the other. */
static int piece(struct sparse *s, uint64_t off, uint64_t len, struct error *e)
{
	int r;

	if (off < s->done || !range_inside(off, len, s->size) ||
		len > s->end - s->at)
		return bad(s->at, "a sparse member's list is not in order", e);
	r = add(s, NULL, 0, off - s->done, e);
	if (!r)
		r = add(s, s->file, s->at, len, e);
	s->at += len;
	return r;
}

static int finish(struct sparse *s, struct source **out, struct error *e)
{
	int r = add(s, NULL, 0, s->size - s->done, e);

	return r ? r : source_concat(s->seg.items, s->seg.len, out, e);
}

/* --- GNU's own format: 4 entries in the header, 21 in each that follows --- */

#define OLD_LIST 386
#define OLD_SIZE 483

static int old_entries(struct sparse *s, const uint8_t *p, unsigned n,
	struct error *e)
{
	for (unsigned i = 0; i < n && p[24 * i]; i++) {
		uint64_t off, len;
		int r;

		if (!ova_tar_number((const char *)p + 24 * i, 12, &off) ||
			!ova_tar_number((const char *)p + 24 * i + 12, 12,
				&len))
			return bad(s->at, "a damaged list of a sparse member",
				e);
		r = piece(s, off, len, e);
		if (r)
			return r;
	}
	return 0;
}

/* The header's own entries, then those of the lists behind it. */
static int old_sparse(struct sparse *s, uint64_t header, uint64_t lists,
	struct error *e)
{
	uint8_t b[512];
	int r = source_pread(s->file, b, sizeof(b), header, e);

	if (r)
		return r;
	if (!ova_tar_number((const char *)b + OLD_SIZE, 12, &s->size) ||
		s->size > LIMIT_DISK_SIZE)
		return bad(header + OLD_SIZE, "a damaged size", e);
	r = old_entries(s, b + OLD_LIST, 4, e);
	for (uint64_t at = 0; at < lists && !r; at += sizeof(b)) {
		r = source_pread(s->file, b, sizeof(b), header + 512 + at, e);
		if (!r)
			r = old_entries(s, b, 21, e);
	}
	return r;
}

/* --- pax 1.0: decimal lines, filled up to a block --- */

static int line(struct sparse *s, struct buf *b, size_t *at, uint64_t *out,
	struct error *e)
{
	size_t digits = 0;

	*out = 0;
	for (;;) {
		uint8_t c;

		if (*at == b->len) {
			uint8_t x[512];
			int r;

			if (s->end - s->at < sizeof(x))
				return bad(s->at,
					"a sparse member's list is cut off", e);
			r = source_pread(s->file, x, sizeof(x), s->at, e);
			if (r)
				return r;
			buf_clear(b);
			buf_add(b, x, sizeof(x));
			if (b->oom)
				return error_nomem(e);
			*at = 0;
			s->at += sizeof(x);
		}
		c = b->data[(*at)++];
		if (c == '\n' && digits)
			return 0;
		if (c < '0' || c > '9' || ++digits > 19)
			return bad(s->at, "a damaged list of a sparse member",
				e);
		*out = *out * 10 + (c - '0');
	}
}

static int pax_sparse(struct sparse *s, struct error *e)
{
	AUTO_BUF b = BUF_INIT;
	VEC(struct source_extent) list = { 0 };
	size_t at = 0;
	uint64_t n = 0;
	int r = line(s, &b, &at, &n, e);

	if (!r && n > LIMIT_TAR_SPARSE)
		r = error_at(e, ERR_LIMIT, s->at,
			"tar: a sparse member of over %u pieces",
			LIMIT_TAR_SPARSE);
	for (uint64_t i = 0; i < n && !r; i++) {
		struct source_extent x = { 0 };

		r = line(s, &b, &at, &x.off, e);
		if (!r)
			r = line(s, &b, &at, &x.len, e);
		if (!r && !vec_push(&list, x))
			r = error_nomem(e);
	}
	for (size_t i = 0; i < list.len && !r; i++)
		r = piece(s, list.items[i].off, list.items[i].len, e);
	vec_release(&list);
	return r;
}

/* --- the choice --- */

static bool named(const struct ova_members *m, const char *name)
{
	for (size_t i = 0; i < m->list.len; i++)
		if (!strcmp(m->list.items[i].name, name))
			return true;
	return false;
}

/* What comes as a tar and is no archive of a disk. */
static int refuse(const struct ova_members *m, struct error *e)
{
	if (named(m, "ova.xml"))
		return error_set(e, ERR_UNSUPPORTED,
			"tar: a XenServer export (XVA), which is not read; "
			"export the disks as VHD");
	if (named(m, "oci-layout") || named(m, "manifest.json"))
		return error_set(e, ERR_UNSUPPORTED,
			"tar: a container image (OCI or docker), which has no "
			"disk");
	return 0;
}

int wrap_tar_member(struct source *file, const struct finding_sink *findings,
	char name[256], struct source **out, struct error *e)
{
	struct ova_members m = { 0 };
	struct wrap_pick pick = { 0 };
	const struct ova_member *x = NULL;
	int r = ova_tar_list(file, &m, e);

	if (!r)
		r = refuse(&m, e);
	for (size_t i = 0; i < m.list.len && !r; i++) {
		const struct ova_member *t = &m.list.items[i];

		if (wrap_pick_offer(&pick, (const uint8_t *)t->name,
			    strlen(t->name), t->size))
			x = t;
	}
	if (!r)
		r = wrap_pick_end(&pick, "tar", findings, e);
	if (!r && x->sparse == '?')
		r = error_at(e, ERR_UNSUPPORTED, x->off,
			"tar: '%s' is sparse in a format of GNU tar that is "
			"not read (pax 0.0 or 0.1); unpack it first",
			pick.name);
	if (!r && x->sparse) {
		struct sparse s = { .file = file,
			.at = x->off + x->lists,
			.end = x->off + x->lists + x->size,
			.size = x->real_size };

		r = x->sparse == 'S' ? old_sparse(&s, x->off - 512, x->lists,
						 e)
				     : pax_sparse(&s, e);
		if (!r)
			r = finish(&s, out, e);
		vec_release(&s.seg);
	} else if (!r) {
		r = source_window(file, x->off, x->size, out, e);
	}
	memcpy(name, pick.name, 256);
	ova_members_release(&m);
	return r;
}
