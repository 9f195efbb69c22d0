/* SPDX-License-Identifier: Apache-2.0 */
/* Reads appliances: files, manifest, disks. */
#include "disk/ova.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/limits.h"
#include "disk/wrap.h"

struct digest {
	char *name;
	const char *algorithm;
	uint8_t sum[EVP_MAX_MD_SIZE];
	size_t len;
};

struct ova {
	struct source *file;
	bool tar;
	struct ova_members members; /* of a tar */
	const char *ovf_name; /* in a tar; its first dir bytes are the folder */
	size_t dir;
	const struct disk_resolver *resolver;
	const struct finding_sink *findings;
	char *text;
	size_t text_len;
	struct ovf ovf;
	struct ova_disk *disks; /* as many as ovf.disks; strings borrowed */
	VEC(struct digest) manifest;
};

/* --- files --- */

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n > k && !strcasecmp(s + n - k, end);
}

/* The member of this name, which counts from the OVF's folder. */
static const struct ova_member *member(const struct ova *o, const char *name)
{
	while (name[0] == '.' && name[1] == '/')
		name += 2;
	for (size_t i = 0; i < o->members.list.len; i++) {
		const char *have = o->members.list.items[i].name;

		if (!strncmp(have, o->ovf_name, o->dir) &&
			!strcmp(have + o->dir, name))
			return &o->members.list.items[i];
	}
	return NULL;
}

/* Does it name a file in the appliance, in a folder of it perhaps? */
static bool is_inside(const char *name)
{
	const char *p = name;

	if (!*name || *name == '/' || strpbrk(name, "\\:"))
		return false;
	while (*p) {
		size_t n = strcspn(p, "/");

		if (!n || (n == 2 && !memcmp(p, "..", 2)) ||
			(n == 1 && *p == '.' && !p[1]))
			return false;
		p += n;
		if (*p && !*++p)
			return false; /* a folder */
	}
	return true;
}

/* A reference is a URI (DSP0243 7.1): "a%20b.vmdk". NULL where nothing is
 * written so; to be freed. Most tools write names as they are. */
static char *unescaped(const char *name)
{
	char *out, *p;

	if (!strchr(name, '%') || !(out = p = malloc(strlen(name) + 1)))
		return NULL;
	for (; *name; p++) {
		int hi = *name == '%' ? hex(name[1]) : -1;
		int lo = hi < 0 ? -1 : hex(name[2]);

		*p = (char)(lo < 0 ? *name : hi << 4 | lo);
		name += lo < 0 ? 1 : 3;
	}
	*p = 0;
	return out;
}

/* NOTFOUND where it is not there. */
static int open_name(struct ova *o, const char *name, struct source **out,
	struct error *e)
{
	const struct ova_member *m;

	if (!is_inside(name))
		return error_set(e, ERR_CORRUPT,
			"ova: '%s' is not the name of a file in the appliance",
			name);
	if (o->tar) {
		m = member(o, name);
		return m ? source_window(o->file, m->off, m->size, out, e)
			 : ERR_NOTFOUND;
	}
	if (!o->resolver)
		return error_set(e, ERR_UNSUPPORTED,
			"ova: the file '%s' may not be opened", name);
	return o->resolver->open(o->resolver->ctx, name, "appliance file", NULL,
		out, e);
}

/* A file of the appliance by the name the OVF or the manifest gives it. */
static int open_file(struct ova *o, const char *name, struct source **out,
	struct error *e)
{
	AUTO_FREE char *plain = NULL;
	int r = open_name(o, name, out, e);

	if (r == ERR_NOTFOUND && (plain = unescaped(name)))
		r = open_name(o, plain, out, e);
	return r == ERR_NOTFOUND ? error_set(e, ERR_CORRUPT,
					   "ova: the file '%s' is missing",
					   name)
				 : r;
}

static int open_chunks(struct ova *o, const struct ovf_file *f,
	struct source **out, struct error *e)
{
	uint64_t n = div_ceil(f->size, f->chunk);
	struct source_segment *seg;
	size_t k = 0;
	int r = 0;

