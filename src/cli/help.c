/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <string.h>

int help_overview(FILE *f)
{
	fputs("usage: strata [-L LIBRARY] COMMAND ...\n\n"
	      "A library for virtual machine images: import disks, version "
	      "them, look inside,\nget them back bit for bit.\n\n",
		f);
	for (size_t i = 0; cli_commands[i]; i++)
		if (!cli_commands[i]->hidden)
			fprintf(f, "  %-12s %s\n", cli_commands[i]->name,
				cli_commands[i]->summary);
	fputs("\n'strata COMMAND --help' tells the options, 'strata help "
	      "COMMAND' shows the manual.\n",
		f);
	return 0;
}

static void put_options(const struct cli_option *o, FILE *f)
{
	for (; o && o->name; o++) {
		char text[80];
		int n = snprintf(text, sizeof(text), "%s%c%s--%s%s%s",
			o->letter ? "-" : " ", o->letter ? o->letter : ' ',
			o->letter ? ", " : "  ", o->name, o->arg ? " " : "",
			o->arg ? o->arg : "");

		if (n > 28)
			fprintf(f, "  %s\n  %-28s %s\n", text, "", o->help);
		else
			fprintf(f, "  %-28s %s\n", text, o->help);
	}
}

void help_command(const struct command *cmd, FILE *f)
{
	fprintf(f, "usage: strata %s %s\n\n%s\n", cmd->name, cmd->synopsis,
		cmd->summary);
	if (cmd->options && cmd->options->name) {
		fputs("\noptions:\n", f);
		put_options(cmd->options, f);
	}
	fputs("\ncommon options:\n", f);
	put_options(cli_common_options, f);
}

size_t help_distance(const char *a, const char *b)
{
	size_t row[64], n = strlen(b);

	if (strlen(a) > 60 || n > 60)
		return 9;
	for (size_t k = 0; k <= n; k++)
		row[k] = k;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diag = row[0];

		row[0] = i;
		for (size_t k = 1; k <= n; k++) {
			size_t cost = diag + (a[i - 1] != b[k - 1]);

			diag = row[k];
			if (row[k] + 1 < cost)
				cost = row[k] + 1;
			if (row[k - 1] + 1 < cost)
				cost = row[k - 1] + 1;
			row[k] = cost;
		}
	}
	return row[n] > 9 ? 9 : row[n];
}

int help_unknown(const char *name)
{
	const char *best = NULL;
	size_t n = strlen(name), best_d = n / 2 + 1;

	if (best_d > 4)
		best_d = 4;
	for (size_t i = 0; cli_commands[i]; i++) {
		const char *have = cli_commands[i]->name;
		size_t d = help_distance(name, have);

		if (n > 1 && !strncmp(have, name, n))
			d = 0;
		if (!cli_commands[i]->hidden && d < best_d) {
			best_d = d;
			best = have;
		}
	}
	cli_error("%s: not a command; %s%s%s'strata help' lists them",
		*name ? name : "''", best ? "did you mean '" : "",
		best ? best : "", best ? "'? " : "");
	return EXIT_USAGE;
}

/* --- completion --- */

static const char *bash_words(enum complete c)
{
	switch (c) {
	case COMPLETE_FILE:
		return "compopt -o default; COMPREPLY=()";
	case COMPLETE_REV:
		return "_strata_refs";
	case COMPLETE_BRANCH:
		return "_strata_words \"$(strata branch 2>/dev/null)\"";
	case COMPLETE_TAG:
		return "_strata_words \"$(strata tag 2>/dev/null)\"";
	case COMPLETE_COMMAND:
		return "_strata_words \"$_strata_commands\"";
	case COMPLETE_FORMAT:
		return "_strata_words \"raw qcow2 vmdk vmdk-stream vhd vhdx "
		       "vdi ova\"";
	default:
		return ":";
	}
}

