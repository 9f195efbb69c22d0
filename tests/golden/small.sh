#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tiny images of the fuzz corpora of ext, FAT, exFAT, ISO 9660, squashfs and EROFS read as they always did: paths,
# metadata, contents, attributes, label, UUID, free space. The dumps are what Linux' mount (ext, squashfs, EROFS) and
# exfat-fuse showed of them; contents of FAT were compared with mcopy's, of ISO 9660 with bsdtar's.
. "$(dirname "$0")/../lib.sh"
need python3
n=0
for want in "$TOP"/tests/golden/small/*.txt; do
	name=$(basename "$want" .txt); seed=$TOP/fuzz/corpus/${name%%-*}/${name#*-}
	if head -c 5 "$seed" | grep -q SIMG1; then simg.py unpack "$seed" image; else cp "$seed" image; fi
	fsdump --xattrs --free image >all 2>err || fail "$name: $(cat err)"
	! grep -vE '^FINDING: (boot-entry|fs-dirty|fs-journal)' err || fail "$name: findings"
	{ grep '^#' all | sed -n '1p; /^# free/p'; grep -v '^#' all | sort; } >got
	cmp -s got "$want" || { diff got "$want" | head; fail "$name reads otherwise"; }
	n=$((n + 1))
done
[ $n -ge 30 ] || fail "only $n images"
echo "$n images"