	if (n > LIMIT_OVA_MEMBERS)
		return error_set(e, ERR_LIMIT, "ova: '%s' in %" PRIu64
			" chunks", f->href, n);
	seg = calloc(n ? (size_t)n : 1, sizeof(*seg));
	if (!seg)
		return error_nomem(e);
	for (; k < n && !r; k++) {
		AUTO_BUF name = BUF_INIT;
		uint64_t want = u64_min(f->chunk, f->size - k * f->chunk);

		buf_printf(&name, "%s.%09zu", f->href, k);
		r = open_file(o, buf_str(&name), &seg[k].src, e);
		if (r)
			break;
		seg[k].len = want;
		if (seg[k].src->size != want)
			r = error_set(e, ERR_CORRUPT,
				"ova: the chunk '%s' has %" PRIu64
				" bytes, the OVF says %" PRIu64,
				buf_str(&name), seg[k].src->size, want);
	}
	if (!r)
		r = source_concat(seg, (size_t)n, out, e);
	for (size_t i = 0; i < n; i++)
		source_unref(seg[i].src);
	free(seg);
	return r;
}

static const struct ovf_file *file_of(const struct ova *o,
	const struct ovf_disk *d)
{
	for (size_t i = 0; i < o->ovf.files.len; i++)
		if (!strcmp(o->ovf.files.items[i].id, d->file_ref))
			return &o->ovf.files.items[i];
	return NULL;
}

/* --- the manifest --- */

/* One line, "SHA256(NAME)= HEX"; OpenSSL 3 writes "SHA2-256(NAME)= HEX", and
 * coreutils "SHA256 (NAME) = HEX". */
static int manifest_line(struct ova *o, char *p, unsigned line,
	struct error *e)
{
	static const struct {
		const char *name, *algorithm;
		size_t len;
	} kinds[] = { { "SHA1", "SHA1", 20 }, { "SHA-1", "SHA1", 20 },
		{ "SHA256", "SHA256", 32 }, { "SHA-256", "SHA256", 32 },
		{ "SHA2-256", "SHA256", 32 }, { "SHA384", "SHA384", 48 },
		{ "SHA2-384", "SHA384", 48 }, { "SHA512", "SHA512", 64 },
		{ "SHA-512", "SHA512", 64 }, { "SHA2-512", "SHA512", 64 } };
	struct digest d = { 0 };
	char *open = strchr(p, '('), *close = strrchr(p, ')'), *eq = NULL;

	while (*p == ' ' || *p == '\t')
		p++;
	if (!*p)
		return 0;
	if (open && close && close > open)
		eq = close + 1 + strspn(close + 1, " \t");
	if (!eq || *eq != '=')
		return error_set(e, ERR_CORRUPT,
			"ova: manifest, line %u: not ALGORITHM(FILE)= DIGEST",
			line);
	*close = 0;
	for (char *end = open; end > p && (*end == '(' || *end == ' '); end--)
		*end = 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcasecmp(p, kinds[i].name)) {
			d.algorithm = kinds[i].algorithm;
			d.len = kinds[i].len;
		}
	if (!d.algorithm)
		return error_set(e, ERR_UNSUPPORTED,
			"ova: manifest, line %u: digests of kind '%.20s'", line,
			p);
	p = eq + 1 + strspn(eq + 1, " \t");
	for (size_t i = 0; i < d.len; i++, p += 2) {
		int hi = hex(p[0]), lo = hi < 0 ? -1 : hex(p[1]);

		if (lo < 0)
			return error_set(e, ERR_CORRUPT,
				"ova: manifest, line %u: a damaged digest of "
				"'%s'", line, open + 1);
		d.sum[i] = (uint8_t)(hi << 4 | lo);
	}
	if (o->manifest.len >= LIMIT_OVA_MEMBERS)
		return error_set(e, ERR_LIMIT, "ova: a manifest of over %u "
			"lines", LIMIT_OVA_MEMBERS);
	d.name = strdup(open + 1);
	if (!d.name || !vec_push(&o->manifest, d)) {
		free(d.name);
		return error_nomem(e);
	}
	return 0;
}

