/* SPDX-License-Identifier: Apache-2.0 */
/* fsdump IMAGE [-o OFFSET] [-s SIZE] [--no-content] [--xattrs] [--free] [--time]
 *        [--force]
 *
 * Prints every entry of the file system at OFFSET of a raw image, one a line,
 * as tests/tools/treedump.py does for a mounted folder, so that the two can be
 * compared; findings go to stderr. Several IMAGEs are the devices of one file
 * system. On the way it checks what every reader must keep: DATA extents give
 * the same bytes as pread, extents are in order and inside the device, and no
 * free range holds a file's data. Exit 1 where one of those is broken, 4 where
 * the file system cannot be opened. --force: open what is not sure, too.
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/limits.h"
#include "base/vec.h"
#include "fs/fs.h"

struct item {
	char *path;
	uint64_t id;
	unsigned depth;
};

struct range {
	uint64_t off, len;
	uint32_t dev;
	uint64_t id;
};

struct dump {
	struct fs *fs;
	struct source **devs;
	uint32_t ndevs;
	bool content, xattrs, free_space, list_only;
	VEC(struct item) todo;
	VEC(uint64_t) dirs;
	VEC(struct range) used;
	const struct item *dir;
	int broken;
	/* of the file at hand */
	struct fs_node node;
	uint64_t file_end;
	const char *path;
};

static void put_escaped(const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c <= ' ' || c == '\\' || c >= 0x7f)
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

static void broken(struct dump *d, const char *what)
{
	fprintf(stderr, "BROKEN: %s: %s\n", d->path, what);
	d->broken = 1;
}

static int on_extent(void *ctx, const struct fs_extent *x)
{
	struct dump *d = ctx;
	struct error e = { 0 };

	if (x->file_off < d->file_end || !x->len)
		broken(d, "extents are not in order");
	d->file_end = x->file_off + x->len;
	if (x->kind == FS_EXTENT_INLINE)
		return 0;
	if (x->dev >= d->ndevs || x->dev_off > d->devs[x->dev]->size ||
		x->dev_len > d->devs[x->dev]->size - x->dev_off) {
		broken(d, "extent outside the device");
		return 0;
	}
	if (x->kind == FS_EXTENT_DATA && x->len != x->dev_len)
		broken(d, "DATA extent with two lengths");
	if (d->free_space)
		(void)!vec_push(&d->used, (struct range){ x->dev_off,
			x->dev_len, x->dev, d->node.id });
	if (x->kind != FS_EXTENT_DATA || !d->content)
		return 0;
	for (uint64_t at = 0; at < x->len && x->file_off + at < d->node.size;) {
		static uint8_t a[65536], b[65536];
		uint64_t n = x->len - at;

		if (n > sizeof(a))
			n = sizeof(a);
		if (n > d->node.size - x->file_off - at)
			n = d->node.size - x->file_off - at;
		if (source_pread(d->devs[x->dev], a, n, x->dev_off + at, &e) ||
			d->fs->ops->pread(d->fs, d->node.id, b, n,
				x->file_off + at, &e)) {
			broken(d, e.msg);
			break;
		}
		if (memcmp(a, b, n)) {
			broken(d, "extent and pread disagree");
			break;
		}
		at += n;
	}
	return 0;
}

static void hash_content(struct dump *d, char hex[65])
{
	static uint8_t buf[1 << 20];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char out[32];
	struct error e = { 0 };

	EVP_DigestInit_ex(md, EVP_sha256(), NULL);
	for (uint64_t at = 0; at < d->node.size;) {
		size_t n = d->node.size - at < sizeof(buf)
				   ? (size_t)(d->node.size - at)
				   : sizeof(buf);

		if (d->fs->ops->pread(d->fs, d->node.id, buf, n, at, &e)) {
			fprintf(stderr, "UNREADABLE: %s at %" PRIu64 ": %s\n",
				d->path, at, e.msg);
			snprintf(hex, 65, "unreadable");
			EVP_MD_CTX_free(md);
			return;
		}
		EVP_DigestUpdate(md, buf, n);
		at += n;
	}
	EVP_DigestFinal_ex(md, out, NULL);
	EVP_MD_CTX_free(md);
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", out[i]);
}

static int on_xattr(void *ctx, const char *name, const void *value, size_t len)
{
	struct dump *d = ctx;

	printf("x ");
	put_escaped(d->path);
	putchar(' ');
	put_escaped(name);
	putchar(' ');
	for (size_t i = 0; i < len; i++)
		printf("%02x", ((const uint8_t *)value)[i]);
	putchar('\n');
	return 0;
}

