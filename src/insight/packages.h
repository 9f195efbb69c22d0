/* SPDX-License-Identifier: Apache-2.0 */
/* Which packages are installed, by the package manager's own database. */
#ifndef STRATA_INSIGHT_PACKAGES_H
#define STRATA_INSIGHT_PACKAGES_H

#include "insight/text.h"
#include "view/files.h"

/* Strings are never NULL. */
struct package {
	const char *name, *version, *architecture;
	const char *source; /* the source package; its name where it is one */
	const char *source_version;
	const char *status; /* dpkg: "installed", "config-files", ... */
	bool installed; /* its files are there (not so "config-files") */
};

struct packages {
	const char *manager; /* "dpkg", "apk", "rpm"; NULL: none */
	bool known;	     /* the list is there: rpm's is only noticed */
	VEC(struct package) items; /* by name, then architecture */
	uint64_t installed;
	struct strings strings;
};

/* Reads the databases of an image: dpkg's status (and status.d of images
 * without dpkg), apk's installed. Nothing found: 0 and manager NULL. LIMIT
 * (over LIMIT_PACKAGES), NOMEM, as the view says. */
int packages_read(struct view_files *v, struct packages *out,
	struct error *e);
void packages_release(struct packages *p);

/* The parsers: append to out. LIMIT, NOMEM; anything else is skipped. */
int packages_parse_dpkg(struct view text, struct packages *out,
	struct error *e);
int packages_parse_apk(struct view text, struct packages *out,
	struct error *e);
void packages_sort(struct packages *p);

/* As Debian's policy orders versions (5.6.12): < 0, 0, > 0. */
int version_compare_dpkg(const char *a, const char *b);
/* As apk does: digits, a letter, _suffixes, -rN. */
int version_compare_apk(const char *a, const char *b);

/* --- what changed --- */

struct package_change {
	enum package_status { PACKAGE_ADDED, PACKAGE_REMOVED,
		PACKAGE_UPGRADED, PACKAGE_DOWNGRADED, PACKAGE_CHANGED } status;
	const struct package *old, *new; /* NULL where there is none */
};
const char *package_status_name(enum package_status s);
typedef int (*package_change_fn)(void *ctx, const struct package_change *c);
/* Both sorted. Versions of one name that stand beside each other (kernels have
 * names of their own) are matched by name and architecture. */
int packages_diff(const struct packages *a, const struct packages *b,
	package_change_fn fn, void *ctx);

#endif
