#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ext2, ext3 and ext4 in their older shapes against the kernel's own reading: everything listed,
# nothing over; extents hold what pread gives; free space is free and as much
# as the kernel says.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/interop/ext.inc"
case_ ext2 64M --links 1000 -- -t ext2 -b 1024
case_ ext2-old 64M --no-xattrs -- -t ext2 -r 0 -b 1024
case_ ext3 64M -- -t ext3 -b 2048 -I 128
case_ blockmap4k 200M --files 4000 --big -- -O ^extents,^64bit,^metadata_csum -b 4096
case_ uninit 100M -- -O ^metadata_csum,uninit_bg,^64bit
case_ noflex 300M -- -O ^flex_bg,^resize_inode -b 1024
case_ small-groups 64M -- -b 1024 -g 1024 -N 8192
case_ meta_bg 100M -- -O meta_bg,^resize_inode -b 1024
case_ meta_bg32 100M -- -O meta_bg,^resize_inode,^64bit,^metadata_csum -b 1024
case_ inode128 100M -- -I 128
case_ nofiletype 100M -- -O ^filetype,^dir_index
case_ no-extra 64M -- -O ^extra_isize,^dir_nlink,^huge_file,^large_file
