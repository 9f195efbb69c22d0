/* SPDX-License-Identifier: Apache-2.0 */
/* The small text files that say what a system is. Parsers get bytes and
 * nothing else, and deliver what they understand of any input. */
#ifndef STRATA_INSIGHT_TEXT_H
#define STRATA_INSIGHT_TEXT_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/vec.h"

/* The next line (without its end, a CR before it too); false at the end. */
bool text_line(struct cursor *c, struct view *out);
/* The next field up to sep or the end of line; false where none is left. An
 * empty last field counts. */
bool text_field(struct cursor *line, char sep, struct view *out);
/* The next word between blanks; false where none is left. */
bool text_word(struct cursor *line, struct view *out);
bool view_is(struct view v, const char *s);
bool view_starts(struct view v, const char *s);
struct view view_trim(struct view v);
/* A decimal number that fits; false otherwise. */
bool view_number(struct view v, uint32_t *out);

/* Strings that are freed together. */
struct strings {
	VEC(char *) items;
	bool oom;
};
/* Never NULL: "" where there is no memory (and oom is set). NUL bytes end the
 * copy. */
const char *strings_add(struct strings *s, struct view v);
const char *strings_text(struct strings *s, const char *text);
void strings_release(struct strings *s);

/* KEY=VALUE with a shell's quotes (os-release(5), /etc/default/...). Appends
 * the value of the key's last line to out; false where there is none. */
bool text_assignment(struct view text, const char *key, struct buf *out);

/* A line of passwd(5). */
struct passwd {
	struct view name, password, gecos, home, shell;
	uint32_t uid, gid;
};
bool text_passwd(struct cursor *c, struct passwd *out);

enum password_state {
	PASSWORD_UNKNOWN, /* shadow is not there */
	PASSWORD_NONE,	  /* empty: no password is asked for */
	PASSWORD_LOCKED,
	PASSWORD_SET,
};
const char *password_state_name(enum password_state s);
/* From the field of passwd(5), and shadow(5) where that says "x". */
enum password_state text_password(struct view field, struct view name,
	struct view shadow);

/* A line of fstab(5), octal escapes undone. */
struct fstab {
	struct buf spec, file, type, options;
	uint32_t freq, passno;
};
bool text_fstab(struct cursor *c, struct fstab *out);
void fstab_release(struct fstab *f);

/* From the start of an executable: "x86_64", "aarch64", "i386", ... as uname
 * and Debian's multiarch name it; NULL: not known. ELF and PE. */
const char *text_machine(struct view head);

#endif
