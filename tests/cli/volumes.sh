#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The merged view on btrfs subvolumes, several disks and logical volumes; and
# content that a disk holds in another form (compressed): read through the
# file system, compared with the kernel's.
. "$(dirname "$0")/../lib.sh"
need_root
need mkfs.btrfs btrfs mksquashfs mkfs.ext4 sfdisk python3
export STRATA_LIBRARY=$T/lib
strata init lib 2>/dev/null
rw_mount() { mkdir -p "$2"; mount -o "loop${3:+,$3}" "$1" "$2" 2>mount.err || skip "cannot mount: $(tail -1 mount.err)"; cleanup_mounts+=("$2"); }
text() { python3 -c 'import sys; n = int(sys.argv[1]); sys.stdout.write("".join("line %d of some text that packs well\n" % i for i in range(n)))' "$1"; }

# btrfs: root and home are subvolumes, a snapshot of the root lies beside them
uuid=$(cat /proc/sys/kernel/random/uuid) # that no other test has mounted: neither mkfs nor the kernel takes one twice
truncate -s 256M b.raw; mkfs.btrfs -q -U $uuid b.raw >/dev/null
rw_mount b.raw b compress-force=zstd
btrfs -q subvolume create b/@ 2>/dev/null || btrfs subvolume create b/@ >/dev/null
btrfs subvolume create b/@home >/dev/null
mkdir -p b/@/etc b/@/usr/lib b/@/home b/@/data b/@home/user b/many
echo ID=b > b/@/usr/lib/os-release; ln -s ../usr/lib/os-release b/@/etc/os-release
printf '%s\n' "UUID=$uuid / btrfs subvol=@,compress=zstd 0 0" \
	'/dev/sda /home btrfs compress=zstd,subvol=/@home 0 0' > b/@/etc/fstab
for i in 1 10 1000 40000; do text $i > b/@/data/text$i; done
head -c 700000 /dev/urandom > b/@/data/random; truncate -s 3M b/@/data/hole; text 500 >> b/@/data/hole
text 3000 > b/@home/user/doc
btrfs subvolume snapshot -r b/@ b/snap >/dev/null; echo new > b/@/data/new
umount b
loop_mount b.raw br btrfs
strata -q import b.raw -b b
treedump.py br/@ --no-nlink | grep -v ' /$' | grep -v ' /home' > want; strata ls -R --json b:/ | lsdump.py | grep -v ' /home' > have; same_tree want have
strata cp b:/data out; diff -r br/@/data out || fail "compressed files"
strata cat b:/home/user/doc | cmp - br/@home/user/doc
strata cat b:/data/hole | cmp - br/@/data/hole
strata cp b:disk:/snap snap; diff -r br/snap/data snap/data || fail "a snapshot's files"
strata cat b:disk:/@/data/new b:/data/new | cmp - <(printf 'new\nnew\n')
# without fstab it is the default subvolume that a mount shows
umount br; rw_mount b.raw b; btrfs property set b/snap ro false; rm b/@/etc/fstab b/snap/etc/fstab; echo default > b/snap/default
btrfs subvolume set-default "$(btrfs subvolume list b | awk '$NF == "snap" {print $2}')" b; umount b
strata -q import b.raw -b b; [ "$(strata cat b:/default)" = default ] || fail "default subvolume"

# btrfs over two disks
truncate -s 128M d0.raw d1.raw
rw_multi() { l0=$(losetup -f --show d0.raw) l1=$(losetup -f --show d1.raw); }
if rw_multi 2>/dev/null && mkfs.btrfs -q -d raid0 -m raid1 "$l0" "$l1" >/dev/null 2>&1; then
	btrfs device scan "$l0" "$l1" >/dev/null 2>&1 || true
	mkdir m; if mount -o compress-force=zlib,device="$l1" "$l0" m 2>/dev/null; then
		cleanup_mounts+=(m); text 30000 > m/big; head -c 3000000 /dev/urandom > m/random; sync -f m; cp m/big m/random .
		umount m; losetup -d "$l0" "$l1"
		strata -q import d0.raw d1.raw -b two
		strata cat two:/big | cmp - big; strata cat two:/random | cmp - random
	else losetup -d "$l0" "$l1"; fi
fi

# squashfs on the whole disk
mkdir -p s/dir; for i in 1 7 500 30000; do text $i > s/dir/text$i; done; head -c 300000 /dev/urandom > s/random; ln -s dir/text7 s/link
mksquashfs s s.raw -quiet -no-progress >/dev/null; strata -q import s.raw -b s
strata cp s:/ s-out 2>err || fail "$(cat err)"; diff -r s s-out || fail squashfs
strata cat s:/link | cmp - s/dir/text7
expect_rc 3 strata ls s:p1:/ 2>err

# two disks: the second is mounted by its kernel name; its number names it
mkdir -p r/etc r/srv h; echo ID=r > r/etc/os-release
printf '/dev/vda1 / ext4 defaults 0 1\n/dev/vdb /srv ext4 defaults 0 2\n/dev/vdc /none ext4 defaults 0 2\n' > r/etc/fstab; echo second > h/file
truncate -s 24M r.img; mkfs.ext4 -q -d r r.img; truncate -s 16M h.img; mkfs.ext4 -q -d h h.img
truncate -s 32M r.raw; echo 'start=2048, size=49152, type=83' | sfdisk -q r.raw; dd if=r.img of=r.raw bs=1M seek=1 conv=notrunc,sparse status=none
strata -q import r.raw h.img -b v
[ "$(strata cat v:/srv/file)" = second ] || fail "second disk"
[ "$(strata cat 'v#1:/file')" = second ] || fail "#1"
[ "$(strata cat 'v#0:p1:/etc/os-release')" = ID=r ] || fail "#0:p1"
expect_rc 3 strata cat 'v#0:/srv/nope' 2>err; strata ls 'v#1:disk:/' | grep -qx file || fail "#1:disk"
