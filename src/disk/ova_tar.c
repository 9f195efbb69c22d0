/* SPDX-License-Identifier: Apache-2.0 */
/* The tar files that appliances come in: ustar (POSIX.1-1988), with GNU long
 * names and base-256 sizes and pax paths and sizes (POSIX.1-2001). A list of
 * names and byte ranges; nothing is written anywhere. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/limits.h"
#include "disk/ova.h"

struct tar_header {
	char name[100];
	char mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
	char type;
	char link[100];
	char magic[8]; /* "ustar\0" "00", or GNU's "ustar  \0" */
	char uname[32], gname[32], major[8], minor[8];
	char prefix[155];
	char pad[12];
};
_Static_assert(sizeof(struct tar_header) == 512, "tar header");

/* Octal with blanks and NULs around, or base 256 with the top bit set. */
bool ova_tar_number(const char *p, size_t n, uint64_t *out)
{
	uint64_t v = 0;
	size_t i = 0;

	if ((uint8_t)*p == 0x80) {
		for (i = 1; i < n; i++)
			if (!u64_mul(v, 256, &v))
				return false;
			else
				v |= (uint8_t)p[i];
		*out = v;
		return true;
	}
	while (i < n && p[i] == ' ')
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
		if (!u64_mul(v, 8, &v))
			return false;
		else
			v |= (uint64_t)(p[i] - '0');
	if (i < n && p[i] && p[i] != ' ')
		return false;
	*out = v;
	return true;
}

static bool header_ok(const struct tar_header *h)
{
	const uint8_t *b = (const uint8_t *)h;
	uint64_t want;
	uint32_t sum = 0;

	for (size_t i = 0; i < sizeof(*h); i++)
		sum += i >= 148 && i < 156 ? ' ' : b[i];
	return h->name[0] &&
	       ova_tar_number(h->checksum, sizeof(h->checksum), &want) &&
	       want == sum;
}

/* What extended headers said about the next member. */
struct pending {
	char *name;
	bool has_size;
	uint64_t size;
	char sparse; /* pax: '1' for version 1.0, '?' for another */
	uint64_t real_size;
};

static bool is_key(const char *key, size_t len, const char *want)
{
	return len == strlen(want) && !memcmp(key, want, len);
}

static int pax_number(const char *p, const char *end, uint64_t at, uint64_t *out,
	struct error *e)
{
	*out = 0;
	for (; p < end; p++)
		if (*p < '0' || *p > '9' || !u64_mul(*out, 10, out) ||
			!u64_add(*out, (uint64_t)(*p - '0'), out))
			return error_at(e, ERR_CORRUPT, at,
				"ova: a damaged size in a pax header");
	return 0;
}

/* One record of a pax header; val ends before end. */
static int pax_record(struct pending *p, const char *key, size_t len,
	const char *val, const char *end, uint64_t at, struct error *e)
{
	bool name = is_key(key, len, "path");

	if (is_key(key, len, "GNU.sparse.name")) {
		name = true;
	} else if (is_key(key, len, "GNU.sparse.major")) {
		p->sparse = end - val == 1 && *val == '1' ? '1' : '?';
	} else if (is_key(key, len, "GNU.sparse.map") ||
		   is_key(key, len, "GNU.sparse.offset")) {
		p->sparse = '?'; /* versions 0.0 and 0.1 */
	} else if (is_key(key, len, "GNU.sparse.realsize")) {
		return pax_number(val, end, at, &p->real_size, e);
	} else if (is_key(key, len, "size")) {
		p->has_size = true;
		return pax_number(val, end, at, &p->size, e);
	}
	/* The name of a sparse file counts, its path is of GNU tar's making. */
	if (name && !(p->sparse && p->name && is_key(key, len, "path"))) {
		free(p->name);
		p->name = strndup(val, (size_t)(end - val));
		if (!p->name)
			return error_nomem(e);
	}
	return 0;
}

/* Records "LEN KEY=VALUE\n" of a pax header. */
static int pax(struct pending *p, const char *b, size_t len, uint64_t at,
	struct error *e)
{
	while (len && *b) {
		const char *eq;
		uint64_t n = 0;
		size_t i = 0;
		int r;

		for (; i < len && i < 10 && b[i] >= '0' && b[i] <= '9'; i++)
			n = n * 10 + (uint64_t)(b[i] - '0');
		if (i >= len || b[i] != ' ' || n <= i + 1 || n > len ||
			b[n - 1] != '\n' ||
			!(eq = memchr(b + i, '=', (size_t)n - i)))
			return error_at(e, ERR_CORRUPT, at,
				"ova: a damaged pax header");
		r = pax_record(p, b + i + 1, (size_t)(eq - (b + i + 1)), eq + 1,
			b + n - 1, at, e);
		if (r)
			return r;
		b += n;
		len -= (size_t)n;
	}
	return 0;
}

