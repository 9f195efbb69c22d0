/* SPDX-License-Identifier: Apache-2.0 */
/* What the registry of a Windows guest says of it. The hives are given as
 * bytes, from wherever they were read: nothing else of the guest is needed. */
#ifndef STRATA_INSIGHT_WINREG_H
#define STRATA_INSIGHT_WINREG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/vec.h"

/* Strings are UTF-8, never NULL; "" where the registry has none. */
struct winreg_program {
	char *key;     /* its name below Uninstall, often a GUID */
	char *name;    /* never "" */
	char *version;
	char *publisher;
	char *date;    /* as stored: mostly YYYYMMDD */
	bool hidden;   /* Windows does not list it (parts, updates) */
	bool wow64;    /* a 32-bit program on a 64-bit system */
};

enum winreg_start {
	WINREG_START_BOOT,
	WINREG_START_SYSTEM,
	WINREG_START_AUTO,
	WINREG_START_DEMAND,
	WINREG_START_DISABLED,
	WINREG_START_UNKNOWN = 0xff,
};

struct winreg_service {
	char *name;
	char *display; /* may be a reference to a resource: "@file,-101" */
	char *image;   /* the program, with its arguments */
	char *account; /* who it runs as */
	uint32_t start; /* enum winreg_start */
	uint32_t type;  /* as stored: 1 and 2 are drivers, 0x10 and 0x20 are
			 * programs of their own and shared ones */
};

struct winreg {
	char *product;  /* "Windows 10 Pro" */
	char *edition;  /* "Professional" */
	char *version;  /* "10.0" */
	char *release;  /* "22H2"; before that "1909", "Service Pack 1" */
	char *build;    /* "19045.3803" */
	char *type;     /* "Client", "Server", "Server Core" */
	char *arch;     /* "AMD64", "x86", "ARM64" */
	char *hostname;
	char *domain;
	char *timezone; /* Windows' own name of it */
	int64_t installed; /* seconds since 1970, 0: not known */
	VEC(struct winreg_program) programs; /* as stored: sorted by key */
	VEC(struct winreg_service) services; /* as stored: sorted by name */
};

/* Reads both hives (\Windows\System32\config\SOFTWARE and SYSTEM; either may
 * be of length 0 and then says nothing). The bytes are borrowed for the call.
 * *out is set on success only; release it.
 *
 * CORRUPT (a hive is damaged), LIMIT (a hive over LIMIT_WINREG_HIVE, more
 * programs or services than LIMIT_WINREG_ITEMS), UNSUPPORTED (built without
 * hivex), NOMEM, IO (no memory file could be made). Memory: a copy of one hive
 * at a time. Any thread. */
int winreg_read(struct view software, struct view system, struct winreg *out,
	struct error *e);
void winreg_release(struct winreg *w);

/* winreg_log.c */

/* For the fuzz target: entries pass without their sums. Never set elsewhere. */
extern bool winreg_fuzz_no_sums;

/* Was a hive not closed: are changes to it in its logs alone? */
bool winreg_is_dirty(const struct buf *hive);
/* Brings a dirty hive (at most LIMIT_INSPECT_HIVE bytes) up to date from its
 * logs, in memory; in any order. 1: it is now what Windows would make of it,
 * 0: nothing was done (it is not dirty, or no log goes on where it ends;
 * those before Windows 8.1 do not). NOMEM: the hive may be half changed.
 * Cost: that of summing the logs, at most three times each. */
int winreg_replay(struct buf *hive, const struct view *logs, size_t n);

#endif
