/* SPDX-License-Identifier: Apache-2.0 */
/* Messages, progress, names on a terminal, findings. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "base/utf.h"
#include "cli/cli.h"

static bool line_open; /* a progress line stands on the terminal */

static void clear_line(void)
{
	if (line_open)
		fputs("\r\033[K", stderr);
	line_open = false;
}

size_t cli_printable(const void *text, size_t n)
{
	const uint8_t *p = text;
	size_t k = *p < ' ' || *p == 127 ? 0 : utf8_len(p, n);

	/* U+0080 to U+009F are control characters, too. */
	return k == 2 && p[0] == 0xc2 && p[1] < 0xa0 ? 0 : k;
}

static void put_safe(FILE *f, const void *text, size_t len, bool backslash)
{
	const uint8_t *p = text;

	for (size_t i = 0; i < len;) {
		size_t k = cli_printable(p + i, len - i);

		if (!k || (backslash && p[i] == '\\'))
			fprintf(f, "\\x%02x", p[i++]);
		else
			fwrite(p + i, 1, k, f), i += k;
	}
}

static void put_message(const char *fmt, va_list ap)
{
	char text[ERROR_MSG_MAX + 512];

	clear_line();
	vsnprintf(text, sizeof(text), fmt, ap);
	fputs("strata: ", stderr);
	/* Names from an image may hold anything. */
	put_safe(stderr, text, strlen(text), false);
	putc('\n', stderr);
}

void cli_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_message(fmt, ap);
	va_end(ap);
}

void cli_note(const struct cli *c, const char *fmt, ...)
{
	va_list ap;

	if (c->quiet)
		return;
	va_start(ap, fmt);
	put_message(fmt, ap);
	va_end(ap);
}

int cli_usage(struct cli *c, const char *fmt, ...)
{
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (c->cmd)
		cli_error("%s: %s (usage: strata %s %s)", c->cmd->name, why,
			c->cmd->name, c->cmd->synopsis);
	else
		cli_error("call: %s ('strata --help' tells more)", why);
	return EXIT_USAGE;
}

void cli_put_text(FILE *f, const void *text, size_t len)
{
	const char *p = text;

	while (len && isatty(fileno(f))) {
		const char *tab = memchr(p, '\t', len);
		size_t n = tab ? (size_t)(tab - p) : len;

		put_safe(f, p, n, false);
		if (!tab)
			return;
		putc('\t', f);
		p += n + 1;
		len -= n + 1;
	}
	fwrite(p, 1, len, f);
}

char *cli_size(uint64_t bytes, char out[32])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB",
		"PiB", "EiB" };
	double v = (double)bytes;
	unsigned u = 0;

	while (v >= 1024 && u < 6) {
		v /= 1024;
		u++;
	}
	snprintf(out, 32, u && v < 10 ? "%.2f %s" : u ? "%.1f %s" : "%.0f %s",
		v, units[u]);
	return out;
}

void cli_put_name(FILE *f, const void *name, size_t len)
{
	if (isatty(fileno(f)))
		put_safe(f, name, len, true);
	else
		fwrite(name, 1, len, f);
}

const char *cli_color(const struct cli *c, const char *ansi)
{
	return c->color ? ansi : "";
}

/* --- progress --- */

static struct {
	struct timespec start;
	const char *phase;
	bool json;
} shown;

static double seconds_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - t->tv_sec) +
	       (double)(now.tv_nsec - t->tv_nsec) / 1e9;
}

/* How much fits in a line of the terminal. */
static size_t columns(void)
{
	struct winsize w;
	const char *s = getenv("COLUMNS");
	unsigned long n = s ? strtoul(s, NULL, 10) : 0;

	if (!n && !ioctl(STDERR_FILENO, TIOCGWINSZ, &w))
		n = w.ws_col;
	return n > 1 && n < 1000 ? n - 1 : 79;
}