static int on_stream(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	struct dump *d = ctx;
	struct fs_node keep = d->node;
	struct error e = { 0 };
	char hex[65] = "-", *n = strndup((const char *)name, len);

	if (d->fs->ops->stat(d->fs, id, &d->node, &e)) {
		broken(d, e.msg);
	} else {
		d->file_end = 0;
		if (d->fs->ops->extents(d->fs, id, on_extent, d, &e))
			broken(d, e.msg);
		hash_content(d, hex);
		printf("s ");
		put_escaped(d->path);
		putchar(' ');
		put_escaped(n);
		printf(" %" PRIu64 " %s\n", d->node.size, hex);
	}
	free(n);
	d->node = keep;
	return 0;
}

static int on_entry(void *ctx, const uint8_t *name, size_t len, uint64_t id)
{
	struct dump *d = ctx;
	struct item it = { .id = id, .depth = d->dir->depth + 1 };
	size_t base = strlen(d->dir->path);

	if (!len || memchr(name, 0, len) || memchr(name, '/', len))
		broken(d, "a bad name was delivered");
	it.path = malloc(base + len + 2);
	memcpy(it.path, d->dir->path, base);
	it.path[base] = '/';
	memcpy(it.path + base + 1, name, len);
	it.path[base + 1 + len] = 0;
	(void)!vec_push(&d->todo, it);
	return 0;
}

static void one(struct dump *d, struct item it)
{
	static const char types[] = "?fdlcbps";
	struct error e = { 0 };
	char hex[65] = "-";
	AUTO_BUF target = BUF_INIT;

	d->path = *it.path ? it.path : "/";
	if (d->fs->ops->stat(d->fs, it.id, &d->node, &e)) {
		fprintf(stderr, "UNREADABLE: %s: %s\n", d->path, e.msg);
		return;
	}
	if (d->node.id != it.id)
		broken(d, "stat gives another id");
	if (d->node.type == FS_FILE && !(d->node.flags & FS_NODE_OPAQUE)) {
		d->file_end = 0;
		if (!d->list_only) {
			if (d->fs->ops->extents(d->fs, it.id, on_extent, d, &e))
				fprintf(stderr, "EXTENTS: %s: %s\n", d->path,
					e.msg);
			if (d->content)
				hash_content(d, hex);
		}
	}
	if (d->node.type == FS_SYMLINK &&
		d->fs->ops->readlink(d->fs, it.id, &target, &e)) {
		fprintf(stderr, "UNREADABLE: %s: %s\n", d->path, e.msg);
		snprintf(hex, sizeof(hex), "unreadable");
	}
	printf("%c %04o %u %u %" PRIu64 " %" PRId64 ".%09u %u %u:%u %s ",
		types[d->node.type], d->node.mode, d->node.uid, d->node.gid,
		d->node.type == FS_DIR ? 0 : d->node.size, d->node.mtime,
		d->node.mtime_ns, d->node.type == FS_DIR ? 1 : d->node.nlink,
		d->node.rdev_major, d->node.rdev_minor, hex);
	put_escaped(d->path);
	if (d->node.type == FS_SYMLINK) {
		printf(" -> ");
		put_escaped(buf_str(&target));
	}
	putchar('\n');
	if (d->xattrs && d->node.flags & FS_NODE_XATTRS && d->fs->ops->xattrs &&
		d->fs->ops->xattrs(d->fs, it.id, on_xattr, d, &e))
		fprintf(stderr, "XATTRS: %s: %s\n", d->path, e.msg);
	if (d->node.flags & FS_NODE_XATTRS && d->fs->ops->streams &&
		d->fs->ops->streams(d->fs, it.id, on_stream, d, &e))
		fprintf(stderr, "STREAMS: %s: %s\n", d->path, e.msg);
	if (d->node.type != FS_DIR)
		return;
	for (size_t i = 0; i < d->dirs.len && it.depth > 64; i++)
		if (d->dirs.items[i] == it.id) {
			fprintf(stderr, "LOOP: %s\n", d->path);
			return;
		}
	(void)!vec_push(&d->dirs, it.id);
	d->dir = &it;
	if (d->fs->ops->readdir(d->fs, it.id, on_entry, d, &e))
		fprintf(stderr, "READDIR: %s: %s\n", d->path, e.msg);
}

static int by_off(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return (x->off > y->off) - (x->off < y->off);
}

static uint64_t free_bytes;

static int on_free(void *ctx, uint32_t dev, uint64_t off, uint64_t len)
{
	struct dump *d = ctx;
	size_t lo = 0, hi = d->used.len;

	d->path = "(free space)";
	free_bytes += len;
	if (dev >= d->ndevs || off > d->devs[dev]->size ||
		len > d->devs[dev]->size - off)
		broken(d, "free range outside the device");
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct range *u = &d->used.items[mid];

		if (u->dev < dev || (u->dev == dev && u->off + u->len <= off))
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < d->used.len && d->used.items[lo].dev == dev &&
		d->used.items[lo].off < off + len) {
		fprintf(stderr,
			"BROKEN: free [%" PRIu64 ",+%" PRIu64
			") holds data of id %" PRIu64 " at %" PRIu64 "\n",
			off, len, d->used.items[lo].id, d->used.items[lo].off);
		d->broken = 1;
	}
	return 0;
}

