/* SPDX-License-Identifier: Apache-2.0 */
/* The merged view: which volume is the root, and what its fstab(5) mounts. */
#include "view/mounts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/limits.h"
#include "fs/fs.h"

/* --- fstab --- */

struct fstab_line {
	char *spec, *file, *type, *options;
};
typedef VEC(struct fstab_line) fstab_lines;

static void lines_release(fstab_lines *t)
{
	for (size_t i = 0; i < t->len; i++)
		free(t->items[i].spec); /* the others are in the same block */
	vec_release(t);
}

/* "\040" is a space, as getmntent(3) has it. In place. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' &&
			s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
			s[3] <= '7') {
			int c = (s[1] - '0') << 6 | (s[2] - '0') << 3 |
				(s[3] - '0');

			*out++ = c ? (char)c : '?';
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = 0;
}

static char *next_field(char **at)
{
	char *p = *at + strspn(*at, " \t\r"), *end;

	if (!*p || *p == '#')
		return NULL;
	end = p + strcspn(p, " \t\r");
	*at = *end ? end + 1 : end;
	*end = 0;
	unescape(p);
	return p;
}

static int parse_fstab(const struct buf *text, fstab_lines *out,
	struct error *e)
{
	const char *p = (const char *)text->data, *end = p + text->len, *nl;

	for (; p < end; p = nl + 1) {
		struct fstab_line f = { 0 };
		char *line, *at;

		nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			nl = end;
		line = at = strndup(p, (size_t)(nl - p));
		if (!line)
			return error_nomem(e);
		f.spec = next_field(&at);
		f.file = f.spec ? next_field(&at) : NULL;
		f.type = f.file ? next_field(&at) : NULL;
		f.options = f.type ? next_field(&at) : NULL;
		if (!f.file || *f.file != '/' ||
			out->len >= LIMIT_VIEW_MOUNTS) {
			free(line);
			continue;
		}
		/* the line may begin with blanks: the block to free is line */
		memmove(line, f.spec, strlen(f.spec) + 1);
		f.spec = line;
		if (!vec_push(out, f)) {
			free(line);
			return error_nomem(e);
		}
	}
	return 0;
}

/* The value of "name=value" in a list of options (name: without the '='), or
 * of a plain option (""); to be freed. */
static char *option(const struct fstab_line *f, const char *name)
{
	const char *p = f->options;
	size_t n = strlen(name);

	while (p && *p) {
		size_t len = strcspn(p, ",");

		if (len >= n && !memcmp(p, name, n)) {
			if (len == n)
				return strdup("");
			if (p[n] == '=')
				return strndup(p + n + 1, len - n - 1);
		}
		p += len + (p[len] == ',');
	}
	return NULL;
}

static bool has_option(const struct fstab_line *f, const char *name)
{
	AUTO_FREE char *v = option(f, name);

	return v != NULL;
}

/* --- what a device is called --- */

static bool same(const char *want, const char *have, bool fold)
{
	return *have && !(fold ? strcasecmp : strcmp)(want, have);
}

/* udev's names of links: "\x20". In place. */
static void unescape_udev(char *s)
{
	char *out = s;

	while (*s) {
		unsigned c;

		if (s[0] == '\\' && s[1] == 'x' && sscanf(s + 2, "%2x", &c) &&
			c) {
			*out++ = (char)c;
			s += s[2] && s[3] ? 4 : (int)strlen(s);
		} else {
			*out++ = *s++;
		}
	}
	*out = 0;
}

enum tag { TAG_UUID, TAG_LABEL, TAG_PARTUUID, TAG_PARTLABEL };

static int by_tag(const struct view_files *v, enum tag tag, const char *value)
{
	for (size_t i = 0; i < v->image.volumes.len; i++) {
		const struct image_volume *iv = &v->image.volumes.items[i];
		const char *have = tag == TAG_UUID	 ? iv->uuid
				   : tag == TAG_LABEL	 ? iv->label
				   : tag == TAG_PARTUUID ? iv->part_uuid
							 : iv->part_name;

		if (iv->has_tree &&
			same(value, have,
				tag == TAG_UUID || tag == TAG_PARTUUID))
			return (int)i;
	}
	return -1;
}

