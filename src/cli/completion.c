/* SPDX-License-Identifier: Apache-2.0 */
/* Completion for bash, zsh and fish, made from the table of commands. */
#include <string.h>
#include "cli/help.h"

#define FORMATS "raw qcow2 vmdk vmdk-stream vhd vhdx vdi ova"

/* "auto|none|json" are choices, "DATE" is a name. */
static bool is_choice(const char *arg)
{
	return arg && strchr(arg, '|');
}

static void put_choices(FILE *f, const char *arg)
{
	for (; *arg; arg++)
		putc(*arg == '|' ? ' ' : *arg, f);
}

/* --- bash --- */

static const char bash_head[] =
	"# Names come from libraries and images that may be anyone's: they are quoted, and\n"
	"# never expanded.\n"
	"_strata_run() { command strata ${lib:+-L \"$lib\"} \"$@\" 2>/dev/null; }\n"
	"_strata_add() {\n"
	"\tlocal w q\n"
	"\twhile IFS= read -r -d '' w; do\n"
	"\t\t[[ $w == \"$1\"* ]] || continue\n"
	"\t\tprintf -v q %q \"$w\"\n"
	"\t\tCOMPREPLY+=(\"$q\")\n"
	"\tdone\n"
	"}\n"
	"_strata_words() { _strata_add \"$cur\" < <(printf '%s\\0' $1); }\n"
	"_strata_list() { _strata_add \"$cur\" < <(_strata_run \"$@\" -z); }\n"
	"_strata_files() { compopt -o default 2>/dev/null; }\n"
	"_strata_refs() {\n"
	"\tlocal full=${COMP_LINE:0:COMP_POINT} rest dir before\n"
	"\tfull=${full##*[[:space:]]}\n"
	"\tif [[ $full != *:* ]]; then\n"
	"\t\t_strata_files; _strata_list branch; _strata_list tag\n"
	"\t\treturn\n"
	"\tfi\n"
	"\trest=${full##*:} before=${full%\"${full##*:}\"}\n"
	"\tcase $rest in */*) dir=${rest%/*}/ ;; *) dir=${rest:+./} dir=${dir:-/} ;; esac\n"
	"\t[[ $dir != ./ ]] || dir=\n"
	"\t_strata_add \"$rest\" < <(_strata_run ls -pz \"$before${dir:-/}\" |\n"
	"\t\twhile IFS= read -r -d '' f; do printf '%s\\0' \"$dir$f\"; done)\n"
	"\t[[ $COMP_WORDBREAKS == *:* ]] || COMPREPLY=(\"${COMPREPLY[@]/#/$before}\")\n"
	"\tcompopt -o nospace 2>/dev/null\n"
	"}\n"
	"_strata_instance() {\n"
	"\tcase $verb in\n"
	"\t'') _strata_words 'create list rm' ;;\n"
	"\trm) _strata_list instance list ;;\n"
	"\tcreate) _strata_refs ;;\n"
	"\tesac\n"
	"}\n"
	"_strata() {\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	"\tlocal cmd= verb= lib= i w\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tw=${COMP_WORDS[i]}\n"
	"\t\tcase $w in\n"
	"\t\t-L|--library)\n"
	"\t\t\t[[ ${COMP_WORDS[i+1]} != = ]] || ((i++))\n"
	"\t\t\t((++i < COMP_CWORD)) && lib=${COMP_WORDS[i]/#~/$HOME} ;;\n"
	"\t\t--progress|--color) [[ -n $cmd ]] || ((i++)) ;;\n"
	"\t\t--) [[ -z $cmd ]] || { _strata_files; return; } ;;\n"
	"\t\t-*) ;;\n"
	"\t\t*) if [[ -z $cmd ]]; then cmd=$w; else verb=${verb:-$w}; fi ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\t[[ $cur != = ]] || { cur= prev=${COMP_WORDS[COMP_CWORD-1]}; }\n"
	"\t[[ $prev != = ]] || prev=${COMP_WORDS[COMP_CWORD-2]}\n";

