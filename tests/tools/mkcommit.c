/* SPDX-License-Identifier: Apache-2.0 */
/* mkcommit LIBRARY: commits of small trees without disks, from a script on
 * stdin, for tests of histories and of trees that no import makes. Fields are
 * set apart by tabs; %XX in names is a byte; entries in order of their names:
 *
 *	commit NAME DATE PARENT...
 *	file NAME CONTENT | link NAME TARGET | dir NAME ... up
 *	hard NAME CONTENT GROUP (a file of two names)
 *	volume NAME FS UUID LABEL PARTUUID PARTNAME DISK (what follows is on it)
 *	end
 *
 * Prints "NAME ID" for each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "library/library.h"
#include "model/tree.h"

#define DEPTH 64
#define COMMITS 100000

static struct library *lib;
static struct writer *w;
static struct packer *p;
static struct error err;
static struct {
	char name[64];
	struct oid id;
} made[COMMITS];
static size_t nmade;

static void check(int r)
{
	if (!r)
		return;
	fprintf(stderr, "mkcommit: %s\n", err.msg);
	exit(1);
}

static int put(void *ctx, const void *data, size_t len, struct oid *out,
	struct error *e)
{
	(void)ctx;
	return packer_put_record(p, OBJ_TREE, data, len, out, e);
}

static size_t unescape(char *s)
{
	char *out = s, *start = s;

	while (*s) {
		unsigned c;

		if (*s == '%' && sscanf(s + 1, "%2x", &c) == 1) {
			*out++ = (char)c;
			s += 3;
		} else {
			*out++ = *s++;
		}
	}
	*out = 0;
	return (size_t)(out - start);
}

static struct image im;

/* The volume that the entries so far are on. */
static void add_volume(const char *const *f, const struct oid *root)
{
	static const char *const plain[] = { "volume", "fs", "ext4", "", "", "", "", "" };
	struct image_volume v = { 0 };
	struct entry x = { .type = ENTRY_DIR, .mode = 0755, .nlink = 1,
		.id = *root };

	if (!f)
		f = plain;
	v = (struct image_volume){ .name = strdup(f[1]), .fs = strdup(f[2]),
		.uuid = strdup(f[3]), .label = strdup(f[4]),
		.part_uuid = strdup(f[5]), .part_type = strdup(""),
		.part_name = strdup(f[6]), .has_tree = true, .files = 1 };
	entry_encode(&v.root, &x);
	if (*f[7]) {
		uint32_t disk = (uint32_t)atoi(f[7]);

		while (im.disks.len <= disk)
			if (!vec_push(&im.disks, (struct image_disk){
				    .size = 1 << 20, .sector_size = 512,
				    .part_scheme = strdup("gpt"),
				    .part_uuid = strdup("") }))
				abort();
		v.size = 4096;
		if (!vec_push(&v.segments, (struct image_segment){ disk,
			    4096 * im.volumes.len, 4096 }))
			abort();
	}
	if (!vec_push(&im.volumes, v))
		abort();
}

static void finish(const char *name, int64_t date, const struct commit *parents)
{
	struct commit c = *parents;
	struct buf rec = BUF_INIT, text = BUF_INIT;
	char hex[OID_HEX + 1];

	check(image_encode(&im, &rec, &err));
	check(packer_put_record(p, OBJ_IMAGE, rec.data, rec.len, &c.image,
		&err));
	c.author = strdup("Test <test@example.org>");
	c.date = date;
	c.message = strdup(name);
	check(commit_encode(&c, &text, &err));
	check(packer_put_record(p, OBJ_COMMIT, text.data, text.len,
		&made[nmade].id, &err));
	snprintf(made[nmade].name, sizeof(made[nmade].name), "%s", name);
	printf("%s %s\n", name, oid_hex(&made[nmade++].id, hex));
	free(c.author);
	free(c.message);
	image_release(&im);
	memset(&im, 0, sizeof(im));
	buf_release(&rec);
	buf_release(&text);
}