static int extended(struct source *file, char type, uint64_t at, uint64_t size,
	struct pending *p, struct error *e)
{
	AUTO_FREE char *b = NULL;
	int r;

	if (size > LIMIT_OVA_HEADER)
		return error_at(e, ERR_LIMIT, at,
			"ova: a tar header of %" PRIu64 " bytes", size);
	b = calloc(1, (size_t)size + 1);
	if (!b)
		return error_nomem(e);
	r = source_pread(file, b, (size_t)size, at, e);
	if (r)
		return r;
	if (type == 'x')
		return pax(p, b, (size_t)size, at, e);
	free(p->name);
	p->name = steal_ptr(b);
	return 0;
}

/* The member's name: with its extended header, prefix and name. "./" in front
 * goes. */
static char *member_name(const struct tar_header *h, struct pending *p)
{
	AUTO_BUF b = BUF_INIT;
	char *s;
	size_t skip = 0;

	if (p->name) {
		buf_addstr(&b, p->name);
	} else {
		/* GNU's old format has other things in the prefix. */
		if (!memcmp(h->magic, "ustar\0", 6) && *h->prefix) {
			buf_add(&b, h->prefix,
				strnlen(h->prefix, sizeof(h->prefix)));
			buf_addch(&b, '/');
		}
		buf_add(&b, h->name, strnlen(h->name, sizeof(h->name)));
	}
	s = buf_steal(&b);
	if (!s)
		return NULL;
	while (s[skip] == '.' && s[skip + 1] == '/')
		skip += 2;
	memmove(s, s + skip, strlen(s + skip) + 1);
	return s;
}

/* NULL, or what is wrong with the member. */
static const char *refuse(const char *name, char type)
{
	const char *p = name;

	if (*p == '/')
		return "has an absolute name";
	while (*p) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.')
			return "has a name with '..'";
		p += n + (p[n] == '/');
	}
	for (p = name; *p; p++)
		if ((uint8_t)*p < ' ' || *p == '\\')
			return "has a name with control characters or '\\'";
	if (type == '1' || type == '2')
		return "is a link";
	if (type != '0' && type && type != '7' && type != '5')
		return "is not a file";
	return NULL;
}

/* What no member of an appliance may be; any: of a tar that is just that. */
static int check_member(const struct ova_members *out, const char *name,
	char type, char sparse, uint64_t at, struct error *e)
{
	const char *why = sparse ? "is a sparse file" : refuse(name, type);

	if (why)
		return error_at(e, ERR_CORRUPT, at, "ova: the member '%s' %s",
			name, why);
	for (size_t i = 0; i < out->list.len; i++)
		if (!strcmp(out->list.items[i].name, name))
			return error_at(e, ERR_CORRUPT, at,
				"ova: the member '%s' is there twice", name);
	return 0;
}

static int add(struct ova_members *out, const struct tar_header *h,
	struct pending *p, bool any, uint64_t at, uint64_t size,
	uint64_t lists, struct error *e)
{
	AUTO_FREE char *name = member_name(h, p);
	struct ova_member m = { .off = at + 512, .size = size, .lists = lists };
	int r;

	if (!name)
		return error_nomem(e);
	m.sparse = h->type == 'S' ? 'S' : p->sparse;
	m.real_size = p->real_size;
	r = any ? 0 : check_member(out, name, h->type, m.sparse, at, e);
	if (r)
		return r;
	if (!*name || (h->type != '0' && h->type && h->type != '7' &&
			      h->type != 'S'))
		return 0;
	if (out->list.len >= LIMIT_OVA_MEMBERS)
		return error_at(e, ERR_LIMIT, at, "tar: more than %u members",
			LIMIT_OVA_MEMBERS);
	m.name = name;
	if (!vec_push(&out->list, m))
		return error_nomem(e);
	name = NULL;
	return 0;
}

/* The blocks between the header of a sparse member and its data, which its
 * size does not count. */
static int sparse_lists(struct source *file, const struct tar_header *h,
	uint64_t at, uint64_t *out, struct error *e)
{
	uint8_t b[512];
	bool more = h->type == 'S' && ((const uint8_t *)h)[482];

	*out = 0;
	while (more) { /* at moves on */
		int r;

		if (*out / 512 > LIMIT_TAR_SPARSE / 21)
			return error_at(e, ERR_LIMIT, at,
				"tar: a sparse member of over %u pieces",
				LIMIT_TAR_SPARSE);
		r = source_pread(file, b, sizeof(b), at + 512 + *out, e);
		if (r)
			return r;
		more = b[504];
		*out += sizeof(b);
	}
	return 0;
}

static int read_all(struct source *file, struct ova_members *out,
	struct pending *p, bool any, struct error *e)
{
	uint64_t at = 0, size, lists;

