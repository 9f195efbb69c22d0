/* SPDX-License-Identifier: Apache-2.0 */
#include "library/record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "store/names.h"

#define HEADER "strata record 1\n"
#define CHECKSUM "checksum "
#define INSTANCES "instances"
#define EXPORTS "exports"
/* A text of a few paths. */
#define RECORD_MAX (64 * 1024)

static const char *const kinds[] = { "export", "overlay", "instance" };

void record_release(struct record *r)
{
	free(r->name);
	free(r->path);
	free(r->format);
	free(r->branch);
	free(r->head_branch);
	free(r->backing);
	free(r->socket);
	free(r->base_path);
	memset(r, 0, sizeof(*r));
}

/* --- text --- */

static void put_escaped(struct buf *b, const char *s, const char *special)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == '%' ||
			strchr(special, *s))
			buf_printf(b, "%%%02x", (unsigned char)*s);
		else
			buf_addch(b, *s);
}

static void put(struct buf *b, const char *key, const char *value)
{
	if (!value)
		return;
	buf_printf(b, "%s ", key);
	put_escaped(b, value, "");
	buf_addch(b, '\n');
}

static void put_oid(struct buf *b, const char *key, const struct oid *id)
{
	char hex[OID_HEX + 1];

	if (!oid_is_zero(id))
		buf_printf(b, "%s %s\n", key, oid_hex(id, hex));
}

static void encode(const struct record *r, struct buf *b)
{
	char digest[33];

	buf_addstr(b, HEADER);
	put(b, "kind", kinds[r->kind]);
	put(b, "name", r->name);
	put(b, "path", r->path);
	put(b, "format", r->format);
	buf_printf(b,
		"file %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 "\n",
		r->stamp.dev, r->stamp.ino, r->stamp.size, r->stamp.mtime_ns);
	if (r->stamp.born_ns)
		buf_printf(b, "born %" PRId64 "\n", r->stamp.born_ns);
	put_oid(b, "commit", &r->commit);
	buf_printf(b, "disk %" PRIu32 " %s\n", r->disk,
		hex_encode(r->digest, 16, digest));
	put(b, "branch", r->branch);
	put_oid(b, "head", &r->head);
	put(b, "head-branch", r->head_branch);
	put(b, "backing", r->backing);
	put(b, "socket", r->socket);
	put(b, "base", r->base_path);
	buf_printf(b, "created %" PRId64 "\n", r->created);
	{
		uint64_t sum = checksum64(b->data, b->len);

		buf_printf(b, CHECKSUM "%016" PRIx64 "\n", sum);
	}
}

/* Takes %XX back, in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		uint8_t c;
		char two[3] = { 0 };

		if (*s == '%' && s[1] && s[2]) {
			memcpy(two, s + 1, 2);
			if (hex_decode(two, 1, &c) && c) {
				*to++ = (char)c;
				s += 2;
				continue;
			}
		}
		*to++ = *s;
	}
	*to = 0;
}

static bool decode_line(struct record *r, char *key, char *v)
{
	struct {
		const char *key;
		char **out;
	} texts[] = { { "name", &r->name }, { "path", &r->path },
		{ "format", &r->format }, { "branch", &r->branch },
		{ "head-branch", &r->head_branch }, { "backing", &r->backing },
		{ "socket", &r->socket }, { "base", &r->base_path } };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (strcmp(key, texts[i].key) != 0)
			continue;
		unescape(v);
		free(*texts[i].out);
		*texts[i].out = strdup(v);
		return *texts[i].out != NULL;
	}
	if (!strcmp(key, "kind")) {
		for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
			if (!strcmp(v, kinds[i])) {
				r->kind = (enum record_kind)i;
				return true;
			}
		return false;
	}
	if (!strcmp(key, "file"))
		return sscanf(v,
			       "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNd64,
			       &r->stamp.dev, &r->stamp.ino, &r->stamp.size,
			       &r->stamp.mtime_ns) == 4;
	if (!strcmp(key, "born"))
		return sscanf(v, "%" SCNd64, &r->stamp.born_ns) == 1;
	if (!strcmp(key, "commit"))
		return oid_parse(v, &r->commit);
	if (!strcmp(key, "head"))
		return oid_parse(v, &r->head);
	if (!strcmp(key, "disk")) {
		char hex[33];

		return sscanf(v, "%" SCNu32 " %32s", &r->disk, hex) == 2 &&
		       strlen(hex) == 32 && hex_decode(hex, 16, r->digest);
	}
	if (!strcmp(key, "created"))
		return sscanf(v, "%" SCNd64, &r->created) == 1;
	return true; /* of a later version */
}

