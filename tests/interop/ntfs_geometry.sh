#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Cluster sizes up to 2 MiB, sectors of 512 to 4096 bytes, MFT records of 1 and 4 KiB; a damaged boot sector and MFT
# whose copies serve; a truncated volume; volumes that were not closed.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/tools/ntfs_lib.sh"
for g in "512 512" "512 1024" "512 2048" "512 65536" "512 131072" "512 2097152" "1024 1024" "2048 4096" "4096 4096" "4096 65536"; do
	set -- $g
	size=24M; [ "$2" -lt 131072 ] || size=300M; [ "$2" -lt 2097152 ] || size=2G
	make_ntfs g.img $size -s "$1" -c "$2"
	ntfs_mount g.img m
	python3 "$tree" fill m/all 200 nolarge 2>fill.err || { cat fill.err; fail "fill $g"; }
	ntfs_umount m
	ntfs_want g.img want
	ntfs_same g.img want --xattrs
	rm g.img
done
# copies
make_ntfs b.img 16M
ntfs_mount b.img m; python3 "$tree" fill m/all 100 nolarge; ntfs_umount m
ntfs_want b.img want --streams
ntfs_same b.img want
cp b.img c.img; printf '\0\0' | dd of=c.img bs=1 seek=11 conv=notrunc status=none
ntfs_same c.img want; grep -q fs-backup-super got.err || fail "no finding for the boot sector"
mft=$(ntfsinfo -m b.img | sed -n 's/.*LCN of Data Attribute for FILE_MFT: *//p'); cluster=$(ntfsinfo -m b.img | sed -n 's/.*Cluster Size: *//p')
for rec in 0 1 3; do
	cp b.img c.img; printf 'XXXX' | dd of=c.img bs=1 seek=$((mft * cluster + rec * 1024)) conv=notrunc status=none
	if [ $rec = 1 ]; then ntfs_same c.img want; else ntfs_same c.img want; grep -q fs-backup-super got.err || fail "no finding for MFT record $rec"; fi
done
# the volume's flag, and a log with something in it
cp b.img c.img
off=$((mft * cluster + 3 * 1024))
at=$(python3 - c.img $off <<'PY'
import struct, sys
d = open(sys.argv[1], "rb").read(); o = int(sys.argv[2]); a = o + struct.unpack_from("<H", d, o + 20)[0]
while struct.unpack_from("<I", d, a)[0] != 0x70: a += struct.unpack_from("<I", d, a + 4)[0]
print(a + struct.unpack_from("<H", d, a + 20)[0] + 10)
PY
)
printf '\1' | dd of=c.img bs=1 seek=$at conv=notrunc status=none
ntfs_same c.img want; grep -q 'FINDING: fs-dirty: $Volume' got.err || fail "dirty flag not found"
ntfs_same b.img want; ! grep -q fs-dirty got.err || fail "a clean volume is called dirty"
lcn=$(ntfsinfo -i 2 -v b.img | sed -n '/VCN.*LCN.*Length/{n;s/[^x]*0x0[^x]*\(0x[0-9a-f]*\).*/\1/p;}' | tail -1)
[ -n "$lcn" ] || fail "where is the log"
python3 - c.img $((lcn * cluster)) <<'PY'
import struct, sys
page = bytearray(4096); page[0:4] = b"RSTR"
struct.pack_into("<HH", page, 4, 30, 9); struct.pack_into("<IIH", page, 16, 4096, 4096, 48)
struct.pack_into("<QHHHH", page, 48, 77, 1, 0xffff, 0, 0)
f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); f.write(page)
PY
ntfs_same c.img want; grep -q 'FINDING: fs-dirty: $LogFile' got.err || fail "dirty log not found"
# half of a volume
cp b.img c.img; truncate -s 9M c.img
fsdump c.img >got 2>got.err || fail "a truncated volume is not opened"
grep -q fs-truncated got.err || fail "no finding for a truncated volume"
