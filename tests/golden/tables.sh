#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Partition tables and volumes of the fuzz corpora are listed as they always were, findings too. The lists were compared
# with partx and parted (partitions), and were made from what lvm and mdadm said (volumes: each image is two members).
. "$(dirname "$0")/../lib.sh"
need python3
out=${GOLDEN_OUT:-got}
: >$out
for f in "$TOP"/fuzz/corpus/part/* "$TOP"/fuzz/corpus/volume/*; do
	simg.py unpack "$f" image; name=${f#"$TOP"/fuzz/corpus/}
	echo "== $name" >>$out
	case $name in
	part/*) partdump image >list 2>found ;;
	*)	half=$(($(stat -c %s image) / 2 / 4096 * 4096))
		head -c $half image >one; tail -c +$((half + 1)) image >two; volumedump one two >list 2>found ;;
	esac
	sed 's/ *$//' list >>$out; cut -c1-120 found >>$out
done
diff $out "$TOP/tests/golden/tables.txt" || fail "another list"
[ "$(grep -c == $out)" -ge 25 ] || fail "too few"
