/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/json.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include "base/checked.h"
#include "base/utf.h"
#include "cli/cli.h"
#include "disk/spool.h"
#include "library/library.h"

static void put_escaped(FILE *f, const uint8_t *p, size_t len);

static void key(struct json *j, const char *k)
{
	if (!(j->first >> j->depth & 1))
		putc_unlocked(',', j->f);
	j->first &= ~(UINT64_C(1) << j->depth);
	if (!k)
		return;
	putc_unlocked('"', j->f);
	put_escaped(j->f, (const uint8_t *)k, strlen(k));
	putc_unlocked('"', j->f);
	putc_unlocked(':', j->f);
}

static void open_level(struct json *j, const char *k, char c)
{
	key(j, k);
	putc_unlocked(c, j->f);
	j->depth++;
	j->first |= UINT64_C(1) << j->depth;
}

void json_object(struct json *j, const char *k)
{
	open_level(j, k, '{');
}

void json_object_end(struct json *j)
{
	putc_unlocked('}', j->f);
	j->depth--;
}

void json_array(struct json *j, const char *k)
{
	open_level(j, k, '[');
}

void json_array_end(struct json *j)
{
	putc_unlocked(']', j->f);
	j->depth--;
}

/* --- held until it is whole --- */

#define HELD_MAX (4u << 20)

static struct {
	FILE *stream; /* what the writers below see */
	FILE *to;
	struct buf mem;
	struct spool *file; /* what came before mem */
	uint64_t filed;
	bool direct; /* there is no room to hold it */
} held;

static bool put_by(void)
{
	size_t n = held.mem.len;

	if (!held.file && spool_new(&held.file, NULL))
		return false;
	if (sink_pwrite(spool_sink(held.file), held.mem.data, n, held.filed,
		    NULL))
		return false;
	held.filed += n;
	buf_clear(&held.mem);
	return true;
}

/* Prints what came before mem. */
static int pour_file(struct error *e)
{
	AUTO_SOURCE src = NULL;
	uint8_t buf[1 << 14];
	int r = spool_source(held.file, "held output", &src, e);

	for (uint64_t at = 0; at < held.filed && !r;) {
		size_t n = (size_t)u64_min(sizeof(buf), held.filed - at);

		r = source_pread(src, buf, n, at, e);
		if (!r)
			fwrite(buf, 1, n, held.to);
		at += n;
	}
	return r;
}

static void pour(void)
{
	struct error e = { 0 };

	if (held.filed && pour_file(&e)) {
		/* an object with a hole in it must not look like one */
		cli_error("output: %s", e.msg);
		_exit(EXIT_IO);
	}
	if (held.mem.len)
		fwrite(held.mem.data, 1, held.mem.len, held.to);
	spool_free(held.file);
	held.file = NULL;
	held.filed = 0;
	buf_release(&held.mem);
}

static ssize_t hold(void *cookie ATTR_UNUSED, const char *p, size_t n)
{
	bool held_all = !held.direct && buf_room(&held.mem, n);

	if (held_all) {
		buf_add(&held.mem, p, n);
		if (held.mem.len < HELD_MAX || put_by())
			return (ssize_t)n;
	}
	/* No room for it: then it is printed as it is made. */
	if (!held.direct)
		pour();
	held.direct = true;
	return held_all ? (ssize_t)n : (ssize_t)fwrite(p, 1, n, held.to);
}

void json_start(struct json *j, FILE *f, const char *schema)
{
	memset(&held, 0, sizeof(held));
	held.to = f;
	held.stream = fopencookie(NULL, "w",
		(cookie_io_functions_t){ .write = hold });
	if (held.stream)
		setvbuf(held.stream, NULL, _IOFBF, 1 << 16);
	*j = (struct json){ .f = held.stream ? held.stream : f,
		.to = f,
		.first = 1 };
	json_object(j, NULL);
	key(j, "schema");
	fprintf(j->f, "\"strata/%s/1\"", schema);
}

void json_end(struct json *j)
{
	json_object_end(j);
	putc_unlocked('\n', j->f);
	if (j->f == j->to)
		return;
	fclose(j->f);
	held.stream = NULL;
	if (!held.direct)
		pour();
}

