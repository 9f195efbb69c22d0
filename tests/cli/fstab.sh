#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every way in which an fstab may name a device, odd lines, and how the root is
# found; images made entry by entry.
. "$(dirname "$0")/../lib.sh"
export STRATA_LIBRARY=$T/lib
image() { rm -rf lib; strata -q init lib 2>/dev/null >/dev/null; { printf 'commit\tc\t1\n'; cat; printf 'end\n'; } > script; mkcommit lib < script > made || fail mkcommit; strata branch i "$(cut -d' ' -f2 made)"; }
root() { printf 'volume\tp1\text4\troot-uuid\troot\tp-uuid-1\tmain part\t0\ndir\tetc\nfile\tfstab\t%s\nfile\tos-release\tID=x\nup\ndir\tmnt\nfile\tunder\tx\nup\n' "$1"; }
# a line of fstab, and the volume that it is to mount at /mnt
mounts() {
	{ root "LABEL=root / ext4 defaults%0a${1//$'\t'/%09}%0a"
	printf 'volume\tp2\tvfat\tABCD-1234\tMY DISK\tp-uuid-2\tsecond part\t0\nfile\tp2\tx\n'
	printf 'volume\tvg-a/lv-b\txfs\tlv-uuid\tlv label\t\t\t0\nfile\tlv\tx\n'
	printf 'volume\tp11\text4\televen\t\t\t\t0\nfile\tp11\tx\n'
	printf 'volume\tmd127\text4\tmd-uuid\t\t\t\t0\nfile\tmd\tx\n'; [ -z "${3:-}" ] || printf "$3"; } | image
	have=$(strata ls i:/mnt | tr '\n' ' ') && [ "$have" = "$2 " ] || fail "'$1' shows $have, not $2"
}
for spec in UUID=abcd-1234 UUID='"ABCD-1234"' 'LABEL=MY\040DISK' PARTUUID=P-UUID-2 'PARTLABEL="second\040part"' /dev/sda2 /dev/vda2 /dev/xvda2 /dev/hda2 /dev/nvme0n1p2 /dev/mmcblk0p2 \
	/dev/disk/by-uuid/ABCD-1234 '/dev/disk/by-label/MY\134x20DISK' /dev/disk/by-partuuid/p-uuid-2 '/dev/disk/by-partlabel/second\x20part' /dev/disk/by-id/ata-X_123-part2 /dev/disk/by-path/pci-0-part2; do
	mounts "$spec	/mnt	auto	defaults	0 0" p2
done
for spec in /dev/mapper/vg--a-lv--b /dev/vg-a/lv-b UUID=lv-uuid 'LABEL=lv\040label'; do mounts "$spec /mnt auto" lv; done
mounts "/dev/sda11 /mnt ext4" p11; mounts "/dev/md127 /mnt ext4" md; mounts "/dev/md/md127 /mnt ext4" md
# none of these mounts anything
for line in "/dev/sda3 /mnt auto" "/dev/sdb2 /mnt auto" "/dev/sda02 /mnt auto" "UUID= /mnt auto" "LABEL= /mnt auto" "/dev/mapper/x /mnt auto" "tmpfs /mnt tmpfs" "#/dev/sda2 /mnt" \
	"/dev/sda2" "/dev/sda2 none swap" "/dev/sda2 mnt auto" "/dev/sda2 /mnt auto noauto" "/dev/sda2 /no/where auto" "/dev/sda2 / auto" "/dev/ /mnt auto" "/dev/nvme /mnt auto" "/dev/sda99999999999999999999 /mnt auto"; do
	mounts "$line" under
done
mounts "/dev/sda2 /mnt auto noauto,x-systemd.automount" p2
mounts "/dev/sda2 /mnt auto%0a/dev/sda11 //mnt/ auto" p11 # the later one hides the earlier one
mounts "/dev/sda2 /mnt auto%0a/dev/sda11 /mnt/new auto" "new p2"
[ "$(strata ls i:/mnt/new)" = p11 ] && [ "$(strata ls i:/mnt/new/../new/..| tr '\n' ' ')" = "etc mnt " ] && fail "dots over mounts"
[ "$(strata ls i:/mnt/new/.. | tr '\n' ' ')" = "new p2 " ] || fail "dots over mounts"
[ "$(strata ls -R i:/mnt | tr '\n' ' ')" = "new new/p11 p2 " ] || fail "walk"
mounts "/etc /mnt none bind" "fstab os-release"
mounts "/mnt /mnt/self none rbind%0a/ /mnt/all none bind" "all self under"
[ "$(strata ls -R i:/mnt | tr '\n' ' ')" = "all all/etc all/etc/fstab all/etc/os-release all/mnt all/mnt/under self self/under under " ] || fail "bind mounts of what is above: $(strata ls -R i:/mnt)"

# noise, and more lines than are read
mounts '%ff%fe%0a%0a%09%09 %0a\134' under
mounts "$(printf 'x /y z%%0a%.0s' $(seq 500))/dev/sda2 /mnt auto" p2
mounts "$(printf 'x /y z%%0a%.0s' $(seq 1500))/dev/sda2 /mnt auto" under

# the root: what says so; Windows; the largest
{ printf 'volume\tp1\text4\ta\t\t\t\t0\ndir\tetc\nfile\tfstab\tUUID=b / ext4%%0a\nfile\tos-release\trescue\nup\n'
  printf 'volume\tp2\text4\tb\t\t\t\t0\ndir\tetc\nfile\tfstab\tUUID=b / ext4%%0a\nfile\tos-release\tmain\nup\n'; } | image
[ "$(strata cat i:/etc/os-release)" = main ] || fail "the root that its fstab names"
{ printf 'volume\tp1\tntfs\ta\t\t\t\t0\ndir\tRecovery\nfile\tx\ty\nup\nvolume\tp2\tntfs\tb\t\t\t\t0\ndir\tWINDOWS\ndir\tsystem32\nfile\tntdll.dll\tw\nup\nup\ndir\tÄrger\nfile\tÜbel\tu\nup\n'; } | image
[ "$(strata cat i:/windows/System32/NTDLL.DLL)" = w ] || fail Windows
[ "$(strata cat i:/äRGER/üBEL)" = u ] || fail "case of letters outside ASCII"
[ "$(strata cat i:C:/windows/System32/NTDLL.DLL)" = w ] && [ "$(strata cat i:c:/WINDOWS/system32/ntdll.dll)" = w ] || fail "the letter of Windows' volume"
expect_rc 3 strata ls i:D:/ 2>err
strata show i:/windows/System32 | grep -qx 'path:   /WINDOWS/system32' || fail "the name as it is"
printf 'volume\tdata\text4\ta\t\t\t\t0\nfile\tonly\tfile\n' | image; [ "$(strata ls i:)" = only ] || fail "no system"
expect_rc 3 strata ls i:C:/ 2>err; grep -q "no Windows" err || fail "C without Windows: $(cat err)"
expect_rc 3 strata cat i:/ONLY 2>err
