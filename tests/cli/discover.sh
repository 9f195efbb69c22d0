#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Partitions that are mounted by their type alone, as systemd's gpt-auto-generator mounts them: where fstab says nothing
# of the place, and nothing is there.
. "$(dirname "$0")/../lib.sh"
need sfdisk mkfs.ext4 mkfs.vfat mcopy dd
export STRATA_LIBRARY=$T/lib
strata -q init lib
ROOT=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709 USR=8484680C-9521-48C6-9C11-B0720656F69E ESP=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
XBOOT=BC13C2FF-59E6-4262-A352-B275FD6F7172 HOME_=933AC7E1-2EB4-4F13-B844-0E14E2AEF915 SRV=3B8F8425-20E0-4F3B-907F-1A25A76F98E8
n=0
fs() { truncate -s 4M "$1"; mkfs.ext4 -q -O ^has_journal -d "$2" "$1"; }
for d in usr home srv boot; do mkdir -p f/$d; echo "$d" >f/$d/is-$d; fs $d.img f/$d; done
mkdir -p f/usr/lib; echo ID=x >f/usr/lib/os-release; rm usr.img; fs usr.img f/usr
truncate -s 4M esp.img; mkfs.vfat esp.img >/dev/null; echo esp >is-esp; mcopy -i esp.img is-esp ::
# disk ROOT-FOLDER TYPE:IMAGE...: imports it as b
disk() {
	local root=$1 at=2048 lines="label: gpt"; shift
	rm -f root.img d.raw; fs root.img "$root"; truncate -s 40M d.raw; n=$((n + 1))
	for x in "$ROOT:root.img" "$@"; do lines+=$'\n'"start=$at,size=8192,type=${x%%:*}"; dd if="${x#*:}" of=d.raw bs=512 seek=$at conv=notrunc status=none; at=$((at + 8192)); done
	sfdisk -q --no-reread --no-tell-kernel d.raw <<<"$lines"
	strata -q import d.raw -b b
}
has() { [ "$(strata ls b:$1 2>/dev/null | tr '\n' ' ')" = "$2 " ] || fail "disk $n: $1 shows $(strata ls b:$1 2>&1 | tr '\n' ' '), not $2"; }
all="$SRV:srv.img $HOME_:home.img $XBOOT:boot.img $ESP:esp.img $USR:usr.img"
mkdir -p r/etc r/usr r/home r/srv r/boot r/efi; ln -s ../usr/lib/os-release r/etc/os-release
disk r $all # all of them: the system is in /usr
has /home "is-home lost+found"; has /srv "is-srv lost+found"; has /boot "is-boot lost+found"; has /efi is-esp; has /usr "is-usr lib lost+found"
[ "$(strata cat b:/etc/os-release)" = ID=x ] || fail "os-release"
rmdir r/efi; disk r "$ESP:esp.img" "$USR:usr.img"; has /boot is-esp
disk r "$ESP:esp.img" "$XBOOT:boot.img"; has /boot "is-boot lost+found"
touch r/home/old; disk r $all; has /home old; has /srv "is-srv lost+found"; rm r/home/old
echo "UUID=none /srv ext4 defaults" >r/etc/fstab; disk r $all; [ -z "$(strata ls b:/srv)" ] || fail "fstab comes first"
ln -s home r/link; rmdir r/srv; ln -s home r/srv; : >r/etc/fstab; disk r $all; has /home "is-home lost+found"
echo "$n disks"