static const char *bash_words(enum complete c)
{
	switch (c) {
	case COMPLETE_FILE:
		return "_strata_files";
	case COMPLETE_REV:
		return "_strata_refs";
	case COMPLETE_BRANCH:
		return "_strata_list branch";
	case COMPLETE_TAG:
		return "_strata_list tag";
	case COMPLETE_COMMAND:
		return "_strata_words \"$_strata_commands\"";
	case COMPLETE_FORMAT:
		return "_strata_words '" FORMATS "'";
	case COMPLETE_INSTANCE:
		return "_strata_instance";
	default:
		return ":";
	}
}

/* The arguments of options, then return. */
static void bash_arguments(FILE *f, const struct cli_option *o)
{
	for (; o && o->name; o++) {
		if (!o->arg)
			continue;
		fputs("\t\t", f);
		if (o->letter)
			fprintf(f, "-%c|", o->letter);
		fprintf(f, "--%s) ", o->name);
		if (is_choice(o->arg)) {
			fputs("_strata_words '", f);
			put_choices(f, o->arg);
			putc('\'', f);
		} else {
			fputs(bash_words(o->complete), f);
		}
		fputs("; return ;;\n", f);
	}
}

static void bash_options(FILE *f, const struct cli_option *o)
{
	for (; o && o->name; o++)
		fprintf(f, "--%s ", o->name);
}

static void bash(FILE *f)
{
	fputs("# bash completion for strata\n_strata_commands='", f);
	for (size_t i = 0; cli_commands[i]; i++)
		if (!cli_commands[i]->hidden)
			fprintf(f, "%s ", cli_commands[i]->name);
	fputs("'\n", f);
	fputs(bash_head, f);
	fputs("\tcase $cmd in\n", f);
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct command *c = cli_commands[i];

		fprintf(f, "\t%s)\n\t\tcase $prev in\n", c->name);
		bash_arguments(f, c->options);
		fputs("\t\tesac ;;\n", f);
	}
	fputs("\tesac\n\tcase $prev in\n", f);
	bash_arguments(f, cli_common_options);
	fputs("\tesac\n\tcase $cmd,$cur in\n", f);
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct command *c = cli_commands[i];

		fprintf(f, "\t%s,-*) _strata_words '", c->name);
		bash_options(f, c->options);
		bash_options(f, cli_common_options);
		fprintf(f, "' ;;\n\t%s,*) %s ;;\n", c->name,
			bash_words(c->operands));
	}
	fputs("\t,-*) _strata_words '--version ", f);
	bash_options(f, cli_common_options);
	fputs("' ;;\n\t,*) _strata_words \"$_strata_commands\" ;;\n"
	      "\tesac\n}\ncomplete -F _strata strata\n", f);
}

/* --- zsh --- */

static const char zsh_head[] =
	"_strata_run() { command strata ${_strata_lib:+-L} $_strata_lib \"$@\" 2>/dev/null }\n"
	"_strata_branches() { local -a w; w=(${(0)\"$(_strata_run branch -z)\"}); compadd -a w }\n"
	"_strata_tags() { local -a w; w=(${(0)\"$(_strata_run tag -z)\"}); compadd -a w }\n"
	"_strata_refs() {\n"
	"\tlocal -a w\n"
	"\tif compset -P '*:'; then\n"
	"\t\tlocal dir=${(M)PREFIX##*/}\n"
	"\t\tw=(${(0)\"$(_strata_run ls -pz \"$IPREFIX${dir:-/}\")\"})\n"
	"\t\tcompset -P '*/'\n"
	"\t\tcompadd -S '' -a w\n"
	"\telse\n"
	"\t\t_strata_branches; _strata_tags; _files\n"
	"\tfi\n"
	"}\n"
	"_strata_instance() {\n"
	"\tlocal -a w\n"
	"\tcase $words[2] in\n"
	"\trm) w=(${(0)\"$(_strata_run instance list -z)\"}); compadd -a w ;;\n"
	"\tcreate) _strata_refs ;;\n"
	"\t*) compadd create list rm ;;\n"
	"\tesac\n"
	"}\n";

