/* SPDX-License-Identifier: Apache-2.0 */
/* Which system it is: Linux by its release files, Windows by its registry. */
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "insight/inspect_private.h"
#include "insight/winreg.h"

static const char *value(struct look *l, const char *key)
{
	AUTO_BUF b = BUF_INIT;

	if (!text_assignment(look_text(l), key, &b))
		return "";
	return strings_text(&l->out->strings, buf_str(&b));
}

/* os-release(5) */
static bool os_release(struct look *l)
{
	struct inspection *o = l->out;

	if (!look_read(l, "/etc/os-release") &&
		!look_read(l, "/usr/lib/os-release"))
		return false;
	o->id = value(l, "ID");
	o->name = value(l, "NAME");
	o->version_id = value(l, "VERSION_ID");
	o->version = value(l, "VERSION");
	o->codename = value(l, "VERSION_CODENAME");
	o->pretty = value(l, "PRETTY_NAME");
	if (!*o->id)
		o->id = "linux"; /* the default of os-release(5) */
	return true;
}

/* Systems older than os-release, and what says more than it. */
static bool release_files(struct look *l)
{
	static const struct {
		const char *path, *id, *name;
	} files[] = {
		{ "/etc/debian_version", "debian", "Debian" },
		{ "/etc/alpine-release", "alpine", "Alpine Linux" },
		{ "/etc/redhat-release", "rhel", "" },
		{ "/etc/SuSE-release", "suse", "SUSE" },
		{ "/etc/arch-release", "arch", "Arch Linux" },
		{ "/etc/gentoo-release", "gentoo", "Gentoo" },
		{ "/etc/slackware-version", "slackware", "Slackware" },
	};
	struct inspection *o = l->out;
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct cursor c;
		struct view line = { 0 };
		uint8_t c0;

		if ((*o->id && strcmp(o->id, files[i].id) != 0) ||
			!look_read(l, files[i].path))
			continue;
		c = cursor_make(l->text.data, l->text.len);
		text_line(&c, &line);
		line = view_trim(line);
		found = true;
		c0 = line.len ? line.data[0] : 0;
		if (!*o->id) {
			o->id = !strcmp(files[i].id, "rhel") &&
						view_starts(line, "CentOS")
					? "centos"
				: !strcmp(files[i].id, "rhel") &&
						view_starts(line, "Fedora")
					? "fedora"
					: files[i].id;
			o->name = files[i].name;
			o->pretty = strings_add(&o->strings, line);
		}
		/* "12.9" says more than VERSION="12 (bookworm)" */
		if (c0 >= '0' && c0 <= '9' && line.len < 64)
			o->version = strings_add(&o->strings, line);
		break;
	}
	return found;
}

void look_linux(struct look *l)
{
	struct inspection *o = l->out;
	struct cursor c;
	struct view line;
	AUTO_NODE n = { 0 };
	bool found = os_release(l);

	if (release_files(l) || found || look_exists(l, "/lib/modules") ||
		look_exists(l, "/etc/inittab"))
		o->type = "linux";
	if (!*o->type)
		return;
	if (!*o->version)
		o->version = o->version_id;
	if (!*o->version_id)
		o->version_id = o->version;
	if (look_read(l, "/etc/hostname")) {
		c = cursor_make(l->text.data, l->text.len);
		while (text_line(&c, &line)) {
			line = view_trim(line);
			if (!line.len || line.data[0] == '#')
				continue;
			o->hostname = strings_add(&o->strings, line);
			break;
		}
	}
	if (!*o->hostname && look_read(l, "/etc/sysconfig/network"))
		o->hostname = value(l, "HOSTNAME");
	if (!l->fatal && !view_lookup(l->v, "/etc/localtime", false, &n, NULL) &&
		n.x.type == ENTRY_SYMLINK) {
		const char *z = memmem(n.x.target.data, n.x.target.len,
			"zoneinfo/", 9);

		if (z)
			o->timezone = strings_add(&o->strings,
				(struct view){ (const uint8_t *)z + 9,
					n.x.target.len - 9 -
						(size_t)((const uint8_t *)z -
							n.x.target.data) });
	}
	if (!*o->timezone && look_read(l, "/etc/timezone"))
		o->timezone = strings_add(&o->strings,
			view_trim(look_text(l)));
}

/* --- kernels --- */

static struct inspect_kernel *kernel(struct look *l, struct view version)
{
	struct inspection *o = l->out;
	struct inspect_kernel k = { .path = "" };

	for (size_t i = 0; i < o->kernels.len; i++)
		if (view_is(version, o->kernels.items[i].version))
			return &o->kernels.items[i];
	if (o->kernels.len >= LIMIT_INSPECT_ENTRIES)
		return NULL;
	k.version = strings_add(&o->strings, version);
	if (!vec_push(&o->kernels, k)) {
		o->strings.oom = true;
		return NULL;
	}
	return vec_last(&o->kernels);
}

