#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Kinds of volumes that are kept as blocks: type, uuid and label as blkid has them.
. "$(dirname "$0")/../lib.sh"
need blkid mkswap mkfs.f2fs cryptsetup mkfs.minix python3

n=0
value() { blkid -p -s "$1" -o value "$2" || true; }
check() { # NAME IMAGE
	local want got
	want="# $(value TYPE "$2") uuid $(value UUID "$2") label $(value LABEL "$2")"
	# blkid 2.38 does not print the label of bcache, later ones do
	[ "$1" != bcache ] || [ "${want% label }" = "$want" ] || want="${want}cache label"
	got=$(fsdump -q "$2" 2>fsdump.err | sed -n 's/ size [0-9]*$//p') || true
	[ "$got" = "$want" ] || fail "$1: blkid: '$want', strata: '$got' $(cat fsdump.err)"
	grep -q "is kept as blocks" fsdump.err || fail "$1: $(cat fsdump.err)"
	n=$((n + 1))
}
img() { rm -f "$1"; truncate -s "$2" "$1"; }

for page in 4096 8192 16384 32768 65536; do
	img swap 4M; mkswap -q -p $page -L "swap $page" swap 2>/dev/null; check "swap $page" swap
done
img swap 4M; mkswap -q -U clear swap 2>/dev/null || mkswap -q swap; check "swap bare" swap
printf 'S1SUSPEND\0' | dd of=swap bs=1 seek=4086 conv=notrunc status=none; check hibernated swap
img swap 4M; mkswap -q -e big -L other-endian swap 2>/dev/null && check "swap, other byte order" swap
img f2fs 64M; mkfs.f2fs -q -l 'flash ünd' f2fs >/dev/null; check f2fs f2fs
for t in luks1 luks2; do
	img $t 20M; echo secret | cryptsetup -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 luksFormat --type $t \
		$([ $t = luks1 ] || echo --label my-vault) $t -; check $t $t
done
for v in 1 2 3; do img minix 2M; mkfs.minix -$v minix >/dev/null; check "minix $v" minix; done
img minix 2M; mkfs.minix -1 -n 14 minix >/dev/null; check "minix 14" minix
sizes=(0 1500 1 8192 511 66000)
i=0
for k in $(mkkinds.py list); do
	mkkinds.py "$k" k.img
	check "$k" k.img
	# cut off in the middle of the headers: never a crash, whatever it says
	for size in ${sizes[i]} ${sizes[i + 1]}; do
		head -c $size k.img > cut.img
		fsdump -q cut.img >/dev/null 2>&1 || [ $? = 4 ] || fail "$k cut to $size"
	done
	i=$(((i + 2) % 6))
done
img zero 4M; expect_rc 4 fsdump zero 2>/dev/null
echo "$n kinds as blkid prints them"
