/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/datasum.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include "base/checked.h"

/* Findings of one volume; a disk that is bad all over needs no more. */
#define TOLD_MAX 1000

/* Readers of one volume: as many threads may look at once. */
#define READERS 4

struct reader {
	struct fs *fs;
	pthread_mutex_t lock; /* a reader is for one thread at a time */
};

struct volume {
	const struct survey_volume *sv;
	bool keeps; /* checksums: the first reader is open, others may be */
	struct reader readers[READERS];
	unsigned told;
	uint64_t told_id; /* of the file told last, + 1 */
};

struct datasum {
	const struct cut *cut;
	const struct finding_sink *findings;
	pthread_mutex_t lock; /* guards what is told */
	size_t n;
	struct volume volumes[];
};

int datasum_open(const struct survey *s, const struct cut *cut,
	const struct finding_sink *findings, struct datasum **out,
	struct error *e)
{
	size_t n = s->volumes.len;
	struct datasum *d = calloc(1, sizeof(*d) + n * sizeof(d->volumes[0]));
	bool any = false;

	if (!d)
		return error_nomem(e);
	pthread_mutex_init(&d->lock, NULL);
	d->cut = cut;
	d->findings = findings;
	d->n = n;
	for (size_t i = 0; i < n; i++) {
		d->volumes[i].sv = &s->volumes.items[i];
		for (unsigned k = 0; k < READERS; k++)
			pthread_mutex_init(&d->volumes[i].readers[k].lock,
				NULL);
	}
	for (size_t i = 0; i < n; i++) {
		const struct survey_volume *v = &s->volumes.items[i];
		struct error err = { 0 };

		if (!v->ops || !v->ops->check_data || v->nested ||
			v->member_of_other || i >= cut->volumes.len ||
			!cut->volumes.items[i].n)
			continue;
		if (survey_open_fs(v, NULL, &d->volumes[i].readers[0].fs,
			    &err) == ERR_NOMEM) {
			datasum_close(d);
			return error_nomem(e);
		}
		d->volumes[i].keeps = d->volumes[i].readers[0].fs != NULL;
		any |= d->volumes[i].keeps;
	}
	if (!any) {
		datasum_close(d);
		d = NULL;
	}
	*out = d;
	return 0;
}

void datasum_close(struct datasum *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n; i++)
		for (unsigned k = 0; k < READERS; k++) {
			struct reader *r = &d->volumes[i].readers[k];

			if (r->fs)
				r->fs->ops->close(r->fs);
			pthread_mutex_destroy(&r->lock);
		}
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* A reader that nobody uses, else one that somebody does; locked. The first is
 * open always, the others when they are wanted. */
static struct reader *take(struct volume *v)
{
	for (unsigned k = 0; k < READERS; k++) {
		struct reader *r = &v->readers[k];

		if (pthread_mutex_trylock(&r->lock))
			continue;
		if (r->fs || !survey_open_fs(v->sv, NULL, &r->fs, NULL))
			return r;
		pthread_mutex_unlock(&r->lock);
		break;
	}
	pthread_mutex_lock(&v->readers[0].lock);
	return &v->readers[0];
}

static void tell(struct datasum *d, struct volume *v, const struct cut_file *f,
	uint64_t off)
{
	pthread_mutex_lock(&d->lock);
	if (v->told_id != f->id + 1 && v->told < TOLD_MAX) {
		v->told_id = f->id + 1;
		v->told++;
		/* (as btrfs, the only one so far, puts its ids together) */
		finding_report(d->findings, FINDING_FILE_CHECKSUM, off,
			v->sv->name, "inode %" PRIu64 " of subvolume %" PRIu64
			"; its bytes are stored as they are",
			f->id & ((UINT64_C(1) << 40) - 1), f->id >> 40);
	}
	pthread_mutex_unlock(&d->lock);
}

/* Bytes of one device. */
static void check(struct datasum *d, struct volume *v, const struct cut_file *f,
	uint32_t dev, uint64_t dev_off, uint64_t disk_off, const uint8_t *data,
	size_t len)
{
	struct reader *r = take(v);
	struct error err = { 0 };
	uint64_t bad = 0;
	int rc = r->fs->ops->check_data(r->fs, dev, dev_off, data, len, &bad,
		&err);

	pthread_mutex_unlock(&r->lock);
	if (rc == 1)
		tell(d, v, f, disk_off + bad);
}

void datasum_check(struct datasum *d, const struct cut_file *f, uint32_t disk,
	uint64_t off, const void *data, size_t len)
{
	size_t index = (size_t)(f - d->cut->files.items), i = 0;
	const uint8_t *p = data;

	while (i < d->n && (index < d->cut->volumes.items[i].first ||
				   index - d->cut->volumes.items[i].first >=
					   d->cut->volumes.items[i].n))
		i++;
	if (i == d->n || !d->volumes[i].keeps)
		return;
	for (uint32_t k = 0; k < d->volumes[i].sv->devs.len; k++) {
		const survey_segments *g =
			&d->volumes[i].sv->devs.items[k].segments;
		uint64_t at = 0;

		for (size_t m = 0; m < g->len; m++) {
			const struct survey_segment *x = &g->items[m];
			uint64_t a = u64_max(off, x->off);
			uint64_t b = u64_min(off + len, x->off + x->len);

			if (x->disk == disk && a < b)
				check(d, &d->volumes[i], f, k,
					at + (a - x->off), a, p + (a - off),
					(size_t)(b - a));
			at += x->len;
		}
	}
}