static int by_name(const struct view_files *v, int disk, const char *name)
{
	for (size_t i = 0; i < v->image.volumes.len; i++) {
		const struct image_volume *iv = &v->image.volumes.items[i];

		if (iv->has_tree && !strcmp(iv->name, name) &&
			view_on_disk(iv, disk))
			return (int)i;
	}
	return -1;
}

/* Partition number (0: the whole) of a disk. */
static int by_number(const struct view_files *v, int disk, const char *number)
{
	AUTO_FREE char *name = NULL;
	size_t n = strspn(number, "0123456789");

	if (number[n] || n > 6 || (n && *number == '0'))
		return -1;
	if (!n)
		return by_name(v, disk, "disk");
	name = malloc(n + 2);
	if (!name)
		return -1;
	name[0] = 'p';
	memcpy(name + 1, number, n + 1);
	return by_name(v, disk, name);
}

/* "sda2", "vdb1", "nvme0n1p2", "mmcblk0p1": the n-th disk of its kind is taken
 * for the n-th disk of the image. */
static int by_kernel_name(const struct view_files *v, const char *dev)
{
	static const char *const lettered[] = { "sd", "vd", "hd", "xvd" };
	static const char *const numbered[] = { "nvme", "mmcblk" };

	for (size_t i = 0; i < ARRAY_LEN(lettered); i++) {
		size_t n = strlen(lettered[i]);

		if (!strncmp(dev, lettered[i], n) && dev[n] >= 'a' &&
			dev[n] <= 'z')
			return by_number(v, dev[n] - 'a', dev + n + 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(numbered); i++) {
		size_t n = strlen(numbered[i]);
		char *end;
		unsigned long disk;

		if (strncmp(dev, numbered[i], n) != 0 || dev[n] < '0' ||
			dev[n] > '9')
			continue;
		disk = strtoul(dev + n, &end, 10);
		if (*end == 'n') /* a namespace of it */
			end += 1 + strspn(end + 1, "0123456789");
		if (disk > 4095)
			return -1;
		return *end == 'p' ? by_number(v, (int)disk, end + 1)
		       : *end	   ? -1
				   : by_number(v, (int)disk, "");
	}
	return -1;
}

/* /dev/mapper/VG-LV, where a '-' of a name is doubled. */
static int by_mapper_name(const struct view_files *v, const char *dev)
{
	AUTO_BUF name = BUF_INIT;
	bool split = false;

	for (; *dev; dev++) {
		if (dev[0] == '-' && dev[1] == '-') {
			buf_addch(&name, '-');
			dev++;
		} else if (*dev == '-' && !split) {
			buf_addch(&name, '/');
			split = true;
		} else {
			buf_addch(&name, *dev);
		}
	}
	return split ? by_name(v, -1, buf_str(&name)) : -1;
}

static int by_link(const struct view_files *v, char *link)
{
	static const struct {
		const char *dir;
		enum tag tag;
	} tags[] = { { "by-uuid/", TAG_UUID }, { "by-label/", TAG_LABEL },
		{ "by-partuuid/", TAG_PARTUUID },
		{ "by-partlabel/", TAG_PARTLABEL } };
	char *part;

	for (size_t i = 0; i < ARRAY_LEN(tags); i++)
		if (!strncmp(link, tags[i].dir, strlen(tags[i].dir))) {
			unescape_udev(link);
			return by_tag(v, tags[i].tag,
				link + strlen(tags[i].dir));
		}
	/* by-id, by-path: which disk it was cannot be known but for one. */
	part = strstr(link, "-part");
	return v->image.disks.len == 1 ? by_number(v, 0, part ? part + 5 : "")
				       : -1;
}

/* The volume that a device of fstab stands for; -1 where there is none. */
static int by_spec(const struct view_files *v, const char *spec_arg)
{
	static const struct {
		const char *name;
		enum tag tag;
	} tags[] = { { "UUID=", TAG_UUID }, { "LABEL=", TAG_LABEL },
		{ "PARTUUID=", TAG_PARTUUID },
		{ "PARTLABEL=", TAG_PARTLABEL } };
	AUTO_FREE char *copy = strdup(spec_arg);
	char *spec = copy, *quote;
	int found;

	if (!spec)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		size_t n = strlen(tags[i].name);

		if (strncmp(spec, tags[i].name, n) != 0)
			continue;
		spec += n;
		if (*spec == '"' && (quote = strchr(spec + 1, '"'))) {
			*quote = 0;
			spec++;
		}
		return by_tag(v, tags[i].tag, spec);
	}
	if (strncmp(spec, "/dev/", 5) != 0)
		return -1;
	spec += 5;
	if (!strncmp(spec, "disk/", 5))
		return by_link(v, spec + 5);
	if (!strncmp(spec, "mapper/", 7))
		return by_mapper_name(v, spec + 7);
	if (!strncmp(spec, "md/", 3)) {
		found = by_name(v, -1, spec + 3);
		if (found >= 0)
			return found;
		return by_name(v, -1, spec); /* "md/NAME", as if VG/LV */
	}
	found = by_kernel_name(v, spec);
	return found >= 0 ? found : by_name(v, -1, spec); /* VG/LV, md0 */
}

