/* SPDX-License-Identifier: Apache-2.0 */
/* inspect: what is in an image, imported or not. */
#include <inttypes.h>
#include <string.h>
#include "base/checked.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/side.h"
#include "insight/inspect.h"
#include "view/view.h"

static const struct cli_option options[] = {
	{ 0, "format", "FORMAT", "the container's format (default: by content)",
		COMPLETE_FORMAT },
	{ 0, "snapshot", "NAME", "an internal snapshot of a qcow2", 0 },
	{ 0, "allow-backing", "PATH",
		"a file or folder that the image may name (repeatable)",
		COMPLETE_FILE },
	{ 0, NULL, NULL, NULL, 0 },
};

struct report {
	struct cli *c;
	struct side side;
	struct inspection in;
	struct cli_findings found;
};

/* --- JSON --- */

static void str_or_null(struct json *j, const char *key, const char *s)
{
	json_str(j, key, *s ? s : NULL);
}

static void json_os(struct json *j, const struct inspection *in)
{
	json_object(j, "os");
	str_or_null(j, "type", in->type);
	str_or_null(j, "id", in->id);
	str_or_null(j, "name", in->name);
	str_or_null(j, "version", in->version);
	str_or_null(j, "version_id", in->version_id);
	str_or_null(j, "codename", in->codename);
	str_or_null(j, "pretty_name", in->pretty);
	if (*in->edition)
		json_str(j, "edition", in->edition);
	if (*in->build)
		json_str(j, "build", in->build);
	if (in->registry_dirty)
		json_bool(j, "registry_dirty", true);
	json_object_end(j);
	str_or_null(j, "hostname", in->hostname);
	str_or_null(j, "architecture", in->architecture);
	str_or_null(j, "timezone", in->timezone);
}

