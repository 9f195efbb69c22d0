#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fast commits of ext4: a copy of a mounted file system, made after random changes and fsyncs, must read as the kernel
# has it after its own recovery, the times of directories aside (the kernel puts the time of the recovery there; here
# it is that of the last transaction). SEED and STRATA_TEST_FULL=1 for more.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/interop/ext.inc"
need extfast.py fallocate

# case NAME ROUNDS OPS MOUNT-OPTIONS -- MKFS-ARGS
fast=0
case_() {
	local name=$1 rounds=$2 ops=$3 opts=$4 round info; shift 5
	[ -z "${STRATA_TEST_FULL:-}" ] || rounds=$((rounds * 10))
	for round in $(seq "$rounds"); do
		echo "== $name, seed $((${SEED:-1} + round))"
		truncate -s 256M img; mkfs.ext4 -q -F -O fast_commit -E lazy_itable_init=0,lazy_journal_init=0 "$@" img
		mkdir -p m; mount -o "loop,commit=900$opts" img m 2>err || skip "cannot mount: $(tail -1 err)"
		cleanup_mounts+=("$PWD/m")
		info=/proc/fs/ext4/$(basename "$(findmnt -no SOURCE m)")/fc_info
		[ -e "$info" ] || skip "this kernel has no fast commits"
		extfast.py base m; sync -f m
		extfast.py ops m $((${SEED:-1} + round)) "$ops"
		fast=$((fast + $(sed -n 's/^\([0-9]*\) commits/\1/p' "$info")))
		cp --sparse=always img dirty; umount m
		sum=$(sha256sum <dirty); cp dirty recovered
		fsdump dirty --xattrs --free >have 2>err || { cat err; fail "$name: fsdump"; }
		grep -q "FINDING: fs-journal.*fast commits" err || { cat err; fail "$name: nothing was replayed"; }
		grep -v "fs-journal" err && fail "$name: findings"
		[ "$sum" = "$(sha256sum <dirty)" ] || fail "$name: the image was changed"
		mount -o loop recovered m; umount m
		loop_mount recovered m; treedump.py m --xattrs >want; umount m
		for f in want have; do sed -i 's/^\(d [0-9]* [0-9]* [0-9]* [0-9]*\) [-0-9.]*/\1 -/' $f; done
		same_tree want have
		rm -f img dirty recovered
	done
}
case_ default 3 200 "" -- -J size=16,fast_commit_size=1024
case_ small-blocks 2 200 "" -- -b 1024 -J size=16,fast_commit_size=2048
case_ plain 1 200 ",nodelalloc" -- -O ^metadata_csum,^64bit,^flex_bg -I 128 -J size=16
case_ large-inodes 1 200 "" -- -I 1024 -J size=16,fast_commit_size=2048
case_ bigalloc 1 150 "" -- -O bigalloc -C 16384 -J size=16,fast_commit_size=2048
[ $fast -gt 100 ] || fail "only $fast fast commits"
echo "$fast fast commits"