static void put_bar(const char *phase, uint64_t done, uint64_t total, double s)
{
	char a[32], b[32], r[32], text[256];
	double part = total ? (double)done / (double)total : 0;
	double eta = part > 0.01 ? s / part - s : 0;
	int n = (int)(part * 24), len;

	if (!total)
		len = snprintf(text, sizeof(text), "%-8s %" PRIu64, phase, done);
	else
		len = snprintf(text, sizeof(text),
			"%-8s %3d%% [%.*s%*s]  %s of %s  %s/s", phase,
			(int)(part * 100), n, "########################",
			24 - n, "", cli_size(done, a), cli_size(total, b),
			cli_size((uint64_t)((double)done / (s + 0.001)), r));
	if (eta >= 1 && len > 0 && (size_t)len < sizeof(text))
		snprintf(text + len, sizeof(text) - (size_t)len,
			"  %d:%02d left", (int)eta / 60, (int)eta % 60);
	fprintf(stderr, "\r\033[K%.*s", (int)columns(), text);
}

static void update(void *ctx, const char *phase, uint64_t done, uint64_t total)
{
	double s;

	(void)ctx;
	if (!shown.phase || strcmp(phase, shown.phase) != 0) {
		shown.phase = phase;
		clock_gettime(CLOCK_MONOTONIC, &shown.start);
	}
	s = seconds_since(&shown.start);
	if (shown.json) {
		fprintf(stderr,
			"{\"phase\":\"%s\",\"done\":%" PRIu64
			",\"total\":%" PRIu64 ",\"seconds\":%.3f}\n",
			phase, done, total, s);
		return;
	}
	put_bar(phase, done, total, s);
	fflush(stderr);
	line_open = true;
}

void cli_progress_start(struct cli *c)
{
	const char *term = getenv("TERM");
	bool bar = isatty(2) && term && strcmp(term, "dumb") != 0;

	if (c->quiet || c->progress_mode == PROGRESS_NONE)
		return;
	if (c->progress_mode == PROGRESS_AUTO && !bar)
		return;
	shown.json = c->progress_mode == PROGRESS_JSON;
	shown.phase = NULL;
	c->progress.update = update;
}

void cli_progress_end(struct cli *c)
{
	c->progress.update = NULL;
	clear_line();
}

/* --- findings --- */

#define KEEP 1000

static void keep_finding(void *ctx, const struct finding *f)
{
	struct cli_findings *c = ctx;
	struct cli_finding k = { .id = f->id, .offset = f->offset };

	if (c->count++ >= KEEP)
		return;
	if (c->len == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 16;
		void *p = realloc(c->items, cap * sizeof(*c->items));

		if (!p)
			return;
		c->items = p;
		c->cap = cap;
	}
	k.where = strdup(f->where);
	k.detail = strdup(f->detail);
	c->items[c->len++] = k;
}

void cli_findings_init(struct cli_findings *f)
{
	memset(f, 0, sizeof(*f));
	f->sink.report = keep_finding;
	f->sink.ctx = f;
}

void cli_findings_release(struct cli_findings *f)
{
	for (size_t i = 0; i < f->len; i++) {
		free(f->items[i].where);
		free(f->items[i].detail);
	}
	free(f->items);
}

void cli_findings_print(struct cli *c, const struct cli_findings *f)
{
	size_t shown_n = c->verbose ? f->len : f->len < 10 ? f->len : 10;

	for (size_t i = 0; i < shown_n; i++) {
		const struct cli_finding *x = &f->items[i];
		char at[48] = "";

		if (x->offset != FINDING_NO_OFFSET)
			snprintf(at, sizeof(at), " (at byte %" PRIu64 ")",
				x->offset);
		cli_note(c, "%s: %s%s%s%s: %s",
			finding_severity_name(finding_severity(x->id)),
			x->where ? x->where : "", x->where && *x->where ? ": "
									: "",
			finding_sentence(x->id), at, x->detail ? x->detail : "");
	}
	if (f->count > shown_n)
		cli_note(c, "and %" PRIu64 " more findings (see --json, -v)",
			f->count - shown_n);
}
