#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --free-space discard: what was deleted is gone from the disk, every file is
# there, and each file system's own checker finds nothing to say. Swap is zeros
# but for its header; that of a machine that sleeps is kept.
. "$(dirname "$0")/../lib.sh"
need_root
need mkfs.ext4 e2fsck mkfs.xfs xfs_repair mkfs.btrfs btrfs mkfs.vfat fsck.vfat mcopy mdel mkntfs ntfs-3g ntfsfix ntfs-3g.probe \
	mkfs.exfat fsck.exfat mount.exfat-fuse mkswap sfdisk python3 jq
export STRATA_LIBRARY=$T/lib
strata init lib >/dev/null
mkdir keep drop mnt
python3 - <<'P'
import random
r = random.Random(1)
for i in range(40):
    open("keep/k%d" % i, "wb").write(b"STAYS-%d\n" % i * r.randrange(1, 9000))
    open("drop/d%d" % i, "wb").write(b"DELETED-BYTES-%d\n" % i * r.randrange(2000, 12000))
P
dropped=$(cat drop/* | wc -c)
rw_mount() { mount -o "loop${2:+,$2}" "$1" mnt 2>mount.err || skip "cannot mount $1: $(tail -1 mount.err)"; cleanup_mounts+=(mnt); }
fill() { cp -r keep drop mnt/; sync -f mnt; rm -r mnt/drop; sync -f mnt; }
# goes IMAGE CHECK...: in without its free space, out again, checked
goes() {
	local img=$1 n got; shift
	[ "$(grep -c DELETED-BYTES $img)" -gt 0 ] || fail "$img: the fixture holds nothing deleted"
	strata import $img -b $img --free-space discard --json >out.json 2>err || fail "$img: $(cat err)"
	n=$(jq .discarded_bytes out.json)
	[ "$n" -ge $((dropped * 9 / 10)) ] && [ "$n" -le $(stat -c %s $img) ] || fail "$img: $n bytes of $dropped: $(jq -c .findings out.json)"
	strata -q export $img -o back.raw
	got=$(grep -ac DELETED-BYTES back.raw || true)
	# what still stands there is in slack of metadata and journals, not in free blocks
	[ "$got" -le "${most:-0}" ] || fail "$img: $got lines of what was deleted are left"
	"$@" back.raw >check.out 2>&1 || fail "$img: $*: $(tail -5 check.out)"
	strata -q import $img -b $img-whole
	strata diff $img-whole $img >diff.out; [ ! -s diff.out ] || fail "$img: files differ: $(head -3 diff.out)"
	strata export $img-whole -o whole.raw; cmp $img whole.raw || fail "$img: kept, but not the same"
	strata import back.raw -b $img --free-space discard --json >again.json
	[ "$(jq -c '[.disks[].digest]' again.json)" = "$(jq -c '[.disks[].digest]' out.json)" ] || fail "$img: another time, another disk"
	rm -f back.raw whole.raw
}
for o in "" "-O ^has_journal,^extents,^64bit" "-b 1024 -O ^metadata_csum,uninit_bg,flex_bg" "-O bigalloc -C 16384" "-O ^resize_inode,meta_bg"; do
	rm -f ext.img; truncate -s 64M ext.img; mkfs.ext4 -q $o ext.img 2>mkfs.err || fail "mkfs.ext4 $o: $(cat mkfs.err)"
	rw_mount ext.img; fill; umount mnt; goes ext.img e2fsck -fn
done
for o in "" "-m rmapbt=1,reflink=1" "-b size=1024"; do
	rm -f xfs.img; truncate -s 320M xfs.img; mkfs.xfs -q $o xfs.img >mkfs.err 2>&1 || fail "mkfs.xfs $o: $(cat mkfs.err)"
	rw_mount xfs.img; fill; umount mnt; goes xfs.img xfs_repair -n
done
# keeps NAME WORDS: nothing of ext.img is discarded, which is said
keeps() {
	strata import ext.img -b "$1" --free-space discard --json >out.json || fail "$1: import"
	[ "$(jq .discarded_bytes out.json)" = 0 ] || fail "$1: $(jq .discarded_bytes out.json) bytes are gone"
	jq -e --arg w "$2" 'any(.findings[]; .detail | contains("its free space is kept") and contains($w))' out.json >/dev/null ||
		fail "$1: $(jq -c .findings out.json)"
	strata -q export "$1" -o back.raw; cmp ext.img back.raw || fail "$1: not the same"
}
# bitmaps that call free what a file has; no journal and not unmounted; a damaged file
truncate -s 16M ext.img; mkfs.ext4 -q -F -b 1024 -O ^metadata_csum,^uninit_bg,^has_journal ext.img; rw_mount ext.img; fill; umount mnt; cp ext.img sound.img
blk=$(debugfs -R "bmap /keep/k3 0" ext.img 2>/dev/null); g=$(((blk - 1) / 8192))
n=$(dumpe2fs ext.img 2>/dev/null | sed -n "/^Group $g:/,/free blocks/ s/^ *\([0-9]*\) free blocks.*/\1/p")
printf 'freeb %d\nset_bg %d free_blocks_count %d\n' $blk $g $((n + 1)) >cmds; debugfs -w -f cmds ext.img >/dev/null 2>&1
keeps stale "files stand in what it calls free"
cp sound.img ext.img; debugfs -w -R "set_super_value state 0" ext.img >/dev/null 2>&1; keeps dirty "it was not unmounted"
cp sound.img ext.img; debugfs -w -R "sif /keep/k3 mode 0" ext.img >/dev/null 2>&1; keeps damaged "it is damaged"
# version 4, which kernels mount no more: made on a disk that was full of something else
rm -f xfs.img; yes DELETED-BYTES | head -c 100M >xfs.img; truncate -s 320M xfs.img
printf 'none\n0 0\nd--755 0 0\nf ---644 0 0 keep/k1\nd d--755 0 0\nf ---600 0 0 keep/k2\n$\n$\n' >proto
mkfs.xfs -q -K -f -m crc=0 -p proto xfs.img >mkfs.err 2>&1 || fail "mkfs.xfs, version 4: $(cat mkfs.err)"
most=300 goes xfs.img xfs_repair -n # (slack behind the headers of a group)
for o in "" "-m dup -d dup" "-m single --nodesize 4096 --mixed"; do
	rm -f btrfs.img; truncate -s 256M btrfs.img; mkfs.btrfs -q $o btrfs.img >mkfs.err 2>&1 || fail "mkfs.btrfs $o: $(cat mkfs.err)"
	rw_mount btrfs.img nodiscard; fill; umount mnt; goes btrfs.img btrfs check
done
for f in 12 16 32; do
	rm -f fat.img; truncate -s $((f == 12 ? 12 : 64))M fat.img; mkfs.vfat -F $f fat.img >/dev/null
	mcopy -s -i fat.img keep drop ::; for i in drop/*; do mdel -i fat.img ::$i; done; goes fat.img fsck.vfat -n
done
truncate -s 64M ntfs.img; mkntfs -qfF ntfs.img >/dev/null 2>&1
ntfs_ok() { ntfsfix -n "$1" && ntfs-3g.probe --readwrite "$1"; }
if ntfs-3g ntfs.img mnt 2>mount.err; then
	cleanup_mounts+=(mnt); cp -r keep drop mnt/; sync -f mnt; rm -r mnt/drop; umount mnt; sleep 0.3; goes ntfs.img ntfs_ok
else skip "ntfs-3g does not mount: $(tail -1 mount.err)"; fi
truncate -s 64M exfat.img; mkfs.exfat exfat.img >/dev/null 2>&1
loop=$(losetup -f --show exfat.img)
if mount.exfat-fuse "$loop" mnt >mount.err 2>&1; then
	losetup -d "$loop"; cleanup_mounts+=(mnt); cp -r keep drop mnt/; sync -f mnt; rm -r mnt/drop; umount mnt
	while losetup -j exfat.img | grep -q .; do sleep 0.1; done
	goes exfat.img fsck.exfat -n
else losetup -d "$loop"; skip "exfat-fuse does not mount: $(tail -1 mount.err)"; fi
# a disk with partitions and swap; the swap of a machine that sleeps
for s in SWAPSPACE2 S1SUSPEND; do
	rm -f disk.img; truncate -s 100M disk.img
	printf 'label: gpt\nstart=2048, size=131072, type=L\nstart=133120, size=40960, type=S\n' | sfdisk -q disk.img
	truncate -s 64M p1; mkfs.ext4 -q p1; rw_mount p1; fill; umount mnt
	truncate -s 20M p2; mkswap -q -L sw p2; printf $s | dd of=p2 bs=1 seek=4086 conv=notrunc status=none
	printf 'SECRET-OF-A-PROCESS' | dd of=p2 bs=1 seek=9000000 conv=notrunc status=none
	dd if=p1 of=disk.img bs=1M seek=1 conv=notrunc status=none; dd if=p2 of=disk.img bs=1M seek=65 conv=notrunc status=none
	rm p1; strata -q import disk.img -b disk --free-space discard 2>err; strata export disk -o back.raw
	dd if=back.raw of=p1 bs=1M skip=1 count=64 status=none; e2fsck -fn p1 >/dev/null 2>&1 || fail "ext4 in a partition"
	! grep -q DELETED-BYTES back.raw || fail "partition: deleted bytes"
	cmp -n 4096 <(tail -c +$((65 * 1048576 + 1)) back.raw) p2 || fail "the header of swap"
	case $s in
	SWAPSPACE2) ! grep -q SECRET-OF back.raw || fail "swap was kept" ;;
	*) grep -q SECRET-OF back.raw || fail "the memory of a machine that sleeps is gone" ;;
	esac
done