	/* at moves on with every header. */
	while (file->size - at >= 512) {
		struct tar_header h;
		int r = source_pread(file, &h, sizeof(h), at, e);

		if (r)
			return r;
		if (!h.name[0] && !h.checksum[0] && !h.magic[0])
			break; /* a block of zeros ends it */
		if (!header_ok(&h))
			return error_at(e, ERR_CORRUPT, at,
				"ova: a tar header with a wrong checksum");
		if (!ova_tar_number(h.size, sizeof(h.size), &size))
			return error_at(e, ERR_CORRUPT, at + 124,
				"ova: a damaged size in a tar header");
		if (p->has_size && h.type != 'x' && h.type != 'g')
			size = p->size;
		/* Links may say how large their target is. */
		if (any && (h.type == '1' || h.type == '2'))
			size = 0;
		r = sparse_lists(file, &h, at, &lists, e);
		if (r)
			return r;
		if (!range_inside(at + 512 + lists, size, file->size))
			return error_at(e, ERR_CORRUPT, at,
				"ova: the member '%.100s' of %" PRIu64
				" bytes runs past the end of the file",
				p->name ? p->name : h.name, size);
		if (h.type == 'x' || h.type == 'L') {
			r = extended(file, h.type, at + 512, size, p, e);
		} else if (h.type != 'g' && h.type != 'K') {
			r = add(out, &h, p, any, at, size, lists, e);
			free(p->name);
			*p = (struct pending){ 0 };
		}
		if (r)
			return r;
		size = lists + round_up(size, 512);
		if (size > file->size - at - 512)
			break; /* the last one, without its padding */
		at += 512 + size;
	}
	return 0;
}

static int list(struct source *file, bool any, struct ova_members *out,
	struct error *e)
{
	struct ova_members m = { 0 };
	struct pending p = { 0 };
	int r = read_all(file, &m, &p, any, e);

	free(p.name);
	if (r)
		ova_members_release(&m);
	else
		*out = m;
	return r;
}

int ova_tar_read(struct source *file, struct ova_members *out, struct error *e)
{
	return list(file, false, out, e);
}

int ova_tar_list(struct source *file, struct ova_members *out, struct error *e)
{
	return list(file, true, out, e);
}

void ova_members_release(struct ova_members *m)
{
	for (size_t i = 0; i < m->list.len; i++)
		free(m->list.items[i].name);
	vec_release(&m->list);
}

static bool is_ovf_name(const char *s, size_t n)
{
	return n > 4 && !strncasecmp(s + n - 4, ".ovf", 4);
}

bool ova_tar_probe(struct source *file)
{
	struct tar_header h;

	/* The format before POSIX has no magic: the checksum tells. */
	return file->size >= sizeof(h) &&
	       !source_pread(file, &h, sizeof(h), 0, NULL) && header_ok(&h);
}

bool ova_probe(struct source *file)
{
	struct ova_members m = { 0 };
	struct tar_header h;
	bool yes = false;

	if (!ova_tar_probe(file) || source_pread(file, &h, sizeof(h), 0, NULL))
		return false;
	if ((h.type == '0' || !h.type) &&
		is_ovf_name(h.name, strnlen(h.name, sizeof(h.name))))
		return true;
	/* It should come first, and does not always. */
	if (ova_tar_list(file, &m, NULL))
		return false;
	for (size_t i = 0; i < m.list.len && !yes; i++)
		yes = is_ovf_name(m.list.items[i].name,
			strlen(m.list.items[i].name));
	ova_members_release(&m);
	return yes;
}

void ova_tar_header(uint8_t out[512], const char *name, uint64_t size,
	uint64_t mtime)
{
	struct tar_header h = { .mode = "0000644",
		.uid = "0000000",
		.gid = "0000000",
		.type = '0',
		.magic = { 'u', 's', 't', 'a', 'r', 0, '0', '0' },
		.uname = "root",
		.gname = "root",
		.major = "0000000",
		.minor = "0000000" };
	uint32_t sum = 0;

	memcpy(h.name, name, strnlen(name, sizeof(h.name) - 1));
	if (size < UINT64_C(1) << 33)
		snprintf(h.size, sizeof(h.size), "%011" PRIo64, size);
	else { /* base 256, which all readers of large appliances know */
		h.size[0] = (char)0x80;
		put_be64(h.size + 4, size);
	}
	snprintf(h.mtime, sizeof(h.mtime), "%011" PRIo64,
		mtime & 077777777777);
	memset(h.checksum, ' ', sizeof(h.checksum));
	memcpy(out, &h, sizeof(h));
	for (size_t i = 0; i < sizeof(h); i++)
		sum += out[i];
	snprintf(h.checksum, sizeof(h.checksum), "%06o", sum);
	h.checksum[7] = ' ';
	memcpy(out, &h, sizeof(h));
}
