/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/wrap_pick.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/checked.h"
#include "base/compiler.h"

static bool ends_in(const uint8_t *name, size_t len, const char *const *ends,
	size_t n, size_t *out_cut)
{
	for (size_t i = 0; i < n; i++) {
		size_t k = strlen(ends[i]);

		if (len > k && !strncasecmp((const char *)name + len - k,
				       ends[i], k)) {
			*out_cut = k;
			return true;
		}
	}
	return false;
}

bool wrap_is_image_name(const uint8_t *name, size_t len)
{
	static const char *const packed[] = { ".gz", ".xz", ".zst", ".zstd",
		".bz2", ".lz4", ".lzma", ".lz", ".zip" };
	static const char *const images[] = { ".raw", ".img", ".dd", ".image",
		".qcow2", ".qcow", ".qed", ".vmdk", ".vhd", ".vpc", ".vhdx",
		".avhd", ".avhdx", ".vdi", ".hdd", ".hds", ".iso", ".dmg",
		".ova" };
	size_t cut;

	if (ends_in(name, len, packed, ARRAY_LEN(packed), &cut))
		len -= cut;
	return ends_in(name, len, images, ARRAY_LEN(images), &cut);
}

static void printable(char *out, size_t size, const uint8_t *name, size_t len)
{
	size_t n = size_min(len, size - 1);

	for (size_t i = 0; i < n; i++)
		out[i] = name[i] >= ' ' && name[i] != 0x7f ? (char)name[i]
							    : '?';
	out[n] = 0;
}

bool wrap_pick_offer(struct wrap_pick *p, const uint8_t *name, size_t len,
	uint64_t size)
{
	size_t base = len;
	bool image, first;

	if (!len || name[len - 1] == '/' || !size)
		return false;
	while (base && name[base - 1] != '/')
		base--;
	if (len - base > 1 && name[base] == '.' && name[base + 1] == '_')
		return false;
	if (len - base == 9 && !memcmp(name + base, ".DS_Store", 9))
		return false;
	for (size_t i = 0; i + 9 <= len; i++)
		if ((!i || name[i - 1] == '/') &&
			!memcmp(name + i, "__MACOSX/", 9))
			return false;
	image = wrap_is_image_name(name, len);
	first = image ? !p->images++ : !p->others++ && !p->images;
	if (first) {
		memcpy(p->other, p->name, sizeof(p->other));
		printable(p->name, sizeof(p->name), name, len);
	} else if (image || !p->images) {
		printable(p->other, sizeof(p->other), name, len);
	}
	return first;
}

int wrap_pick_end(const struct wrap_pick *p, const char *kind,
	const struct finding_sink *findings, struct error *e)
{
	if (!p->images && !p->others)
		return error_set(e, ERR_CORRUPT, "%s: it has no files", kind);
	if (p->images > 1)
		return error_set(e, ERR_UNSUPPORTED,
			"%s: it has several members that are disks (%u: "
			"'%.100s', '%.100s' ...); unpack it first",
			kind, p->images, p->name, p->other);
	if (!p->images && p->others > 1)
		return error_set(e, ERR_UNSUPPORTED,
			"%s: it has several members (%u: '%.100s', '%.100s' "
			"...), none named like a disk image; unpack it first",
			kind, p->others, p->name, p->other);
	if (p->images && p->others)
		finding_report(findings, FINDING_DISK_NOTE, FINDING_NO_OFFSET,
			p->name,
			"the one disk among %u files of a %s; the others are "
			"not kept",
			p->images + p->others, kind);
	return 0;
}
