/* SPDX-License-Identifier: Apache-2.0 */
/* HFS and HFS+: recognised and named, kept as blocks.
 * Sources: Apple Technical Note TN1150; Inside Macintosh: Files, chapter 2. */
#include "fs/kinds.h"

#include <openssl/evp.h>
#include "base/checked.h"
#include "base/cursor.h"
#include "base/limits.h"
#include "fs/label.h"

/* The identifier in the Finder information to a UUID as Apple's tools and
 * blkid make it: version 3 (MD5) in a name space of Apple's. */
static void finder_uuid(const uint8_t id[8], char out[40])
{
	static const uint8_t space[16] = { 0xb3, 0xe2, 0x0f, 0x39, 0xf2, 0x92,
		0x11, 0xd6, 0x97, 0xa4, 0x00, 0x30, 0x65, 0x43, 0xec, 0xac };
	static const uint8_t none[8];
	uint8_t in[24], md[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!memcmp(id, none, 8))
		return;
	memcpy(in, space, 16);
	memcpy(in + 16, id, 8);
	if (!EVP_Digest(in, sizeof(in), md, &n, EVP_md5(), NULL) || n < 16)
		return; /* MD5 is switched off: no uuid */
	md[6] = (uint8_t)(0x30 | (md[6] & 0x0f));
	md[8] = (uint8_t)(0x80 | (md[8] & 0x3f));
	fs_uuid_print(md, out);
}

/* Reads len bytes of the catalog file, within one of its first extents. */
static bool catalog_read(struct kind_probe *p, const uint8_t *vh, uint64_t base,
	uint32_t bs, uint64_t off, void *buf, size_t len)
{
	const uint8_t *x = vh + 272 + 16;

	for (int i = 0; i < 8; i++, x += 8) {
		uint64_t n = (uint64_t)get_be32(x + 4) * bs;
		uint64_t dev;

		if (off >= n) {
			off -= n;
			continue;
		}
		return len <= n - off &&
		       u64_add((uint64_t)get_be32(x) * bs + off, base, &dev) &&
		       kind_read(p, buf, len, dev);
	}
	return false;
}

/* The volume's name is the name in the key of the root folder's record, the
 * first of the catalog's first leaf. */
static void volume_name(struct kind_probe *p, const uint8_t *vh, uint64_t base,
	uint32_t bs, struct fs_info *out)
{
	uint8_t head[106], node[14 + 2 + 2 + 4 + 2 + 512];
	struct cursor c;
	uint32_t leaf, node_size, parent, units;
	const uint8_t *name;
	size_t n;

	if (!catalog_read(p, vh, base, bs, 0, head, sizeof(head)))
		return;
	leaf = get_be32(head + 14 + 10);
	node_size = get_be16(head + 14 + 18);
	if (!leaf || node_size < 512)
		return;
	n = size_min(node_size, sizeof(node));
	if (!catalog_read(p, vh, base, bs, (uint64_t)leaf * node_size, node, n))
		return;
	if (node[8] != 0xff /* a leaf */ || get_be16(node + 10) == 0)
		return;
	c = cursor_make(node + 14, n - 14);
	cur_skip(&c, 2); /* key length */
	parent = cur_be32(&c);
	units = cur_be16(&c);
	if (parent != 1 || units > 255)
		return;
	name = cur_bytes(&c, 2 * (size_t)units);
	if (name)
		fs_label_utf16(name, units, true, out->label,
			sizeof(out->label));
}

static bool hfsplus(struct kind_probe *p, uint64_t base, struct fs_info *out)
{
	uint8_t vh[512];
	uint32_t bs;
	uint16_t version;

	if (!kind_read(p, vh, sizeof(vh), base + 1024) ||
		(memcmp(vh, "H+", 2) != 0 && memcmp(vh, "HX", 2) != 0))
		return false;
	version = get_be16(vh + 2);
	bs = get_be32(vh + 40);
	if (version < 4 || version > 5 || !is_pow2(bs) || bs < 512)
		return false;
	snprintf(out->type, sizeof(out->type), "hfsplus");
	finder_uuid(vh + 104, out->uuid);
	if (!u64_mul(get_be32(vh + 44), bs, &out->size))
		out->size = 0;
	out->block_size = bs;
	volume_name(p, vh, base, bs, out);
	return true;
}

bool kind_hfs(struct kind_probe *p, struct fs_info *out)
{
	const uint8_t *h = kind_head(p, 1024, 512);
	uint32_t bs;

	if (!h)
		return false;
	if (!memcmp(h, "H+", 2) || !memcmp(h, "HX", 2))
		return hfsplus(p, 0, out);
	if (memcmp(h, "BD", 2) != 0)
		return false;
	bs = get_be32(h + 20);
	if (!bs || bs % 512)
		return false;
	if (!memcmp(h + 124, "H+", 2) || !memcmp(h + 124, "HX", 2)) {
		/* HFS+ wrapped into an HFS volume */
		uint64_t base = (uint64_t)get_be16(h + 126) * bs +
				(uint64_t)get_be16(h + 28) * 512;

		if (hfsplus(p, base, out))
			return true;
	}
	snprintf(out->type, sizeof(out->type), "hfs");
	finder_uuid(h + 116, out->uuid);
	if (h[36] <= 27)
		fs_label_bytes(h + 37, h[36], out->label, sizeof(out->label));
	out->size = (uint64_t)get_be16(h + 18) * bs;
	out->block_size = bs;
	return true;
}
