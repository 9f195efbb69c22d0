/* SPDX-License-Identifier: Apache-2.0 */
/* Taking the command line apart: options before and behind the command's name,
 * operands, what stands behind "--". */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/vec.h"
#include "cli/cli.h"
#include "cli/help.h"

const struct cli_option cli_common_options[] = {
	{ 'L', "library", "DIR", "the library (else $STRATA_LIBRARY)",
		COMPLETE_FILE },
	{ 'q', "quiet", NULL, "no progress, no notes", 0 },
	{ 'v', "verbose", NULL, "say more", 0 },
	{ 0, "progress", "auto|none|json", "how far it is, on stderr", 0 },
	{ 0, "json", NULL, "print one JSON object", 0 },
	{ 'z', "null", NULL, "end names with NUL instead of newline", 0 },
	{ 0, "color", "auto|always|never", "as git (alone: always)", 0 },
	{ 0, "no-color", NULL, "the same as --color=never", 0 },
	{ 0, "no-pager", NULL, "no $PAGER for long output", 0 },
	{ 'h', "help", NULL, "show help", 0 },
	{ 0, NULL, NULL, NULL, 0 },
};

const struct command *cli_find_command(const char *name)
{
	for (size_t i = 0; cli_commands[i]; i++)
		if (!strcmp(cli_commands[i]->name, name))
			return cli_commands[i];
	return NULL;
}

/* --- options --- */

const char *cli_opt_at(const struct cli *c, const char *name, size_t i)
{
	for (size_t k = 0; k < c->nvalues; k++)
		if (!strcmp(c->values[k].opt->name, name) && !i--)
			return c->values[k].value;
	return NULL;
}

int cli_opt_all(struct cli *c, const char *name, const char ***out)
{
	const char **v = calloc(c->nvalues + 1, sizeof(*v));

	if (!v)
		return error_nomem(&c->err);
	for (size_t i = 0; (v[i] = cli_opt_at(c, name, i)); i++)
		;
	*out = v;
	return 0;
}

const char *cli_opt(const struct cli *c, const char *name)
{
	const char *v = NULL;

	for (size_t k = 0; k < c->nvalues; k++)
		if (!strcmp(c->values[k].opt->name, name))
			v = c->values[k].value;
	return v;
}

int cli_opt_number(struct cli *c, const char *name, bool sizes,
	uint64_t fallback, uint64_t *out)
{
	const char *s = cli_opt(c, name), *suffix = "KMGTPE", *at;
	unsigned long long v;
	char *end;

	*out = fallback;
	if (!s)
		return 0;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno || *s < '0' || *s > '9')
		return cli_usage(c, "--%s: '%s' is not a number", name, s);
	*out = v;
	if (sizes && *end && (at = strchr(suffix, *end & ~32))) {
		if (!u64_shl(v, 10 * (unsigned)(at - suffix + 1), out))
			return cli_usage(c, "--%s: '%s' is too large", name, s);
		end++;
		if (*end == 'i')
			end++;
		if (*end == 'B')
			end++;
	}
	return *end ? cli_usage(c, "--%s: '%s' is not a number", name, s) : 0;
}

int cli_want_args(struct cli *c, int min, int max)
{
	if (c->nargs < min)
		return cli_usage(c, "%s",
			c->nargs ? "an operand is missing"
				 : "operands are missing");
	if (max >= 0 && c->nargs > max)
		return cli_usage(c, "'%s' is one operand too many",
			c->args[max]);
	return 0;
}

/* --- finding an option --- */

/* The option of that name, or the only one that begins so. *n counts those
 * that do. */
static const struct cli_option *find_long(const struct cli_option *o,
	const char *name, size_t len, size_t *n)
{
	const struct cli_option *found = NULL;

	for (; o && o->name; o++) {
		if (strncmp(o->name, name, len) != 0)
			continue;
		if (!o->name[len]) {
			*n = 1;
			return o;
		}
		if (!(*n)++)
			found = o;
	}
	return found;
}

static bool is_exactly(const struct cli_option *o, const char *name, size_t len)
{
	return o && !strncmp(o->name, name, len) && !o->name[len];
}

