/* SPDX-License-Identifier: Apache-2.0 */
#include "library/boot_ranges.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/checked.h"

/* A line of at most 40 bytes a block. */
#define TEXT_MAX (BOOT_BLOCKS_MAX * 40)

int boot_ranges_parse(const char *text, size_t len, uint64_t disk_size,
	boot_ranges *out, struct error *e)
{
	const size_t head = strlen(BOOT_RANGES_HEAD);
	const char *end = text + len, *p = text + head;

	if (len < head || memcmp(text, BOOT_RANGES_HEAD, head) != 0)
		return error_set(e, ERR_CORRUPT, "boot set: no header");
	while (p < end) {
		uint64_t v[2] = { 0 };

		for (int i = 0; i < 2; i++) {
			const char *start = p;

			for (; p < end && *p >= '0' && *p <= '9'; p++)
				if (!u64_mul(v[i], 10, &v[i]) ||
					!u64_add(v[i], (uint64_t)(*p - '0'),
						&v[i]))
					break;
			if (p == start || p == end || *p != " \n"[i])
				return error_at(e, ERR_CORRUPT,
					(uint64_t)(p - text),
					"boot set: not a number");
			p++;
		}
		if (!v[1] || !range_inside(v[0], v[1], disk_size) ||
			out->len >= BOOT_BLOCKS_MAX)
			return error_at(e, ERR_CORRUPT, (uint64_t)(p - text),
				"boot set: a range does not fit the disk");
		if (!vec_push(out, (struct boot_range){ v[0], v[1] }))
			return error_nomem(e);
	}
	return 0;
}

char *boot_ranges_path(struct library *l, const struct oid *image,
	unsigned disk)
{
	AUTO_BUF path = BUF_INIT;
	char hex[OID_HEX + 1];

	buf_printf(&path, "%s/cache/boot/%s-%u", l->path, oid_hex(image, hex),
		disk);
	return buf_steal(&path);
}

bool boot_ranges_load(struct library *l, const struct oid *image,
	unsigned disk, uint64_t disk_size, boot_ranges *out)
{
	AUTO_FREE char *path = boot_ranges_path(l, image, disk);
	AUTO_FD int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
			      : -1;
	AUTO_FREE char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) ||
		(uint64_t)st.st_size > TEXT_MAX)
		return false;
	text = malloc((size_t)st.st_size + 1);
	n = text ? read(fd, text, (size_t)st.st_size) : -1;
	if (n >= 0 &&
		!boot_ranges_parse(text, (size_t)n, disk_size, out, NULL))
		return true;
	vec_release(out);
	return false;
}