static int parse_manifest(struct ova *o, char *text, struct error *e)
{
	unsigned line = 0;
	int r = 0;

	for (char *p = text, *next; p && !r; p = next) {
		size_t n;

		next = strchr(p, '\n');
		if (next)
			*next++ = 0;
		n = strlen(p);
		if (n && p[n - 1] == '\r')
			p[n - 1] = 0;
		r = manifest_line(o, p, ++line, e);
	}
	return r;
}

/* A whole small file as a string. */
static int slurp(struct source *s, uint64_t cap, const char *what, char **out,
	size_t *out_len, struct error *e)
{
	AUTO_FREE char *b = NULL;
	int r;

	if (s->size > cap)
		return error_set(e, ERR_LIMIT, "ova: %s of %" PRIu64 " bytes",
			what, s->size);
	b = calloc(1, (size_t)s->size + 1);
	if (!b)
		return error_nomem(e);
	r = source_pread(s, b, (size_t)s->size, 0, e);
	if (r)
		return r;
	*out_len = (size_t)s->size;
	*out = steal_ptr(b);
	return 0;
}

/* Of a tar: the one beside the OVF, of its name or else the only one. */
static int open_manifest(struct ova *o, const char *name, struct source **out,
	struct error *e)
{
	const struct ova_member *m = NULL;
	unsigned n = 0;

	for (size_t i = 0; i < o->members.list.len; i++) {
		const struct ova_member *x = &o->members.list.items[i];

		if (strncmp(x->name, o->ovf_name, o->dir) != 0 ||
			strchr(x->name + o->dir, '/'))
			continue;
		if (!strcmp(x->name, name)) {
			m = x;
			n = 1;
			break;
		}
		if (ends_with(x->name, ".mf")) {
			m = x;
			n++;
		}
	}
	return n == 1 ? source_window(o->file, m->off, m->size, out, e)
		      : ERR_NOTFOUND;
}

static int read_manifest(struct ova *o, const char *ovf_name, struct error *e)
{
	AUTO_BUF name = BUF_INIT;
	AUTO_SOURCE s = NULL;
	AUTO_FREE char *text = NULL;
	size_t n = strlen(ovf_name);
	int r;

	buf_add(&name, ovf_name, n > 4 ? n - 4 : n);
	buf_addstr(&name, ".mf");
	if (o->tar)
		r = open_manifest(o, buf_str(&name), &s, e);
	else
		r = o->resolver->open(o->resolver->ctx, buf_str(&name),
			"manifest", NULL, &s, e);
	if (r == ERR_NOTFOUND) {
		finding_report(o->findings, FINDING_DISK_NOTE,
			FINDING_NO_OFFSET, "ova",
			"no manifest: nothing says whether the files are whole");
		return 0;
	}
	if (!r)
		r = slurp(s, LIMIT_OVA_MANIFEST, "a manifest", &text, &n, e);
	return r ? r : parse_manifest(o, text, e);
}

