/* SPDX-License-Identifier: Apache-2.0 */
/* Lists the files of an image: list LIBRARY REV[:/path]
 *
 *	cc list.c $(pkg-config --cflags --libs strata) -o list
 */
#include <inttypes.h>
#include <stdio.h>
#include <strata/strata.h>

static int print(void *ctx, const struct strata_entry *x)
{
	uint64_t *files = ctx;
	char hex[STRATA_ID_TEXT] = "-";

	if (x->has_sha256)
		strata_id_text(&x->sha256, hex);
	printf("%04o %5u:%-5u %10" PRIu64 " %.12s %s%s%s\n", x->mode, x->uid,
		x->gid, x->size, hex, x->path, x->target ? " -> " : "",
		x->target ? x->target : "");
	++*files;
	return 0;
}

int main(int argc, char **argv)
{
	struct strata *s;
	struct strata_error e;
	uint64_t files = 0;
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: list LIBRARY REV[:/path]\n");
		return 2;
	}
	if (strata_open(argv[1], &s, &e)) {
		fprintf(stderr, "list: %s\n", e.text);
		return 1;
	}
	r = strata_list(s, argv[2], STRATA_RECURSIVE, print, &files, &e);
	if (r)
		fprintf(stderr, "list: %s: %s\n", argv[2], e.text);
	else
		printf("%" PRIu64 " entries\n", files);
	strata_close(s);
	return r ? 1 : 0;
}