/* Which part of a volume a line shows: a subvolume of btrfs. NULL: there is
 * no such subvolume. To be freed. */
static char *line_prefix(const struct view_files *v, size_t volume,
	const struct fstab_line *f)
{
	const struct image_volume *iv = &v->image.volumes.items[volume];
	AUTO_FREE char *path = option(f, "subvol"), *id = option(f, "subvolid");
	AUTO_BUF b = BUF_INIT;
	const char *p = path;

	if (strcmp(iv->fs, "btrfs") != 0)
		return strdup("");
	if (!p && id) {
		uint64_t want = strtoull(id, NULL, 0);

		if (want <= 5) /* 0 and 5: the top */
			return strdup("");
		for (size_t i = 0; i < iv->subvolumes.len; i++)
			if (iv->subvolumes.items[i].number == want)
				p = iv->subvolumes.items[i].path;
		if (!p)
			return NULL;
	}
	for (size_t i = 0; i < iv->subvolumes.len && !p; i++)
		if (iv->subvolumes.items[i].flags & FS_SUBVOLUME_DEFAULT)
			p = iv->subvolumes.items[i].path;
	while (p && *p) {
		size_t n;

		p += strspn(p, "/");
		n = strcspn(p, "/");
		if (n) {
			buf_addch(&b, '/');
			buf_add(&b, p, n);
		}
		p += n;
	}
	return buf_steal(&b);
}

/* --- the root --- */

static bool is_file(struct view_files *v, const char *path)
{
	AUTO_NODE n = { 0 };

	return !view_lookup(v, path, true, &n, NULL) && n.x.type == ENTRY_FILE;
}

static bool is_windows(struct view_files *v)
{
	AUTO_NODE n = { 0 };
	const char *fs =
		v->image.volumes.items[v->mounts.items[0].volume].fs;

	if (strcmp(fs, "ntfs") != 0 && strcmp(fs, "vfat") != 0)
		return false;
	return !view_lookup(v, "/Windows/System32", true, &n, NULL) &&
	       n.x.type == ENTRY_DIR;
}

static int read_fstab(struct view_files *v, fstab_lines *out, struct error *e)
{
	AUTO_BUF text = BUF_INIT;
	int r = view_read_file(v, "/etc/fstab", LIMIT_VIEW_FSTAB, &text, e);

	if (r)
		return r == ERR_NOMEM || r == ERR_IO || r == ERR_DAMAGED ? r
									 : 0;
	return parse_fstab(&text, out, e);
}

enum { SCORE_NONE, SCORE_WINDOWS = 40, SCORE_TYPE = 45, SCORE_OTHER = 50,
	SCORE_FSTAB = 55, SCORE_OS = 60, SCORE_SAYS = 100, SCORE_SAYS_OS = 110 };

/* How much the candidate, which is mounts[0], looks like the root. */
static int score(struct view_files *v, int *out, struct error *e)
{
	const struct view_mount *m = &v->mounts.items[0];
	bool os = is_file(v, "/etc/os-release") ||
		  is_file(v, "/usr/lib/os-release");
	bool says = false, says_other = false;
	fstab_lines t = { 0 };
	int r = read_fstab(v, &t, e);

	for (size_t i = 0; i < t.len && !r; i++) {
		const struct fstab_line *f = &t.items[i];
		AUTO_FREE char *prefix = NULL;
		int vol;

		if (strcmp(f->file, "/") != 0)
			continue;
		vol = by_spec(v, f->spec);
		if (vol < 0)
			continue;
		prefix = line_prefix(v, (size_t)vol, f);
		if ((size_t)vol == m->volume && prefix &&
			!strcmp(prefix, m->prefix))
			says = true;
		else
			says_other = true;
	}
	*out = says	      ? (os ? SCORE_SAYS_OS : SCORE_SAYS)
	       : os	      ? (says_other ? SCORE_OTHER : SCORE_OS)
	       : t.len	      ? SCORE_FSTAB - 10 * says_other
	       : is_windows(v) ? SCORE_WINDOWS
	       : view_is_root_type(&v->image.volumes.items[m->volume])
		       ? SCORE_TYPE
		       : SCORE_NONE;
	lines_release(&t);
	return r;
}

