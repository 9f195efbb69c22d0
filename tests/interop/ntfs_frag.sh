#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files, directories and the MFT itself in many pieces, with attribute lists, on nearly full volumes.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/tools/ntfs_lib.sh"
for c in 512 4096; do
	size=14M; [ $c = 512 ] || size=26M
	make_ntfs f.img $size -c $c -z 1
	ntfs_mount f.img m
	python3 "$tree" frag m 2>frag.err || { cat frag.err; fail "frag"; }
	ntfs_umount m
	ntfs_want f.img want --streams
	ntfs_same f.img want
	ntfsinfo -F pieces f.img >info || fail "ntfsinfo"
	[ $c != 512 ] || grep -q ATTRIBUTE_LIST info || fail "no attribute list"
	runs=$(ntfsinfo -v -i 0 f.img | sed -n 's/Total runs: \([0-9]*\).*/\1/p')
	[ "$runs" -gt 20 ] || fail "the MFT has $runs pieces"
	# the MFT's own runs behind an attribute list: ntfs-3g reads it, so it is a valid one
	if [ $c = 4096 ]; then
		ntfsedit.py split f.img
		ntfsinfo -v -i 0 f.img | grep -q ATTRIBUTE_LIST || fail "the MFT has no attribute list"
		ntfs_want f.img want.split --streams
		same_tree want want.split
		ntfs_same f.img want
	fi
	rm f.img
done
