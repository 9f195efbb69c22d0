/* SPDX-License-Identifier: Apache-2.0 */
/* From what a user names to the disks in it. */
#ifndef STRATA_OPS_INPUT_H
#define STRATA_OPS_INPUT_H

#include "base/finding.h"
#include "base/buf.h"
#include "base/vec.h"
#include "disk/disk.h"
#include "ops/progress.h"
#include "os/source.h"

struct input_attachment {
	char *name;
	struct buf data;
};

struct ova;
struct input_path;

/* The disks of one image, ready to be imported or inspected. */
struct input {
	VEC(struct source *) disks;
	VEC(struct disk_info) infos; /* one a disk */
	VEC(struct input_attachment) attachments;
	VEC(struct ova *) appliances; /* that disks were opened from */
	VEC(struct input_path *) paths; /* what the resolvers stand on */
};

struct input_args {
	const char *format;   /* name of a container, NULL: by content */
	const char *snapshot; /* internal snapshot, or NULL */
	const char *const *allow; /* --allow-backing, NULL-terminated or NULL */
	const struct finding_sink *findings;
	const struct progress *progress;
};

/* Opens an image: a file or block device (compressed or not, in any container),
 * an OVA, an OVF or a folder with one, "-" (raw from stdin, spooled to an
 * unlinked temporary file). Appends its disks to out; may be called again for
 * further disks of the same image. NOTFOUND, IO, CORRUPT, UNSUPPORTED, LIMIT,
 * ARG (unknown format). */
int input_open(const char *path, const struct input_args *a, struct input *out,
	struct error *e);
void input_release(struct input *in);
#define AUTO_INPUT __attribute__((cleanup(input_release))) struct input

/* The name for a branch of an image of this path: its base name without the
 * endings of containers and compressions. To be freed. */
char *input_base_name(const char *path);

#endif
