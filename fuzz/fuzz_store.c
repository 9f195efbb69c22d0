/* SPDX-License-Identifier: Apache-2.0 */
/* Index files and frames. */
#include <stdlib.h>
#include <string.h>
#include "fuzz/fuzz.h"
#include "store/frame.h"
#include "store/index.h"

static const uint8_t *input;
static size_t input_len;

static int map(struct backend *b, const char *name, const void **out,
	size_t *len, struct error *e)
{
	(void)b;
	(void)name;
	(void)e;
	*out = input;
	*len = input_len;
	return 0;
}

static void unmap(struct backend *b, const void *p, size_t len)
{
	(void)b;
	(void)p;
	(void)len;
}

static const struct backend_ops ops = { .map = map, .unmap = unmap };

static int object(void *ctx, enum object_kind kind, const struct oid *id,
	uint32_t off, uint32_t len)
{
	const uint8_t *raw = ctx;
	volatile uint8_t sum = 0;

	(void)kind;
	if (id)
		sum = id->b[31];
	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + raw[off + i]);
	return 0;
}

static int emit(void *ctx, const void *data, size_t len, uint64_t off,
	struct error *e)
{
	(void)ctx;
	(void)e;
	/* every byte is there to be read */
	return off + len < checksum64(data, len) >> 63 ? ERR_IO : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct backend be = { &ops };
	struct error e = { 0 };
	struct index ix;
	uint8_t *copy = malloc(size + 1);

	memcpy(copy, data, size);
	if (size >= sizeof(struct index_header)) {
		struct index_header *h = (void *)copy;

		/* with checksums that fit, so that what is behind is reached */
		h->size = le64_make(size);
		h->body_checksum = le64_make(checksum64(copy + sizeof(*h),
			size - sizeof(*h)));
		h->header_checksum = le64_make(checksum64(h,
			offsetof(struct index_header, header_checksum)));
	}
	input = copy;
	input_len = size;
	if (!index_open(&be, "x", &ix, &e)) {
		const struct index *list = &ix;
		struct oid id = { { 0x80 } };
		uint64_t pos;

		index_find(&ix, SPACE_CONTENT, &id, &pos);
		index_find(&ix, SPACE_RECORD, &id, &pos);
		if (!index_check(&ix, &e))
			index_merge(&list, 1, NULL, emit, NULL, &e);
		index_close(&be, &ix);
	}
	frame_objects(data, size, object, (void *)(uintptr_t)data, &e);
	if (size >= sizeof(struct frame_header)) {
		struct frame_header *h = (void *)copy;
		static uint8_t raw[65536];

		memcpy(copy, data, size);
		h->magic = le32_make(FRAME_MAGIC);
		h->codec = CODEC_ZSTD;
		h->raw_len = le32_make(sizeof(raw));
		h->stored_len = le32_make((uint32_t)(size - sizeof(*h)));
		h->checksum = le64_make(checksum64(copy + sizeof(*h),
			size - sizeof(*h)));
		h->header_checksum = le64_make(checksum64(h,
			offsetof(struct frame_header, header_checksum)));
		frame_decode(copy, size, raw, sizeof(raw), &e);
	}
	free(copy);
	return 0;
}
