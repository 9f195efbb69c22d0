/* SPDX-License-Identifier: Apache-2.0 */
#include "model/image.h"

#include <stdlib.h>
#include <string.h>
#include "base/cursor.h"
#include "base/limits.h"

#define IMAGE_VERSION 1
/* Caps on a record that may be damaged or made by somebody hostile. */
#define MAX_DISKS 4096
#define MAX_VOLUMES 65536
#define MAX_SEGMENTS (1u << 20)
#define MAX_STRING (64 * 1024)

enum { VOL_TREE = 1, VOL_ENCODED = 2, VOL_PARTIAL = 4,
	VOL_NESTED = 8 };

void image_release(struct image *im)
{
	for (size_t i = 0; i < im->disks.len; i++) {
		free(im->disks.items[i].part_scheme);
		free(im->disks.items[i].part_uuid);
	}
	for (size_t i = 0; i < im->volumes.len; i++) {
		struct image_volume *v = &im->volumes.items[i];

		free(v->name);
		free(v->fs);
		free(v->uuid);
		free(v->label);
		free(v->part_uuid);
		free(v->part_type);
		free(v->part_name);
		vec_release(&v->segments);
		buf_release(&v->root);
		for (size_t k = 0; k < v->subvolumes.len; k++)
			free(v->subvolumes.items[k].path);
		vec_release(&v->subvolumes);
	}
	for (size_t i = 0; i < im->attachments.len; i++)
		free(im->attachments.items[i].name);
	vec_release(&im->disks);
	vec_release(&im->volumes);
	vec_release(&im->attachments);
}

static void put_str(struct buf *b, const char *s)
{
	size_t n = s ? strlen(s) : 0;

	buf_varint(b, n);
	buf_add(b, s, n);
}

static char *get_str(struct cursor *c)
{
	uint64_t n = cur_varint(c);
	const uint8_t *p = cur_bytes(c, n > MAX_STRING ? SIZE_MAX : (size_t)n);
	char *s;

	if (!p)
		return NULL;
	if (memchr(p, 0, (size_t)n)) {
		c->bad = true;
		return NULL;
	}
	s = strndup((const char *)p, (size_t)n);
	if (!s)
		c->bad = true;
	return s;
}

int image_encode(const struct image *im, struct buf *out, struct error *e)
{
	buf_addch(out, 'i');
	buf_addch(out, IMAGE_VERSION);
	buf_varint(out, im->disks.len);
	for (size_t i = 0; i < im->disks.len; i++) {
		const struct image_disk *d = &im->disks.items[i];

		buf_varint(out, d->size);
		buf_varint(out, d->sector_size);
		put_str(out, d->part_scheme);
		put_str(out, d->part_uuid);
		buf_add(out, d->layout.b, 32);
		buf_le64(out, d->sum.lo);
		buf_le64(out, d->sum.hi);
		buf_addch(out, d->has_sha256);
		if (d->has_sha256)
			buf_add(out, d->sha256.b, 32);
	}
	buf_varint(out, im->volumes.len);
	for (size_t i = 0; i < im->volumes.len; i++) {
		const struct image_volume *v = &im->volumes.items[i];

		put_str(out, v->name);
		put_str(out, v->fs);
		put_str(out, v->uuid);
		put_str(out, v->label);
		put_str(out, v->part_uuid);
		put_str(out, v->part_type);
		put_str(out, v->part_name);
		buf_varint(out, v->size);
		buf_varint(out, v->segments.len);
		for (size_t k = 0; k < v->segments.len; k++) {
			buf_varint(out, v->segments.items[k].disk);
			buf_varint(out, v->segments.items[k].off);
			buf_varint(out, v->segments.items[k].len);
		}
		buf_addch(out, (char)((v->has_tree ? VOL_TREE : 0) |
				      (v->has_encoded ? VOL_ENCODED : 0) |
				      (v->partial ? VOL_PARTIAL : 0) |
				      (v->nested ? VOL_NESTED : 0)));
		if (v->has_tree) {
			buf_varint(out, v->root.len);
			buf_add(out, v->root.data, v->root.len);
			buf_varint(out, v->files);
			buf_varint(out, v->file_bytes);
		}
		buf_varint(out, v->subvolumes.len);
		for (size_t k = 0; k < v->subvolumes.len; k++) {
			put_str(out, v->subvolumes.items[k].path);
			buf_varint(out, v->subvolumes.items[k].number);
			buf_varint(out, v->subvolumes.items[k].flags);
		}
	}
	buf_varint(out, im->attachments.len);
	for (size_t i = 0; i < im->attachments.len; i++) {
		put_str(out, im->attachments.items[i].name);
		buf_varint(out, im->attachments.items[i].size);
		buf_add(out, im->attachments.items[i].id.b, 32);
	}
	return out->oom ? error_nomem(e) : 0;
}

