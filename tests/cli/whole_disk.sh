#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A file system on a whole disk with boot code in front of it, whose signature is that of a partition table: the kernel mounts
# it, blkid names it, and so it is shown; entries that are in use win over it.
. "$(dirname "$0")/../lib.sh"
need_root
need mkfs.ext4 mkfs.btrfs debugfs blkid sfdisk python3 jq
export STRATA_LIBRARY=$T/lib
strata init lib 2>/dev/null

boot_code() { # IMAGE: a first sector as LILO, GRUB and extlinux leave it: code, no entries, 55 aa
	python3 - "$1" <<-'END'
	import sys
	with open(sys.argv[1], "r+b") as f:
	    f.write(b"\xeb\x48\x90LILO" + bytes(i & 0x7f for i in range(7, 440)) + bytes(70) + b"\x55\xaa")
	END
}
for fs in ext4 btrfs; do
	rm -f d; truncate -s 128M d
	case $fs in
	ext4) mkfs.ext4 -q -L root d; echo hello > f; debugfs -w -R "write f f" d 2>/dev/null;;
	btrfs) mkdir -p src; echo hello > src/f; mkfs.btrfs -q -L root --rootdir src d;;
	esac
	boot_code d
	[ "$(blkid -p -s TYPE -o value d)" = $fs ] || fail "the fixture: $(blkid -p d)"
	strata inspect --json ./d > i 2>err || fail "$fs: $(cat err)"
	[ "$(jq -r '.disks[0].volumes[] | [.name, .fs, .label, .uuid] | join(" ")' i)" = "disk $fs root $(blkid -p -s UUID -o value d)" ] || fail "$fs: $(cat i)"
	strata -q import d -b d
	[ "$(strata cat d:/f)" = hello ] || fail "$fs: no file"
	strata export d -o out.raw && cmp d out.raw
	# with a partition, the table counts
	printf 'start=2048,size=4096\n' | sfdisk -q --no-reread --wipe never d >/dev/null 2>&1
	[ "$(strata inspect --json ./d 2>/dev/null | jq -r '.disks[0].volumes[].name' | tr '\n' ' ')" = "p1 " ] || fail "$fs beside a partition: $(strata inspect ./d 2>&1)"
done
# no file system, no partition: nothing is made up
truncate -s 1M e; boot_code e
[ "$(strata inspect --json e | jq -c '[.disks[0].partitions, .disks[0].volumes]')" = '["mbr",[]]' ] || fail "$(strata inspect --json e)"

# --- a first superblock that is gone: shown by its copy, which e2fsck would take; and nothing is thrown away on its word
rm -f d; mkdir -p tree; for i in $(seq 50); do head -c 20000 /dev/urandom > tree/f$i; done
truncate -s 200M d; mkfs.ext4 -q -L gone -d tree d; head -c 5M /dev/urandom | dd of=d bs=1M seek=180 conv=notrunc status=none
dd if=/dev/zero of=d bs=1024 seek=1 count=1 conv=notrunc status=none
strata inspect --json ./d > i 2>err || fail "$(cat err)"
[ "$(jq -r '.disks[0].volumes[] | [.name, .fs, .label] | join(" ")' i)" = "disk ext4 gone" ] || fail "$(cat i err)"
jq -r '.findings[].id' i | sort -u | tr '\n' ' ' | grep -q 'fs-backup-super fs-damaged ' || fail "findings: $(cat i)"
strata -q import d -b gone --free-space discard
strata cp gone:/ out; rm -rf out/lost+found; diff -r tree out || fail "files by the copy of the superblock"
strata export gone -o gone.raw; cmp d gone.raw
# what became a physical volume since is one, whatever copies lie in it
command -v pvcreate >/dev/null || skip "all but the physical volume: lvm2 is not installed"
dev=$(losetup -f --show d) || skip "all but the physical volume: no loop device"
pvcreate -q -ff -y --config "devices { filter=[\"a|^$dev\$|\",\"r|.*|\"] use_devicesfile=0 } activation { udev_sync=0 udev_rules=0 }" "$dev" >pv.log 2>&1 || { losetup -d "$dev"; skip "all but the physical volume: $(tail -1 pv.log)"; }
losetup -d "$dev"
[ "$(strata inspect --json ./d 2>/dev/null | jq -r '.disks[0].volumes[] | .fs')" = LVM2_member ] || fail "a physical volume: $(strata inspect ./d 2>&1)"
