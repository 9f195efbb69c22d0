#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ext, XFS and btrfs of random shapes after random operations, and after random damage, against the kernel's mount:
# tests/tools/fstorture.py and fstorture_damage.py, for a few seconds; STRATA_FAULT_ALL=1 or STRATA_TEST_FULL=1: for
# half an hour, from the seed SEED.
. "$(dirname "$0")/../lib.sh"
need_root; need mkfs.ext4 mkfs.xfs mkfs.btrfs btrfs xfs_db dumpe2fs losetup fsfreeze python3 xfs_io
cleanup_mounts=("$T/ram/m" "$T/ram")
mkdir ram; mount -t tmpfs -o size=3g none ram; cd ram
truncate -s 64M try; mkfs.ext4 -q try; loop_mount try m; umount m; rm try
if [ -n "${STRATA_FAULT_ALL:-}${STRATA_TEST_FULL:-}" ]; then
	rounds=20 ops=2000 parts=3 damages=60 seed=${SEED:-1000}
else
	rounds=1 ops=250 parts=1 damages=6 seed=${SEED:-3}
fi
memory=200; ! nm -D "$BUILD/strata" 2>/dev/null | grep -q __asan || memory=700
for fs in ext xfs btrfs; do
	fstorture.py $fs --seed $seed --rounds $rounds --ops $ops --parts $parts --memory $memory || fail "$fs: SEED=$seed"
	fstorture_damage.py $fs --seed $seed --rounds $rounds --ops $((ops / 3)) --damages $damages --kernel --memory $memory ||
		fail "$fs, damaged: SEED=$seed"
done