struct best {
	size_t volume;
	char *prefix;
	int score;
	unsigned prefer; /* among equals */
	uint64_t files;
};

static int try_root(struct view_files *v, size_t volume, const char *sub,
	unsigned prefer, struct best *b, struct error *e)
{
	AUTO_BUF prefix = BUF_INIT;
	uint64_t files = v->image.volumes.items[volume].files;
	char *copy;
	int s, r;

	if (*sub)
		buf_printf(&prefix, "/%s", sub);
	r = view_mount_add(v, "", volume, buf_str(&prefix), true, e);
	if (!r)
		r = score(v, &s, e);
	if (r)
		return r == ERR_NOTFOUND ? 0 : r;
	if (b->prefix &&
		(s < b->score ||
			(s == b->score && (prefer < b->prefer ||
						  (prefer == b->prefer &&
							  files <= b->files)))))
		return 0;
	copy = buf_steal(&prefix);
	if (!copy)
		return error_nomem(e);
	free(b->prefix);
	*b = (struct best){ volume, copy, s, prefer, files };
	return 0;
}

/* Tries a volume, and the subvolumes that it may be booted from. */
static int try_volume(struct view_files *v, size_t i, struct best *b,
	struct error *e)
{
	const struct image_volume *iv = &v->image.volumes.items[i];
	int r = try_root(v, i, "", iv->nested ? 0 : 4, b, e);

	for (size_t k = 0; k < iv->subvolumes.len && !r &&
			   k < LIMIT_VIEW_SUBVOLUMES && b->score < SCORE_SAYS_OS;
		k++) {
		const struct image_subvolume *s = &iv->subvolumes.items[k];
		bool is_default = s->flags & FS_SUBVOLUME_DEFAULT;

		if (*s->path)
			r = try_root(v, i, s->path,
				is_default				? 5
				: s->flags & FS_SUBVOLUME_SNAPSHOT		? 1
				: s->flags & FS_SUBVOLUME_READONLY		? 2
									: 3,
				b, e);
	}
	return r;
}

/* --- mounting --- */

/* Where a mount point really is; NOTFOUND where not even the folder that it
 * would be made in is there. */
static int mount_point(struct view_files *v, const char *file, struct buf *out,
	struct error *e)
{
	AUTO_NODE n = { 0 };
	AUTO_FREE char *parent = NULL;
	char *slash;
	int r = view_lookup(v, file, true, &n, e);

	if (!r && n.x.type == ENTRY_DIR) {
		buf_addstr(out, buf_str(&n.path));
		return 0;
	}
	if (r != ERR_NOTFOUND)
		return r ? r : error_set(e, ERR_NOTFOUND, "not a folder");
	parent = strdup(file);
	if (!parent)
		return error_nomem(e);
	slash = strrchr(parent, '/');
	*slash = 0;
	view_node_release(&n);
	r = view_lookup(v, *parent ? parent : "/", true, &n, e);
	if (!r && n.x.type != ENTRY_DIR)
		r = error_set(e, ERR_NOTFOUND, "not a folder");
	if (r)
		return r;
	buf_printf(out, "%s/%s",
		n.path.len > 1 ? buf_str(&n.path) : "", slash + 1);
	return 0;
}

