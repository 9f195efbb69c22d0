/* SPDX-License-Identifier: Apache-2.0 */
/* What starts the system, and what it starts. */
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "insight/inspect_private.h"
#include "view/mounts.h"

static void add(struct look *l, const char *name)
{
	look_add(l, &l->out->bootloaders,
		(struct view){ (const uint8_t *)name, strlen(name) });
}

struct sign {
	const char *path, *loader;
};

/* Below the root, or below /boot. */
static const struct sign root_signs[] = {
	{ "/boot/grub/grub.cfg", "grub" },
	{ "/boot/grub2/grub.cfg", "grub" },
	{ "/boot/grub/menu.lst", "grub-legacy" },
	{ "/boot/grub/grub.conf", "grub-legacy" },
	{ "/boot/extlinux.conf", "syslinux" },
	{ "/boot/extlinux/extlinux.conf", "syslinux" },
	{ "/boot/syslinux/syslinux.cfg", "syslinux" },
	{ "/extlinux.conf", "syslinux" },
	{ "/isolinux/isolinux.cfg", "syslinux" },
	{ "/boot/loader/loader.conf", "systemd-boot" },
	{ "/etc/lilo.conf", "lilo" },
	{ "/boot/u-boot.bin", "u-boot" },
	{ "/bootmgr", "windows-boot-manager" },
	{ "/Boot/BCD", "windows-boot-manager" },
	{ "/ntldr", "ntldr" },
};

/* On an EFI system partition (and any other volume by itself). */
static const struct sign volume_signs[] = {
	{ "/EFI/systemd/systemd-bootx64.efi", "systemd-boot" },
	{ "/EFI/systemd/systemd-bootaa64.efi", "systemd-boot" },
	{ "/loader/loader.conf", "systemd-boot" },
	{ "/EFI/Microsoft/Boot/bootmgfw.efi", "windows-boot-manager" },
	{ "/bootmgr", "windows-boot-manager" },
	{ "/grub/grub.cfg", "grub" },
	{ "/grub2/grub.cfg", "grub" },
	{ "/extlinux/extlinux.conf", "syslinux" },
	{ "/extlinux.conf", "syslinux" },
	{ "/syslinux.cfg", "syslinux" },
	{ "/EFI/refind/refind_x64.efi", "refind" },
};

/* EFI/debian/grubx64.efi and its like. */
static void on_vendor(struct look *l, const char *dir, const struct entry *x,
	void *ctx)
{
	static const char *const names[] = { "grubx64.efi", "grubaa64.efi",
		"grubia32.efi" };

	if (x->type != ENTRY_DIR || x->name_len > 64)
		return;
	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_BUF path = BUF_INIT;

		buf_printf(&path, "%s/", dir);
		buf_add(&path, x->name, x->name_len);
		buf_printf(&path, "/%s", names[i]);
		if (look_exists(l, buf_str(&path)))
			add(l, "grub");
	}
}

static void volume(struct look *l, const char *at)
{
	AUTO_BUF path = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(volume_signs); i++) {
		buf_clear(&path);
		buf_printf(&path, "%s%s", at, volume_signs[i].path);
		if (look_exists(l, buf_str(&path)))
			add(l, volume_signs[i].loader);
	}
	buf_clear(&path);
	buf_printf(&path, "%s/EFI", at);
	look_list(l, buf_str(&path), on_vendor, NULL);
}

static bool is_mounted(const struct view_files *v, size_t i)
{
	for (size_t k = 0; k < v->mounts.len; k++)
		if (v->mounts.items[k].volume == i)
			return true;
	return false;
}

