/* SPDX-License-Identifier: Apache-2.0 */
/* winregdump SOFTWARE SYSTEM [FLIPS SEED]: what src/insight/winreg.c reads of
 * two hives, one fact a line. FLIPS: reads them that many times more, each time
 * with one byte changed, and only counts what came of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/buf.h"
#include "insight/winreg.h"

static void slurp(const char *path, struct buf *b)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f)
		return;
	while ((n = fread(buf_room(b, 65536), 1, 65536, f)) > 0)
		b->len += n;
	fclose(f);
}

int main(int argc, char **argv)
{
	AUTO_BUF sw = BUF_INIT;
	AUTO_BUF sys = BUF_INIT;
	struct winreg w = { 0 };
	struct error e = { 0 };
	unsigned flips = argc > 4 ? (unsigned)atoi(argv[3]) : 0;
	unsigned ok = 0, refused = 0;

	if (argc < 3)
		return 2;
	slurp(argv[1], &sw);
	slurp(argv[2], &sys);
	if (winreg_read((struct view){ sw.data, sw.len },
		    (struct view){ sys.data, sys.len }, &w, &e)) {
		fprintf(stderr, "%s: %s\n", error_code_name(e.code), e.msg);
		return e.code == ERR_UNSUPPORTED ? 77 : 4;
	}
	printf("product %s\nedition %s\nversion %s\nrelease %s\nbuild %s\n"
	       "type %s\narch %s\nhostname %s\ndomain %s\ntimezone %s\n"
	       "installed %" PRId64 "\n",
		w.product, w.edition, w.version, w.release, w.build, w.type,
		w.arch, w.hostname, w.domain, w.timezone, w.installed);
	for (size_t i = 0; i < w.programs.len; i++) {
		struct winreg_program *p = &w.programs.items[i];

		printf("program %s|%s|%s|%s|%s|%d%d\n", p->key, p->name,
			p->version, p->publisher, p->date, p->hidden,
			p->wow64);
	}
	for (size_t i = 0; i < w.services.len; i++) {
		struct winreg_service *s = &w.services.items[i];

		printf("service %s|%s|%s|%s|%u|%u\n", s->name, s->display,
			s->image, s->account, s->start, s->type);
	}
	winreg_release(&w);
	srand(argc > 4 ? (unsigned)atoi(argv[4]) : 0);
	for (unsigned i = 0; i < flips; i++) {
		struct buf *b = i % 2 ? &sys : &sw;
		size_t at = (size_t)rand() % b->len;
		uint8_t was = b->data[at];

		b->data[at] = (uint8_t)(i % 3 ? was ^ 1u << rand() % 8
					      : (unsigned)rand());
		if (winreg_read((struct view){ sw.data, sw.len },
			    (struct view){ sys.data, sys.len }, &w, &e)) {
			refused++;
		} else {
			ok++;
			winreg_release(&w);
		}
		b->data[at] = was;
	}
	if (flips)
		printf("read %u refused %u\n", ok, refused);
	return 0;
}