static void on_boot(struct look *l, const char *dir, const struct entry *x,
	void *ctx)
{
	static const char *const names[] = { "vmlinuz-", "vmlinux-",
		"kernel-", "Image-", "bzImage-", "zImage-" };

	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t n = strlen(names[i]);
		struct inspect_kernel *k;
		AUTO_BUF path = BUF_INIT;

		if (x->type != ENTRY_FILE || !name_starts(x, names[i]) ||
			x->name_len == n)
			continue;
		k = kernel(l, (struct view){ x->name + n, x->name_len - n });
		buf_printf(&path, "%s/", dir);
		buf_add(&path, x->name, x->name_len);
		if (k)
			k->path = strings_text(&l->out->strings,
				buf_str(&path));
	}
}

static void on_modules(struct look *l, const char *dir, const struct entry *x,
	void *ctx)
{
	struct inspect_kernel *k = NULL;

	(void)dir;
	(void)ctx;
	if (x->type == ENTRY_DIR && x->name_len && x->name[0] >= '0' &&
		x->name[0] <= '9')
		k = kernel(l, name_of(x));
	if (k)
		k->modules = true;
}

void look_kernels(struct look *l)
{
	look_list(l, "/boot", on_boot, NULL);
	look_list(l, "/lib/modules", on_modules, NULL);
}

/* --- Windows --- */

static bool hive(struct look *l, const char *path, struct buf *out)
{
	struct error err = { 0 };
	int r = l->fatal ? l->fatal
			 : view_read_file(l->v, path, LIMIT_INSPECT_HIVE, out,
				   &err);

	if (r == ERR_NOMEM)
		l->fatal = r;
	return !r;
}

/* A hive that was not closed is brought up to date from its logs; true: it
 * was not, and could not be. */
static bool replay(struct look *l, const char *path, struct buf *hive)
{
	AUTO_BUF name = BUF_INIT, one = BUF_INIT, two = BUF_INIT;
	struct buf *const logs[] = { &one, &two };
	struct error err = { 0 };
	struct view v[2];
	int r;

	if (!winreg_is_dirty(hive))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
		buf_clear(&name);
		buf_addstr(&name, path);
		buf_addstr(&name, i ? ".LOG2" : ".LOG1");
		r = name.oom ? ERR_NOMEM
			     : view_read_file(l->v, buf_str(&name),
				       LIMIT_INSPECT_LOG, logs[i], &err);
		if (r == ERR_NOMEM)
			l->fatal = error_nomem(l->e);
		v[i] = (struct view){ logs[i]->data, r ? 0 : logs[i]->len };
	}
	r = winreg_replay(hive, v, ARRAY_LEN(v));
	if (r == ERR_NOMEM)
		l->fatal = error_nomem(l->e);
	return r != 1;
}

static void look_programs(struct look *l, const struct winreg *w)
{
	struct inspection *o = l->out;

	for (size_t i = 0; i < w->programs.len; i++) {
		const struct winreg_program *p = &w->programs.items[i];
		struct inspect_program x;

		if (p->hidden)
			continue;
		o->packages++;
		x = (struct inspect_program){
			strings_text(&o->strings, p->name),
			strings_text(&o->strings, p->version),
			strings_text(&o->strings, p->publisher),
			strings_text(&o->strings, p->date),
		};
		if (!vec_push(&o->programs, x))
			l->fatal = error_nomem(l->e);
	}
	o->packages_known = true;
}

void look_windows(struct look *l)
{
	AUTO_BUF software = BUF_INIT, system = BUF_INIT;
	struct inspection *o = l->out;
	struct winreg w;
	bool a = hive(l, "/Windows/System32/config/SOFTWARE", &software);
	bool b = hive(l, "/Windows/System32/config/SYSTEM", &system);

	if (!a && !b) {
		if (look_exists(l, "/Windows/System32"))
			o->type = o->id = "windows";
		return;
	}
	o->type = o->id = "windows";
	o->name = "Microsoft Windows";
	if (a)
		o->registry_dirty |= replay(l,
			"/Windows/System32/config/SOFTWARE", &software);
	if (b)
		o->registry_dirty |= replay(l,
			"/Windows/System32/config/SYSTEM", &system);
	if (l->fatal)
		return;
	if (winreg_read((struct view){ software.data, software.len },
		    (struct view){ system.data, system.len }, &w, NULL))
		return;
	o->pretty = strings_text(&o->strings, w.product);
	o->version_id = strings_text(&o->strings, w.version);
	o->version = strings_text(&o->strings,
		*w.release ? w.release : w.version);
	o->edition = strings_text(&o->strings, w.edition);
	o->build = strings_text(&o->strings, w.build);
	o->hostname = strings_text(&o->strings, w.hostname);
	o->timezone = strings_text(&o->strings, w.timezone);
	if (!*o->architecture)
		o->architecture = !strcmp(w.arch, "AMD64")   ? "x86_64"
				  : !strcmp(w.arch, "ARM64") ? "aarch64"
				  : !strcmp(w.arch, "x86")   ? "i386"
							     : "";
	for (size_t i = 0; i < w.services.len; i++) {
		const struct winreg_service *s = &w.services.items[i];

		if (s->start == WINREG_START_AUTO && s->type & 0x30)
			look_add(l, &o->services,
				(struct view){ (const uint8_t *)s->name,
					strlen(s->name) });
	}
	o->package_manager = "windows";
	look_programs(l, &w);
	winreg_release(&w);
}