static int digest_file(struct ova *o, const struct digest *d, uint64_t *done,
	int (*progress)(void *ctx, uint64_t done), void *ctx, struct error *e)
{
	AUTO_SOURCE s = NULL;
	AUTO_FREE uint8_t *buf = NULL;
	uint8_t sum[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *md;
	int r = open_file(o, d->name, &s, e);

	if (r)
		return r;
	buf = malloc(MIB);
	md = EVP_MD_CTX_new();
	if (!buf || !md || !EVP_DigestInit_ex(md,
				   EVP_get_digestbyname(d->algorithm), NULL))
		r = error_nomem(e);
	for (uint64_t at = 0; at < s->size && !r;) {
		size_t n = (size_t)u64_min(MIB, s->size - at);

		r = source_pread(s, buf, n, at, e);
		if (!r && !EVP_DigestUpdate(md, buf, n))
			r = error_nomem(e);
		at += n;
		*done += n;
		if (!r && progress && progress(ctx, *done))
			r = error_set(e, ERR_CANCELLED, "cancelled");
	}
	if (!r && !EVP_DigestFinal_ex(md, sum, NULL))
		r = error_nomem(e);
	if (!r && memcmp(sum, d->sum, d->len) != 0)
		r = error_set(e, ERR_CORRUPT,
			"ova: the file '%s' does not have the %s that the "
			"manifest says", d->name, d->algorithm);
	EVP_MD_CTX_free(md);
	return r;
}

int ova_verify(struct ova *o, int (*progress)(void *ctx, uint64_t done),
	void *ctx, struct error *e)
{
	uint64_t done = 0;
	int r = 0;

	for (size_t i = 0; i < o->manifest.len && !r; i++)
		r = digest_file(o, &o->manifest.items[i], &done, progress, ctx,
			e);
	return r;
}

/* --- opening --- */

static bool in_manifest(const struct ova *o, const char *name)
{
	for (size_t i = 0; i < o->manifest.len; i++)
		if (!strncmp(o->manifest.items[i].name, name, strlen(name)))
			return true;
	return false;
}

static int list_disks(struct ova *o, struct error *e)
{
	size_t n = o->ovf.disks.len;

	o->disks = calloc(n ? n : 1, sizeof(*o->disks));
	if (!o->disks)
		return error_nomem(e);
	for (size_t i = 0; i < n; i++) {
		const struct ovf_disk *d = &o->ovf.disks.items[i];
		const struct ovf_file *f = file_of(o, d);
		const struct ova_member *m;
		AUTO_FREE char *plain = NULL;

		o->disks[i] = (struct ova_disk){ .id = d->id,
			.file = "",
			.capacity = d->capacity };
		if (!f && *d->file_ref)
			return error_set(e, ERR_CORRUPT,
				"ova: the disk '%s' is in the file '%s', which "
				"the OVF does not list", d->id, d->file_ref);
		if (!f)
			continue;
		o->disks[i].file = f->href;
		o->disks[i].file_size = f->size;
		o->disks[i].gzip = f->gzip;
		if (!is_inside(f->href))
			return error_set(e, ERR_CORRUPT,
				"ova: the disk '%s' is in '%s', which is not "
				"the name of a file in the appliance", d->id,
				f->href);
		plain = unescaped(f->href);
		m = member(o, f->href);
		if (!m && plain)
			m = member(o, plain);
		if (m)
			o->disks[i].file_size = m->size;
		if (o->tar && !m && !f->chunk)
			return error_set(e, ERR_CORRUPT,
				"ova: the file '%s' is missing", f->href);
		if (m && f->has_size && m->size != f->size)
			finding_report(o->findings, FINDING_DISK_NOTE, m->off,
				f->href,
				"the file has %" PRIu64
				" bytes, the OVF says %" PRIu64, m->size,
				f->size);
		if (o->manifest.len && !in_manifest(o, f->href))
			finding_report(o->findings, FINDING_DISK_NOTE,
				FINDING_NO_OFFSET, f->href,
				"the manifest does not list it");
	}
	return 0;
}

/* The one OVF of a tar. */
static int find_ovf(const struct ova *o, const struct ova_member **out,
	struct error *e)
{
	*out = NULL;
	for (size_t i = 0; i < o->members.list.len; i++) {
		const struct ova_member *m = &o->members.list.items[i];

		if (!ends_with(m->name, ".ovf"))
			continue;
		if (*out)
			return error_set(e, ERR_CORRUPT,
				"ova: two OVFs, '%s' and '%s'", (*out)->name,
				m->name);
		*out = m;
	}
	return *out ? 0
		    : error_set(e, ERR_CORRUPT, "ova: no OVF among its members");
}

static int load(struct ova *o, const char *name, struct error *e)
{
	AUTO_SOURCE s = NULL;
	int r = 0;

	if (o->tar) {
		const struct ova_member *m;

		r = ova_tar_read(o->file, &o->members, e);
		if (!r)
			r = find_ovf(o, &m, e);
		if (!r)
			r = source_window(o->file, m->off, m->size, &s, e);
		if (!r) {
			const char *slash = strrchr(m->name, '/');

			o->ovf_name = name = m->name;
			o->dir = slash ? (size_t)(slash + 1 - name) : 0;
		}
	} else {
		s = source_ref(o->file);
	}
	if (!r)
		r = slurp(s, LIMIT_OVF, "an OVF", &o->text, &o->text_len, e);
	if (!r)
		r = ovf_parse(o->text, o->text_len, &o->ovf, e);
	if (!r)
		r = read_manifest(o, name, e);
	return r ? r : list_disks(o, e);
}

int ova_open(const struct ova_args *args, struct ova **out, struct error *e)
{
	AUTO_OVA o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return error_nomem(e);
	o->file = source_ref(args->file);
	o->tar = !args->name;
	if (!o->tar && !args->resolver)
		return error_set(e, ERR_ARG,
			"ova: an OVF without a way to its files");
	o->resolver = args->resolver;
	o->findings = args->findings;
	r = load(o, args->name, e);
	if (!r)
		*out = steal_ptr(o);
	return r;
}

void ova_close(struct ova *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->manifest.len; i++)
		free(o->manifest.items[i].name);
	vec_release(&o->manifest);
	ova_members_release(&o->members);
	ovf_release(&o->ovf);
	free(o->disks);
	free(o->text);
	source_unref(o->file);
	free(o);
}

