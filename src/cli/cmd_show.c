/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/target.h"
#include "cli/text.h"

/* --- a commit --- */

static void json_disks(struct json *j, const struct image *im)
{
	char digest[DIGEST_TEXT];

	json_array(j, "disks");
	for (size_t i = 0; i < im->disks.len; i++) {
		const struct image_disk *d = &im->disks.items[i];

		json_object(j, NULL);
		json_u64(j, "size", d->size);
		json_u64(j, "sector_size", d->sector_size);
		json_str(j, "digest", digest_text(d->digest, digest));
		if (d->has_sha256)
			json_oid(j, "sha256", &d->sha256);
		json_str(j, "partitions", d->part_scheme);
		if (*d->part_uuid)
			json_str(j, "uuid", d->part_uuid);
		json_array(j, "volumes");
		json_volumes(j, im, (uint32_t)i);
		json_array_end(j);
		json_object_end(j);
	}
	json_array_end(j);
	json_array(j, "volumes");
	json_volumes(j, im, UINT32_MAX);
	json_array_end(j);
	json_array(j, "attachments");
	for (size_t i = 0; i < im->attachments.len; i++) {
		json_object(j, NULL);
		json_str(j, "name", im->attachments.items[i].name);
		json_u64(j, "size", im->attachments.items[i].size);
		json_oid(j, "sha256", &im->attachments.items[i].id);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_named(const char *what, const char *s)
{
	if (!*s)
		return;
	printf("  %s ", what);
	cli_put_name(stdout, s, strlen(s));
}

static void put_volumes(const struct image *im, uint32_t disk)
{
	char a[32], b[32];

	for (size_t i = 0; i < im->volumes.len; i++) {
		const struct image_volume *v = &im->volumes.items[i];
		uint32_t on = v->segments.len ? v->segments.items[0].disk
					      : UINT32_MAX;

		if (on != disk)
			continue;
		printf("  %-10s %-12s %10s", v->name, *v->fs ? v->fs : "-",
			cli_size(v->size, a));
		if (v->has_tree)
			printf("  %" PRIu64 " files, %s%s", v->files,
				cli_size(v->file_bytes, b),
				v->partial ? " (some could not be read)" : "");
		put_named("label", v->label);
		put_named("uuid", v->uuid);
		put_named("partition", v->part_name);
		putchar('\n');
	}
}

static void put_image(const struct image *im, const struct oid *id)
{
	char hex[OID_HEX + 1], size[32], digest[DIGEST_TEXT];

	printf("\nimage %s\n", oid_hex(id, hex));
	for (size_t i = 0; i < im->disks.len; i++) {
		const struct image_disk *d = &im->disks.items[i];

		printf("disk %zu: %s, %s, %s\n", i, cli_size(d->size, size),
			strcmp(d->part_scheme, "none") ? d->part_scheme
						       : "no partitions",
			digest_text(d->digest, digest));
		if (d->has_sha256)
			printf("  sha256 %s\n", oid_hex(&d->sha256, hex));
		put_volumes(im, (uint32_t)i);
	}
	put_volumes(im, UINT32_MAX);
	for (size_t i = 0; i < im->attachments.len; i++)
		printf("attached: %s, %s\n", im->attachments.items[i].name,
			cli_size(im->attachments.items[i].size, size));
}

static int show_commit(struct cli *c, const struct oid *id)
{
	AUTO_COMMIT cm = { 0 };
	AUTO_IMAGE im = { 0 };
	AUTO_BUF text = BUF_INIT;
	struct decoration names = { 0 };
	struct json j;
	int r = library_get_commit(c->lib, id, &cm, &c->err);

	if (!r)
		r = library_get_image(c->lib, &cm.image, &im, &c->err);
	if (!r && decoration_wanted(c))
		r = decoration_load(c, &names);
	if (!r && c->json) {
		json_start(&j, stdout, "show");
		json_commit(&j, id, &cm);
		json_disks(&j, &im);
		json_end(&j);
	} else if (!r) {
		cli_pager(c);
		text_commit(&text, c, id, &cm, &names);
		fputs(buf_str(&text), stdout);
		put_image(&im, &cm.image);
	}
	decoration_release(&names);
	return r;
}

/* --- a file --- */

static bool printable(const struct buf *b)
{
	size_t n = b->len && !b->data[b->len - 1] ? b->len - 1 : b->len;

	for (size_t i = 0; i < n; i++)
		if (b->data[i] < ' ' || b->data[i] > 126)
			return false;
	return true;
}

static int each_xattr(struct cli *c, struct target *t, struct json *j)
{
	struct cursor at = cursor_make(t->node.x.xattrs.data,
		t->node.x.xattrs.len);
	char hex[OID_HEX + 1];
	struct xattr x;
	int r = 0;

	while (!r && xattr_next(&at, &x)) {
		AUTO_BUF value = BUF_INIT;
		bool stream = x.is_blob && x.size > LIMIT_XATTR;

		if (!stream)
			r = view_xattr_value(t->view, &x, &value, &c->err);
		if (r)
			break;
		if (j) {
			json_object(j, NULL);
			json_bytes(j, "name", x.name.data, x.name.len);
			json_u64(j, "size", x.is_blob ? x.size : x.value.len);
			if (x.is_blob)
				json_oid(j, "sha256", &x.id);
			if (!stream)
				json_bytes(j, "value", value.data, value.len);
			json_object_end(j);
			continue;
		}
		fputs("xattr:  ", stdout);
		cli_put_name(stdout, x.name.data, x.name.len);
		if (stream) {
			printf(" (%" PRIu64 " bytes, sha256 %s)", x.size,
				oid_hex(&x.id, hex));
		} else if (printable(&value)) {
			printf("=\"%s\"", buf_str(&value));
		} else {
			fputs("=0x", stdout);
			for (size_t i = 0; i < value.len; i++)
				printf("%02x", value.data[i]);
		}
		putchar('\n');
	}
	if (!r && at.bad)
		r = error_set(&c->err, ERR_DAMAGED,
			"library: a list of attributes is damaged");
	return r;
}

/* Where the file is in its volume. */
static void volume_path(const struct target *t, struct buf *out)
{
	const struct view_mount *m = &t->view->mounts.items[t->node.mount];

	buf_addstr(out, m->prefix);
	buf_addstr(out, (const char *)t->node.path.data + strlen(m->path));
	if (!out->len)
		buf_addch(out, '/');
}

static int json_file(struct cli *c, struct target *t, const char *volume,
	struct buf *where)
{
	const struct entry *x = &t->node.x;
	struct json j;
	int r;

	json_start(&j, stdout, "show");
	if (t->file.is_file)
		json_null(&j, "commit");
	else
		json_oid(&j, "commit", &t->rev.commit);
	json_bytes(&j, "path", t->node.path.data, t->node.path.len);
	json_str(&j, "volume", volume);
	json_bytes(&j, "volume_path", where->data, where->len);
	json_entry(&j, x);
	if (x->type == ENTRY_DIR && !t->file.is_file)
		json_oid(&j, "tree", &x->id);
	json_bool(&j, "encrypted", x->flags & ENTRY_ENCRYPTED);
	json_bool(&j, "readable", !(x->flags & ENTRY_OPAQUE));
	json_array(&j, "xattrs");
	r = each_xattr(c, t, &j);
	json_array_end(&j);
	json_end(&j);
	return r;
}

static int show_file(struct cli *c, struct target *t)
{
	const struct entry *x = &t->node.x;
	const char *volume =
		t->view->image.volumes
			.items[t->view->mounts.items[t->node.mount].volume]
			.name;
	char mode[11], date[32], hex[OID_HEX + 1];
	AUTO_BUF where = BUF_INIT;

	volume_path(t, &where);
	if (c->json)
		return json_file(c, t, volume, &where);
	fputs("path:   ", stdout);
	cli_put_name(stdout, t->node.path.data, t->node.path.len);
	if (x->type == ENTRY_SYMLINK) {
		fputs(" -> ", stdout);
		cli_put_name(stdout, x->target.data, x->target.len);
	}
	printf("\nvolume: %s:", volume);
	cli_put_name(stdout, where.data, where.len);
	printf("\ntype:   %s%s%s\n", entry_type_name(x->type),
		x->flags & ENTRY_ENCRYPTED ? ", encrypted" : "",
		x->flags & ENTRY_OPAQUE ? ", content not known" : "");
	if (x->type == ENTRY_FILE)
		printf("size:   %" PRIu64 "\n", x->size);
	if (x->type == ENTRY_CHAR || x->type == ENTRY_BLOCK)
		printf("device: %u:%u\n", x->rdev_major, x->rdev_minor);
	printf("mode:   %04o %s\nowner:  %u:%u\n", x->mode, mode_text(x, mode),
		x->uid, x->gid);
	format_time(x->mtime, date);
	printf("mtime:  %s", date);
	if (x->mtime_ns)
		printf(" + %u ns", x->mtime_ns);
	putchar('\n');
	if (x->type != ENTRY_DIR)
		printf("links:  %u\n", x->nlink);
	if (x->type == ENTRY_FILE && !(x->flags & ENTRY_OPAQUE))
		printf("sha256: %s\n", oid_hex(&x->id, hex));
	if (x->type == ENTRY_DIR && !t->file.is_file)
		printf("tree:   %s\n", oid_hex(&x->id, hex));
	return each_xattr(c, t, NULL);
}

static int run(struct cli *c)
{
	AUTO_REVISION rev = { 0 };
	AUTO_TARGET t = { 0 };
	AUTO_FREE char *name = NULL;
	int r = cli_want_args(c, 1, 1);

	if (r)
		return r;
	c->subject = c->args[0];
	r = revision_split(c->args[0], &name, &rev, &c->err);
	if (!r && !rev.path) {
		revision_release(&rev);
		r = cli_library(c);
		if (!r)
			r = library_revision(c->lib, c->args[0], &rev, &c->err);
		return r ? r : show_commit(c, &rev.commit);
	}
	if (!r)
		r = target_open(c, c->args[0], false, &t);
	if (!r && t.file.is_file)
		r = peek_hash(t.view, &t.node.x, &c->err);
	return r ? r : show_file(c, &t);
}

static const struct cli_option options[] = {
	{ 0, "decorate", NULL, "show branches and tags (else on a terminal only)", 0 },
	{ 0, "no-decorate", NULL, "do not show them", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

const struct command cmd_show = {
	.name = "show",
	.synopsis = "REV | REV:PATH | IMAGE:PATH [--json]",
	.summary = "show a commit and its image, or a file's metadata",
	.options = options,
	.operands = COMPLETE_REV,
	.run = run,
};
