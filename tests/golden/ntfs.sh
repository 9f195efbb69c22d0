#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Small NTFS volumes as ntfs-3g left them, cut down to what the reader needs (ntfsedit.py slim): resident and sparse files,
# hard links, streams, an index of several blocks, compressed files. What is expected of the first three is what ntfs-3g
# showed; of the last, reparse points, Windows' own targets.
. "$(dirname "$0")/../lib.sh"
need python3
for i in files index packed links; do
	simg.py unpack "$TOP/fuzz/corpus/ntfs/$i" a.img
	# the root's descriptor, which mkntfs pads, ntfs-3g does not give
	fsdump --xattrs a.img 2>err | sed '/^x \/ system.ntfs_acl/d' >got
	[ ! -s err ] || fail "$i: findings: $(cat err)"
	cp "$TOP/tests/golden/ntfs/$i.txt" want
	same_tree want got
done