int main(int argc, char **argv)
{
	struct tree_builder t[DEPTH];
	char names[DEPTH][256], line[65536], name[64] = "";
	size_t lens[DEPTH];
	unsigned depth = 0;
	int64_t date = 0;
	struct commit c = { 0 };
	char vline[4096];
	const char *vf[64] = { NULL };
	bool have_volume = false;
	struct oid id;

	if (argc != 2)
		return 2;
	check(library_open(argv[1], &lib, &err));
	check(writer_open(lib->store, NULL, &w, &err));
	check(packer_open(w, &p, &err));
	for (unsigned i = 0; i < DEPTH; i++)
		tree_builder_init(&t[i], put, NULL);
	while (fgets(line, sizeof(line), stdin)) {
		char *f[64] = { NULL }, *at = line;
		struct entry x = { .mode = 0644, .nlink = 1, .mtime = 1000 };
		size_t n = 0;

		line[strcspn(line, "\n")] = 0;
		while (n < 63 && (f[n] = strsep(&at, "\t")))
			n++;
		if (n > 1 && strcmp(f[0], "commit") != 0) {
			x.name_len = unescape(f[1]);
			x.name = (uint8_t *)f[1];
		}
		if (!strcmp(f[0], "commit")) {
			snprintf(name, sizeof(name), "%s", f[1]);
			date = atoll(f[2]);
			c.parents.len = 0;
			for (size_t i = 3; i < n; i++)
				for (size_t k = 0; k < nmade; k++)
					if (!strcmp(made[k].name, f[i]) &&
						!vec_push(&c.parents,
							made[k].id))
						abort();
		} else if (!strcmp(f[0], "file") || !strcmp(f[0], "hard")) {
			x.type = ENTRY_FILE;
			unescape(f[2]);
			x.size = strlen(f[2]);
			if (n > 3) {
				x.link_group = strtoull(f[3], NULL, 0);
				x.nlink = 2;
			}
			check(packer_put_blob(p, f[2], strlen(f[2]), &x.id,
				&err));
			check(tree_builder_add(&t[depth], &x, &err));
		} else if (!strcmp(f[0], "link")) {
			x.type = ENTRY_SYMLINK;
			x.target.len = unescape(f[2]);
			x.target.data = (uint8_t *)f[2];
			check(tree_builder_add(&t[depth], &x, &err));
		} else if (!strcmp(f[0], "dir")) {
			memcpy(names[depth], f[1], x.name_len);
			lens[depth++] = x.name_len;
		} else if (!strcmp(f[0], "volume")) {
			if (have_volume) {
				check(tree_builder_finish(&t[0], &id, &err));
				add_volume(vf, &id);
			}
			for (size_t i = 0, len = 0; i < 8; i++) {
				vf[i] = vline + len;
				len += (size_t)snprintf(vline + len,
					       sizeof(vline) - len, "%s",
					       f[i] ? f[i] : "") + 1;
			}
			have_volume = true;
		} else if (!strcmp(f[0], "up") || !strcmp(f[0], "end")) {
			check(tree_builder_finish(&t[depth], &id, &err));
			if (f[0][0] == 'e') {
				add_volume(have_volume ? vf : NULL, &id);
				finish(name, date, &c);
				have_volume = false;
				continue;
			}
			depth--;
			x.type = ENTRY_DIR;
			x.mode = 0755;
			x.id = id;
			x.name = (uint8_t *)names[depth];
			x.name_len = lens[depth];
			check(tree_builder_add(&t[depth], &x, &err));
		}
	}
	check(packer_flush(p, &err));
	packer_close(p);
	check(writer_finish(w, &err));
	writer_close(w);
	library_close(lib);
	vec_release(&c.parents);
	for (unsigned i = 0; i < DEPTH; i++)
		tree_builder_release(&t[i]);
	return 0;
}
