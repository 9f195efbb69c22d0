#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fast commits of ext4: a copy of a mounted file system, made after random changes and fsyncs, must read as the kernel
# has it: after its own recovery, or, with all files fsynced, as the mounted one is. Times of directories aside: the
# kernel's recovery puts its own time there; here it is that of the last transaction. Recovery is left to the kernel
# only where it gets through: it refuses logs with files that were unlinked while open, and has a BUG() with block maps.
# SEED and STRATA_TEST_FULL=1 for more.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/interop/ext.inc"
need extfast.py fallocate

# case NAME ORACLE ROUNDS MOUNT-OPTIONS -- MKFS-ARGS: ORACLE is recovery or live
fast=0
case_() {
	local name=$1 oracle=$2 rounds=$3 opts=$4 round info; shift 5
	[ -z "${STRATA_TEST_FULL:-}" ] || rounds=$((rounds * 10))
	for round in $(seq "$rounds"); do
		echo "== $name, seed $((${SEED:-1} + round))"
		truncate -s 256M img; mkfs.ext4 -q -F -O fast_commit -E lazy_itable_init=0,lazy_journal_init=0 "$@" img
		mkdir -p m; mount -o "loop,commit=900$opts" img m 2>err || skip "cannot mount: $(tail -1 err)"
		cleanup_mounts+=("$PWD/m")
		info=/proc/fs/ext4/$(basename "$(findmnt -no SOURCE m)")/fc_info
		[ -e "$info" ] || skip "this kernel has no fast commits"
		extfast.py base m; sync -f m
		extfast.py ops m $((${SEED:-1} + round)) 200 $([ "$oracle" = recovery ] || echo all)
		fast=$((fast + $(sed -n 's/^\([0-9]*\) commits/\1/p' "$info")))
		cp --sparse=always img dirty; [ "$oracle" = recovery ] || treedump.py m --xattrs >want
		umount m; sum=$(sha256sum <dirty)
		fsdump dirty --xattrs --free >have 2>err || { cat err; fail "$name: fsdump"; }
		grep -q "FINDING: fs-journal.*fast commits" err || { cat err; fail "$name: nothing was replayed"; }
		grep -v "fs-journal" err && fail "$name: findings"
		[ "$sum" = "$(sha256sum <dirty)" ] || fail "$name: the image was changed"
		if [ "$oracle" = recovery ]; then
			cp dirty recovered; mount -o loop recovered m; umount m
			loop_mount recovered m; treedump.py m --xattrs >want; umount m
			# and what is called free is not in the way of that recovery
			rm -rf lib; strata init -q lib; strata -q -L lib import dirty -b x --free-space discard
			strata -q -L lib export x -o back; mount -o loop back m; umount m
			loop_mount back m; treedump.py m --xattrs >want2; umount m; rm back
			sed -i 's/^\(d [0-9]* [0-9]* [0-9]* [0-9]*\) [-0-9.]*/\1 -/' want2
		fi
		for f in want have; do sed -i 's/^\(d [0-9]* [0-9]* [0-9]* [0-9]*\) [-0-9.]*/\1 -/' $f; done
		same_tree want have
		[ "$oracle" != recovery ] || same_tree want want2
		rm -f img dirty recovered
	done
}
case_ default recovery 1 "" -- -J size=16,fast_commit_size=1024
case_ small-blocks recovery 1 "" -- -b 1024 -J size=16,fast_commit_size=2048
case_ default live 1 "" -- -J size=16
case_ plain live 1 ",nodelalloc" -- -O ^metadata_csum,^64bit,^flex_bg -I 128 -J size=16
case_ large-inodes live 1 "" -- -b 2048 -I 1024 -J size=16,fast_commit_size=2048
case_ bigalloc live 1 "" -- -O bigalloc -C 16384 -J size=16,fast_commit_size=2048
case_ inline live 1 "" -- -O inline_data -J size=16,fast_commit_size=2048
case_ blockmap live 1 "" -- -O ^extents,^64bit -b 1024 -J size=16,fast_commit_size=2048
[ $fast -gt 100 ] || fail "only $fast fast commits"
echo "$fast fast commits"
