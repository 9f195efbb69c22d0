/* SPDX-License-Identifier: Apache-2.0 */
/* UDF: extended attributes. See udf.h. ECMA-167 4/9.1 and 4/14.10; UDF 3.3.4.
 *
 * They stand in the file's entry, or in a file of their own, or in both. What the
 * file view has a place for is taken: numbers of a device, and an owner where the
 * entry has none. Times of creation and backup, and what implementations keep for
 * themselves, have no place. */
#include "fs/udf.h"

#include <stdlib.h>
#include "base/checked.h"
#include "base/limits.h"

#define HEADER 24 /* of the whole space, a descriptor */
enum {
	EA_PERMISSIONS = 3,
	EA_DEVICE = 12,
};

/* Each is at least 12 bytes: the walk ends. */
void udf_attributes_take(const uint8_t *p, size_t left,
	struct udf_attributes *out)
{
	if (left < HEADER)
		return;
	p += HEADER;
	left -= HEADER;
	while (left >= 12) {
		uint32_t type = get_le32(p), len = get_le32(p + 8);

		/* Linux does not look at the length of a device's numbers */
		if (type == EA_DEVICE && left >= 24 && !out->has_device) {
			out->has_device = true;
			out->major = get_le32(p + 16);
			out->minor = get_le32(p + 20);
		} else if (type == EA_PERMISSIONS && len >= 18 &&
			   left >= 18 && !out->has_owner) {
			out->has_owner = true;
			out->uid = get_le16(p + 12);
			out->gid = get_le16(p + 14);
		}
		if (len < 12 || len > left)
			return;
		p += len;
		left -= len;
	}
}

int udf_attributes_read(struct udf *f, uint64_t id, struct udf_attributes *out,
	struct error *e)
{
	struct udf_file x = { 0 };
	AUTO_FREE uint8_t *p = NULL;
	size_t n = 0;
	/* whatever its type says: it may name itself */
	int r = udf_load_plain(f, id, &x, e);

	if (!r && x.type != UDF_TYPE_ATTRIBUTES)
		r = error_set(e, ERR_CORRUPT,
			"udf: extended attributes in a file of type %u",
			x.type);
	if (!r) {
		n = (size_t)u64_min(x.node.size, LIMIT_UDF_ATTRIBUTES);
		p = malloc(n + 1);
		r = p ? udf_file_pread(f->meta, &x, p, n, 0, e)
		      : error_nomem(e);
	}
	if (!r)
		udf_attributes_take(p, n, out);
	udf_file_release(&x);
	return r;
}