const char *ova_text(const struct ova *o, size_t *out_len)
{
	*out_len = o->text_len;
	return o->text;
}

size_t ova_disk_count(const struct ova *o)
{
	return o->ovf.disks.len;
}

const struct ova_disk *ova_disk(const struct ova *o, size_t i)
{
	return &o->disks[i];
}

bool ovf_probe(struct source *file)
{
	char b[4097] = "";
	size_t n = (size_t)u64_min(file->size, sizeof(b) - 1);
	char *p;

	if (file->size > LIMIT_OVF || source_pread(file, b, n, 0, NULL) ||
		memchr(b, 0, n))
		return false;
	p = !memcmp(b, "\xef\xbb\xbf", 3) ? b + 3 : b;
	while (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')
		p++;
	return *p == '<' && (strstr(p, "<Envelope") || strstr(p, ":Envelope"));
}

/* --- disks --- */

struct inner {
	struct ova *o;
	unsigned depth;
};

static int open_disk_file(struct inner *in, const char *name, const char *format,
	struct source *file, struct source **out, struct disk_info *info,
	struct error *e);

/* What a disk's container names: other files of the appliance. */
static int inner_open(void *ctx, const char *name, const char *purpose,
	const char *format, struct source **out, struct error *e)
{
	struct inner next = *(struct inner *)ctx;
	struct disk_info info = { 0 };
	AUTO_SOURCE file = NULL;
	int r;

	(void)purpose;
	if (++next.depth > LIMIT_BACKING_DEPTH)
		return error_set(e, ERR_LIMIT,
			"ova: a chain of more than %d files",
			LIMIT_BACKING_DEPTH);
	r = open_file(next.o, name, &file, e);
	if (r)
		return r;
	if (!format) {
		*out = steal_ptr(file);
		return 0;
	}
	return open_disk_file(&next, name, format, file, out, &info, e);
}

static int open_disk_file(struct inner *in, const char *name, const char *format,
	struct source *file, struct source **out, struct disk_info *info,
	struct error *e)
{
	struct disk_resolver res = { inner_open, in };
	struct disk_open_args a = { .file = file,
		.resolver = &res,
		.findings = in->o->findings };
	const struct disk_ops *ops = format ? disk_by_name(format)
					    : disk_probe(file);
	int r;

	if (!ops || ops == &disk_ova)
		return error_set(e, ERR_UNSUPPORTED,
			"ova: the file '%s' is of format '%s'", name,
			format ? format : "ova");
	if (!format && !strcmp(ops->name, "raw") && ends_with(name, ".vmdk"))
		return error_set(e, ERR_CORRUPT,
			"ova: the file '%s' is not a VMDK", name);
	r = ops->open(&a, out, info, e);
	return r ? error_prefix(e, "%s", name) : 0;
}

/* Replaces a gzip-compressed file by what is in it. */
static int unpack(struct ova *o, const char *name, uint64_t capacity,
	struct source **file, struct error *e)
{
	AUTO_SOURCE packed = steal_ptr(*file);
	struct wrap_args a = { .file = packed, .findings = o->findings };
	struct wrap_info info;
	int r;

	/* A container is a little larger than what it holds. */
	if (capacity && !u64_add(capacity + capacity / 8, 64 * MIB, &a.max))
		a.max = UINT64_MAX;
	if (!wrap_probe(packed) || strcmp(wrap_probe(packed), "gzip") != 0)
		return error_set(e, ERR_CORRUPT,
			"ova: the file '%s' is not compressed with gzip, as the "
			"OVF says", name);
	r = wrap_unwrap(&a, file, &info, e);
	return r ? error_prefix(e, "ova: the file '%s'", name) : 0;
}

int ova_disk_open(struct ova *o, size_t i, struct source **out,
	struct disk_info *info, struct error *e)
{
	const struct ovf_disk *d = &o->ovf.disks.items[i];
	const struct ovf_file *f = file_of(o, d);
	struct inner in = { .o = o };
	AUTO_SOURCE file = NULL;
	int r;

	if (d->has_parent)
		return error_set(e, ERR_UNSUPPORTED,
			"ova: the disk '%s' is a difference to another", d->id);
	if (!f) {
		snprintf(info->format, sizeof(info->format), "none");
		return source_zero(d->capacity, out, e);
	}
	if (f->other_compression)
		return error_set(e, ERR_UNSUPPORTED,
			"ova: the file '%s' is compressed with something other "
			"than gzip", f->href);
	/* Some name a size of chunks for what is not cut into any. */
	r = f->chunk && f->has_size ? open_name(o, f->href, &file, e)
				    : open_file(o, f->href, &file, e);
	if (r == ERR_NOTFOUND)
		r = open_chunks(o, f, &file, e);
	if (!r && f->gzip)
		r = unpack(o, f->href, d->capacity, &file, e);
	if (!r)
		r = open_disk_file(&in, f->href, NULL, file, out, info, e);
	if (!r && d->capacity && (*out)->size != d->capacity)
		finding_report(o->findings, FINDING_DISK_NOTE,
			FINDING_NO_OFFSET, f->href,
			"the disk has %" PRIu64 " bytes, the OVF says %" PRIu64,
			(*out)->size, d->capacity);
	return r;
}

/* --- as a format of one disk --- */

static enum disk_verdict ova_disk_probe(struct source *file)
{
	return ova_probe(file) ? DISK_YES : DISK_NO;
}

static int ova_single(const struct disk_open_args *args, struct source **out,
	struct disk_info *info, struct error *e)
{
	struct ova_args a = { .file = args->file, .findings = args->findings };
	AUTO_OVA o = NULL;
	int r = ova_open(&a, &o, e);

	if (r)
		return r;
	if (ova_disk_count(o) != 1)
		return error_set(e, ERR_UNSUPPORTED,
			"ova: an appliance of %zu disks where one is wanted",
			ova_disk_count(o));
	r = ova_verify(o, NULL, NULL, e);
	if (!r)
		r = ova_disk_open(o, 0, out, info, e);
	if (!r) {
		AUTO_BUF t = BUF_INIT;

		buf_printf(&t, "%s: %s", info->format, info->detail);
		snprintf(info->detail, sizeof(info->detail), "%.159s",
			buf_str(&t));
		snprintf(info->format, sizeof(info->format), "ova");
	}
	return r;
}

static int ova_single_write(const struct disk_write_args *args, struct error *e)
{
	struct source *disk = args->disk;
	size_t n = args->name ? strlen(args->name) : 0;
	AUTO_FREE char *name = NULL;
	struct ova_write_args a = { .disks = &disk,
		.n = 1,
		.out = args->out,
		.id = args->id,
		.progress = args->progress,
		.progress_ctx = args->progress_ctx };

	if (n) {
		name = strndup(args->name,
			ends_with(args->name, ".ova") ? n - 4 : n);
		if (!name)
			return error_nomem(e);
	}
	a.name = name;
	return ova_write(&a, e);
}

static const struct disk_writer ova_writer = {
	.name = "ova",
	.write = ova_single_write,
};

static const char *const suffixes[] = { ".ova", NULL };

const struct disk_ops disk_ova = {
	.name = "ova",
	.suffixes = suffixes,
	.probe = ova_disk_probe,
	.open = ova_single,
	.writer = &ova_writer,
};
