/* SPDX-License-Identifier: Apache-2.0 */
/* libext2fs over a source: an io_manager that only reads. libext2fs hands a
 * name to the manager and nothing else, so the source of an open under way is
 * kept for the thread. */
#include "fs/ext.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/limits.h"

static _Thread_local struct source *opening;
static struct struct_io_manager manager;

static errcode_t io_open(const char *name, int flags, io_channel *out)
{
	io_channel io;

	(void)flags;
	if (!opening)
		return EXT2_ET_BAD_DEVICE_NAME;
	/* libext2fs frees what it copies with the same allocator. */
	io = calloc(1, sizeof(*io));
	if (!io)
		return EXT2_ET_NO_MEMORY;
	io->name = strdup(name);
	if (!io->name) {
		free(io);
		return EXT2_ET_NO_MEMORY;
	}
	io->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	io->manager = &manager;
	io->block_size = 1024;
	io->refcount = 1;
	io->private_data = opening;
	*out = io;
	return 0;
}

static errcode_t io_close(io_channel io)
{
	if (--io->refcount > 0)
		return 0;
	free(io->name);
	free(io);
	return 0;
}

static errcode_t io_set_blksize(io_channel io, int size)
{
	if (size < 1024 || (uint64_t)size > LIMIT_FS_BLOCK)
		return EXT2_ET_INVALID_ARGUMENT;
	io->block_size = size;
	return 0;
}

/* count is in blocks, or in bytes where it is negative. */
static errcode_t io_read64(io_channel io, unsigned long long blk, int count,
	void *buf)
{
	uint64_t off, len;

	if (count < 0)
		len = (uint64_t)-(int64_t)count;
	else if (!u64_mul((uint64_t)count, (uint64_t)io->block_size, &len))
		return EXT2_ET_SHORT_READ;
	if (!u64_mul(blk, (uint64_t)io->block_size, &off) || len > SIZE_MAX ||
		source_pread(io->private_data, buf, (size_t)len, off, NULL))
		return EXT2_ET_SHORT_READ;
	return 0;
}

static errcode_t io_read(io_channel io, unsigned long blk, int count, void *buf)
{
	return io_read64(io, blk, count, buf);
}

static errcode_t io_write64(io_channel io, unsigned long long blk, int count,
	const void *buf)
{
	(void)io;
	(void)blk;
	(void)count;
	(void)buf;
	return EXT2_ET_RO_FILSYS;
}

static errcode_t io_write(io_channel io, unsigned long blk, int count,
	const void *buf)
{
	return io_write64(io, blk, count, buf);
}

static errcode_t io_flush(io_channel io)
{
	(void)io;
	return 0;
}

static errcode_t io_readahead(io_channel io, unsigned long long blk,
	unsigned long long count)
{
	uint64_t off, len;

	if (u64_mul(blk, (uint64_t)io->block_size, &off) &&
		u64_mul(count, (uint64_t)io->block_size, &len))
		source_will_need(io->private_data, off, len);
	return 0;
}

static struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "strata source",
	.open = io_open,
	.close = io_close,
	.set_blksize = io_set_blksize,
	.read_blk = io_read,
	.write_blk = io_write,
	.flush = io_flush,
	.read_blk64 = io_read64,
	.write_blk64 = io_write64,
	.cache_readahead = io_readahead,
};

int ext_io_open(struct source *src, const struct ext_geometry *g,
	ext2_filsys *out, struct error *e)
{
	errcode_t err;

	/* Features and checksums were looked at already. */
	opening = src;
	err = ext2fs_open2("strata", NULL,
		EXT2_FLAG_64BITS | EXT2_FLAG_FORCE | EXT2_FLAG_SKIP_MMP |
			EXT2_FLAG_IGNORE_CSUM_ERRORS,
		(int)g->super_blk, g->super_blk ? (unsigned)g->block_size : 0,
		&manager, out);
	opening = NULL;
	if (!err)
		return 0;
	if (err == EXT2_ET_NO_MEMORY)
		return error_nomem(e);
	return error_at(e, ERR_CORRUPT,
		g->super_blk ? g->super_blk * g->block_size : EXT_SUPER_OFFSET,
		"libext2fs cannot open the file system (error %ld: %s)",
		(long)err,
		err == EXT2_ET_SHORT_READ ? "a descriptor cannot be read"
		: err == EXT2_ET_CORRUPT_SUPERBLOCK
			? "the superblock contradicts itself"
			: "see its error table");
}
