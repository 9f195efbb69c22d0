/* SPDX-License-Identifier: Apache-2.0 */
#include "insight/text.h"

#include <stdlib.h>
#include <string.h>
#include "base/checked.h"

bool text_line(struct cursor *c, struct view *out)
{
	const uint8_t *end;
	size_t n;

	if (!c->left)
		return false;
	end = memchr(c->p, '\n', c->left);
	n = end ? (size_t)(end - c->p) : c->left;
	*out = (struct view){ c->p, n };
	cur_skip(c, end ? n + 1 : n);
	if (out->len && out->data[out->len - 1] == '\r')
		out->len--;
	return true;
}

bool text_field(struct cursor *line, char sep, struct view *out)
{
	const uint8_t *end;
	size_t n;

	if (!line->p)
		return false;
	end = line->left ? memchr(line->p, sep, line->left) : NULL;
	n = end ? (size_t)(end - line->p) : line->left;
	*out = (struct view){ line->p, n };
	if (end)
		cur_skip(line, n + 1);
	else
		*line = (struct cursor){ 0 };
	return true;
}

static bool blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

bool text_word(struct cursor *line, struct view *out)
{
	while (line->left && blank(*line->p))
		cur_skip(line, 1);
	if (!line->left)
		return false;
	*out = (struct view){ line->p, 0 };
	while (line->left && !blank(*line->p)) {
		cur_skip(line, 1);
		out->len++;
	}
	return true;
}

bool view_is(struct view v, const char *s)
{
	return v.len == strlen(s) && (!v.len || !memcmp(v.data, s, v.len));
}

bool view_starts(struct view v, const char *s)
{
	size_t n = strlen(s);

	return v.len >= n && !memcmp(v.data, s, n);
}

struct view view_trim(struct view v)
{
	while (v.len && (blank(v.data[0]) || v.data[0] == '\n' ||
				v.data[0] == '\r')) {
		v.data++;
		v.len--;
	}
	while (v.len && (blank(v.data[v.len - 1]) ||
				v.data[v.len - 1] == '\n' ||
				v.data[v.len - 1] == '\r'))
		v.len--;
	return v;
}

