#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ext4 in its newer shapes against the kernel's own reading: everything listed,
# nothing over; extents hold what pread gives; free space is free and as much
# as the kernel says.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/interop/ext.inc"
case_ default 400M --files 20000 --links 3000 --big --
case_ bigalloc 900M -- -O bigalloc -C 65536
case_ bigalloc1k 400M -- -O bigalloc -b 1024 -C 16384
case_ inline 100M -- -O inline_data -I 256
case_ inline512 100M -- -O inline_data,ea_inode -I 512
case_ inline1k 100M -- -O inline_data -I 1024 -b 1024
case_ ea_inode 150M -- -O ea_inode,large_dir
case_ sparse2 200M -- -O sparse_super2,orphan_file
case_ csum_seed 64M -- -O metadata_csum_seed,fast_commit,stable_inodes -L "label with ä" -U 01234567-89ab-cdef-0123-456789abcdef
grep -q '^# ext4 uuid 01234567-89ab-cdef-0123-456789abcdef label label with ä size' have || fail "label: $(head -1 have)"