static void quoted(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '\'')
			fputs("'\\''", f);
		else if (strchr("[]:", *s))
			fprintf(f, "\\%c", *s);
		else
			putc(*s, f);
	}
}

static const char *zsh_action(enum complete c)
{
	switch (c) {
	case COMPLETE_FILE:
		return "_files";
	case COMPLETE_REV:
		return "_strata_refs";
	case COMPLETE_BRANCH:
		return "_strata_branches";
	case COMPLETE_TAG:
		return "_strata_tags";
	case COMPLETE_COMMAND:
		return "_strata_commands";
	case COMPLETE_FORMAT:
		return "(" FORMATS ")";
	case COMPLETE_INSTANCE:
		return "_strata_instance";
	default:
		return "( )";
	}
}

static void zsh_argument(FILE *f, const struct cli_option *o)
{
	putc('[', f);
	quoted(f, o->help);
	putc(']', f);
	if (o->arg && is_choice(o->arg)) {
		fprintf(f, ":%s:(", o->name);
		put_choices(f, o->arg);
		putc(')', f);
	} else if (o->arg) {
		fprintf(f, ":%s:%s", o->arg, zsh_action(o->complete));
	}
	fputs("' \\\n", f);
}

static void zsh_options(FILE *f, const struct cli_option *o,
	const struct cli_option *hide)
{
	for (; o && o->name; o++) {
		bool hidden = false;

		for (const struct cli_option *h = hide; h && h->name; h++)
			hidden |= h->letter && h->letter == o->letter;
		if (o->letter && !hidden) {
			fprintf(f, "\t\t'*-%c%s", o->letter,
				o->arg ? "+" : "");
			zsh_argument(f, o);
		}
		fprintf(f, "\t\t'*--%s%s", o->name, o->arg ? "=" : "");
		zsh_argument(f, o);
	}
}

static void zsh(FILE *f)
{
	fputs("#compdef strata\n", f);
	fputs(zsh_head, f);
	fputs("_strata_commands() {\n\tlocal -a c; c=(\n", f);
	for (size_t i = 0; cli_commands[i]; i++) {
		if (cli_commands[i]->hidden)
			continue;
		fprintf(f, "\t\t'%s:", cli_commands[i]->name);
		quoted(f, cli_commands[i]->summary);
		fputs("'\n", f);
	}
	fputs("\t)\n\t_describe command c\n}\n"
	      "_strata() {\n\tlocal state line _strata_lib\n"
	      "\tlocal -A opt_args\n\t_arguments -C \\\n", f);
	zsh_options(f, cli_common_options, NULL);
	fputs("\t\t'1:command:_strata_commands' '*::arg:->args'\n"
	      "\t_strata_lib=${opt_args[-L]:-$opt_args[--library]}\n"
	      "\t[ \"$state\" = args ] || return\n\tcase $words[1] in\n", f);
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct command *c = cli_commands[i];

		fprintf(f, "\t%s)\n\t\t_arguments \\\n", c->name);
		zsh_options(f, c->options, NULL);
		zsh_options(f, cli_common_options, c->options);
		fprintf(f, "\t\t'*:operand:%s' ;;\n",
			zsh_action(c->operands));
	}
	fputs("\tesac\n}\n_strata \"$@\"\n", f);
}

/* --- fish --- */

