/* SPDX-License-Identifier: Apache-2.0 */
/* nbdkit-strata-plugin: every revision of a library as an NBD export. See
 * nbdkit-strata-plugin(1). */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "os/heap.h"
#include "serve/exports.h"

/* Requests run in parallel: nothing below has state of one client. */
#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static struct exports_options opt = {
	.readahead = 8 * MIB,
	.bootset = BOOTSET_AUTO,
	.boot_seconds = 90,
};
/* What opt points to. */
static char *opt_library, *opt_rev, *opt_name;
static struct exports *exports;

/* Says why, and gives nbdkit the errno that the client gets. */
static int failed(const struct error *e, int r)
{
	nbdkit_error("%s", e->code ? e->msg : error_code_name(r));
	nbdkit_set_error(r == ERR_NOTFOUND ? ENOENT
			 : r == ERR_ARG	   ? EINVAL
			 : r == ERR_NOMEM  ? ENOMEM
					   : EIO);
	return -1;
}

static int set_text(char **slot, const char **out, char *copy)
{
	if (!copy) {
		nbdkit_error("out of memory");
		return -1;
	}
	free(*slot);
	*slot = copy;
	*out = copy;
	return 0;
}

static int set_size(const char *value, uint64_t *out)
{
	int64_t v = nbdkit_parse_size(value);

	if (v < 0)
		return -1;
	*out = (uint64_t)v;
	return 0;
}

static int set_bootset(const char *value)
{
	static const char *const names[] = { "off", "auto", "record" };

	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(value, names[i])) {
			opt.bootset = (enum bootset_mode)i;
			return 0;
		}
	nbdkit_error("bootset: off, auto or record");
	return -1;
}

static int plugin_config(const char *key, const char *value)
{
	/* nbdkit changes to / when it goes into the background. */
	if (!strcmp(key, "library"))
		return set_text(&opt_library, &opt.library,
			nbdkit_realpath(value));
	if (!strcmp(key, "rev"))
		return set_text(&opt_rev, &opt.rev, strdup(value));
	if (!strcmp(key, "name"))
		return set_text(&opt_name, &opt.name, strdup(value));
	if (!strcmp(key, "disk"))
		return nbdkit_parse_unsigned("disk", value, &opt.disk);
	if (!strcmp(key, "cache"))
		return set_size(value, &opt.cache);
	if (!strcmp(key, "readahead"))
		return set_size(value, &opt.readahead);
	if (!strcmp(key, "bootset"))
		return set_bootset(value);
	if (!strcmp(key, "boot-seconds"))
		return nbdkit_parse_unsigned("boot-seconds", value,
			&opt.boot_seconds);
	nbdkit_error("unknown parameter '%s'", key);
	return -1;
}

static int plugin_config_complete(void)
{
	if (opt.name && !opt.rev) {
		nbdkit_error("name= wants rev= too");
		return -1;
	}
	if (opt.cache && opt.cache < 8 * MIB) {
		nbdkit_error("cache= must be at least 8M");
		return -1;
	}
	if (!opt.library) {
		char *def = library_default_path(), *real = NULL;

		if (def)
			real = nbdkit_realpath(def);
		free(def);
		if (!real)
			return -1;
		return set_text(&opt_library, &opt.library, real);
	}
	return 0;
}

static int plugin_get_ready(void)
{
	struct error e = { 0 };
	int r = exports_check(&opt, &e);

	return r ? failed(&e, r) : 0;
}

/* Threads do not survive a fork: all is opened behind it. */
static int plugin_after_fork(void)
{
	struct error e = { 0 };
	int r;

	heap_tune();
	r = exports_open(&opt, &exports, &e);
	return r ? failed(&e, r) : 0;
}

static void plugin_cleanup(void)
{
	exports_close(exports);
	exports = NULL;
}

static void plugin_unload(void)
{
	free(opt_library);
	free(opt_rev);
	free(opt_name);
}

/* --- exports --- */

struct list {
	struct nbdkit_exports *to;
	unsigned left; /* nbdkit takes 10000 */
};

static int list_one(void *ctx, const char *name, const char *description)
{
	struct list *l = ctx;

	if (!l->left--)
		return 1;
	return nbdkit_add_export(l->to, name, description) ? ERR_NOMEM : 0;
}

static int plugin_list_exports(int readonly ATTR_UNUSED,
	int is_tls ATTR_UNUSED, struct nbdkit_exports *to)
{
	struct list l = { to, 9999 };
	struct error e = { 0 };
	int r = exports_list(exports, list_one, &l, &e);

	return r < 0 ? failed(&e, r) : 0;
}

