/* SPDX-License-Identifier: Apache-2.0 */
/* run: a throw-away instance in qemu. */
#ifndef STRATA_SERVE_BOOT_H
#define STRATA_SERVE_BOOT_H

#include "serve/scratch.h"

struct boot_args {
	const struct scratch *disk;
	const char *memory; /* as qemu's -m takes it; NULL: 1G */
	unsigned cpus;	    /* 0: 1 */
	bool uefi, net;
	char *const *extra; /* further arguments for qemu */
	int nextra;
	/* Ends the machine when its console says this; NULL: it runs until it
	 * ends by itself, with the console on the terminal. */
	const char *expect;
	unsigned timeout; /* seconds; 0: no limit */
	/* With expect: shut down in good order (ACPI), not at once. */
	bool shut_down;
	int console; /* with expect: descriptor that the console is copied to,
		      * or -1 */
	const atomic_bool *cancel;
};

struct boot_result {
	int status;    /* of qemu: exit code, 128 + signal */
	bool found;    /* expect was seen */
	bool timed_out;
	bool down;     /* qemu ended by itself, with status 0 */
	double seconds; /* until it was seen, or the end */
	const char *accel;
};

/* NOTFOUND (no qemu, no UEFI firmware), IO, CANCELLED. The terminal is as it
 * was afterwards. */
int boot_run(const struct boot_args *a, struct boot_result *out,
	struct error *e);

/* "kvm" where a guest really runs under it, else "tcg"; $STRATA_ACCEL says
 * otherwise. */
const char *boot_accel(void);

#endif
