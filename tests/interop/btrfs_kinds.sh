#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# btrfs of every node size, checksum, compression and layout of metadata.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/btrfs.inc"

check mixed 600 compress-force=lzo 1 --mixed
check small-nodes 600 compress-force=zlib 1 -n 4096 --csum xxhash -m single
check large-nodes 600 compress-force=zstd 1 -n 65536 --csum sha256 -d dup
check old 600 compress=lzo 1 -O ^no-holes,^skinny-metadata,^extref -R ^free-space-tree --csum blake2
check nocow 500 nodatacow,max_inline=0 1
