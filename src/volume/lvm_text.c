/* SPDX-License-Identifier: Apache-2.0 */
/* LVM2: the text that metadata is written in (lvm.conf(5) has the same
 * grammar): sections in braces, and name = value, where a value is a number,
 * a string in quotes, or an array of those in brackets. "#" starts a comment.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"
#include "volume/private.h"

struct parser {
	const uint8_t *text;
	size_t len, at;
	struct lvm_tree *t;
	/* The sections that are open, and the last child of each. */
	uint32_t open[LIMIT_LVM_DEPTH], last[LIMIT_LVM_DEPTH];
	unsigned depth;
	struct error *e;
};

static int fail(struct parser *p, const char *what)
{
	return error_set(p->e, ERR_CORRUPT, "LVM2 metadata, byte %zu: %s",
		p->at, what);
}

static void skip_blank(struct parser *p)
{
	while (p->at < p->len) {
		uint8_t c = p->text[p->at];

		if (c == '#')
			while (p->at < p->len && p->text[p->at] != '\n')
				p->at++;
		else if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
			p->at++;
		else
			break;
	}
}

static bool eat(struct parser *p, char c)
{
	skip_blank(p);
	if (p->at >= p->len || p->text[p->at] != (uint8_t)c)
		return false;
	p->at++;
	return true;
}

static bool is_word(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' ||
	       c == '+' || c == '/';
}

static struct view word(struct parser *p)
{
	size_t start = p->at;

	while (p->at < p->len && is_word(p->text[p->at]))
		p->at++;
	return (struct view){ p->text + start, p->at - start };
}

static int new_node(struct parser *p, struct view key, enum lvm_type type,
	uint32_t *out)
{
	if (p->t->nodes.len >= LIMIT_LVM_NODES)
		return error_set(p->e, ERR_LIMIT,
			"LVM2 metadata: more than %d values", LIMIT_LVM_NODES);
	*out = (uint32_t)p->t->nodes.len;
	return vec_push(&p->t->nodes,
		       (struct lvm_node){ .key = key,
			       .type = type,
			       .child = LVM_NONE,
			       .next = LVM_NONE })
		       ? 0
		       : error_nomem(p->e);
}

/* Makes node the last child of the innermost open section. */
static void attach(struct parser *p, uint32_t node)
{
	unsigned d = p->depth - 1;

	if (p->last[d] == LVM_NONE)
		p->t->nodes.items[p->open[d]].child = node;
	else
		p->t->nodes.items[p->last[d]].next = node;
	p->last[d] = node;
}

/* A string or a number. */
static int scalar(struct parser *p, struct view key, uint32_t *out)
{
	struct lvm_node *n;
	bool negative;
	int r;

	if (eat(p, '"')) {
		size_t start = p->at;

		while (p->at < p->len && p->text[p->at] != '"') {
			if (p->text[p->at] == '\\')
				p->at++;
			p->at++;
		}
		if (p->at >= p->len)
			return fail(p, "a string does not end");
		r = new_node(p, key, LVM_STRING, out);
		if (r)
			return r;
		p->t->nodes.items[*out].str =
			(struct view){ p->text + start, p->at - start };
		p->at++;
		return 0;
	}
	negative = eat(p, '-');
	if (p->at >= p->len || p->text[p->at] < '0' || p->text[p->at] > '9')
		return fail(p, "neither a string nor a number");
	r = new_node(p, key, LVM_NUMBER, out);
	if (r)
		return r;
	n = &p->t->nodes.items[*out];
	for (; p->at < p->len && p->text[p->at] >= '0' && p->text[p->at] <= '9';
		p->at++)
		if (!u64_mul(n->number, 10, &n->number) ||
			!u64_add(n->number, p->text[p->at] - '0', &n->number))
			return fail(p, "a number is over 64 bits");
	if (negative && n->number)
		n->number = UINT64_MAX; /* nothing that we read may be */
	return 0;
}

static int array(struct parser *p, struct view key, uint32_t *out)
{
	uint32_t last = LVM_NONE, node;
	int r = new_node(p, key, LVM_ARRAY, out);

	while (!r && !eat(p, ']')) {
		r = scalar(p, (struct view){ 0 }, &node);
		if (r)
			break;
		if (last == LVM_NONE)
			p->t->nodes.items[*out].child = node;
		else
			p->t->nodes.items[last].next = node;
		last = node;
		if (eat(p, ','))
			continue;
		if (!eat(p, ']'))
			r = fail(p, "an array does not end");
		break;
	}
	return r;
}

/* Each turn takes at least a byte, or ends. */
static int parse(struct parser *p)
{
	for (;;) {
		struct view key;
		uint32_t node;
		int r;

		if (eat(p, '}')) {
			if (p->depth == 1)
				return fail(p, "a brace too many");
			p->depth--;
			continue;
		}
		/* on disk the text ends in a NUL */
		if (p->at >= p->len || !p->text[p->at])
			return p->depth == 1 ? 0
					     : fail(p, "a section does not end");
		key = word(p);
		if (!key.len)
			return fail(p, "no name");
		if (eat(p, '{')) {
			if (p->depth == LIMIT_LVM_DEPTH)
				return error_set(p->e, ERR_LIMIT,
					"LVM2 metadata: sections are nested "
					"more than %d deep",
					LIMIT_LVM_DEPTH);
			r = new_node(p, key, LVM_SECTION, &node);
			if (r)
				return r;
			attach(p, node);
			p->open[p->depth] = node;
			p->last[p->depth++] = LVM_NONE;
			continue;
		}
		if (!eat(p, '='))
			return fail(p, "a name without a value");
		r = eat(p, '[') ? array(p, key, &node) : scalar(p, key, &node);
		if (r)
			return r;
		attach(p, node);
	}
}

int lvm_parse(const uint8_t *text, size_t len, struct lvm_tree *out,
	struct error *e)
{
	struct lvm_tree t = { 0 };
	struct parser p = { .text = text,
		.len = len,
		.t = &t,
		.last = { LVM_NONE },
		.depth = 1,
		.e = e };
	uint32_t root;
	int r = new_node(&p, (struct view){ 0 }, LVM_SECTION, &root);

	if (!r)
		r = parse(&p);
	if (r)
		lvm_tree_release(&t);
	else
		*out = t;
	return r;
}

void lvm_tree_release(struct lvm_tree *t)
{
	vec_release(&t->nodes);
}

uint32_t lvm_find(const struct lvm_tree *t, uint32_t section, const char *key,
	enum lvm_type type)
{
	for (uint32_t i = t->nodes.items[section].child; i != LVM_NONE;
		i = t->nodes.items[i].next)
		if (t->nodes.items[i].type == type &&
			view_is(t->nodes.items[i].key, key))
			return i;
	return LVM_NONE;
}

bool lvm_number(const struct lvm_tree *t, uint32_t section, const char *key,
	uint64_t *out)
{
	uint32_t i = lvm_find(t, section, key, LVM_NUMBER);

	if (i == LVM_NONE)
		return false;
	*out = t->nodes.items[i].number;
	return true;
}

struct view lvm_string(const struct lvm_tree *t, uint32_t section,
	const char *key)
{
	uint32_t i = lvm_find(t, section, key, LVM_STRING);

	return i == LVM_NONE ? (struct view){ 0 } : t->nodes.items[i].str;
}
