/* SPDX-License-Identifier: Apache-2.0 */
/* EROFS: extra devices, which hold chunks of files. See erofs.h. As Linux
 * (fs/erofs/super.c, data.c): a chunk names its device, or its address lies
 * where the table says that one is mapped; and all of them may follow each other
 * in one source. The devices themselves have nothing that tells what they are. */
#include "fs/erofs.h"

#include <inttypes.h>
#include <stdlib.h>
#include "base/checked.h"
#include "base/limits.h"

#define HAS_DEVICES 8u /* of the incompatible features */

uint32_t erofs_device_count(const struct erofs_super *s)
{
	return le32_get(s->incompat) & HAS_DEVICES ? le16_get(s->extra_devices)
						   : 0;
}

static int read_slot(struct source *src, const struct erofs_super *s,
	uint32_t n, struct erofs_slot *out, struct error *e)
{
	int r = source_pread(src, out, sizeof(*out),
		((uint64_t)le16_get(s->device_table) + n) * sizeof(*out), e);

	return r ? error_prefix(e, "erofs: table of devices") : 0;
}

int erofs_part_size(struct source *src, uint32_t n, uint64_t *out,
	struct error *e)
{
	struct erofs_super s;
	struct erofs_slot t;
	int r = source_pread(src, &s, sizeof(s), 1024, e);

	if (!r && (!n || n > erofs_device_count(&s) || s.block_bits > 16))
		r = error_set(e, ERR_NOTFOUND, "erofs: no such device");
	if (!r)
		r = read_slot(src, &s, n - 1, &t, e);
	if (!r)
		*out = (uint64_t)le32_get(t.blocks) << s.block_bits;
	return r;
}

int erofs_devices_open(struct erofs *f, const struct fs_open_args *args,
	const struct erofs_super *s, struct error *e)
{
	uint32_t n = erofs_device_count(s);

	if (n > LIMIT_EROFS_DEVICES)
		return error_at(e, ERR_LIMIT, 1024,
			"erofs: %" PRIu32 " further devices", n);
	if (!n)
		return 0;
	f->devices = calloc(n, sizeof(*f->devices));
	if (!f->devices)
		return error_nomem(e);
	f->ndevices = n;
	for (uint32_t i = 0; i < n; i++) {
		struct erofs_device *d = &f->devices[i];
		struct erofs_slot t;
		int r = read_slot(f->meta, s, i, &t, e);

		if (r)
			return r;
		d->mapped = (uint64_t)le32_get(t.mapped) << f->block_bits;
		d->len = (uint64_t)le32_get(t.blocks) << f->block_bits;
		if (i + 1 < args->ndevs) {
			d->src = source_ref(args->devs[i + 1]);
			d->index = i + 1;
		} else if (args->ndevs == 1 && d->mapped &&
			   range_inside(d->mapped, d->len, f->src->size)) {
			d->src = source_ref(f->src);
			d->start = d->mapped;
		} else {
			f->missing++;
		}
	}
	if (f->missing)
		finding_report(f->findings, FINDING_VOLUME_INCOMPLETE, 1024,
			NULL, "erofs: %" PRIu32 " of %" PRIu32
			" further devices are not there: files with content "
			"on them are listed, but cannot be read",
			f->missing, n);
	return 0;
}

void erofs_devices_release(struct erofs *f)
{
	for (uint32_t i = 0; i < f->ndevices; i++)
		source_unref(f->devices[i].src);
	free(f->devices);
}

/* The device that the address means, 0: the first. */
static uint32_t by_address(const struct erofs *f, uint64_t *pa)
{
	for (uint32_t i = 0; i < f->ndevices; i++) {
		const struct erofs_device *d = &f->devices[i];

		if (d->mapped && *pa >= d->mapped &&
			*pa - d->mapped < d->len) {
			*pa -= d->mapped;
			return i + 1;
		}
	}
	return 0;
}

int erofs_device_map(struct erofs *f, unsigned id, uint64_t pa, uint64_t len,
	struct erofs_place *out, struct error *e)
{
	struct erofs_device first = { .src = f->src }, *d = &first;
	uint64_t off;

	if (!id && f->ndevices)
		id = by_address(f, &pa);
	if (id > f->ndevices)
		return error_set(e, ERR_CORRUPT,
			"erofs: a chunk on device %u of %" PRIu32, id, f->ndevices);
	if (id)
		d = &f->devices[id - 1];
	if (!d->src)
		return error_set(e, ERR_UNSUPPORTED,
			"erofs: a chunk is on device %u, which is not there", id);
	if (!u64_add(d->start, pa, &off) ||
		!range_inside(off, len, d->src->size))
		return error_set(e, ERR_CORRUPT,
			"erofs: %" PRIu64 " bytes at %" PRIu64
			" are outside device %u", len, off, id);
	*out = (struct erofs_place){ id && d->index ? d->src : f->meta,
		d->index, off, len };
	return 0;
}
