/* SPDX-License-Identifier: Apache-2.0 */
/* Windows registries through hivex, which wants a file: a memory file serves.
 * Strings are decoded here, since hivex refuses whole values for one bad
 * letter. */
#include "insight/winreg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/utf.h"

static void program_release(struct winreg_program *p)
{
	free(p->key);
	free(p->name);
	free(p->version);
	free(p->publisher);
	free(p->date);
}

static void service_release(struct winreg_service *s)
{
	free(s->name);
	free(s->display);
	free(s->image);
	free(s->account);
}

void winreg_release(struct winreg *w)
{
	char **const strings[] = { &w->product, &w->edition, &w->version,
		&w->release, &w->build, &w->type, &w->arch, &w->hostname,
		&w->domain, &w->timezone };

	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		free(*strings[i]);
	for (size_t i = 0; i < w->programs.len; i++)
		program_release(&w->programs.items[i]);
	for (size_t i = 0; i < w->services.len; i++)
		service_release(&w->services.items[i]);
	vec_release(&w->programs);
	vec_release(&w->services);
	memset(w, 0, sizeof(*w));
}

#ifdef HAVE_HIVEX
#include <hivex.h>

struct hive {
	hive_h *h;
	const char *name; /* for messages */
};

static int hive_open(struct view bytes, const char *name, struct hive *out,
	struct error *e)
{
	char path[64];
	AUTO_FD int fd = -1;
	size_t done = 0;

