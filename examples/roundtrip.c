/* SPDX-License-Identifier: Apache-2.0 */
/* Imports a disk image, shows the branch's history, writes the disk out again:
 * roundtrip LIBRARY IMAGE OUT
 *
 *	cc roundtrip.c $(pkg-config --cflags --libs strata) -o roundtrip
 */
#include <inttypes.h>
#include <stdio.h>
#include <strata/strata.h>

static int progress(void *ctx, const char *phase, uint64_t done,
	uint64_t total)
{
	(void)ctx;
	fprintf(stderr, "%s: %" PRIu64 " of %" PRIu64 "\n", phase, done, total);
	return 0; /* anything else would stop it */
}

static void finding(void *ctx, const struct strata_finding *f)
{
	(void)ctx;
	fprintf(stderr, "%s: %s: %s\n", f->severity, f->where, f->sentence);
}

static int print(void *ctx, const struct strata_commit *x)
{
	char hex[STRATA_ID_TEXT];

	(void)ctx;
	printf("%.12s %s: %s\n", strata_id_text(&x->id, hex), x->author,
		x->message);
	return 0;
}

static int round_trip(struct strata *s, const char *image, const char *out,
	struct strata_error *e)
{
	struct strata_import_options import = {
		.size = sizeof(import),
		.branch = "example",
		.message = "Imported by an example",
		.progress = progress,
		.finding = finding,
	};
	struct strata_export_options export = {
		.size = sizeof(export),
		.progress = progress,
	};
	struct strata_id commit;
	char hex[STRATA_ID_TEXT];
	int r = strata_import(s, image, &import, &commit, e);

	if (r)
		return r;
	printf("commit %s\n", strata_id_text(&commit, hex));
	r = strata_log(s, "example", 0, print, NULL, e);
	if (!r)
		r = strata_verify(s, "example", NULL, NULL, e);
	return r ? r : strata_export(s, "example", out, &export, e);
}

int main(int argc, char **argv)
{
	struct strata *s = NULL;
	struct strata_error e = { 0 };
	int r;

	if (argc != 4) {
		fprintf(stderr, "usage: roundtrip LIBRARY IMAGE OUT\n");
		return 2;
	}
	r = strata_open(argv[1], &s, &e);
	if (r == STRATA_NOTFOUND) {
		r = strata_init(argv[1], &e);
		if (!r)
			r = strata_open(argv[1], &s, &e);
	}
	if (!r)
		r = round_trip(s, argv[2], argv[3], &e);
	if (r)
		fprintf(stderr, "roundtrip: %s: %s\n", strata_code_name(r),
			e.text);
	strata_close(s);
	return r ? 1 : 0;
}