static bool is_utf8(const uint8_t *p, size_t len)
{
	while (len) {
		size_t n = utf8_len(p, len);

		if (!n)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

static void put_base64(FILE *f, const uint8_t *p, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
				     "pqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i;
		uint32_t v = (uint32_t)p[i] << 16 |
			     (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
			     (n > 2 ? p[i + 2] : 0);

		putc_unlocked(digits[v >> 18], f);
		putc_unlocked(digits[v >> 12 & 63], f);
		putc_unlocked(n > 1 ? digits[v >> 6 & 63] : '=', f);
		putc_unlocked(n > 2 ? digits[v & 63] : '=', f);
	}
}

/* What stands between quotes. Bytes that are not UTF-8 (in a key: a value has
 * another form) become U+FFFD. */
static void put_escaped(FILE *f, const uint8_t *p, size_t len)
{
	size_t plain = 0;

	for (size_t i = 0; i < len; i++) {
		bool bad = false;

		if (p[i] >= ' ' && p[i] != '"' && p[i] != '\\' &&
			p[i] != 127 && p[i] < 0x80)
			continue;
		if (p[i] >= 0x80) {
			size_t n = utf8_len(p + i, len - i);

			if (n) {
				i += n - 1;
				continue;
			}
			bad = true;
		}
		fwrite_unlocked(p + plain, 1, i - plain, f);
		plain = i + 1;
		if (bad)
			fputs("\xef\xbf\xbd", f);
		else if (p[i] == '"' || p[i] == '\\')
			putc_unlocked('\\', f), putc_unlocked(p[i], f);
		else if (p[i] == '\n')
			fputs("\\n", f);
		else if (p[i] == '\t')
			fputs("\\t", f);
		else
			fprintf(f, "\\u%04x", p[i]);
	}
	fwrite_unlocked(p + plain, 1, len - plain, f);
}

void json_bytes(struct json *j, const char *k, const void *data, size_t len)
{
	const uint8_t *p = data;

	key(j, k);
	if (!is_utf8(p, len)) {
		fputs("{\"bytes\":\"", j->f);
		put_base64(j->f, p, len);
		fputs("\"}", j->f);
		return;
	}
	putc_unlocked('"', j->f);
	put_escaped(j->f, p, len);
	putc_unlocked('"', j->f);
}

void json_str(struct json *j, const char *k, const char *s)
{
	if (s)
		json_bytes(j, k, s, strlen(s));
	else
		json_null(j, k);
}

void json_u64(struct json *j, const char *k, uint64_t v)
{
	char text[24], *p = text + sizeof(text);

	key(j, k);
	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	fwrite_unlocked(p, 1, (size_t)(text + sizeof(text) - p), j->f);
}

void json_i64(struct json *j, const char *k, int64_t v)
{
	key(j, k);
	fprintf(j->f, "%" PRId64, v);
}

void json_bool(struct json *j, const char *k, bool v)
{
	key(j, k);
	fputs(v ? "true" : "false", j->f);
}

void json_real(struct json *j, const char *k, double v)
{
	key(j, k);
	fprintf(j->f, "%.6g", v);
}

void json_null(struct json *j, const char *k)
{
	key(j, k);
	fputs("null", j->f);
}

void json_oid(struct json *j, const char *k, const struct oid *id)
{
	char hex[OID_HEX + 1];

	key(j, k);
	putc_unlocked('"', j->f);
	fwrite_unlocked(oid_hex(id, hex), 1, OID_HEX, j->f);
	putc_unlocked('"', j->f);
}

void json_time(struct json *j, const char *k, int64_t seconds)
{
	char text[32];

	key(j, k);
	fprintf(j->f, "\"%s\"", format_time(seconds, text));
}

void json_time_ns(struct json *j, const char *k, int64_t seconds, uint32_t ns)
{
	char text[32];
	size_t n;

	if (!ns || ns > 999999999) {
		json_time(j, k, seconds);
		return;
	}
	format_time(seconds, text);
	n = strlen(text);
	key(j, k);
	if (n && text[n - 1] == 'Z')
		fprintf(j->f, "\"%.*s.%09uZ\"", (int)n - 1, text, ns);
	else
		fprintf(j->f, "\"%s\"", text);
}