static const char fish_head[] =
	"function __strata_run\n"
	"\tset -l words (commandline -opc)\n"
	"\tset -l lib\n"
	"\tfor i in (seq (count $words))\n"
	"\t\tcontains -- $words[$i] -L --library; and set lib -L $words[(math $i + 1)]\n"
	"\tend\n"
	"\tcommand strata $lib $argv 2>/dev/null\n"
	"end\n"
	"function __strata_refs\n"
	"\tset -l word (commandline -ct)\n"
	"\tif not string match -q '*:*' -- $word\n"
	"\t\t__strata_run branch -z | string split0\n"
	"\t\t__strata_run tag -z | string split0\n"
	"\t\treturn\n"
	"\tend\n"
	"\tset -l dir (string replace -r '[^:/]*$' '' -- $word)\n"
	"\tfor f in (__strata_run ls -pz $dir | string split0)\n"
	"\t\techo $dir$f\n"
	"\tend\n"
	"end\n"
	"function __strata_instance\n"
	"\tset -l words (commandline -opc)\n"
	"\tif contains -- rm $words\n"
	"\t\t__strata_run instance list -z | string split0\n"
	"\telse if contains -- create $words\n"
	"\t\t__strata_refs\n"
	"\telse\n"
	"\t\tprintf '%s\\n' create list rm\n"
	"\tend\n"
	"end\n";

static const char *fish_action(enum complete c)
{
	switch (c) {
	case COMPLETE_REV:
		return "(__strata_refs)";
	case COMPLETE_BRANCH:
		return "(__strata_run branch -z | string split0)";
	case COMPLETE_TAG:
		return "(__strata_run tag -z | string split0)";
	case COMPLETE_COMMAND:
		return "$__strata_commands";
	case COMPLETE_FORMAT:
		return FORMATS;
	case COMPLETE_INSTANCE:
		return "(__strata_instance)";
	default:
		return NULL;
	}
}

static void fish_text(FILE *f, const char *s)
{
	putc('\'', f);
	for (; *s; s++)
		fprintf(f, *s == '\'' || *s == '\\' ? "\\%c" : "%c", *s);
	putc('\'', f);
}

static void fish_options(FILE *f, const char *command,
	const struct cli_option *o)
{
	for (; o && o->name; o++) {
		const char *action = fish_action(o->complete);

		fputs("complete -c strata", f);
		if (command)
			fprintf(f, " -n '__fish_seen_subcommand_from %s'",
				command);
		fprintf(f, " -l %s", o->name);
		if (o->letter)
			fprintf(f, " -s %c", o->letter);
		if (o->arg)
			fputs(o->complete == COMPLETE_FILE ? " -rF" : " -x", f);
		if (is_choice(o->arg)) {
			fputs(" -a '", f);
			put_choices(f, o->arg);
			putc('\'', f);
		} else if (o->arg && action) {
			fprintf(f, " -a '%s'", action);
		}
		fputs(" -d ", f);
		fish_text(f, o->help);
		putc('\n', f);
	}
}

static void fish(FILE *f)
{
	fputs("# fish completion for strata\nset -g __strata_commands", f);
	for (size_t i = 0; cli_commands[i]; i++)
		if (!cli_commands[i]->hidden)
			fprintf(f, " %s", cli_commands[i]->name);
	putc('\n', f);
	fputs(fish_head, f);
	fputs("complete -c strata -f\n", f);
	fish_options(f, NULL, cli_common_options);
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct command *c = cli_commands[i];
		const char *action = fish_action(c->operands);

		if (!c->hidden) {
			fprintf(f, "complete -c strata -n __fish_use_subcommand "
				   "-a %s -d ", c->name);
			fish_text(f, c->summary);
			putc('\n', f);
		}
		fish_options(f, c->name, c->options);
		if (c->operands == COMPLETE_FILE || c->operands == COMPLETE_REV)
			fprintf(f, "complete -c strata -F -n "
				   "'__fish_seen_subcommand_from %s'\n",
				c->name);
		if (action)
			fprintf(f, "complete -c strata -n "
				   "'__fish_seen_subcommand_from %s' -a '%s'\n",
				c->name, action);
	}
}

int help_completion(const char *shell, FILE *f)
{
	if (!strcmp(shell, "bash"))
		bash(f);
	else if (!strcmp(shell, "zsh"))
		zsh(f);
	else if (!strcmp(shell, "fish"))
		fish(f);
	else
		return -1;
	return 0;
}