static const char *plugin_default_export(int readonly ATTR_UNUSED,
	int is_tls ATTR_UNUSED)
{
	return nbdkit_strdup_intern(exports_default(exports));
}

static void *plugin_open(int readonly ATTR_UNUSED)
{
	const char *name = nbdkit_export_name();
	struct error e = { 0 };
	struct served *s = NULL;
	int r;

	if (!name)
		return NULL;
	r = exports_get(exports, name, &s, &e);
	if (r)
		failed(&e, r);
	return s;
}

static void plugin_close(void *h)
{
	exports_put(exports, h);
}

static const char *plugin_description(void *h)
{
	struct served *s = h;

	return s->description ? nbdkit_strdup_intern(s->description) : NULL;
}

/* --- one export --- */

static int64_t plugin_get_size(void *h)
{
	return (int64_t)((struct served *)h)->src->size;
}

static int plugin_yes(void *h ATTR_UNUSED)
{
	return 1;
}

static int plugin_can_cache(void *h ATTR_UNUSED)
{
	return NBDKIT_CACHE_NATIVE;
}

/* Any byte may be asked for; clients that fetch more at once do better. */
static int plugin_block_size(void *h ATTR_UNUSED, uint32_t *minimum,
	uint32_t *preferred, uint32_t *maximum)
{
	*minimum = 1;
	*preferred = 64 * 1024;
	*maximum = UINT32_MAX;
	return 0;
}

static int plugin_pread(void *h, void *buf, uint32_t count, uint64_t offset,
	uint32_t flags ATTR_UNUSED)
{
	struct error e = { 0 };
	int r = served_read(exports, h, buf, count, offset, &e);

	if (!r)
		return 0;
	nbdkit_error("%s", e.code ? e.msg : error_code_name(r));
	nbdkit_set_error(r == ERR_NOMEM ? ENOMEM : EIO);
	return -1;
}

static int plugin_extents(void *h, uint32_t count, uint64_t offset,
	uint32_t flags, struct nbdkit_extents *to)
{
	struct served *s = h;
	uint64_t end = u64_min(offset + count, s->src->size);
	int first = -1;

	while (offset < end) {
		struct source_extent x = { 0 };
		struct error e = { 0 };
		int r = source_extent_at(s->src, offset, &x, &e);

		if (r) {
			nbdkit_error("%s", e.msg);
			nbdkit_set_error(EIO);
			return -1;
		}
		if (first < 0)
			first = (int)x.kind;
		if ((flags & NBDKIT_FLAG_REQ_ONE) && first != (int)x.kind)
			break;
		if (nbdkit_add_extent(to, x.off, x.len,
			    x.kind == SOURCE_ZERO
				    ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO
				    : 0))
			return -1;
		offset = x.off + x.len;
	}
	return 0;
}

static int plugin_cache(void *h, uint32_t count, uint64_t offset,
	uint32_t flags ATTR_UNUSED)
{
	served_cache(exports, h, offset, count);
	return 0;
}

#define HELP                                                                   \
	"library=<DIR>         the library (else $STRATA_LIBRARY, ...).\n"     \
	"rev=<REV>             the default export, fixed when nbdkit starts.\n" \
	"name=<NAME>           serve only rev, under this name.\n"              \
	"disk=<N>              which disk, where a name does not say #N.\n"    \
	"cache=<SIZE>          decoded data kept in memory.\n"                 \
	"readahead=<SIZE>      how far ahead of a reader (0: not at all).\n"   \
	"bootset=off|auto|record  read ahead what a start reads.\n"            \
	"boot-seconds=<N>      how long a start takes (90).\n"

static struct nbdkit_plugin plugin = {
	.name = "strata",
	.longname = "strata libraries of disk images",
	.version = STRATA_VERSION,
	.description = "serves every version of every image of a library",
	.config = plugin_config,
	.config_complete = plugin_config_complete,
	.config_help = HELP,
	.magic_config_key = "rev",
	.get_ready = plugin_get_ready,
	.after_fork = plugin_after_fork,
	.cleanup = plugin_cleanup,
	.unload = plugin_unload,
	.list_exports = plugin_list_exports,
	.default_export = plugin_default_export,
	.export_description = plugin_description,
	.open = plugin_open,
	.close = plugin_close,
	.get_size = plugin_get_size,
	.can_multi_conn = plugin_yes,
	.can_extents = plugin_yes,
	.can_cache = plugin_can_cache,
	.block_size = plugin_block_size,
	.pread = plugin_pread,
	.extents = plugin_extents,
	.cache = plugin_cache,
	.errno_is_preserved = 0,
};

struct nbdkit_plugin *plugin_init(void);
NBDKIT_REGISTER_PLUGIN(plugin)
