/* SPDX-License-Identifier: Apache-2.0 */
/* diff --packages and --blocks. */
#include <inttypes.h>
#include <string.h>
#include "change/blocks.h"
#include "cli/diff_private.h"
#include "insight/packages.h"
#include "view/view.h"

struct telling {
	struct diff *d;
	uint64_t n, bytes;
	size_t disk;
};

/* --- packages --- */

static void put_package(struct json *j, const char *key,
	const struct package *p)
{
	if (!p) {
		json_null(j, key);
		return;
	}
	json_object(j, key);
	json_str(j, "version", p->version);
	json_str(j, "source", p->source);
	json_str(j, "source_version", p->source_version);
	json_str(j, "status", p->status);
	json_object_end(j);
}

static void put_word(const char *s, char end)
{
	cli_put_name(stdout, s, strlen(s));
	putchar_unlocked(end);
}

static int on_package(void *ctx, const struct package_change *ch)
{
	static const char letters[] = "ADUWM";
	static const char *const colours[] = { "\033[32m", "\033[31m",
		"\033[33m", "\033[35m", "\033[33m" };
	struct telling *t = ctx;
	struct diff *d = t->d;
	const struct package *p = ch->new ? ch->new : ch->old;
	struct json *j = &d->json;

	t->n++;
	if (d->c->json) {
		json_object(j, NULL);
		json_str(j, "name", p->name);
		json_str(j, "architecture", p->architecture);
		json_str(j, "status", package_status_name(ch->status));
		put_package(j, "old", ch->old);
		put_package(j, "new", ch->new);
		json_object_end(j);
		return 0;
	}
	printf("%s%c%s\t", cli_color(d->c, colours[ch->status]),
		letters[ch->status], cli_color(d->c, "\033[0m"));
	put_word(p->name, '\t');
	put_word(p->architecture, '\t');
	put_word(ch->old ? ch->old->version : "-", '\t');
	put_word(ch->new ? ch->new->version : "-",
		d->c->null ? 0 : '\n');
	return ferror(stdout) ? ERR_IO : 0;
}

int diff_packages(struct diff *d, uint64_t *out_n)
{
	struct packages p[2] = { { 0 }, { 0 } };
	struct telling t = { .d = d };
	int r = 0;

	for (int i = 0; i < 2 && !r; i++) {
		d->c->subject = d->side[i].text;
		r = packages_read(d->side[i].view, &p[i], &d->c->err);
		if (!r && p[i].manager && !p[i].known)
			r = error_set(&d->c->err, ERR_UNSUPPORTED,
				"the %s database is not read", p[i].manager);
		if (!r)
			d->c->subject = NULL;
	}
	if (!r && d->c->json) {
		json_str(&d->json, "manager",
			p[1].manager ? p[1].manager : p[0].manager);
		json_array(&d->json, "packages");
	}
	if (!r)
		r = packages_diff(&p[0], &p[1], on_package, &t);
	if (!r && d->c->json)
		json_array_end(&d->json);
	packages_release(&p[0]);
	packages_release(&p[1]);
	*out_n = t.n;
	return r;
}

/* --- blocks --- */

static int on_range(void *ctx, uint64_t off, uint64_t len)
{
	struct telling *t = ctx;
	struct diff *d = t->d;

	t->n++;
	t->bytes += len;
	if (d->c->json) {
		json_object(&d->json, NULL);
		json_u64(&d->json, "disk", t->disk);
		json_u64(&d->json, "offset", off);
		json_u64(&d->json, "length", len);
		json_object_end(&d->json);
	} else {
		printf("%zu\t%" PRIu64 "\t%" PRIu64 "\n", t->disk, off, len);
	}
	return ferror(stdout) ? ERR_IO
			      : progress_check(&d->c->progress, &d->c->err);
}

static int open_disk(struct diff *d, int i, size_t n, struct blocks_side *out)
{
	struct side *s = &d->side[i];
	int r;

	if (n >= s->image.disks.len)
		return source_zero(0, &out->disk, &d->c->err);
	if (s->is_file) {
		out->disk = source_ref(s->in.disks.items[n]);
		return 0;
	}
	r = view_disk(d->c->lib, &s->image.disks.items[n], &out->disk,
		&d->c->err);
	out->get = library_get_layout;
	out->ctx = d->c->lib;
	out->layout = s->image.disks.items[n].layout;
	return r;
}

int diff_blocks(struct diff *d, uint64_t *out_n)
{
	size_t n = d->side[0].image.disks.len;
	struct telling t = { .d = d };
	int r = 0;

	if (d->side[1].image.disks.len > n)
		n = d->side[1].image.disks.len;
	if (d->c->json)
		json_array(&d->json, "ranges");
	for (t.disk = 0; t.disk < n && !r; t.disk++) {
		struct blocks_side s[2] = { { 0 }, { 0 } };

		if ((d->side[0].rev.disk >= 0 &&
			    (size_t)d->side[0].rev.disk != t.disk))
			continue;
		for (int i = 0; i < 2 && !r; i++)
			r = open_disk(d, i, t.disk, &s[i]);
		if (!r)
			r = blocks_diff(s, on_range, &t, &d->c->err);
		source_unref(s[0].disk);
		source_unref(s[1].disk);
	}
	if (!r && d->c->json) {
		json_array_end(&d->json);
		json_u64(&d->json, "bytes", t.bytes);
	}
	*out_n = t.n;
	return r;
}