static const struct cli_option *find_short(const struct cli_option *o,
	char letter)
{
	for (; o && o->name; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

static void nearest(const struct cli_option *o, const char *name,
	const char **best, size_t *best_d)
{
	for (; o && o->name; o++) {
		size_t d = help_distance(name, o->name);

		if (d < *best_d) {
			*best_d = d;
			*best = o->name;
		}
	}
}

static int unknown_long(struct cli *c, const char *arg, size_t len)
{
	AUTO_FREE char *name = strndup(arg, len);
	const char *best = NULL;
	size_t best_d = len / 2 + 1;

	if (!name)
		return error_nomem(&c->err);
	if (best_d > 4)
		best_d = 4;
	if (c->cmd)
		nearest(c->cmd->options, name, &best, &best_d);
	nearest(cli_common_options, name, &best, &best_d);
	return cli_usage(c, "unknown option '--%s'%s%s%s", name,
		best ? "; did you mean '--" : "", best ? best : "",
		best ? "'?" : "");
}

/* --- taking it --- */

struct parse {
	struct cli *c;
	VEC(struct cli_value) values;
	VEC(char *) args;
};

static int take_choice(struct cli *c, const struct cli_option *o,
	const char *value)
{
	if (!strcmp(o->name, "progress")) {
		if (!strcmp(value, "none"))
			c->progress_mode = PROGRESS_NONE;
		else if (!strcmp(value, "json"))
			c->progress_mode = PROGRESS_JSON;
		else if (!strcmp(value, "auto"))
			c->progress_mode = PROGRESS_AUTO;
		else
			return cli_usage(c, "--progress: '%s' is none of auto, "
					    "none, json", value);
		return 0;
	}
	if (!strcmp(value, "always"))
		c->color = true;
	else if (!strcmp(value, "never"))
		c->color = false;
	else if (strcmp(value, "auto"))
		return cli_usage(c, "--color: '%s' is none of auto, always, "
				    "never", value);
	return 0;
}

static int take_common(struct cli *c, const struct cli_option *o,
	const char *value)
{
	struct {
		const char *name;
		bool *flag;
	} flags[] = { { "help", &c->want_help }, { "quiet", &c->quiet },
		{ "verbose", &c->verbose }, { "json", &c->json },
		{ "null", &c->null }, { "no-pager", &c->no_pager } };

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (!strcmp(o->name, flags[i].name)) {
			*flags[i].flag = true;
			return 0;
		}
	if (!strcmp(o->name, "no-color")) {
		c->color = false;
		return 0;
	}
	if (strcmp(o->name, "library") != 0)
		return take_choice(c, o, value);
	if (!*value)
		return cli_usage(c, "--library: the name is empty");
	c->library_path = value;
	return 0;
}

static int take(struct parse *p, const struct cli_option *o, bool common,
	const char *value)
{
	if (common)
		return take_common(p->c, o, value);
	if (!vec_push(&p->values, (struct cli_value){ o, value ? value : "" }))
		return error_nomem(&p->c->err);
	return 0;
}

/* As in git, --color alone is "always": its value stands behind a '=', or is
 * one of the three words. */
static bool is_color(const char *s)
{
	return s && (!strcmp(s, "auto") || !strcmp(s, "always") ||
			    !strcmp(s, "never"));
}

static int parse_long(struct parse *p, const char *arg, char **next, int *used)
{
	const char *eq = strchr(arg, '=');
	size_t len = eq ? (size_t)(eq - arg) : strlen(arg), n = 0;
	const struct cli_option *o = p->c->cmd ? find_long(p->c->cmd->options,
					     arg, len, &n)
					       : NULL;
	bool common = false;

	if (!is_exactly(o, arg, len)) {
		const struct cli_option *x =
			find_long(cli_common_options, arg, len, &n);

		common = !o || is_exactly(x, arg, len);
		if (common)
			o = x;
	}
	if (!o || !len)
		return unknown_long(p->c, arg, len);
	if (n > 1 && !is_exactly(o, arg, len))
		return cli_usage(p->c, "'--%.*s' is the beginning of several "
				       "options", (int)len, arg);
	if (!o->arg)
		return eq ? cli_usage(p->c, "'--%s' takes no argument", o->name)
			  : take(p, o, common, NULL);
	if (eq)
		return take(p, o, common, eq + 1);
	if (common && !strcmp(o->name, "color") && !is_color(*next))
		return take(p, o, common, "always");
	if (!*next)
		return cli_usage(p->c, "'--%s' wants %s", o->name, o->arg);
	*used = 1;
	return take(p, o, common, *next);
}

static int parse_short(struct parse *p, const char *arg, char **next,
	int *used)
{
	const struct cli_option *own = p->c->cmd ? p->c->cmd->options : NULL;
	const struct cli_option *o;
	size_t n = 0;

	/* "-5", as git log takes it */
	o = find_long(own, "max-count", 9, &n);
	if (o && strspn(arg, "0123456789") == strlen(arg))
		return take(p, o, false, arg);
	for (; *arg; arg++) {
		bool common;
		int r;

		o = find_short(own, *arg);
		common = !o;
		if (!o)
			o = find_short(cli_common_options, *arg);
		if (!o)
			return cli_usage(p->c, "unknown option '-%c'", *arg);
		if (o->arg) {
			if (!arg[1] && !*next)
				return cli_usage(p->c, "'-%c' wants %s", *arg,
					o->arg);
			*used = !arg[1];
			return take(p, o, common, arg[1] ? arg + 1 : *next);
		}
		r = take(p, o, common, NULL);
		if (r)
			return r;
	}
	return 0;
}

/* --- the whole line --- */

static int parse(struct parse *p, int argc, char **argv)
{
	struct cli *c = p->c;
	bool operands = false; /* behind "--": no options any more */

	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];
		int used = 0, r = 0;

		if (!operands && !strcmp(a, "--")) {
			if (c->cmd && c->cmd->words) {
				c->after = argv + i + 1;
				c->nafter = argc - i - 1;
				break;
			}
			operands = true;
		} else if (!operands && a[0] == '-' && a[1] == '-') {
			c->want_version |= !c->cmd && !strcmp(a, "--version");
			if (c->want_version)
				return 0;
			r = parse_long(p, a + 2, argv + i + 1, &used);
		} else if (!operands && a[0] == '-' && a[1]) {
			r = parse_short(p, a + 1, argv + i + 1, &used);
		} else if (!c->cmd) {
			c->cmd = cli_find_command(a);
			operands = false;
			if (!c->cmd)
				return help_unknown(a);
		} else if (!vec_push(&p->args, argv[i])) {
			r = error_nomem(&c->err);
		}
		if (r)
			return r;
		i += used;
	}
	return 0;
}

int cli_parse(struct cli *c, int argc, char **argv)
{
	struct parse p = { .c = c };
	int r = parse(&p, argc, argv);

	c->values = p.values.items;
	c->nvalues = p.values.len;
	c->args = p.args.items;
	c->nargs = (int)p.args.len;
	return r;
}
