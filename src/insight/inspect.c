/* SPDX-License-Identifier: Apache-2.0 */
#include "insight/inspect.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "insight/inspect_private.h"
#include "insight/packages.h"

typedef VEC(const char *) texts;

/* --- looking --- */

/* What is not there, or cannot be read, is left out; what stops everything is
 * kept. True where it is there. */
static bool there(struct look *l, int r, const struct error *err)
{
	if (r == ERR_NOMEM || r == ERR_DAMAGED || r == ERR_CANCELLED) {
		l->fatal = r;
		if (l->e)
			*l->e = *err;
	}
	return !r;
}

bool look_read(struct look *l, const char *path)
{
	struct error err = { 0 };
	int r;

	buf_clear(&l->text);
	if (l->fatal)
		return false;
	r = view_read_file(l->v, path, LIMIT_INSPECT_FILE, &l->text, &err);
	if (r)
		buf_clear(&l->text);
	return there(l, r, &err);
}

size_t look_head(struct look *l, const char *path, uint8_t *buf, size_t max)
{
	struct error err = { 0 };
	AUTO_NODE n = { 0 };
	AUTO_SOURCE src = NULL;
	int r;

	if (l->fatal)
		return 0;
	r = view_lookup(l->v, path, true, &n, &err);
	if (!r)
		r = view_open_file(l->v, n.mount, buf_str(&n.path), &n.x, &src,
			&err);
	if (!r) {
		max = (size_t)u64_min(max, src->size);
		r = source_pread(src, buf, max, 0, &err);
	}
	return there(l, r, &err) ? max : 0;
}

bool look_exists(struct look *l, const char *path)
{
	struct error err = { 0 };
	AUTO_NODE n = { 0 };

	return !l->fatal &&
	       there(l, view_lookup(l->v, path, true, &n, &err), &err);
}

void look_list(struct look *l, const char *dir, look_fn fn, void *ctx)
{
	struct error err = { 0 };
	AUTO_NODE n = { 0 };
	struct view_dir d;
	struct entry x;
	unsigned mount;
	int r;

	if (l->fatal)
		return;
	r = view_lookup(l->v, dir, true, &n, &err);
	if (!there(l, r, &err) || n.x.type != ENTRY_DIR)
		return;
	r = view_dir_open(l->v, buf_str(&n.path), n.mount, &n.x.id, &d, &err);
	if (!there(l, r, &err))
		return;
	for (unsigned i = 0; i < LIMIT_INSPECT_ENTRIES && !l->fatal; i++) {
		r = view_dir_next(&d, &x, &mount, &err);
		if (r <= 0)
			break;
		fn(l, dir, &x, ctx);
	}
	if (r < 0)
		there(l, r, &err);
	view_dir_release(&d);
}

bool name_starts(const struct entry *x, const char *s)
{
	return view_starts(name_of(x), s);
}

bool name_ends(const struct entry *x, const char *s)
{
	size_t n = strlen(s);

	return x->name_len > n &&
	       !memcmp(x->name + x->name_len - n, s, n);
}

void look_add(struct look *l, void *list, struct view text)
{
	texts *t = list;

	for (size_t i = 0; i < t->len; i++)
		if (view_is(text, t->items[i]))
			return;
	if (t->len < LIMIT_INSPECT_ENTRIES &&
		!vec_push(t, strings_add(&l->out->strings, text)))
		l->out->strings.oom = true;
}

/* --- what is there --- */

/* The first of these that is an executable of a known machine. */
static void architecture(struct look *l)
{
	static const char *const paths[] = { "/bin/sh", "/usr/bin/sh",
		"/sbin/init", "/bin/busybox", "/usr/bin/env",
		"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1",
		"/lib/ld-musl-x86_64.so.1", "/lib/systemd/systemd",
		"/Windows/System32/ntoskrnl.exe",
		"/Windows/System32/kernel32.dll" };
	uint8_t head[4096];

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		size_t n = look_head(l, paths[i], head, sizeof(head));
		const char *m = n ? text_machine((struct view){ head, n })
				  : NULL;

		if (m) {
			l->out->architecture = m;
			return;
		}
	}
}