	out->name = name;
	if (bytes.len > LIMIT_WINREG_HIVE)
		return error_set(e, ERR_LIMIT, "registry hive %s: %zu bytes",
			name, bytes.len);
	fd = memfd_create("hive", MFD_CLOEXEC);
	if (fd < 0)
		return error_errno(e, "registry hive %s: memory file", name);
	while (done < bytes.len) {
		ssize_t n = write(fd, bytes.data + done, bytes.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(e, "registry hive %s: memory file",
				name);
		done += (size_t)n;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	out->h = hivex_open(path, 0);
	if (!out->h)
		return errno == ENOMEM ? error_nomem(e)
				       : error_set(e, ERR_CORRUPT,
						 "registry hive %s: %s", name,
						 strerror(errno));
	return 0;
}

static void hive_close(struct hive *h)
{
	if (h->h)
		hivex_close(h->h);
	h->h = NULL;
}

/* The key at a path of names with a backslash between; 0: there is none. */
static hive_node_h key_at(struct hive *h, hive_node_h node, const char *path)
{
	while (node && *path) {
		char name[256];
		size_t n = strcspn(path, "\\");

		if (n >= sizeof(name))
			return 0;
		memcpy(name, path, n);
		name[n] = 0;
		node = hivex_node_get_child(h->h, node, name);
		path += n + (path[n] == '\\');
	}
	return node;
}

/* A string value into *out, "" where there is none or it is no string. */
static int get_string(struct hive *h, hive_node_h node, const char *key,
	char **out, struct error *e)
{
	hive_value_h v = node ? hivex_node_get_value(h->h, node, key) : 0;
	AUTO_FREE char *raw = NULL;
	hive_type type = hive_t_none;
	size_t len = 0, units;
	char *s;

	if (v && !hivex_value_type(h->h, v, &type, &len) &&
		(type == hive_t_string || type == hive_t_expand_string) &&
		len <= LIMIT_WINREG_VALUE)
		raw = hivex_value_value(h->h, v, &type, &len);
	units = raw ? utf16_len((const uint8_t *)raw, len / 2) : 0;
	s = malloc(3 * units + 1);
	if (!s)
		return error_nomem(e);
	s[units ? utf16_to_utf8((const uint8_t *)raw, units, false,
			  UTF_LONE_REPLACE, (uint8_t *)s, 3 * units, NULL)
		: 0] = 0;
	free(*out);
	*out = s;
	return 0;
}

static bool get_dword(struct hive *h, hive_node_h node, const char *key,
	uint32_t *out)
{
	hive_value_h v = node ? hivex_node_get_value(h->h, node, key) : 0;
	AUTO_FREE char *raw = NULL;
	hive_type type;
	size_t len;

	if (!v || hivex_value_type(h->h, v, &type, &len) ||
		type != hive_t_dword || len != 4)
		return false;
	raw = hivex_value_value(h->h, v, &type, &len);
	if (!raw || len != 4)
		return false;
	*out = get_le32(raw);
	return true;
}

static int set_printf(char **out, struct error *e, const char *fmt, ...)
	ATTR_PRINTF(3, 4);
static int set_printf(char **out, struct error *e, const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		return error_nomem(e);
	free(*out);
	*out = s;
	return 0;
}

/* The version's parts, which moved about over the years. */
static int version(struct hive *h, struct winreg *w, struct error *e)
{
	hive_node_h key = key_at(h, hivex_root(h->h),
		"Microsoft\\Windows NT\\CurrentVersion");
	uint32_t major, minor = 0, revision, at;
	int r;

	if ((r = get_string(h, key, "ProductName", &w->product, e)) ||
		(r = get_string(h, key, "EditionID", &w->edition, e)) ||
		(r = get_string(h, key, "CurrentVersion", &w->version, e)) ||
		(r = get_string(h, key, "InstallationType", &w->type, e)) ||
		(r = get_string(h, key, "CurrentBuildNumber", &w->build, e)))
		return r;
	if (!*w->build)
		r = get_string(h, key, "CurrentBuild", &w->build, e);
	/* CurrentVersion stopped at 6.3 with Windows 10 */
	if (!r && get_dword(h, key, "CurrentMajorVersionNumber", &major)) {
		get_dword(h, key, "CurrentMinorVersionNumber", &minor);
		r = set_printf(&w->version, e, "%u.%u", major, minor);
	}
	/* Windows 11 still says in its registry that it is 10. */
	if (!r && strncmp(w->product, "Windows 10", 10) == 0 &&
		atoi(w->build) >= 22000)
		w->product[9] = '1';
	if (!r && *w->build && get_dword(h, key, "UBR", &revision)) {
		AUTO_FREE char *old = w->build;

		w->build = NULL;
		r = set_printf(&w->build, e, "%s.%u", old, revision);
	}
	if (!r)
		r = get_string(h, key, "DisplayVersion", &w->release, e);
	if (!r && !*w->release)
		r = get_string(h, key, "ReleaseId", &w->release, e);
	if (!r && !*w->release)
		r = get_string(h, key, "CSDVersion", &w->release, e);
	if (get_dword(h, key, "InstallDate", &at))
		w->installed = at;
	return r;
}

static int program(struct hive *h, hive_node_h node, bool wow64,
	struct winreg *w, struct error *e)
{
	struct winreg_program p = { .wow64 = wow64 };
	AUTO_FREE char *parent = NULL;
	uint32_t component = 0;
	int r = get_string(h, node, "DisplayName", &p.name, e);

	if (r || !*p.name) {
		free(p.name);
		return r;
	}
	p.key = hivex_node_name(h->h, node);
	if (!p.key)
		p.key = strdup("");
	if ((r = get_string(h, node, "DisplayVersion", &p.version, e)) ||
		(r = get_string(h, node, "Publisher", &p.publisher, e)) ||
		(r = get_string(h, node, "InstallDate", &p.date, e)) ||
		(r = get_string(h, node, "ParentKeyName", &parent, e)))
		;
	else if (!p.key)
		r = error_nomem(e);
	else if (w->programs.len >= LIMIT_WINREG_ITEMS)
		r = error_set(e, ERR_LIMIT,
			"registry hive %s: more than %zu programs", h->name,
			w->programs.len);
	if (!r) {
		get_dword(h, node, "SystemComponent", &component);
		p.hidden = component == 1 || *parent;
		if (!vec_push(&w->programs, p))
			r = error_nomem(e);
	}
	if (r)
		program_release(&p);
	return r;
}

static int service(struct hive *h, hive_node_h node, struct winreg *w,
	struct error *e)
{
	struct winreg_service s = { .start = WINREG_START_UNKNOWN };
	int r;

	/* A key without a type holds settings, it starts nothing. */
	if (!get_dword(h, node, "Type", &s.type))
		return 0;
	get_dword(h, node, "Start", &s.start);
	s.name = hivex_node_name(h->h, node);
	if (!s.name)
		return 0;
	if ((r = get_string(h, node, "DisplayName", &s.display, e)) ||
		(r = get_string(h, node, "ImagePath", &s.image, e)) ||
		(r = get_string(h, node, "ObjectName", &s.account, e)))
		;
	else if (w->services.len >= LIMIT_WINREG_ITEMS)
		r = error_set(e, ERR_LIMIT,
			"registry hive %s: more than %zu services", h->name,
			w->services.len);
	else if (!vec_push(&w->services, s))
		r = error_nomem(e);
	if (r)
		service_release(&s);
	return r;
}

static int software(struct hive *h, struct winreg *w, struct error *e)
{
	static const char *const paths[] = {
		"Microsoft\\Windows\\CurrentVersion\\Uninstall",
		"Wow6432Node\\Microsoft\\Windows\\CurrentVersion\\Uninstall",
	};
	int r = version(h, w, e);

	for (size_t i = 0; !r && i < ARRAY_LEN(paths); i++) {
		hive_node_h key = key_at(h, hivex_root(h->h), paths[i]);
		AUTO_FREE hive_node_h *kids =
			key ? hivex_node_children(h->h, key) : NULL;

		for (size_t k = 0; !r && kids && kids[k]; k++)
			r = program(h, kids[k], i == 1, w, e);
	}
	return r;
}

static int system_hive(struct hive *h, struct winreg *w, struct error *e)
{
	hive_node_h root = hivex_root(h->h), set, key;
	AUTO_FREE hive_node_h *kids = NULL;
	uint32_t current = 1;
	char name[32];
	int r;

	get_dword(h, key_at(h, root, "Select"), "Current", &current);
	snprintf(name, sizeof(name), "ControlSet%03u", current);
	set = key_at(h, root, name);
	key = key_at(h, set, "Services\\Tcpip\\Parameters");
	/* The name as its owner wrote it; what NetBIOS makes of it else. */
	r = get_string(h, key, "Hostname", &w->hostname, e);
	if (!r && !*w->hostname)
		r = get_string(h, key, "NV Hostname", &w->hostname, e);
	if (!r)
		r = get_string(h, key, "Domain", &w->domain, e);
	if (!r && !*w->domain)
		r = get_string(h, key, "NV Domain", &w->domain, e);
	if (!r && !*w->hostname)
		r = get_string(h,
			key_at(h, set, "Control\\ComputerName\\ComputerName"),
			"ComputerName", &w->hostname, e);
	if (!r)
		r = get_string(h,
			key_at(h, set, "Control\\Session Manager\\Environment"),
			"PROCESSOR_ARCHITECTURE", &w->arch, e);
	key = key_at(h, set, "Control\\TimeZoneInformation");
	if (!r)
		r = get_string(h, key, "TimeZoneKeyName", &w->timezone, e);
	if (!r && !*w->timezone)
		r = get_string(h, key, "StandardName", &w->timezone, e);
	key = key_at(h, set, "Services");
	kids = !r && key ? hivex_node_children(h->h, key) : NULL;
	for (size_t k = 0; !r && kids && kids[k]; k++)
		r = service(h, kids[k], w, e);
	return r;
}

int winreg_read(struct view software_hive, struct view system,
	struct winreg *out, struct error *e)
{
	struct winreg w = { 0 };
	char **const strings[] = { &w.product, &w.edition, &w.version,
		&w.release, &w.build, &w.type, &w.arch, &w.hostname, &w.domain,
		&w.timezone };
	struct hive h = { 0 };
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
		*strings[i] = strdup("");
		if (!*strings[i])
			r = error_nomem(e);
	}
	if (!r && software_hive.len) {
		r = hive_open(software_hive, "SOFTWARE", &h, e);
		if (!r)
			r = software(&h, &w, e);
		hive_close(&h);
	}
	if (!r && system.len) {
		r = hive_open(system, "SYSTEM", &h, e);
		if (!r)
			r = system_hive(&h, &w, e);
		hive_close(&h);
	}
	if (r) {
		winreg_release(&w);
		return r;
	}
	*out = w;
	return 0;
}

#else

int winreg_read(struct view software_hive, struct view system,
	struct winreg *out, struct error *e)
{
	(void)software_hive;
	(void)system;
	(void)out;
	return error_set(e, ERR_UNSUPPORTED,
		"Windows registries: strata was built without hivex");
}

#endif