void look_boot(struct look *l)
{
	static const char *const places[] = { "/boot/efi", "/efi", "/boot" };
	struct view_files *v = l->v;
	size_t looked = 0;

	for (size_t i = 0; i < ARRAY_LEN(root_signs); i++)
		if (look_exists(l, root_signs[i].path))
			add(l, root_signs[i].loader);
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		volume(l, places[i]);
	/* Volumes that fstab does not name get a place that no path of the
	 * image can be (this view ends with the inspection). */
	for (size_t i = 0; v->merged && i < v->image.volumes.len; i++) {
		if (!v->image.volumes.items[i].has_tree || is_mounted(v, i) ||
			looked++ >= LIMIT_INSPECT_VOLUMES || l->fatal)
			continue;
		if (view_mount_add(v, "/\001volume", i, "", false, NULL))
			continue;
		volume(l, "/\001volume");
		v->mounts.len--;
		view_mount_drop(&v->mounts.items[v->mounts.len]);
	}
}

int inspect_boot_code(struct inspection *in, struct view head,
	struct error *e)
{
	/* What the programs say when they fail stands in their code. */
	static const struct {
		const char *text, *loader;
	} signs[] = {
		{ "GRUB ", "grub" },
		{ "SYSLINUX", "syslinux" },
		{ "EXTLINUX", "syslinux" },
		{ "isolinux", "syslinux" },
		{ "LILO", "lilo" },
		{ "BOOTMGR", "windows-boot-manager" },
		{ "Missing operating system", "mbr" },
	};
	struct look l = { .out = in, .e = e };

	for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
		bool generic = !strcmp(signs[i].loader, "mbr");

		if (head.len && memmem(head.data, head.len, signs[i].text,
					strlen(signs[i].text)) &&
			(!generic || !in->bootloaders.len))
			add(&l, signs[i].loader);
	}
	return in->strings.oom ? error_nomem(e) : 0;
}

/* --- services --- */

static void add_service(struct look *l, struct view name)
{
	look_add(l, &l->out->services, name);
}

/* A link in a folder of wants; one to /dev/null is masked. */
static void on_want(struct look *l, const char *dir, const struct entry *x,
	void *ctx)
{
	static const char *const kinds[] = { ".service", ".socket", ".timer",
		".path", ".mount" };

	(void)dir;
	(void)ctx;
	if (x->type == ENTRY_SYMLINK && view_is(x->target, "/dev/null"))
		return;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (name_ends(x, kinds[i]))
			add_service(l, name_of(x));
}

static void on_unit_dir(struct look *l, const char *dir,
	const struct entry *x, void *ctx)
{
	AUTO_BUF path = BUF_INIT;

	if (!name_ends(x, ".wants") && !name_ends(x, ".requires"))
		return;
	buf_printf(&path, "%s/", dir);
	buf_add(&path, x->name, x->name_len);
	look_list(l, buf_str(&path), on_want, ctx);
}

/* S20name: what starts. Beside systemd only what it has no unit for. */
static void on_rc(struct look *l, const char *dir, const struct entry *x,
	void *ctx)
{
	const bool *systemd = ctx;
	struct view name;
	AUTO_BUF unit = BUF_INIT;

	(void)dir;
	if (x->name_len < 4 || x->name[0] != 'S')
		return;
	name = (struct view){ x->name + 3, x->name_len - 3 };
	if (*systemd) {
		buf_addstr(&unit, "/lib/systemd/system/");
		buf_add(&unit, name.data, name.len);
		buf_addstr(&unit, ".service");
		if (look_exists(l, buf_str(&unit)))
			return;
	}
	add_service(l, name);
}

static void on_runlevel(struct look *l, const char *dir,
	const struct entry *x, void *ctx)
{
	(void)dir;
	(void)ctx;
	add_service(l, name_of(x));
}

void look_services(struct look *l)
{
	static const char *const rc[] = { "/etc/rc2.d", "/etc/rc3.d",
		"/etc/rc5.d" };
	static const char *const openrc[] = { "/etc/runlevels/sysinit",
		"/etc/runlevels/boot", "/etc/runlevels/default" };
	bool systemd = look_exists(l, "/lib/systemd/systemd");

	look_list(l, "/etc/systemd/system", on_unit_dir, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rc); i++)
		look_list(l, rc[i], on_rc, &systemd);
	for (size_t i = 0; i < ARRAY_LEN(openrc); i++)
		look_list(l, openrc[i], on_runlevel, NULL);
}
