/* SPDX-License-Identifier: Apache-2.0 */
/* volumedump IMAGE...: the members' types, then the volumes on them, one a
 * line: name, kind, size, readable or kept, uuid. With --copy NAME the bytes
 * of that volume to stdout. Volumes on MD arrays are looked for on those.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/limits.h"
#include "volume/volume.h"

static void on_finding(void *ctx, const struct finding *f)
{
	(void)ctx;
	fprintf(stderr, "FINDING: %s: %s%s%s\n", finding_name(f->id), f->where,
		*f->where ? ": " : "", f->detail);
}

static int copy(struct source *s)
{
	static uint8_t buf[1 << 20];
	struct error e = { 0 };

	for (uint64_t at = 0; at < s->size;) {
		size_t n = s->size - at < sizeof(buf) ? (size_t)(s->size - at)
						      : sizeof(buf);

		if (source_pread(s, buf, n, at, &e)) {
			fprintf(stderr, "volumedump: %s\n", e.msg);
			return 1;
		}
		fwrite(buf, 1, n, stdout);
		at += n;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct finding_sink sink = { on_finding, NULL };
	struct volume_member m[256];
	const char *want = NULL;
	struct error e = { 0 };
	size_t n = 0, from = 0, files;
	int rc = 0;

	for (int i = 1; i < argc; i++) {
		struct source *s;

		if (!strcmp(argv[i], "--copy") && i + 1 < argc) {
			want = argv[++i];
			continue;
		}
		if (n == 128 || source_file_open(argv[i], &s, &e)) {
			fprintf(stderr, "volumedump: %s\n", e.msg);
			return 2;
		}
		m[n++] = (struct volume_member){ s, argv[i] };
	}
	files = n;
	while (from < n) {
		struct volume_set set;
		size_t end = n;

		if (volume_scan(m + from, n - from, &sink, &set, &e)) {
			fprintf(stderr, "volumedump: %s\n", e.msg);
			return 4;
		}
		for (size_t i = 0; i < end - from && !want; i++)
			printf("# %s %s %s\n", m[from + i].name,
				set.member_types[i], set.member_uuids[i]);
		for (size_t i = 0; i < set.len; i++) {
			const struct logical_volume *v = &set.items[i];
			struct source *s = NULL;

			if (!want)
				printf("%s %s %" PRIu64 " %s %s\n", v->name,
					v->kind, v->size,
					v->readable ? "readable" : "kept",
					v->uuid);
			if (!v->readable)
				continue;
			if (volume_source(v, m + from, end - from, &s, &e)) {
				fprintf(stderr, "volumedump: %s\n", e.msg);
				return 1;
			}
			if (want && !strcmp(want, v->name))
				rc = copy(s);
			if (!strncmp(v->name, "md", 2) && n < 256)
				m[n++] = (struct volume_member){ s,
					strdup(v->name) };
			else
				source_unref(s);
		}
		volume_set_release(&set);
		from = end;
	}
	for (size_t i = 0; i < n; i++) {
		source_unref(m[i].src);
		if (i >= files)
			free((char *)(uintptr_t)m[i].name);
	}
	return rc;
}