static void fstab(struct look *l)
{
	struct inspection *o = l->out;
	struct fstab f = { 0 };
	struct cursor c;

	if (!look_read(l, "/etc/fstab"))
		return;
	c = cursor_make(l->text.data, l->text.len);
	while (o->fstab.len < LIMIT_INSPECT_ENTRIES && text_fstab(&c, &f)) {
		struct inspect_mount m = { .freq = f.freq,
			.passno = f.passno };

		m.spec = strings_text(&o->strings, buf_str(&f.spec));
		m.file = strings_text(&o->strings, buf_str(&f.file));
		m.type = strings_text(&o->strings, buf_str(&f.type));
		m.options = strings_text(&o->strings, buf_str(&f.options));
		if (!vec_push(&o->fstab, m))
			o->strings.oom = true;
	}
	fstab_release(&f);
}

/* root, and those of people: from 1000 on, without nobody (65534). */
static bool is_person(const struct passwd *p)
{
	return !p->uid || (p->uid >= 1000 && p->uid != 65534);
}

static void users(struct look *l)
{
	struct inspection *o = l->out;
	AUTO_BUF passwd = BUF_INIT;
	struct passwd p;
	struct cursor c;

	if (!look_read(l, "/etc/passwd"))
		return;
	passwd = l->text;
	l->text = (struct buf)BUF_INIT;
	look_read(l, "/etc/shadow");
	c = cursor_make(passwd.data, passwd.len);
	while (o->users.len < LIMIT_INSPECT_ENTRIES && text_passwd(&c, &p)) {
		struct inspect_user u = { .uid = p.uid, .gid = p.gid };

		if (!is_person(&p))
			continue;
		u.name = strings_add(&o->strings, p.name);
		u.gecos = strings_add(&o->strings, p.gecos);
		u.home = strings_add(&o->strings, p.home);
		u.shell = strings_add(&o->strings, p.shell);
		u.password = text_password(p.password, p.name, look_text(l));
		if (!vec_push(&o->users, u))
			o->strings.oom = true;
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_version(const void *a, const void *b)
{
	return strverscmp(((const struct inspect_kernel *)a)->version,
		((const struct inspect_kernel *)b)->version);
}

void inspection_init(struct inspection *in)
{
	memset(in, 0, sizeof(*in));
	in->type = in->id = in->name = in->version = in->version_id =
		in->codename = in->pretty = in->edition = in->build =
			in->hostname = in->architecture = in->timezone =
				in->package_manager = "";
}

int inspect_files(struct view_files *v, struct inspection *out,
	struct error *e)
{
	struct look l = { .v = v, .out = out, .e = e };
	int r;

	architecture(&l);
	look_linux(&l);
	if (!*out->type)
		look_windows(&l);
	fstab(&l);
	users(&l);
	look_kernels(&l);
	look_services(&l);
	look_boot(&l);
	buf_release(&l.text);
	if (!l.fatal) {
		struct packages p = { 0 };

		r = packages_read(v, &p, e);
		if (r == ERR_NOMEM || r == ERR_DAMAGED || r == ERR_CANCELLED)
			l.fatal = r;
		if (!r && p.manager) {
			out->package_manager = p.manager;
			out->packages = p.installed;
			out->packages_known = p.known;
		}
		packages_release(&p);
	}
	if (out->services.len)
		qsort(out->services.items, out->services.len, sizeof(char *),
			by_text);
	if (out->kernels.len)
		qsort(out->kernels.items, out->kernels.len,
			sizeof(struct inspect_kernel), by_version);
	if (!l.fatal && out->strings.oom)
		return error_nomem(e);
	return l.fatal;
}

void inspection_release(struct inspection *in)
{
	vec_release(&in->kernels);
	vec_release(&in->bootloaders);
	vec_release(&in->fstab);
	vec_release(&in->users);
	vec_release(&in->services);
	vec_release(&in->programs);
	strings_release(&in->strings);
}