static int mount_bind(struct view_files *v, const struct fstab_line *f,
	const char *at, struct error *e)
{
	AUTO_NODE n = { 0 };
	AUTO_BUF prefix = BUF_INIT;
	const struct view_mount *m;
	int r = view_lookup(v, f->spec, true, &n, e);

	if (r || n.x.type != ENTRY_DIR)
		return r ? r : error_set(e, ERR_NOTFOUND, "not a folder");
	m = &v->mounts.items[n.mount];
	buf_addstr(&prefix, m->prefix);
	if (strcmp(buf_str(&n.path) + strlen(m->path), "/") != 0)
		buf_addstr(&prefix, buf_str(&n.path) + strlen(m->path));
	return view_mount_add(v, at, m->volume, buf_str(&prefix), false, e);
}

static int mount_line(struct view_files *v, const struct fstab_line *f,
	struct error *e)
{
	AUTO_FREE char *prefix = NULL;
	AUTO_BUF at = BUF_INIT;
	bool bind = has_option(f, "bind") || has_option(f, "rbind");
	int vol, r;

	if (has_option(f, "noauto") && !has_option(f, "x-systemd.automount") &&
		!has_option(f, "comment=systemd.automount"))
		return 0;
	vol = bind ? 0 : by_spec(v, f->spec);
	if (vol < 0)
		return 0;
	if (!bind) {
		prefix = line_prefix(v, (size_t)vol, f);
		if (!prefix)
			return 0;
	}
	r = mount_point(v, f->file, &at, e);
	if (r || !strcmp(buf_str(&at), "/"))
		return r;
	return bind ? mount_bind(v, f, buf_str(&at), e)
		    : view_mount_add(v, buf_str(&at), (size_t)vol, prefix,
			      false, e);
}

/* Paths without "//" and without a '/' at the end. */
static void tidy(char *p)
{
	char *out = p;

	for (char *s = p; *s; s++)
		if (*s != '/' || (s[1] && s[1] != '/'))
			*out++ = *s;
	*out = 0;
}

static int by_path(const void *a, const void *b)
{
	const struct fstab_line *const *x = a, *const *y = b;
	int c = strcmp((*x)->file, (*y)->file);

	return c ? c : (*x > *y) - (*x < *y);
}

static bool in_fstab(const void *ctx, const char *path)
{
	const fstab_lines *t = ctx;

	for (size_t i = 0; i < t->len; i++)
		if (!strcmp(t->items[i].file, path))
			return true;
	return false;
}

static int mount_fstab(struct view_files *v, struct error *e)
{
	AUTO_FREE const struct fstab_line **order = NULL;
	fstab_lines t = { 0 };
	size_t n = 0;
	int r = read_fstab(v, &t, e);

	if (!r && t.len) {
		order = calloc(t.len, sizeof(void *));
		if (!order)
			r = error_nomem(e);
	}
	for (size_t i = 0; i < t.len && !r; i++) {
		tidy(t.items[i].file);
		if (*t.items[i].file)
			order[n++] = &t.items[i];
	}
	/* A folder is mounted before what is mounted in it. */
	if (n)
		qsort(order, n, sizeof(*order), by_path);
	for (size_t i = 0; i < n && !r; i++) {
		r = mount_line(v, order[i], e);
		if (r == ERR_NOTFOUND || r == ERR_LIMIT)
			r = 0; /* as a boot goes on without it */
	}
	if (!r)
		r = view_mount_discovered(v, in_fstab, &t, e);
	lines_release(&t);
	return r == ERR_NOTFOUND || r == ERR_LIMIT ? 0 : r;
}

int view_mount_all(struct view_files *v, int disk, struct error *e)
{
	struct best b = { 0 };
	int r = 0;

	for (size_t i = 0; i < v->image.volumes.len && !r; i++) {
		const struct image_volume *iv = &v->image.volumes.items[i];

		if (iv->has_tree && view_on_disk(iv, disk) &&
			b.score < SCORE_SAYS_OS)
			r = try_volume(v, i, &b, e);
	}
	if (!r && !b.prefix)
		r = error_set(e, ERR_NOTFOUND,
			"the image has no volume whose files are known");
	if (!r)
		r = view_mount_add(v, "", b.volume, b.prefix, true, e);
	if (!r && b.score > SCORE_WINDOWS)
		r = mount_fstab(v, e);
	free(b.prefix);
	return r;
}

int view_mount_windows(struct view_files *v, int disk, struct error *e)
{
	int r = view_mount_all(v, disk, e);

	return r || is_windows(v)
		       ? r
		       : error_set(e, ERR_NOTFOUND,
				 "the image has no volume 'C', and no Windows");
}