bool view_number(struct view v, uint32_t *out)
{
	uint64_t n = 0;

	if (!v.len || v.len > 10)
		return false;
	for (size_t i = 0; i < v.len; i++) {
		if (v.data[i] < '0' || v.data[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(v.data[i] - '0');
	}
	*out = (uint32_t)n;
	return n <= UINT32_MAX;
}

const char *strings_add(struct strings *s, struct view v)
{
	char *copy = v.len ? strndup((const char *)v.data, v.len) : strdup("");

	if (copy && vec_push(&s->items, copy))
		return copy;
	free(copy);
	s->oom = true;
	return "";
}

const char *strings_text(struct strings *s, const char *text)
{
	return strings_add(s, (struct view){ (const uint8_t *)text,
				      strlen(text) });
}

void strings_release(struct strings *s)
{
	for (size_t i = 0; i < s->items.len; i++)
		free(s->items.items[i]);
	vec_release(&s->items);
}

/* Quotes as a shell reads them, without what would run anything. */
static void unquote(struct view v, struct buf *out)
{
	uint8_t quote = 0;

	for (size_t i = 0; i < v.len; i++) {
		uint8_t c = v.data[i];

		if (quote ? c == quote : c == '"' || c == '\'') {
			quote = quote ? 0 : c;
			continue;
		}
		if (!quote && (blank(c) || c == '#'))
			break;
		if (c == '\\' && quote != '\'' && i + 1 < v.len)
			c = v.data[++i];
		buf_addch(out, (char)c);
	}
}

bool text_assignment(struct view text, const char *key, struct buf *out)
{
	struct cursor c = cursor_make(text.data, text.len);
	size_t start = out->len, n = strlen(key);
	struct view line;
	bool found = false;

	while (text_line(&c, &line)) {
		line = view_trim(line);
		if (view_starts(line, "export "))
			line = view_trim((struct view){ line.data + 7,
				line.len - 7 });
		if (line.len <= n || memcmp(line.data, key, n) != 0 ||
			line.data[n] != '=')
			continue;
		out->len = start;
		unquote((struct view){ line.data + n + 1, line.len - n - 1 },
			out);
		found = true;
	}
	return found;
}

bool text_passwd(struct cursor *c, struct passwd *out)
{
	struct view line;

	while (text_line(c, &line)) {
		struct cursor l = cursor_make(line.data, line.len);
		struct view uid, gid;

		if (!line.len || line.data[0] == '#' || line.data[0] == '+' ||
			line.data[0] == '-')
			continue;
		if (text_field(&l, ':', &out->name) && out->name.len &&
			text_field(&l, ':', &out->password) &&
			text_field(&l, ':', &uid) &&
			text_field(&l, ':', &gid) &&
			text_field(&l, ':', &out->gecos) &&
			text_field(&l, ':', &out->home) &&
			text_field(&l, ':', &out->shell) &&
			view_number(uid, &out->uid) &&
			view_number(gid, &out->gid))
			return true;
	}
	return false;
}

const char *password_state_name(enum password_state s)
{
	static const char *const names[] = { "unknown", "none", "locked",
		"set" };

	return names[s];
}

static enum password_state state_of(struct view f)
{
	if (!f.len)
		return PASSWORD_NONE;
	if (f.data[0] == '!' || f.data[0] == '*' || f.len < 3)
		return PASSWORD_LOCKED;
	return PASSWORD_SET;
}

enum password_state text_password(struct view field, struct view name,
	struct view shadow)
{
	struct cursor c = cursor_make(shadow.data, shadow.len);
	struct view line;

	if (!view_is(field, "x"))
		return state_of(field);
	while (text_line(&c, &line)) {
		struct cursor l = cursor_make(line.data, line.len);
		struct view n, f;

		if (text_field(&l, ':', &n) && n.len == name.len &&
			!memcmp(n.data, name.data, n.len) &&
			text_field(&l, ':', &f))
			return state_of(f);
	}
	return shadow.len ? PASSWORD_LOCKED : PASSWORD_UNKNOWN;
}

/* \040 and its like (getmntent(3)). */
static void unescape(struct view v, struct buf *out)
{
	buf_clear(out);
	for (size_t i = 0; i < v.len; i++) {
		const uint8_t *p = v.data + i;

		if (*p == '\\' && v.len - i >= 4 && p[1] >= '0' &&
			p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
			p[3] >= '0' && p[3] <= '7') {
			buf_addch(out, (char)((p[1] - '0') << 6 |
					      (p[2] - '0') << 3 |
					      (p[3] - '0')));
			i += 3;
		} else {
			buf_addch(out, (char)*p);
		}
	}
}

bool text_fstab(struct cursor *c, struct fstab *out)
{
	struct view line, spec, file, type, word;

	while (text_line(c, &line)) {
		struct cursor l = cursor_make(line.data, line.len);

		if (!text_word(&l, &spec) || spec.data[0] == '#' ||
			!text_word(&l, &file) || !text_word(&l, &type))
			continue;
		unescape(spec, &out->spec);
		unescape(file, &out->file);
		unescape(type, &out->type);
		buf_clear(&out->options);
		out->freq = out->passno = 0;
		if (text_word(&l, &word))
			unescape(word, &out->options);
		if (text_word(&l, &word) && view_number(word, &out->freq) &&
			text_word(&l, &word))
			view_number(word, &out->passno);
		return true;
	}
	return false;
}

void fstab_release(struct fstab *f)
{
	buf_release(&f->spec);
	buf_release(&f->file);
	buf_release(&f->type);
	buf_release(&f->options);
}

/* ELF: gABI, "Machine Information"; PE: "Machine Types" of Microsoft's
 * specification. */
static const char *elf_machine(struct view h)
{
	bool big = h.data[5] == 2, wide = h.data[4] == 2;
	unsigned m = big ? get_be16(h.data + 18) : get_le16(h.data + 18);

	switch (m) {
	case 2: case 18: return "sparc";
	case 3: return "i386";
	case 4: return "m68k";
	case 8: return wide ? big ? "mips64" : "mips64el"
			    : big ? "mips" : "mipsel";
	case 15: return "hppa";
	case 20: return "ppc";
	case 21: return big ? "ppc64" : "ppc64le";
	case 22: return wide ? "s390x" : "s390";
	case 40: return big ? "armeb" : "arm";
	case 42: return "sh4";
	case 43: return "sparc64";
	case 50: return "ia64";
	case 62: return wide ? "x86_64" : "x32";
	case 183: return big ? "aarch64_be" : "aarch64";
	case 243: return wide ? "riscv64" : "riscv32";
	case 258: return wide ? "loongarch64" : "loongarch32";
	case 0x9026: return "alpha";
	default: return NULL;
	}
}

const char *text_machine(struct view h)
{
	uint32_t pe;

	if (h.len >= 20 && !memcmp(h.data, "\177ELF", 4))
		return elf_machine(h);
	if (h.len < 64 || memcmp(h.data, "MZ", 2) != 0)
		return NULL;
	pe = get_le32(h.data + 60);
	if (!range_inside(pe, 6, h.len) ||
		memcmp(h.data + pe, "PE\0\0", 4) != 0)
		return NULL;
	switch (get_le16(h.data + pe + 4)) {
	case 0x014c: return "i386";
	case 0x01c4: return "arm";
	case 0x8664: return "x86_64";
	case 0xaa64: return "aarch64";
	default: return NULL;
	}
}