static void bash(FILE *f)
{
	fputs("# bash completion for strata\n_strata_commands='", f);
	for (size_t i = 0; cli_commands[i]; i++)
		if (!cli_commands[i]->hidden)
			fprintf(f, "%s ", cli_commands[i]->name);
	fputs("'\n"
	      "_strata_words() { COMPREPLY=($(compgen -W \"$1\" -- "
	      "\"$cur\")); }\n"
	      "_strata_refs() { compopt -o default; _strata_words \"$(strata "
	      "branch 2>/dev/null; strata tag 2>/dev/null)\"; }\n"
	      "_strata() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} "
	      "prev=${COMP_WORDS[COMP_CWORD-1]} cmd= i\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do case "
	      "${COMP_WORDS[i]} in -L|--library) ((i++)) ;; -*) ;; *) "
	      "cmd=${COMP_WORDS[i]}; break ;; esac; done\n"
	      "\tcase $cmd in\n\t'') case $cur in -*) _strata_words '--library "
	      "--quiet --verbose --help --version' ;; *) _strata_words "
	      "\"$_strata_commands\" ;; esac ;;\n",
		f);
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct command *c = cli_commands[i];

		fprintf(f, "\t%s)\n\t\tcase $prev in\n", c->name);
		for (const struct cli_option *o = c->options; o && o->name;
			o++) {
			if (!o->arg)
				continue;
			fputs("\t\t", f);
			if (o->letter)
				fprintf(f, "-%c|", o->letter);
			fprintf(f, "--%s) %s; return ;;\n", o->name,
				bash_words(o->complete));
		}
		fputs("\t\tesac\n\t\tcase $cur in\n\t\t-*) _strata_words '",
			f);
		for (const struct cli_option *o = c->options; o && o->name; o++)
			fprintf(f, "--%s ", o->name);
		for (const struct cli_option *o = cli_common_options; o->name;
			o++)
			fprintf(f, "--%s ", o->name);
		fprintf(f, "' ;;\n\t\t*) %s ;;\n\t\tesac ;;\n",
			bash_words(c->operands));
	}
	fputs("\tesac\n}\ncomplete -F _strata strata\n", f);
}

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
		return "(raw qcow2 vmdk vmdk-stream vhd vhdx vdi ova)";
	default:
		return "( )";
	}
}

static void zsh_options(FILE *f, const struct cli_option *o)
{
	for (; o && o->name; o++) {
		fprintf(f, "\t\t'--%s%s[", o->name, o->arg ? "=" : "");
		quoted(f, o->help);
		putc(']', f);
		if (o->arg)
			fprintf(f, ":%s:%s", o->arg, zsh_action(o->complete));
		fputs("' \\\n", f);
	}
}

static void zsh(FILE *f)
{
	fputs("#compdef strata\n"
	      "_strata_branches() { compadd -- ${(f)\"$(strata branch "
	      "2>/dev/null)\"} }\n"
	      "_strata_tags() { compadd -- ${(f)\"$(strata tag 2>/dev/null)\"} "
	      "}\n"
	      "_strata_refs() { _strata_branches; _strata_tags; _files }\n"
	      "_strata_commands() {\n\tlocal -a c; c=(\n",
		f);
	for (size_t i = 0; cli_commands[i]; i++) {
		if (cli_commands[i]->hidden)
			continue;
		fprintf(f, "\t\t'%s:", cli_commands[i]->name);
		quoted(f, cli_commands[i]->summary);
		fputs("'\n", f);
	}
	fputs("\t)\n\t_describe command c\n}\n"
	      "_strata() {\n\tlocal state line\n\t_arguments -C '(-L "
	      "--library)'{-L,--library}'[the library]:DIR:_files -/' "
	      "'1:command:_strata_commands' '*::arg:->args'\n"
	      "\t[ \"$state\" = args ] || return\n\tcase $words[1] in\n",
		f);
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct command *c = cli_commands[i];

		fprintf(f, "\t%s)\n\t\t_arguments \\\n", c->name);
		zsh_options(f, c->options);
		fprintf(f, "\t\t'*:operand:%s' ;;\n", zsh_action(c->operands));
	}
	fputs("\tesac\n}\n_strata \"$@\"\n", f);
}

static void fish(FILE *f)
{
	fputs("# fish completion for strata\n", f);
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct command *c = cli_commands[i];

		if (!c->hidden) {
			fprintf(f,
				"complete -c strata -f -n "
				"__fish_use_subcommand -a %s -d '",
				c->name);
			quoted(f, c->summary);
			fputs("'\n", f);
		}
		for (const struct cli_option *o = c->options; o && o->name;
			o++) {
			fprintf(f,
				"complete -c strata -n "
				"'__fish_seen_subcommand_from %s' -l %s",
				c->name, o->name);
			if (o->letter)
				fprintf(f, " -s %c", o->letter);
			if (o->arg)
				fputs(" -r", f);
			fputs(" -d '", f);
			quoted(f, o->help);
			fputs("'\n", f);
		}
		if (c->operands == COMPLETE_FILE ||
			c->operands == COMPLETE_REV)
			fprintf(f,
				"complete -c strata -F -n "
				"'__fish_seen_subcommand_from %s'\n",
				c->name);
		if (c->operands == COMPLETE_REV ||
			c->operands == COMPLETE_BRANCH)
			fprintf(f,
				"complete -c strata -n "
				"'__fish_seen_subcommand_from %s' -a "
				"'(strata branch 2>/dev/null)'\n",
				c->name);
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
