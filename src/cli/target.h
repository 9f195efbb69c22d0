/* SPDX-License-Identifier: Apache-2.0 */
/* REV:PATH operands. */
#ifndef STRATA_CLI_TARGET_H
#define STRATA_CLI_TARGET_H

#include "cli/side.h"
#include "view/files.h"

struct target {
	struct revision rev; /* zeros for the commit of an image file */
	struct view_files *view;
	struct view_node node;
	bool no_xattrs; /* set by the caller: those of an image file cost */
	struct side file; /* is_file: ids of entries are handles, no hashes */
};
void target_release(struct target *t);
#define AUTO_TARGET __attribute__((cleanup(target_release))) struct target

/* Opens the image that text names, a stored one or a file of the host that is
 * not imported, and finds the path in it (none: the root). A view that t holds
 * already is used again where the revision is the same. */
int target_open(struct cli *c, const char *text, bool follow, struct target *t);
/* The same, but a path must be given: else USAGE. */
int target_open_path(struct cli *c, const char *text, bool follow,
	struct target *t);

/* "-rw-r--r--"; out holds 11 bytes. */
char *mode_text(const struct entry *x, char out[11]);

struct json;
/* The fields of cli.md's entries, behind "path". Those that do not apply are
 * null. */
void json_entry(struct json *j, const struct entry *x);

#endif
