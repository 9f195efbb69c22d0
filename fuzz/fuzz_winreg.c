/* SPDX-License-Identifier: Apache-2.0 */
/* Windows registries, through hivex. */
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/endian.h"
#include "base/limits.h"
#include "fuzz/fuzz.h"
#include "insight/winreg.h"

#define HEADER 512

static size_t check(const char *s)
{
	if (!s)
		abort();
	return strlen(s);
}

static void look(const struct winreg *w)
{
	const char *const all[] = { w->product, w->edition, w->version,
		w->release, w->build, w->type, w->arch, w->hostname, w->domain,
		w->timezone };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		check(all[i]);
	for (size_t i = 0; i < w->programs.len; i++) {
		const struct winreg_program *p = &w->programs.items[i];

		if (!check(p->name))
			abort();
		check(p->key), check(p->version);
		check(p->publisher), check(p->date);
	}
	for (size_t i = 0; i < w->services.len; i++) {
		const struct winreg_service *s = &w->services.items[i];

		check(s->name), check(s->display);
		check(s->image), check(s->account);
	}
}

/* The first byte says which of the two hives it is. The sum of the header, which
 * no change would pass, is mended. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view none = { data, 0 }, hive;
	struct winreg w = { 0 };
	struct error e = { 0 };
	AUTO_BUF b = BUF_INIT;
	uint32_t sum = 0;
	int r;

	if (!size || size > MIB)
		return 0;
	buf_add(&b, data + 1, size - 1);
	if (b.oom)
		return 0;
	if (b.len >= HEADER) {
		for (size_t i = 0; i < HEADER - 4; i += 4)
			sum ^= get_le32(b.data + i);
		put_le32(b.data + HEADER - 4, sum);
	}
	hive = (struct view){ b.data, b.len };
	r = data[0] & 1 ? winreg_read(none, hive, &w, &e)
			: winreg_read(hive, none, &w, &e);
	if (r && (!e.code || !*e.msg))
		abort();
	if (!r) {
		look(&w);
		winreg_release(&w);
	}
	return 0;
}
