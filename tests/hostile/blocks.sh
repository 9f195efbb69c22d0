#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Blocks of small images are zeroed, filled, swapped, written twice or taken from another image, or the end is cut off: each
# import succeeds, gives the disk back bit for bit, every file whose content it knows reads as that, and it does not take
# long. STRATA_FAULT_ALL=1: many times over, also on images of random trees.
. "$(dirname "$0")/../lib.sh"
need python3
n=${BLOCKS:-3}; [ -z "${STRATA_FAULT_ALL:-}" ] || n=400
seed=${SEED:-1} allowed=20
case $BUILD in *asan*) allowed=120 ;; esac
lib=$(mktemp -d /dev/shm/strata-blocks.XXXXXX 2>/dev/null || mktemp -d "$T/blocks.XXXXXX")
trap 'rm -rf "$lib"; cleanup' EXIT
total=0
blocks() { # NAME IMAGE OTHER
	flipimport -n "$n" -s "$seed" -d "$3" -t $allowed "$lib/l" "$2" >out 2>err || { tail -c 2000 err; fail "$1, seed $seed"; }
	echo "$1: $(cat out)"
	mib=$(sed 's/.* \([0-9]*\) MiB/\1/' out)
	case $BUILD in *asan*) ;; *) [ "$mib" -le 200 ] || fail "$1: $mib MiB" ;; esac
	seed=$((seed + 1)) total=$((total + n))
}
for kind in fat exfat ntfs iso9660 squashfs erofs udf; do
	: >before
	for f in "$TOP"/fuzz/corpus/$kind/*; do
		if head -c 5 "$f" | grep -q SIMG1; then simg.py unpack "$f" image; else cp "$f" image; fi
		[ "$(stat -c %s image)" -le $((1 << 30)) ] || continue
		[ -s before ] || cp --sparse=always image before
		blocks "$kind/${f##*/}" image before
		mv image before
	done
done
if [ -n "${STRATA_FAULT_ALL:-}" ]; then
	for kind in erofs squashfs iso fat exfat ntfs; do
		: >before
		for s in $(seq 301 308); do
			rm -rf --one-file-system round; mkdir round
			(cd round; python3 "$TOP/tests/tools/fsround.py" $kind "$s" >log 2>&1) || continue
			[ -s before ] || cp --sparse=always round/img before
			blocks "$kind $s" round/img before
			mv round/img before
		done
	done
fi
echo "$total changes"
