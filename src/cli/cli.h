/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: one table of commands feeds dispatch, help and completion.
 * A command's file parses what is its own, calls the library, prints.
 */
#ifndef STRATA_CLI_CLI_H
#define STRATA_CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>
#include "base/finding.h"
#include "library/library.h"
#include "ops/progress.h"

/* Exit codes (strata(1)). */
enum {
	EXIT_OK = 0,
	EXIT_DIFFERENT = 1, /* differences or findings */
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3,
	EXIT_REFUSED = 4, /* damaged, unsupported or over a limit: the input */
	EXIT_CONFLICT = 5,
	EXIT_DAMAGED = 6, /* the library */
	EXIT_IO = 7,
};

/* What completes an operand or an option's argument. */
enum complete { COMPLETE_NONE, COMPLETE_FILE, COMPLETE_REV, COMPLETE_BRANCH,
	COMPLETE_TAG, COMPLETE_COMMAND, COMPLETE_FORMAT,
	COMPLETE_INSTANCE };

struct cli_option {
	char letter;	  /* 0: none */
	const char *name; /* without "--" */
	const char *arg;  /* its name, or "A|B|C"; NULL: a flag */
	const char *help; /* one line */
	enum complete complete;
};

struct cli;
struct command {
	const char *name;
	const char *synopsis; /* behind the name */
	const char *summary;  /* one line */
	const struct cli_option *options; /* ended by a row without a name */
	enum complete operands;
	bool words; /* what stands behind "--" is not operands, but cli.after */
	int (*run)(struct cli *c); /* an exit code, or an enum error_code */
	bool hidden; /* not in the list of commands */
};
extern const struct command *const cli_commands[]; /* ended by NULL */
const struct command *cli_find_command(const char *name);

/* Takes the words of the command line apart: cmd, args, values and what every
 * command takes. EXIT_USAGE (it was said why), NOMEM. */
int cli_parse(struct cli *c, int argc, char **argv);

/* Options that every command takes (-L, -q, -v, --json ...). */
extern const struct cli_option cli_common_options[];

struct cli_value {
	const struct cli_option *opt;
	const char *value;
};

struct cli {
	const struct command *cmd;
	char **args; /* operands */
	int nargs;
	struct cli_value *values;
	size_t nvalues;
	char **after; /* words behind "--", NULL: there was no "--" */
	int nafter;
	/* common options */
	const char *library_path;
	bool quiet, verbose, json, null, no_pager;
	bool want_help, want_version;
	enum { PROGRESS_AUTO, PROGRESS_NONE, PROGRESS_JSON } progress_mode;
	bool color;
	/* made when first asked for */
	struct library *lib;
	struct error err; /* of the failure that run returns */
	struct progress progress;
	const char *subject; /* what the failure is about, or NULL */
};

/* --- options of the command --- */

/* The last value given for the option ("" for a flag), NULL: not given. */
const char *cli_opt(const struct cli *c, const char *name);
static inline bool cli_flag(const struct cli *c, const char *name)
{
	return cli_opt(c, name) != NULL;
}
/* The i-th value given, in order; NULL where there are fewer. */
const char *cli_opt_at(const struct cli *c, const char *name, size_t i);
/* All values given, in order, ended by NULL: an array to be freed. NOMEM. */
int cli_opt_all(struct cli *c, const char *name, const char ***out);
/* A number, with suffixes K M G T (of 1024) if sizes. USAGE. */
int cli_opt_number(struct cli *c, const char *name, bool sizes,
	uint64_t fallback, uint64_t *out);

/* Says in one line what is wrong with the call, and how it is; returns
 * EXIT_USAGE. */
int cli_usage(struct cli *c, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* USAGE unless there are min..max operands (max -1: any number). */
int cli_want_args(struct cli *c, int min, int max);

/* --- library --- */

/* Opens the library; it stays open until the command ends. 0 or an error. */
int cli_library(struct cli *c);
/* The same, and makes the default one where it does not exist. */
int cli_library_create(struct cli *c);
char *cli_library_path(struct cli *c); /* to be freed; NULL: none */
/* NOTFOUND, with words about it. */
int cli_no_library_path(struct cli *c);
/* Makes the folders above path. */
int cli_make_parents(const char *path, struct error *e);

/* --- output --- */

/* One line on stderr, "strata: ...". */
void cli_error(const char *fmt, ...) ATTR_PRINTF(1, 2);
/* The same for warnings and notes: not with -q. */
void cli_note(const struct cli *c, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* The exit code of an error. */
int cli_exit_code(int error_code);

/* Progress as the user asked for; call cli_progress_end before printing. */
void cli_progress_start(struct cli *c);
void cli_progress_end(struct cli *c);

/* "1.2 GiB"; out holds 32 bytes. */
char *cli_size(uint64_t bytes, char out[32]);
/* Bytes of a guest as they can be shown on a terminal: control characters and
 * what is not UTF-8 as \xHH. On a pipe bytes stay as they are. */
void cli_put_name(FILE *f, const void *name, size_t len);
/* The same for lines of text: tabs and backslashes stay. */
void cli_put_text(FILE *f, const void *text, size_t len);
/* The length of the character at p that a terminal can be shown; 0 where the
 * byte is none: not UTF-8, or a control character. */
size_t cli_printable(const void *p, size_t n);
/* Starts $PAGER for stdout where it is a terminal. */
void cli_pager(struct cli *c);
/* Colour as git does: "" where there is none. */
const char *cli_color(const struct cli *c, const char *ansi);

/* Findings collected for the report, at most 1000 kept, all counted. */
struct cli_findings {
	struct cli_finding {
		enum finding_id id;
		uint64_t offset;
		char *where, *detail;
	} *items;
	size_t len, cap;
	uint64_t count;
	struct finding_sink sink; /* give this one to the library */
};
void cli_findings_init(struct cli_findings *f);
void cli_findings_release(struct cli_findings *f);
void cli_findings_print(struct cli *c, const struct cli_findings *f);

#endif
