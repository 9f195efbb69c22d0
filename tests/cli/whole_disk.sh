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
