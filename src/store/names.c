/* SPDX-License-Identifier: Apache-2.0 */
#include "store/names.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include "base/compiler.h"
#include "codec/digest.h"

void names_release(name_list *v)
{
	for (size_t i = 0; i < v->len; i++)
		free(v->items[i]);
	vec_release(v);
}

int names_take(name_list *v, char *name, struct error *e)
{
	if (name && vec_push(v, name))
		return 0;
	free(name);
	return error_nomem(e);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void names_sort(name_list *v)
{
	if (v->len)
		qsort(v->items, v->len, sizeof(char *), by_name);
}

struct listing {
	name_list *out;
	struct error *e;
};

static int add_name(void *ctx, const char *name, uint64_t size ATTR_UNUSED,
	int64_t mtime ATTR_UNUSED)
{
	struct listing *l = ctx;

	return names_take(l->out, strdup(name), l->e);
}

int backend_names(struct backend *be, const char *folder, name_list *out,
	struct error *e)
{
	struct listing l = { out, e };
	int r = be->ops->list(be, folder, add_name, &l, e);

	names_sort(out);
	return r;
}

int backend_new_name(const char *folder, const char *suffix, char out[64],
	struct error *e)
{
	uint8_t id[16];
	char hex[33];

	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return error_errno(e, "random numbers");
	snprintf(out, 64, "%s/%s%s", folder, hex_encode(id, 16, hex), suffix);
	return 0;
}
