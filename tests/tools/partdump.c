/* SPDX-License-Identifier: Apache-2.0 */
/* partdump IMAGE [SECTOR-SIZE]: the partition table, one partition a line:
 *
 *	number start size type uuid attributes name
 *
 * start and size in sectors of the table. The first line is the table itself;
 * findings go to stderr.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "part/part.h"

static void on_finding(void *ctx, const struct finding *f)
{
	(void)ctx;
	fprintf(stderr, "FINDING: %s: %s%s%s\n", finding_name(f->id), f->where,
		*f->where ? ": " : "", f->detail);
}

int main(int argc, char **argv)
{
	struct finding_sink sink = { on_finding, NULL };
	struct part_table t;
	struct error e = { 0 };
	AUTO_SOURCE src = NULL;

	if (argc < 2)
		return 2;
	if (source_file_open(argv[1], &src, &e)) {
		fprintf(stderr, "partdump: %s\n", e.msg);
		return 2;
	}
	if (argc > 2)
		src->sector_size = (uint32_t)strtoul(argv[2], NULL, 0);
	if (part_table_read(src, &sink, &t, &e)) {
		fprintf(stderr, "partdump: %s\n", e.msg);
		return 4;
	}
	printf("# %s %u %s\n", part_scheme_name(t.scheme), t.sector_size,
		t.uuid);
	for (size_t i = 0; i < t.len; i++) {
		const struct partition *p = &t.items[i];

		printf("%u %" PRIu64 " %" PRIu64 " %s %s %" PRIx64 " %s\n",
			p->number, p->off / t.sector_size,
			p->len / t.sector_size, p->type, p->uuid,
			p->attributes, p->name);
	}
	part_table_release(&t);
	return 0;
}
