/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/refs.h"

#include <fnmatch.h>

#include "cli/json.h"

struct list {
	struct cli *c;
	struct json json;
};

static int put_ref(void *ctx, const char *name, const struct oid *id)
{
	struct list *l = ctx;
	char hex[OID_HEX + 1];

	if (l->c->json) {
		json_object(&l->json, NULL);
		json_str(&l->json, "name", name);
		json_oid(&l->json, "commit", id);
		json_object_end(&l->json);
	} else if (!l->c->verbose) {
		printf("%s%c", name, l->c->null ? 0 : '\n');
	} else {
		AUTO_COMMIT cm = { 0 };

		printf("%-30s %s%.12s%s", name, cli_color(l->c, "\033[33m"),
			oid_hex(id, hex), cli_color(l->c, "\033[0m"));
		if (!library_get_commit(l->c->lib, id, &cm, NULL)) {
			putchar(' ');
			cli_put_name(stdout, cm.message,
				strcspn(cm.message, "\n"));
		}
		putchar(l->c->null ? 0 : '\n');
	}
	return 0;
}

/* With --json: what was made, moved or deleted. */
static void json_begin(struct list *l, const struct ref_words *w,
	const char *key)
{
	if (!l->c->json)
		return;
	json_start(&l->json, stdout, w->one);
	json_array(&l->json, key);
}

static void json_finish(struct list *l)
{
	if (!l->c->json)
		return;
	json_array_end(&l->json);
	json_end(&l->json);
}

static int match_ref(void *ctx, const char *name, const struct oid *id)
{
	struct list *l = ctx;
	bool wanted = !l->c->nargs;

	for (int i = 0; i < l->c->nargs; i++)
		wanted |= !fnmatch(l->c->args[i], name, 0);
	return wanted ? put_ref(l, name, id) : 0;
}

int refs_list(struct cli *c, const struct ref_words *w)
{
	struct list l = { .c = c };
	int r = cli_library(c);

	if (r)
		return r;
	cli_pager(c);
	json_begin(&l, w, w->many);
	r = library_ref_list(c->lib, w->prefix, match_ref, &l, &c->err);
	if (!r)
		json_finish(&l);
	return r;
}

/* The one commit that is meant where no REV is given: the tip of the only
 * branch. There is no checked-out branch in a library. */
static int only_tip(void *ctx, const char *name ATTR_UNUSED,
	const struct oid *id)
{
	struct {
		struct oid id;
		unsigned n;
	} *tip = ctx;

	tip->id = *id;
	tip->n++;
	return 0;
}

static int start_point(struct cli *c, const struct ref_words *w,
	struct oid *out)
{
	struct {
		struct oid id;
		unsigned n;
	} tip = { .n = 0 };
	AUTO_REVISION rev = { 0 };
	int r;

	if (c->nargs > 1) {
		r = library_revision(c->lib, c->args[1], &rev, &c->err);
		if (!r && rev.path)
			return cli_usage(c, "'%s' is a file, not a commit",
				c->args[1]);
		*out = rev.commit;
		return r;
	}
	r = library_ref_list(c->lib, REFS_HEADS, only_tip, &tip, &c->err);
	if (r)
		return r;
	if (tip.n != 1)
		return cli_usage(c, "say of which REV: %s %s REV", w->one,
			c->args[0]);
	*out = tip.id;
	return 0;
}

static int set_ref(struct cli *c, const struct ref_words *w, const char *name,
	const struct oid *id, bool force, const char *reason)
{
	struct oid old;
	int r = ref_name_check(name, &c->err);

	if (r)
		return r;
	r = library_ref_read(c->lib, w->prefix, name, &old, &c->err);
	if (r && r != ERR_NOTFOUND)
		return r;
	if (!r && !force)
		return error_set(&c->err, ERR_EXISTS,
			"%s: the %s exists already", name, w->one);
	return library_ref_update(c->lib, w->prefix, name, r ? NULL : &old,
		false, id, reason, &c->err);
}

int refs_create(struct cli *c, const struct ref_words *w, bool force)
{
	AUTO_BUF reason = BUF_INIT;
	struct list l = { .c = c };
	struct oid id;
	int r = cli_library(c);

	if (!r)
		r = start_point(c, w, &id);
	if (r)
		return r;
	buf_printf(&reason, "%s: created%s%s", w->one,
		c->nargs > 1 ? " from " : "", c->nargs > 1 ? c->args[1] : "");
	r = set_ref(c, w, c->args[0], &id, force, buf_str(&reason));
	if (!r && c->json) {
		json_begin(&l, w, w->many);
		put_ref(&l, c->args[0], &id);
		json_finish(&l);
	}
	return r;
}

static int read_ref(struct cli *c, const struct ref_words *w, const char *name,
	struct oid *out)
{
	int r = ref_name_check(name, &c->err);

	if (!r)
		r = library_ref_read(c->lib, w->prefix, name, out, &c->err);
	return r == ERR_NOTFOUND ? error_set(&c->err, r,
					   "%s: no %s of this name", name,
					   w->one)
				 : r;
}

int refs_delete(struct cli *c, const struct ref_words *w)
{
	struct list l = { .c = c };
	char hex[OID_HEX + 1];
	struct oid old;
	int r = cli_want_args(c, 1, -1);

	if (!r)
		r = cli_library(c);
	/* All or none, as far as that can be known. */
	for (int i = 0; i < c->nargs && !r; i++)
		r = read_ref(c, w, c->args[i], &old);
	if (r)
		return r;
	json_begin(&l, w, "deleted");
	for (int i = 0; i < c->nargs && !r; i++) {
		r = read_ref(c, w, c->args[i], &old);
		if (!r)
			r = library_ref_update(c->lib, w->prefix, c->args[i],
				&old, false, NULL, "deleted", &c->err);
		if (!r && c->json)
			put_ref(&l, c->args[i], &old);
		else if (!r && !c->quiet)
			printf("deleted %s %s (was %.12s)\n", w->one,
				c->args[i], oid_hex(&old, hex));
	}
	if (!r)
		json_finish(&l);
	return r;
}

int refs_rename(struct cli *c, const struct ref_words *w, bool force)
{
	AUTO_BUF reason = BUF_INIT;
	struct list l = { .c = c };
	struct oid id;
	int r = cli_library(c);

	if (!r)
		r = read_ref(c, w, c->args[0], &id);
	if (r || !strcmp(c->args[0], c->args[1]))
		return r;
	buf_printf(&reason, "%s: renamed %s", w->one, c->args[0]);
	/* In this order: the commit never is without a name. */
	r = set_ref(c, w, c->args[1], &id, force, buf_str(&reason));
	if (!r)
		r = library_ref_update(c->lib, w->prefix, c->args[0], &id,
			false, NULL, "renamed", &c->err);
	if (!r && c->json) {
		json_begin(&l, w, w->many);
		put_ref(&l, c->args[1], &id);
		json_finish(&l);
	}
	return r;
}
