#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# btrfs restored from a dump of its metadata (btrfs-image, with which people report damage): all names and attributes as the
# kernel shows them; that files have no content is said once, and not for each.
. "$(dirname "$0")/../lib.sh"
need_root
need mkfs.btrfs btrfs btrfs-image python3
mkdir -p src/dir/deep; for i in $(seq 200); do head -c $((i * 300)) /dev/urandom > src/dir/f$i; done; ln -s f1 src/dir/deep/link; echo small > src/small
truncate -s 128M b; mkfs.btrfs -q -L dumped --rootdir src b >/dev/null
btrfs-image -c 9 b dump 2>/dev/null && rm -f r && btrfs-image -r dump r 2>/dev/null || fail "btrfs-image"
loop_mount r m btrfs
treedump.py m --no-content --no-nlink | awk '{$9 = ""; $7 = ""; print}' > want; umount m
fsdump r 2>err | awk '{$9 = ""; $7 = ""; print}' > have
same_tree want have
[ "$(grep -c fs-metadata-only err)" = 1 ] || fail "no finding: $(head -3 err)"
export STRATA_LIBRARY=$T/lib
strata init lib 2>/dev/null
strata import r -b r --json > i 2>err || fail "$(cat err)"
! grep -q file-checksum i || fail "what is not there is called damaged"
strata export r -o out.raw; cmp r out.raw
