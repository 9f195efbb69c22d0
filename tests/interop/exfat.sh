#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# exFAT as exfat-fuse fills it, the oracle being the same file system mounted.
. "$(dirname "$0")/../lib.sh"
need mkfs.exfat mount.exfat-fuse losetup blkid python3
need_root
[ -e /dev/fuse ] || skip "no /dev/fuse"
export LC_ALL=C.UTF-8
fuse() { # fuse IMAGE DIR OPTIONS
	mkdir -p "$2"
	loop=$(losetup -f --show "$1") || skip "no loop device"
	mount.exfat-fuse -o "$3,umask=022,uid=0,gid=0" "$loop" "$2" >mount.err 2>&1 || { losetup -d "$loop"; skip "cannot mount exFAT: $(tail -1 mount.err)"; }
	losetup -d "$loop" # goes with the mount
	cleanup_mounts+=("$PWD/$2")
}
unfuse() { umount "$1"; while mountpoint -q "$1"; do sleep 0.1; done; sync -f .; wait_loop; }
wait_loop() { while losetup "$loop" 2>/dev/null | grep -qF "($PWD/"; do sleep 0.1; done; }
check() {
	fuse "$1" mnt ro
	treedump.py mnt > want
	unfuse mnt
	fsdump --free "$1" > got 2> err || { cat err; fail "fsdump"; }
	[ ! -s err ] || { cat err; fail "messages about a sound file system"; }
	# FUSE makes up a time for the root, and knows full seconds only
	for f in got want; do grep -v ' /$' $f | sed -E 's/^((\S+ ){5}[0-9]+)\.[0-9]+/\1/' > $f.f; done
	same_tree got.f want.f
	grep -q "^# exfat uuid $(blkid -p -o value -s UUID "$1") label $(blkid -p -o value -s LABEL "$1") size" got || fail "$(head -1 got)"
}
while read -r size options; do
	rm -f d; truncate -s "$size" d
	mkfs.exfat $options d >/dev/null 2>&1
	fuse d mnt rw
	mkdir -p mnt/{dir,many,"a long folder name €"}; d=mnt
	for i in $(seq 12); do d=$d/level$i; mkdir $d; echo "$i" > $d/f; done
	: > mnt/empty; head -c 300000 /dev/urandom > mnt/dir/random
	for i in 1 2 3 4 5 6 7 8; do head -c 90000 /dev/zero | tr '\0' "$i" > mnt/gap$i; done
	for i in 1 3 5 7; do rm mnt/gap$i; done
	head -c 700000 /dev/urandom > mnt/fragmented
	printf x > "mnt/$(printf 'n%.0s' $(seq 255))"; printf x > "mnt/日本語 😀"
	for i in $(seq 400); do echo "$i" > "mnt/many/file number $i with a name"; done
	for i in $(seq 2 3 400); do rm "mnt/many/file number $i with a name"; done
	find mnt -exec touch -h -d "2021-03-04 05:06:07" {} +
	touch -d "2000-02-29 23:59:59" mnt/empty
	# blocks of one file written behind each other with another's between
	for i in $(seq 20); do head -c 40000 /dev/urandom >> mnt/a; head -c 40000 /dev/urandom >> mnt/b; done
	df --output=avail -B1 mnt | tail -1 > free
	unfuse mnt
	check d
	[ "$(sed -n 's/^# free //p' got)" = "$(tr -d ' ' < free)" ] || fail "free: $(tail -1 got), not $(cat free)"
done <<-E
	20M -c 512
	100M -L LÄBEL
	300M -c 64K -L data
E
# bytes behind the valid length are zeros (the checksum of the set is made anew)
python3 - d <<'E'
import sys, struct
d = bytearray(open(sys.argv[1], "rb").read())
heap = struct.unpack_from("<I", d, 88)[0] << d[108]
done = 0
for at in range(heap, heap + (1 << 22), 32):
    if d[at] == 0x85 and d[at + 32] == 0xc0 and struct.unpack_from("<Q", d, at + 56)[0] == 700000:
        n = d[at + 1]
        struct.pack_into("<Q", d, at + 40, 100001)
        s = 0
        for i in range(32 * (n + 1)):
            if i not in (2, 3): s = ((s << 15 | s >> 1) + d[at + i]) & 0xffff
        struct.pack_into("<H", d, at + 2, s); done += 1
assert done == 1
open("valid", "wb").write(d)
E
fsdump --free d | grep ' /fragmented$' > before; fsdump --free valid > got 2> err || fail "valid length"
fuse d mnt ro; want=$({ head -c 100001 mnt/fragmented; head -c 599999 /dev/zero; } | sha256sum | cut -d' ' -f1); unfuse mnt
grep -q "$want /fragmented$" got || fail "valid length: content"
# a damaged first boot sector: the copy
cp d boot; printf 'xxxx' | dd of=boot bs=1 seek=80 conv=notrunc status=none
fsdump boot > got 2> err; grep -q fs-backup-super err || fail "backup boot sector"
fsdump d | cmp - got || fail "backup boot sector: other content"
cp d dirty; printf '\x02' | dd of=dirty bs=1 seek=106 conv=notrunc status=none
fsdump dirty 2>&1 >/dev/null | grep -q fs-dirty || fail "dirty"
echo "exFAT as mounted"
