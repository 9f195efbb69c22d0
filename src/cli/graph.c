/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/graph.h"

#include <stdlib.h>
#include <string.h>

void graph_release(struct graph *g)
{
	for (size_t i = 0; i < g->rows.len; i++)
		free(g->rows.items[i]);
	vec_release(&g->rows);
	vec_release(&g->columns);
}

/* A row of width characters, drawn on and then kept. */
static char *blank(size_t columns)
{
	char *row = malloc(2 * columns + 4);

	if (row) {
		memset(row, ' ', 2 * columns + 3);
		row[2 * columns + 3] = 0;
	}
	return row;
}

static bool keep(struct graph *g, char *row)
{
	if (row && vec_push(&g->rows, row))
		return true;
	free(row);
	return false;
}

static void remove_column(struct graph *g, size_t at)
{
	memmove(&g->columns.items[at], &g->columns.items[at + 1],
		(g->columns.len - at - 1) * sizeof(struct oid));
	g->columns.len--;
}

static bool insert_column(struct graph *g, size_t at, const struct oid *id)
{
	struct oid copy = *id;

	if (!vec_push(&g->columns, copy))
		return false;
	memmove(&g->columns.items[at + 1], &g->columns.items[at],
		(g->columns.len - at - 1) * sizeof(struct oid));
	g->columns.items[at] = copy;
	return true;
}

/* The line at from joins the one at to, which is left of it: one column a
 * row. Lines right of it close up at once. */
static bool join(struct graph *g, size_t from, size_t to)
{
	size_t n = g->columns.len;

	for (size_t at = from; at > to; at--) {
		char *row = blank(n);

		if (!row)
			return false;
		for (size_t i = 0; i < n; i++)
			if (at != from || i < from)
				row[2 * i] = '|';
			else if (i > from)
				row[2 * i - 1] = '/';
		row[2 * at - 1] = '/';
		if (!keep(g, row))
			return false;
		if (at == from) {
			remove_column(g, from);
			n--;
		}
	}
	return true;
}

/* The line at at ends; those right of it close up. */
static bool end_line(struct graph *g, size_t at)
{
	char *row;

	if (at + 1 < g->columns.len) {
		row = blank(g->columns.len);
		if (!row)
			return false;
		for (size_t i = 0; i < g->columns.len; i++)
			if (i < at)
				row[2 * i] = '|';
			else if (i > at)
				row[2 * i - 1] = '/';
		if (!keep(g, row))
			return false;
	}
	remove_column(g, at);
	return true;
}

/* A further parent: a line that leaves the one before at, to the right. */
static bool fork_line(struct graph *g, size_t at, const struct oid *id)
{
	char *row = blank(g->columns.len + 1);

	if (!row)
		return false;
	for (size_t i = 0; i < g->columns.len; i++)
		if (i < at)
			row[2 * i] = '|';
		else
			row[2 * i + 1] = '\\';
	row[2 * at - 1] = '\\';
	return keep(g, row) && insert_column(g, at, id);
}

bool graph_commit(struct graph *g, const struct oid *id,
	const struct oid *parents, size_t n)
{
	size_t pos = 0, at;
	char *row;

	for (size_t i = 0; i < g->rows.len; i++)
		free(g->rows.items[i]);
	g->rows.len = 0;
	g->next = 0;
	while (pos < g->columns.len && !oid_equal(&g->columns.items[pos], id))
		pos++;
	if (pos == g->columns.len && !vec_push(&g->columns, *id))
		return false;
	row = blank(g->columns.len);
	if (!row)
		return false;
	for (size_t i = 0; i < g->columns.len; i++)
		row[2 * i] = i == pos ? '*' : '|';
	if (!keep(g, row))
		return false;
	if (!n)
		return end_line(g, pos);
	g->columns.items[pos] = parents[0];
	at = pos;
	for (size_t k = 1; k < n; k++)
		if (!fork_line(g, ++at, &parents[k]))
			return false;
	/* Lines that lead to the same commit become one. */
	for (size_t a = 0; a < g->columns.len; a++)
		for (size_t b = a + 1; b < g->columns.len; b++)
			if (oid_equal(&g->columns.items[a],
				    &g->columns.items[b])) {
				if (!join(g, b, a))
					return false;
				b--;
			}
	return true;
}

bool graph_pending(const struct graph *g)
{
	return g->next < g->rows.len;
}

void graph_row(struct graph *g, struct buf *out)
{
	size_t start = out->len;

	if (graph_pending(g)) {
		buf_addstr(out, g->rows.items[g->next++]);
		while (out->len > start && out->data[out->len - 1] == ' ')
			out->len--;
		buf_addch(out, ' ');
		return;
	}
	for (size_t i = 0; i < g->columns.len; i++)
		buf_addstr(out, "| ");
}
