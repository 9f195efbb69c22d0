/* SPDX-License-Identifier: Apache-2.0 */
/* Operands that are a REV or an image file that is not imported. */
#ifndef STRATA_CLI_SIDE_H
#define STRATA_CLI_SIDE_H

#include "cli/cli.h"
#include "ops/input.h"
#include "ops/peek.h"

struct side {
	const char *text;
	bool is_file;
	struct revision rev; /* disk, volume, path; commit where stored */
	struct image image;
	struct input in; /* of a file */
	struct view_files *view; /* NULL: no volume's files are known */
	struct view_node node; /* what the path names; type 0: nothing */
};

struct side_args {
	bool xattrs; /* extended attributes of image files are wanted */
	bool maybe;  /* an image without files will do */
	const struct finding_sink *findings; /* borrowed until the release */
	const struct input_args *input; /* may be NULL */
};

/* Can the text be nothing but a file of the host ("/x", "./x", "-")? */
bool side_is_path(const char *text);
/* Opens the file of the host that the text names, without looking at the path
 * in it; 1 where it names none. Release s in any case. */
int side_open_file(struct cli *c, const char *text, const struct side_args *a,
	struct side *s);
/* A file of the host where the text names one ("./web" where it could be a
 * REV as well), else a revision. Both may be followed by #DISK, :VOLUME:PATH
 * or :/PATH; a path that is not there is NOTFOUND. */
int side_open(struct cli *c, const char *text, const struct side_args *a,
	struct side *out);
void side_release(struct side *s);
#define AUTO_SIDE __attribute__((cleanup(side_release))) struct side

#endif