static void get_bytes(struct cursor *c, void *out, size_t n)
{
	const uint8_t *p = cur_bytes(c, n);

	if (p)
		memcpy(out, p, n);
}

/* A count that at least min bytes each must follow. */
static uint64_t get_count(struct cursor *c, uint64_t max, size_t min)
{
	uint64_t n = cur_varint(c);

	if (n > max || n > c->left / min + 1)
		c->bad = true;
	return c->bad ? 0 : n;
}

static void get_disk(struct cursor *c, struct image_disk *d)
{
	d->size = cur_varint(c);
	d->sector_size = (uint32_t)cur_varint(c);
	d->part_scheme = get_str(c);
	d->part_uuid = get_str(c);
	get_bytes(c, d->layout.b, 32);
	d->sum.lo = cur_le64(c);
	d->sum.hi = cur_le64(c);
	disk_digest_final(&d->sum, d->size, d->digest);
	d->has_sha256 = cur_u8(c);
	if (d->has_sha256)
		get_bytes(c, d->sha256.b, 32);
	if (d->size > LIMIT_DISK_SIZE)
		c->bad = true;
}

static void get_volume(struct cursor *c, struct image_volume *v)
{
	uint64_t n;
	uint8_t flags;

	v->name = get_str(c);
	v->fs = get_str(c);
	v->uuid = get_str(c);
	v->label = get_str(c);
	v->part_uuid = get_str(c);
	v->part_type = get_str(c);
	v->part_name = get_str(c);
	v->size = cur_varint(c);
	n = get_count(c, MAX_SEGMENTS, 3);
	for (uint64_t i = 0; i < n && !c->bad; i++) {
		struct image_segment s;

		s.disk = (uint32_t)cur_varint(c);
		s.off = cur_varint(c);
		s.len = cur_varint(c);
		if (!vec_push(&v->segments, s))
			c->bad = true;
	}
	flags = cur_u8(c);
	v->has_tree = flags & VOL_TREE;
	v->has_encoded = flags & VOL_ENCODED;
	v->partial = flags & VOL_PARTIAL;
	v->nested = flags & VOL_NESTED;
	if (v->has_tree) {
		n = cur_varint(c);
		if (n > c->left)
			c->bad = true;
		else
			buf_add(&v->root, cur_bytes(c, (size_t)n), (size_t)n);
		v->files = cur_varint(c);
		v->file_bytes = cur_varint(c);
	}
	n = get_count(c, MAX_SEGMENTS, 3);
	for (uint64_t i = 0; i < n && !c->bad; i++) {
		struct image_subvolume s = { .path = get_str(c) };

		s.number = cur_varint(c);
		s.flags = (uint32_t)cur_varint(c);
		if (!vec_push(&v->subvolumes, s)) {
			free(s.path);
			c->bad = true;
		}
	}
}

int image_decode(const void *data, size_t len, struct image *out,
	struct error *e)
{
	struct cursor c = cursor_make(data, len);
	uint64_t n;
	unsigned tag = cur_u8(&c), version = cur_u8(&c);

	memset(out, 0, sizeof(*out));
	if (tag == 'i' && version != IMAGE_VERSION && !c.bad)
		return error_set(e, ERR_UNSUPPORTED,
			"an image record of version %u: made by a newer strata",
			version);
	n = get_count(&c, MAX_DISKS, 52);
	for (uint64_t i = 0; i < n && !c.bad; i++) {
		struct image_disk d = { 0 };

		get_disk(&c, &d);
		if (!vec_push(&out->disks, d))
			c.bad = true;
	}
	n = get_count(&c, MAX_VOLUMES, 10);
	for (uint64_t i = 0; i < n && !c.bad; i++) {
		struct image_volume v = { 0 };

		get_volume(&c, &v);
		if (!vec_push(&out->volumes, v))
			c.bad = true;
	}
	n = get_count(&c, MAX_VOLUMES, 34);
	for (uint64_t i = 0; i < n && !c.bad; i++) {
		struct image_attachment a = { .name = get_str(&c) };

		a.size = cur_varint(&c);
		get_bytes(&c, a.id.b, 32);
		if (!vec_push(&out->attachments, a))
			c.bad = true;
	}
	if (tag != 'i' || c.bad || c.left) {
		image_release(out);
		memset(out, 0, sizeof(*out));
		return error_set(e, ERR_CORRUPT, "an image record is damaged");
	}
	return 0;
}

const struct image_volume *image_volume(const struct image *im,
	const char *name)
{
	for (size_t i = 0; i < im->volumes.len; i++)
		if (!strcmp(im->volumes.items[i].name, name))
			return &im->volumes.items[i];
	return NULL;
}

char *digest_text(const uint8_t digest[16], char out[DIGEST_TEXT])
{
	memcpy(out, "xxh3-128:", 9);
	hex_encode(digest, 16, out + 9);
	return out;
}
