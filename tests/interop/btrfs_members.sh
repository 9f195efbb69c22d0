#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# btrfs with a damaged copy of its trees, with a member missing, with a seed
# device, with a log tree, converted from ext4: what can be read is read, and a finding says so.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/btrfs.inc"

# make DEVICES MKFS-OPTIONS...: a small tree on b.0, b.1, ...; kernel.txt
make() {
	local i n=$1; shift
	images=()
	for ((i = 0; i < n; i++)); do rm -f "b.$i"; truncate -s 260M "b.$i"; images+=("b.$i"); loops+=("$(losetup -f --show "b.$i")"); done
	mkfs.btrfs -q -f "$@" "${loops[@]}" >mkfs.log 2>&1 || { cat mkfs.log; fail mkfs; }
	btrfs device scan "${loops[@]}" >/dev/null
	mount -t btrfs "${loops[0]}" mnt || skip "cannot mount btrfs"
	fill mnt
	umount mnt
	mount -t btrfs -o ro "${loops[0]}" mnt
	treedump.py mnt --xattrs >kernel.txt
	umount mnt
	drop_loops
}
fill() {
	mkdir "$1/d"
	for i in $(seq 500); do echo "file $i" >"$1/d/file-$i"; done
	seq 200000 >"$1/large"
	dd if=/dev/urandom of="$1/random" bs=1M count=3 status=none
	ln -s large "$1/link"
	setfattr -n user.x -v y "$1/large"
}
# stripe N of the metadata chunk: OFFSET of each device
stripes() { btrfs inspect-internal dump-tree -t chunk b.0 | awk '/type METADATA/ { on = 1 } on && /stripe [0-9]+ devid/ { print $4, $6 } /type DATA/ { on = 0 }'; }

make 1 -m dup -d single -n 4096
{ read -r _ first; read -r _ second; } <<<"$(stripes)"
dd if=/dev/urandom of=b.0 bs=1M seek=$((first >> 20)) count=8 conv=notrunc status=none
fsdump --xattrs --free b.0 >ours.txt 2>err || fail "dup: $(cat err)"
same_tree kernel.txt ours.txt
[ "$(wc -l <err)" = 1 ] && grep -q 'fs-damaged: .*another copy of it is good' err || fail "dup: $(cat err)"
# both copies
dd if=/dev/urandom of=b.0 bs=1M seek=$((second >> 20)) count=8 conv=notrunc status=none
ASAN_OPTIONS=detect_leaks=0 expect_rc 4 fsdump b.0 >ours.txt 2>err
grep -q '^fsdump: corrupt: ' err || fail "dup, both: $(cat err)"
echo ok dup

make 2 -m raid1 -d raid1
for i in 0 1; do
	fsdump --xattrs --free b.$i >ours.txt 2>err || fail "raid1 without a member: $(cat err)"
	same_tree kernel.txt ours.txt
	grep -q '^FINDING: volume-incomplete: btrfs: device [12] is not there' err || fail "raid1: $(cat err)"
done
# in the other order; and a stranger and a double among them
fsdump --xattrs b.1 b.0 >ours.txt 2>err || fail "raid1: $(cat err)"
same_tree kernel.txt ours.txt
[ ! -s err ] || fail "raid1: $(cat err)"
truncate -s 1M stranger
fsdump --xattrs b.1 stranger b.0 b.1 >ours.txt 2>err || fail "raid1: $(cat err)"
same_tree kernel.txt ours.txt
grep -q 'is no member' err && grep -q 'given twice' err || fail "raid1: $(cat err)"
# a stale member: it missed the last changes
cp b.1 stale
loops=("$(losetup -f --show b.0)" "$(losetup -f --show b.1)"); btrfs device scan "${loops[@]}" >/dev/null
mount -t btrfs "${loops[0]}" mnt; for i in $(seq 500); do echo "new $i" >"mnt/d/new-$i"; done; umount mnt
mount -t btrfs -o ro "${loops[0]}" mnt; treedump.py mnt --xattrs >kernel.txt; umount mnt; drop_loops
for order in "stale b.0" "b.0 stale"; do
	fsdump --xattrs $order >ours.txt 2>err || fail "stale: $(cat err)"
	same_tree kernel.txt ours.txt
done
echo ok raid1

make 2 -m raid1 -d raid0
fsdump --xattrs b.0 >ours.txt 2>err || fail "raid0 without a member: $(cat err)"
[ "$(grep -c '^f .* /d/file-' ours.txt)" = 500 ] || fail "raid0: small files"
grep -q '^UNREADABLE: /random ' err || fail "raid0: $(cat err)"
echo ok raid0

make 1 -m single -d single
btrfstune -S 1 b.0 >/dev/null
truncate -s 300M sprout
loops=("$(losetup -f --show b.0)" "$(losetup -f --show sprout)")
mount -t btrfs "${loops[0]}" mnt
btrfs device add -f "${loops[1]}" mnt >/dev/null
mount -o remount,rw mnt
echo more >mnt/more
umount mnt
btrfs device scan "${loops[@]}" >/dev/null
mount -t btrfs -o ro "${loops[1]}" mnt
treedump.py mnt --xattrs >kernel.txt
umount mnt
drop_loops
for order in "sprout b.0" "b.0 sprout"; do
	fsdump --xattrs $order >ours.txt 2>err || fail "seed: $(cat err)"
	same_tree kernel.txt ours.txt
	[ ! -s err ] || fail "seed: $(cat err)"
done
echo ok seed

truncate -s 200M log.img
mkfs.btrfs -q log.img >/dev/null
loops=("$(losetup -f --show log.img)")
mount -t btrfs -o commit=300 "${loops[0]}" mnt
echo before >mnt/before
sync -f mnt
python3 - <<'PY'
import os
f = os.open("mnt/synced", os.O_CREAT | os.O_WRONLY)
os.write(f, b"x" * 10000)
os.fsync(f)
PY
cp --sparse=always log.img crashed.img
umount mnt
drop_loops
fsdump --free crashed.img >ours.txt 2>err || fail "log: $(cat err)"
grep -q '^FINDING: fs-dirty: btrfs: there is a log tree' err || fail "log: $(cat err)"
grep -q ' /before$' ours.txt || fail "log: no files"
echo ok log

# made from ext4 in place, the old volume kept as a file
if command -v btrfs-convert >/dev/null; then
	rm -f conv.img; truncate -s 600M conv.img
	mkfs.ext4 -q -b 4096 conv.img
	mount -t ext4 -o loop conv.img mnt; fill mnt; umount mnt
	btrfs-convert --no-progress conv.img >conv.log 2>&1 || { cat conv.log; fail convert; }
	mount -t btrfs -o loop,ro conv.img mnt; treedump.py mnt --xattrs >kernel.txt; umount mnt
	fsdump --xattrs --free conv.img >ours.txt 2>err || fail "convert: $(cat err)"
	[ ! -s err ] || fail "convert: $(cat err)"
	same_tree kernel.txt ours.txt
	echo ok converted
fi