static void json_system(struct json *j, const struct inspection *in)
{
	json_array(j, "kernels");
	for (size_t i = 0; i < in->kernels.len; i++) {
		const struct inspect_kernel *k = &in->kernels.items[i];

		json_object(j, NULL);
		json_str(j, "version", k->version);
		str_or_null(j, "path", k->path);
		json_bool(j, "modules", k->modules);
		json_object_end(j);
	}
	json_array_end(j);
	json_str(j, "bootloader",
		in->bootloaders.len ? in->bootloaders.items[0] : NULL);
	json_array(j, "bootloaders");
	for (size_t i = 0; i < in->bootloaders.len; i++)
		json_str(j, NULL, in->bootloaders.items[i]);
	json_array_end(j);
	json_array(j, "fstab");
	for (size_t i = 0; i < in->fstab.len; i++) {
		const struct inspect_mount *m = &in->fstab.items[i];

		json_object(j, NULL);
		json_str(j, "spec", m->spec);
		json_str(j, "file", m->file);
		json_str(j, "type", m->type);
		json_str(j, "options", m->options);
		json_u64(j, "freq", m->freq);
		json_u64(j, "passno", m->passno);
		json_object_end(j);
	}
	json_array_end(j);
	json_array(j, "users");
	for (size_t i = 0; i < in->users.len; i++) {
		const struct inspect_user *u = &in->users.items[i];

		json_object(j, NULL);
		json_str(j, "name", u->name);
		json_u64(j, "uid", u->uid);
		json_u64(j, "gid", u->gid);
		json_str(j, "gecos", u->gecos);
		json_str(j, "home", u->home);
		json_str(j, "shell", u->shell);
		json_str(j, "password", password_state_name(u->password));
		json_object_end(j);
	}
	json_array_end(j);
	json_array(j, "services");
	for (size_t i = 0; i < in->services.len; i++)
		json_str(j, NULL, in->services.items[i]);
	json_array_end(j);
	json_object(j, "packages");
	str_or_null(j, "manager", in->package_manager);
	if (in->packages_known)
		json_u64(j, "count", in->packages);
	else
		json_null(j, "count");
	json_object_end(j);
	if (strcmp(in->type, "windows") != 0)
		return;
	json_array(j, "programs");
	for (size_t i = 0; i < in->programs.len; i++) {
		const struct inspect_program *p = &in->programs.items[i];

		json_object(j, NULL);
		json_str(j, "name", p->name);
		str_or_null(j, "version", p->version);
		str_or_null(j, "publisher", p->publisher);
		str_or_null(j, "installed", p->date);
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_disks(struct json *j, const struct side *s)
{
	char digest[DIGEST_TEXT];

	json_array(j, "disks");
	for (size_t i = 0; i < s->image.disks.len; i++) {
		const struct image_disk *d = &s->image.disks.items[i];

		json_object(j, NULL);
		json_u64(j, "size", d->size);
		json_u64(j, "sector_size", d->sector_size);
		json_str(j, "partitions", d->part_scheme);
		str_or_null(j, "partition_table_uuid", d->part_uuid);
		if (!s->is_file)
			json_str(j, "digest", digest_text(d->digest, digest));
		if (s->is_file && i < s->in.infos.len) {
			const struct disk_info *x = &s->in.infos.items[i];

			json_object(j, "container");
			json_str(j, "format", x->format);
			str_or_null(j, "detail", x->detail);
			str_or_null(j, "backing", x->backing);
			json_object_end(j);
		}
		json_array(j, "volumes");
		json_volumes(j, &s->image, (uint32_t)i);
		json_array_end(j);
		json_object_end(j);
	}
	json_array_end(j);
}

static void print_json(const struct report *p)
{
	struct json j;

	json_start(&j, stdout, "inspect");
	if (p->side.is_file)
		json_null(&j, "commit");
	else
		json_oid(&j, "commit", &p->side.rev.commit);
	json_os(&j, &p->in);
	json_system(&j, &p->in);
	json_disks(&j, &p->side);
	json_findings(&j, &p->found);
	json_end(&j);
}

/* --- text --- */

static void line(const char *key, const char *value)
{
	if (!*value)
		return;
	printf("%-13s ", key);
	cli_put_name(stdout, value, strlen(value));
	putchar('\n');
}

static void put_word(const char *s)
{
	putchar(' ');
	cli_put_name(stdout, s, strlen(s));
}

static void text_system(const struct inspection *in)
{
	line("system", *in->pretty ? in->pretty : in->name);
	line("version", in->version);
	line("edition", in->edition);
	line("build", in->build);
	line("hostname", in->hostname);
	line("architecture", in->architecture);
	line("timezone", in->timezone);
	for (size_t i = 0; i < in->kernels.len; i++)
		line("kernel", in->kernels.items[i].version);
	for (size_t i = 0; i < in->bootloaders.len; i++)
		line("boot loader", in->bootloaders.items[i]);
	if (in->packages_known)
		printf("%-13s %" PRIu64 " (%s)\n", "packages", in->packages,
			in->package_manager);
	else
		line("packages", in->package_manager);
	for (size_t i = 0; i < in->programs.len; i++) {
		printf("%-13s", i ? "" : "programs");
		put_word(in->programs.items[i].name);
		put_word(in->programs.items[i].version);
		putchar('\n');
	}
	if (in->registry_dirty)
		line("registry", "was not closed, and its logs do not help");
	for (size_t i = 0; i < in->users.len; i++) {
		const struct inspect_user *u = &in->users.items[i];

		printf("%-13s", i ? "" : "users");
		put_word(u->name);
		printf(" (%" PRIu32 ")", u->uid);
		put_word(u->shell);
		printf(", password %s\n", password_state_name(u->password));
	}
	for (size_t i = 0; i < in->fstab.len; i++) {
		const struct inspect_mount *m = &in->fstab.items[i];

		printf("%-13s", i ? "" : "fstab");
		put_word(m->spec);
		put_word(m->file);
		put_word(m->type);
		put_word(m->options);
		putchar('\n');
	}
	for (size_t i = 0; i < in->services.len; i++)
		line(i ? "" : "services", in->services.items[i]);
}

static void text_disks(const struct side *s)
{
	const struct image *im = &s->image;
	char a[32], b[32];

	for (size_t i = 0; i < im->disks.len; i++) {
		const struct image_disk *d = &im->disks.items[i];

		printf("%-4s %-8zu %s, %" PRIu32 "-byte sectors, "
		       "partitions: %s",
			"disk", i, cli_size(d->size, a), d->sector_size,
			d->part_scheme);
		if (s->is_file && i < s->in.infos.len) {
			const struct disk_info *x = &s->in.infos.items[i];

			printf(", %s%s%s%s", x->format, *x->detail ? " (" : "",
				x->detail, *x->detail ? ")" : "");
			if (*x->backing) {
				fputs(", backing ", stdout);
				cli_put_name(stdout, x->backing,
					strlen(x->backing));
			}
		}
		putchar('\n');
		for (size_t k = 0; k < im->volumes.len; k++) {
			const struct image_volume *v = &im->volumes.items[k];

			if (!v->segments.len || v->segments.items[0].disk != i)
				continue;
			printf("  %-11s %-12s %10s", v->name,
				*v->fs ? v->fs : "-", cli_size(v->size, a));
			if (*v->label) {
				putchar(' ');
				cli_put_name(stdout, v->label,
					strlen(v->label));
			}
			if (*v->uuid)
				printf("  %s", v->uuid);
			if (v->files)
				printf("  %" PRIu64 " files, %s", v->files,
					cli_size(v->file_bytes, b));
			putchar('\n');
		}
	}
}

/* --- the command --- */

static int boot_code(struct report *p)
{
	struct cli *c = p->c;
	uint8_t head[4096];
	int r = 0;

	for (size_t i = 0; i < p->side.image.disks.len && !r; i++) {
		AUTO_SOURCE disk = NULL;
		size_t n;

		if (p->side.is_file)
			disk = source_ref(p->side.in.disks.items[i]);
		else
			r = view_disk(c->lib, &p->side.image.disks.items[i],
				&disk, &c->err);
		if (r)
			break;
		n = (size_t)u64_min(sizeof(head), disk->size);
		/* An unreadable sector is no reason to stop. */
		if (!source_pread(disk, head, n, 0, NULL))
			r = inspect_boot_code(&p->in,
				(struct view){ head, n }, &c->err);
	}
	return r;
}

static int run(struct cli *c)
{
	struct report p = { .c = c };
	AUTO_FREE const char **allow = NULL;
	struct input_args ia = { .format = cli_opt(c, "format"),
		.snapshot = cli_opt(c, "snapshot") };
	struct side_args sa = { .maybe = true, .input = &ia };
	int r = cli_want_args(c, 1, 1);

	if (!r)
		r = cli_opt_all(c, "allow-backing", &allow);
	if (r)
		return r;
	ia.allow = allow;
	cli_findings_init(&p.found);
	inspection_init(&p.in);
	sa.findings = &p.found.sink;
	r = side_open(c, c->args[0], &sa, &p.side);
	if (!r && p.side.view)
		r = inspect_files(p.side.view, &p.in, &c->err);
	if (!r)
		r = boot_code(&p);
	if (!r) {
		cli_pager(c);
		if (c->json) {
			print_json(&p);
		} else {
			text_system(&p.in);
			text_disks(&p.side);
		}
	}
	if (!c->json)
		cli_findings_print(c, &p.found);
	side_release(&p.side);
	inspection_release(&p.in);
	cli_findings_release(&p.found);
	return r;
}

const struct command cmd_inspect = {
	.name = "inspect",
	.synopsis = "REV|IMAGE [--json]",
	.summary = "what is in an image: system, kernels, users, services",
	.options = options,
	.operands = COMPLETE_REV,
	.run = run,
};