static int decode(const char *name, char *text, size_t len,
	struct record *out, struct error *e)
{
	static const size_t tail = sizeof(CHECKSUM) - 1 + 16 + 1;
	AUTO_RECORD r = { 0 };
	char sum[64];
	char *line, *nl;

	if (len < sizeof(HEADER) - 1 + tail || strlen(text) != len ||
		strncmp(text, HEADER, sizeof(HEADER) - 1) != 0)
		goto damaged;
	snprintf(sum, sizeof(sum), CHECKSUM "%016" PRIx64 "\n",
		checksum64(text, len - tail));
	if (strcmp(text + len - tail, sum) != 0)
		goto damaged;
	text[len - tail] = 0;
	for (line = text + sizeof(HEADER) - 1; (nl = strchr(line, '\n'));
		line = nl + 1) {
		char *space;

		*nl = 0;
		space = strchr(line, ' ');
		if (!space)
			goto damaged;
		*space = 0;
		if (!decode_line(&r, line, space + 1))
			goto damaged;
	}
	if (!r.path || !r.format || (r.kind == RECORD_INSTANCE && !r.name))
		goto damaged;
	*out = r;
	memset(&r, 0, sizeof(r));
	return 0;
damaged:
	return error_set(e, ERR_DAMAGED, "library: the record %s is damaged",
		name);
}

/* --- files --- */

static void instance_file(const char *name, struct buf *out)
{
	buf_addstr(out, INSTANCES "/");
	put_escaped(out, name, "/");
}

static void export_file(const char *path, struct buf *out)
{
	struct oid id;
	char hex[OID_HEX + 1];

	sha256(path, strlen(path), &id);
	buf_printf(out, EXPORTS "/%.32s", oid_hex(&id, hex));
}

static int read_record(struct library *l, const char *file,
	struct record *out, struct error *e)
{
	AUTO_FREE char *text = NULL;
	const void *p;
	size_t len;
	int r = l->be->ops->map(l->be, file, &p, &len, e);

	if (r)
		return r;
	if (len <= RECORD_MAX)
		text = strndup(p ? p : "", len);
	l->be->ops->unmap(l->be, p, len);
	if (len > RECORD_MAX)
		return error_set(e, ERR_DAMAGED,
			"library: the record %s is too long", file);
	return text ? decode(file, text, len, out, e) : error_nomem(e);
}

int record_write(struct library *l, const struct record *r, struct error *e)
{
	AUTO_BUF text = BUF_INIT, file = BUF_INIT;

	encode(r, &text);
	if (r->kind == RECORD_INSTANCE)
		instance_file(r->name, &file);
	else
		export_file(r->path, &file);
	if (text.oom || file.oom)
		return error_nomem(e);
	return l->be->ops->put(l->be, buf_str(&file), text.data, text.len, e);
}

int record_remove(struct library *l, const struct record *r, struct error *e)
{
	AUTO_BUF file = BUF_INIT;
	int rc;

	if (r->kind == RECORD_INSTANCE)
		instance_file(r->name, &file);
	else
		export_file(r->path, &file);
	rc = l->be->ops->remove(l->be, buf_str(&file), e);
	return rc ? rc
		  : l->be->ops->sync(l->be,
			    r->kind == RECORD_INSTANCE ? INSTANCES : EXPORTS,
			    e);
}

int record_instance(struct library *l, const char *name, struct record *out,
	struct error *e)
{
	AUTO_BUF file = BUF_INIT;
	int r;

	instance_file(name, &file);
	r = file.oom ? error_nomem(e) : read_record(l, buf_str(&file), out, e);
	if (r == ERR_NOTFOUND)
		return error_set(e, r, "no instance '%s'", name);
	return r;
}

/* --- stamps --- */

static int64_t ns_of(const struct statx_timestamp *t)
{
	return t->tv_sec * 1000000000 + t->tv_nsec;
}

int record_stamp_of(const char *path, struct record_stamp *out,
	struct error *e)
{
	struct statx st;

	if (statx(AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_BTIME, &st))
		return error_errno(e, "%s", path);
	if (!S_ISREG(st.stx_mode))
		return error_set(e, ERR_ARG, "%s: is not a regular file", path);
	*out = (struct record_stamp){
		.dev = makedev(st.stx_dev_major, st.stx_dev_minor),
		.ino = st.stx_ino,
		.size = st.stx_size,
		.mtime_ns = ns_of(&st.stx_mtime),
		.born_ns = st.stx_mask & STATX_BTIME ? ns_of(&st.stx_btime) : 0,
	};
	return 0;
}

