#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# VDI and VHD against qemu-img, both ways.
. "$(dirname "$0")/../lib.sh"
need qemu-img python3 cmp
python3 - <<'P'
import random
r = random.Random(2)
with open("a.raw", "wb") as f:
    f.truncate(34 * 1048576 + 512 * 3)
    for off, n in ((0, 513), (1048576 - 1, 2), (5 * 1048576, 3 * 1048576), (34 * 1048576 + 512, 1024)):
        f.seek(off); f.write(r.randbytes(n))
P
# one format in: what qemu-img writes reads as the raw disk; its holes are holes
reads() { # NAME QEMU-FORMAT OPTIONS
	qemu-img convert -f raw -O "$2" ${3:+-o "$3"} a.raw "$1"
	qemu-img convert -f "$2" -O raw "$1" want.raw
	disktool cmp "$1" want.raw || fail "$1 ($3) differs"
	[ "$(disktool map "$1" | awk '$3 == "data" { n += $2 } END { print n }')" -le 8500000 ] || fail "$1: no holes: $(disktool map "$1")"
}
reads a.vdi vdi
reads static.vdi vdi static=on
reads a.vhd vpc
disktool info a.vhd | grep -q 'dynamic.*qemu' || fail "creator"
reads b.vhd vpc force_size=on
[ "$(disktool info b.vhd | sed -n 's/^size //p')" = "$(stat -c %s a.raw)" ] || fail "size in bytes"
reads fixed.vhd vpc subformat=fixed
reads fixed2.vhd vpc subformat=fixed,force_size=on
# the format is told by content
cp a.vdi x.raw; disktool info x.raw | grep -q '^vdi$' || fail "probe vdi"
cp fixed.vhd x.raw; disktool info x.raw | grep -q '^vhd$' || fail "probe vhd"
# formats out: qemu reads the same disk, its checker finds nothing, twice the same file
writes() { # OUR-FORMAT QEMU-FORMAT FILE
	disktool convert -O "$1" a.raw "$3"
	qemu-img compare -f raw -F "$2" a.raw "$3" >/dev/null || fail "$1: qemu-img compare"
	[ "$(qemu-img info -f "$2" --output=json "$3" | python3 -c 'import json,sys; print(json.load(sys.stdin)["virtual-size"])')" = "$(stat -c %s a.raw)" ] ||
		fail "$1: virtual size"
	[ "$2" != vdi ] || qemu-img check -f vdi "$3" >/dev/null || fail "$1: qemu-img check"
	disktool cmp "$3" a.raw || fail "$1: our own reader"
	disktool convert -O "$1" a.raw "again-$3"; cmp "$3" "again-$3" || fail "$1: not the same twice"
}
writes vdi vdi o.vdi
writes vhd vpc o.vhd
writes vhd-fixed vpc of.vhd
disktool convert -O vhd-fixed a.raw - | cmp - of.vhd || fail "fixed, streamed"
truncate -s 1T huge.raw
for f in vdi vhd; do disktool convert -O $f huge.raw huge.$f; disktool map huge.$f | grep -qx "0 1099511627776 zero 0" || fail "huge $f"; done
: > empty.raw
for f in vdi vhd vhd-fixed; do disktool convert -O $f empty.raw e; disktool cmp e empty.raw || fail "empty $f"; done
truncate -s 2049G huge.raw
expect_rc 4 disktool convert -O vhd huge.raw x.vhd
# a damaged footer: the copy at the start serves; cut off: what is left, with a finding
cp o.vhd d.vhd; printf X | dd of=d.vhd bs=1 seek=$(($(stat -c %s d.vhd) - 500)) conv=notrunc status=none
disktool cmp d.vhd a.raw 2>err || fail "footer copy"
grep -q 'FINDING: disk-damaged: vhd: the footer at the end' err || fail "no finding for the footer"
head -c 6000000 o.vdi > cut.vdi; disktool cmp cut.vdi a.raw 2>err && fail "cut off reads whole"
grep -q 'FINDING: disk-truncated' err || fail "no finding for cut off: $(cat err)"
# a differencing disk: made from ours, its parent asked for by its plain name only
python3 - <<'P'
import struct
d = bytearray(open("o.vhd", "rb").read())
def fix(off, n, at):
    d[off + at:off + at + 4] = bytes(4)
    d[off + at:off + at + 4] = struct.pack(">I", ~sum(d[off:off + n]) & 0xffffffff)
