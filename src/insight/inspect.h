/* SPDX-License-Identifier: Apache-2.0 */
/* What is in an image, from its files: nothing of it is run. */
#ifndef STRATA_INSIGHT_INSPECT_H
#define STRATA_INSIGHT_INSPECT_H

#include "insight/text.h"
#include "view/files.h"

struct inspect_kernel {
	const char *version;
	const char *path; /* of its image; "" where only modules are there */
	bool modules;	  /* they are there */
};

struct inspect_mount {
	const char *spec, *file, *type, *options;
	uint32_t freq, passno;
};

struct inspect_user {
	const char *name, *gecos, *home, *shell;
	uint32_t uid, gid;
	enum password_state password;
};

/* Windows: what its list of installed programs shows. */
struct inspect_program {
	const char *name, *version, *publisher, *date;
};

/* Strings are never NULL; "" where nothing is known. */
struct inspection {
	const char *type; /* "linux", "windows", "" */
	const char *id, *name, *version, *version_id, *codename, *pretty;
	const char *edition, *build; /* Windows */
	bool registry_dirty; /* not closed, and its logs could not be applied */
	const char *hostname, *architecture, *timezone;
	VEC(struct inspect_kernel) kernels;   /* by version */
	VEC(const char *) bootloaders; /* "grub", "syslinux", "systemd-boot",
					* "windows-boot-manager", ... */
	VEC(struct inspect_mount) fstab;
	VEC(struct inspect_user) users; /* root, and those of people */
	VEC(const char *) services; /* that start by themselves; sorted */
	const char *package_manager; /* "dpkg", "rpm", "apk", "" */
	bool packages_known;	     /* counted */
	uint64_t packages;
	VEC(struct inspect_program) programs; /* Windows: as packages counts */
	struct strings strings; /* what all of it stands in */
};

/* Looks into the files of an image. What is missing or damaged is left out.
 * Fails for NOMEM only (and CANCELLED, DAMAGED of the library). Reads a few
 * hundred small files and folders at most. */
int inspect_files(struct view_files *v, struct inspection *out,
	struct error *e);
/* Adds boot loaders that stand before the files: the first sectors of a disk
 * (4 KiB or less). */
int inspect_boot_code(struct inspection *in, struct view head,
	struct error *e);
void inspection_init(struct inspection *in);
void inspection_release(struct inspection *in);

#endif