bool record_same_file(const struct record_stamp *a,
	const struct record_stamp *b)
{
	return a->ino == b->ino && a->dev == b->dev &&
	       (!a->born_ns || !b->born_ns || a->born_ns == b->born_ns);
}

const char *record_altered(const struct record *r)
{
	struct record_stamp now = { 0 };

	if (record_stamp_of(r->path, &now, NULL))
		return "it is gone";
	if (!record_same_file(&now, &r->stamp))
		return "it is another file now";
	if (now.size != r->stamp.size)
		return "its size changed";
	if (now.mtime_ns != r->stamp.mtime_ns)
		return "it was written to";
	return NULL;
}

/* --- searches --- */

/* Every record below a folder, in the order of its files' names. */
static int each(struct library *l, const char *folder, record_fn fn, void *ctx,
	struct error *e)
{
	AUTO_NAMES names = { 0 };
	int r = backend_names(l->be, folder, &names, e);

	for (size_t i = 0; i < names.len && !r; i++) {
		AUTO_BUF file = BUF_INIT;
		AUTO_RECORD x = { 0 };

		buf_printf(&file, "%s/%s", folder, names.items[i]);
		/* Gone meanwhile, or damaged: a hint less. */
		if (!read_record(l, buf_str(&file), &x, NULL))
			r = fn(ctx, &x);
	}
	return r;
}

int record_instances(struct library *l, record_fn fn, void *ctx,
	struct error *e)
{
	return each(l, INSTANCES, fn, ctx, e);
}

struct wanted {
	const char *path; /* NULL: by inode */
	struct record_stamp stamp;
	struct buf name; /* of the record's file */
	bool found;
};

static int is_wanted(void *ctx, const struct record *r)
{
	struct wanted *w = ctx;

	if (w->path ? strcmp(r->path, w->path) != 0
		    : !record_same_file(&r->stamp, &w->stamp) ||
			      r->stamp.size != w->stamp.size ||
			      r->stamp.mtime_ns != w->stamp.mtime_ns)
		return 0;
	if (r->kind == RECORD_INSTANCE)
		instance_file(r->name, &w->name);
	else
		export_file(r->path, &w->name);
	w->found = true;
	return 1;
}

int record_find(struct library *l, const char *path, struct record *out,
	struct error *e)
{
	AUTO_FREE char *real = realpath(path, NULL);
	AUTO_BUF file = BUF_INIT;
	struct wanted w = { .path = real };
	int r;

	if (!real)
		return error_errno(e, "%s", path);
	export_file(real, &file);
	r = read_record(l, buf_str(&file), out, e);
	if (!r && strcmp(out->path, real) != 0) {
		record_release(out);
		r = ERR_NOTFOUND;
	}
	if (r == ERR_DAMAGED)
		r = ERR_NOTFOUND;
	if (r != ERR_NOTFOUND)
		return r;
	r = each(l, INSTANCES, is_wanted, &w, e);
	if (!r && !record_stamp_of(real, &w.stamp, NULL)) {
		w.path = NULL;
		r = each(l, EXPORTS, is_wanted, &w, e);
		if (!r)
			r = each(l, INSTANCES, is_wanted, &w, e);
	}
	if (r >= 0 && !w.found)
		r = error_set(e, ERR_NOTFOUND,
			"%s: the library has no record of this file", path);
	else if (r >= 0)
		r = read_record(l, buf_str(&w.name), out, e);
	buf_release(&w.name);
	if (!r && w.path == NULL) { /* renamed since */
		free(out->path);
		out->path = steal_ptr(real);
		record_write(l, out, NULL); /* the old one is pruned */
	}
	return r;
}

struct pruning {
	struct library *l;
	struct error *e;
};

static int prune_one(void *ctx, const struct record *r)
{
	struct pruning *p = ctx;
	const char *slash = strrchr(r->path, '/');
	AUTO_FREE char *folder = NULL;
	struct stat st;

	if (!stat(r->path, &st) || errno != ENOENT || !slash)
		return 0;
	folder = strndup(r->path, (size_t)(slash - r->path) + 1);
	if (!folder || stat(folder, &st))
		return 0; /* perhaps not mounted now */
	return record_remove(p->l, r, p->e);
}

int record_prune(struct library *l, struct error *e)
{
	struct pruning p = { l, e };

	return each(l, EXPORTS, prune_one, &p, e);
}