size = struct.unpack(">Q", d[48:56])[0]
blocks = -(-size // (2 << 20))
uuid = bytes(d[68:84])
foot = bytearray(d[:512]); foot[60:64] = struct.pack(">I", 4); foot[68] ^= 1
head = bytearray(d[512:1536]); head[40:56] = uuid
head[64:64 + 10] = "o.vhd".encode("utf-16-be")
name = ".\\o.vhd".encode("utf-16-le")
table_end = 1536 + (blocks * 4 + 511) // 512 * 512
head[576:600] = b"W2ru" + struct.pack(">IIIQ", 512, len(name), 0, table_end)
table = bytearray(b"\xff" * (table_end - 1536))
blk = table_end + 512
table[4 * 2:4 * 2 + 4] = struct.pack(">I", blk // 512)
bitmap = bytearray(512); bitmap[0] = 0x41; bitmap[511] = 1
data = bytearray(2 << 20)
raw = bytearray(open("a.raw", "rb").read())
for s in (1, 7, 4095):
    data[s * 512:s * 512 + 512] = raw[(4 << 20) + s * 512:(4 << 20) + s * 512 + 512] = bytes([s & 255]) * 512
d = foot + head + table + name + bytes(512 - len(name)) + bitmap + data + foot
fix(0, 512, 64); fix(512, 1024, 36); fix(len(d) - 512, 512, 64)
open("diff.vhd", "wb").write(d); open("diff.raw", "wb").write(raw)
P
disktool cmp --dir . diff.vhd diff.raw 2>err || fail "differencing: $(cat err)"
disktool map --dir . diff.vhd 2>/dev/null | grep -q "^4194816 512 data 0$" || fail "layers: $(disktool map --dir . diff.vhd)"
[ "$(disktool map --dir . diff.vhd 2>/dev/null | awk '$3 == "data" && $4 == 0 { n += $2 } END { print n }')" = 1536 ] || fail "own sectors"
expect_rc 4 disktool info diff.vhd 2>err
grep -q 'not allowed' err || fail "opened a parent unasked"
cp b.vhd other.vhd; mkdir other; cp b.vhd other/o.vhd
expect_rc 4 disktool info --dir other diff.vhd 2>err
grep -q 'another disk' err || fail "wrong parent: $(cat err)"
# a parent named by a path of the machine that it was made on: beside the image, where that is allowed
strata -q init lib; mkdir moved; cp o.vhd moved/
for p in 'C:\VMs\o.vhd' '\\server\share\o.vhd' /vmfs/volumes/x/o.vhd; do
	python3 - "$p" <<'P'
import struct, sys
d = bytearray(open("diff.vhd", "rb").read())
n = sys.argv[1].encode("utf-16-le"); at = struct.unpack(">Q", d[512 + 592:512 + 600])[0]
d[at:at + len(n)] = n; d[512 + 576:512 + 580] = b"W2ku"; d[512 + 584:512 + 588] = struct.pack(">I", len(n))
d[512 + 64:512 + 576] = bytes(512); d[512 + 36:512 + 40] = bytes(4)
d[512 + 36:512 + 40] = struct.pack(">I", ~sum(d[512:1536]) & 0xffffffff)
open("moved/m.vhd", "wb").write(d)
P
	expect_rc 4 strata -L lib -q import moved/m.vhd -b m 2>err; grep -q "not allowed" err || fail "$p: $(cat err)"
	strata -L lib -q import moved/m.vhd -b m --allow-backing moved 2>err || fail "$p: $(cat err)"
	strata -L lib -q export m -o m.raw; cmp m.raw diff.raw || fail "$p: other bytes"; rm m.raw
done
cp other/o.vhd moved/o.vhd; expect_rc 4 strata -L lib -q import moved/m.vhd -b m --allow-backing moved 2>err; grep -q "another disk" err || fail "$p: $(cat err)"
# a geometry that cannot be that of the disk is not asked: none, one of a disk that was resized; one that can be is
python3 - <<'P'
import struct
d = open("of.vhd", "rb").read()
n = len(d) // 512 - 1
for name, c, h, s in (("none", 0, 0, 0), ("small", n // 255 // 3, 5, 17), ("large", 60000, 16, 255), ("near", n // 4 // 17, 4, 17)):
    f = bytearray(d[-512:]); f[28:32] = b"vpc "; f[56:60] = struct.pack(">HBB", c, h, s); f[64:68] = bytes(4)
    f[64:68] = struct.pack(">I", ~sum(f) & 0xffffffff)
    open("g-%s.vhd" % name, "wb").write(d[:-512] + f)
P
for k in none small large; do disktool cmp g-$k.vhd a.raw 2>err || fail "geometry: $k: $(cat err)"; done
n=$(($(stat -c %s a.raw) / 512 / 68 * 68 * 512)); [ "$(disktool info g-near.vhd 2>/dev/null | sed -n 's/^size //p')" = $n ] || fail "geometry that fits: $(disktool info g-near.vhd)"
[ $n != "$(stat -c %s a.raw)" ] || fail "the same"