static void on_finding(void *ctx, const struct finding *f)
{
	(void)ctx;
	fprintf(stderr, "FINDING: %s: %s%s%s\n", finding_name(f->id), f->where,
		*f->where ? ": " : "", f->detail);
}

static int on_subvolume(void *ctx, const struct fs_subvolume *v)
{
	(void)ctx;
	printf("# subvolume %" PRIu64 " flags %u ", v->number, v->flags);
	put_escaped(v->path);
	putchar('\n');
	return 0;
}

int main(int argc, char **argv)
{
	struct finding_sink sink = { on_finding, NULL };
	struct source *devs[16] = { 0 };
	struct dump d = { .devs = devs, .content = true };
	const struct fs_ops *ops = NULL;
	struct fs_info info;
	struct error e = { 0 };
	uint64_t off = 0, size = UINT64_MAX;
	bool timing = false, quiet = false, force = false;
	int rc = 4;
	struct timespec t0, t1;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-o") && i + 1 < argc)
			off = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "-s") && i + 1 < argc)
			size = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--no-content"))
			d.content = false;
		else if (!strcmp(argv[i], "--list"))
			d.list_only = true, d.content = false;
		else if (!strcmp(argv[i], "--xattrs"))
			d.xattrs = true;
		else if (!strcmp(argv[i], "--free"))
			d.free_space = true;
		else if (!strcmp(argv[i], "--time"))
			timing = true;
		else if (!strcmp(argv[i], "--force"))
			force = true;
		else if (!strcmp(argv[i], "-q"))
			quiet = true;
		else if (d.ndevs < 16) {
			struct source *file;

			if (source_file_open(argv[i], &file, &e)) {
				fprintf(stderr, "fsdump: %s\n", e.msg);
				return 2;
			}
			if (source_window(file, off,
				    size < file->size - off ? size
							    : file->size - off,
				    &devs[d.ndevs++], &e))
				return 2;
			source_unref(file);
		}
	}
	if (!d.ndevs)
		return 2;
	if (quiet)
		sink.report = NULL;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	switch (fs_probe(devs[0], &ops, &info, &e)) {
	case FS_YES:
		break;
	case FS_UNSURE:
		if (force)
			break;
		/* fall through */
	default:
		fprintf(stderr, "fsdump: not recognised%s%s\n",
			ops ? ": " : "", ops ? e.msg : "");
		goto unref;
	}
	printf("# %s uuid %s label %s size %" PRIu64 "\n", info.type, info.uuid,
		info.label, info.size);
	if (!ops->open) {
		fprintf(stderr, "fsdump: %s is kept as blocks\n", info.type);
		goto unref;
	}
	if (ops->open(&(struct fs_open_args){ devs, d.ndevs, &sink }, &d.fs,
		    &e)) {
		fprintf(stderr, "fsdump: %s: %s\n", error_code_name(e.code),
			e.msg);
		goto unref;
	}
	(void)!vec_push(&d.todo, (struct item){ strdup(""), d.fs->root, 0 });
	for (size_t n = 0; d.todo.len && n < 20000000; n++) {
		struct item it = d.todo.items[--d.todo.len];

		if (it.depth < LIMIT_DEPTH)
			one(&d, it);
		free(it.path);
	}
	if (ops->subvolumes)
		ops->subvolumes(d.fs, on_subvolume, NULL, &e);
	if (d.free_space && ops->free_space) {
		if (d.used.len)
			qsort(d.used.items, d.used.len, sizeof(*d.used.items), by_off);
		if (ops->free_space(d.fs, on_free, &d, &e))
			fprintf(stderr, "FREE: %s\n", e.msg);
		printf("# free %" PRIu64 "\n", free_bytes);
	}
	ops->close(d.fs);
	rc = d.broken;
unref:
	for (uint32_t i = 0; i < d.ndevs; i++)
		source_unref(devs[i]);
	for (size_t i = 0; i < d.todo.len; i++)
		free(d.todo.items[i].path);
	vec_release(&d.todo);
	vec_release(&d.dirs);
	vec_release(&d.used);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	if (timing)
		fprintf(stderr, "seconds %.3f\n",
			(double)(t1.tv_sec - t0.tv_sec) +
				(double)(t1.tv_nsec - t0.tv_nsec) / 1e9);
	return rc;
}
