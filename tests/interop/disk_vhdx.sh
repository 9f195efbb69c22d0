#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# VHDX against qemu-img, both ways; a dirty log; a differencing disk.
. "$(dirname "$0")/../lib.sh"
need qemu-img qemu-io python3 cmp
python3 - <<'P'
import random
r = random.Random(4)
with open("a.raw", "wb") as f:
    f.truncate(70 * 1048576 + 512 * 3)
    for off, n in ((0, 513), (1048576 - 1, 2), (5 * 1048576, 3 * 1048576), (40 * 1048576, 100), (70 * 1048576 + 512, 1024)):
        f.seek(off); f.write(r.randbytes(n))
P
for o in "" block_size=1048576 block_size=33554432 subformat=fixed block_state_zero=off,block_size=2097152 log_size=4194304; do
	qemu-img convert -f raw -O vhdx ${o:+-o "$o"} a.raw a.vhdx
	qemu-img convert -f vhdx -O raw a.vhdx want.raw
	disktool cmp a.vhdx want.raw 2>err || fail "vhdx $o differs: $(cat err)"
	[ "$(disktool map a.vhdx | awk '$3 == "data" { n += $2 } END { print n }')" -le 4000000 ] || fail "$o: no holes"
done
cp a.vhdx x.raw; disktool info x.raw | grep -qx vhdx || fail "probe"
# over 4 GiB: bitmap entries stand between the blocks' entries
qemu-img create -q -f vhdx -o block_size=1048576 big.vhdx 9G
qemu-io -f vhdx -c 'write -P 7 4294966272 4096' -c 'write -P 9 9663610880 65536' -c 'write -P 5 8191M 2M' big.vhdx >/dev/null
disktool convert big.vhdx got.raw
qemu-img compare -f vhdx -F raw big.vhdx got.raw >/dev/null || fail "big differs"
[ "$(disktool map got.raw | awk '$3 == "data" { n += $2 } END { print n }')" -gt 2000000 ] || fail "big: nothing there"
rm -f got.raw
# out
disktool convert -O vhdx a.raw o.vhdx
qemu-img compare -f raw -F vhdx a.raw o.vhdx >/dev/null || fail "qemu-img compare"
qemu-img check -f vhdx o.vhdx >/dev/null || fail "qemu-img check"
[ "$(qemu-img info -f vhdx --output=json o.vhdx | python3 -c 'import json,sys; print(json.load(sys.stdin)["virtual-size"])')" = "$(stat -c %s a.raw)" ] || fail "size"
disktool cmp o.vhdx a.raw || fail "our own reader"
disktool convert -O vhdx a.raw p.vhdx; cmp o.vhdx p.vhdx || fail "not the same twice"
: > empty.raw; disktool convert -O vhdx empty.raw e.vhdx; disktool cmp e.vhdx empty.raw || fail "empty"
truncate -s 3T huge.raw; printf hello | dd of=huge.raw bs=1 seek=2999999999999 conv=notrunc status=none
disktool convert -O vhdx huge.raw h.vhdx
disktool map h.vhdx | grep -c data | grep -qx 1 || fail "huge: $(disktool map h.vhdx)"
qemu-img map -f vhdx --output=json h.vhdx | grep -q '"data": true' || fail "huge, qemu"
qemu-io -r -f vhdx -c 'read -v 2999999999999 5' h.vhdx | grep -q hello || fail "huge: qemu reads other bytes"
# a log that was not replayed, and a differencing disk
cat > make.py <<'P'
import struct, sys
T = []
for i in range(256):
    c = i
    for _ in range(8): c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
    T.append(c)
def crc(b):
    c = 0xffffffff
    for x in b: c = T[(c ^ x) & 255] ^ c >> 8
    return c ^ 0xffffffff
def sealed(b):
    b[4:8] = bytes(4); b[4:8] = struct.pack("<I", crc(b)); return b
MB = 1 << 20
GUID = bytes(range(1, 17))
def header(d, seq, **kw):
    h = bytearray(d[65536:65536 + 4096])
    h[8:16] = struct.pack("<Q", seq)
    if "log" in kw: h[48:64] = kw["log"]
    if "data" in kw: h[32:48] = kw["data"]
    return sealed(h)
def entry(seq, tail, pages, size, guid=GUID, zero=None):
    n = len(pages) + (1 if zero else 0)
    desc = b"".join(b"desc" + p[4092:] + p[:8] + struct.pack("<QQ", off, seq) for off, p in pages)
    if zero: desc += b"zero" + struct.pack("<IQQQ", 0, zero[1], zero[0], seq)
    b = bytearray(64) + desc
    b += bytes(-len(b) % 4096)
    for off, p in pages: b += b"data" + struct.pack("<I", seq >> 32) + p[8:4092] + struct.pack("<I", seq & 0xffffffff)
    b[:64] = b"loge" + struct.pack("<IIIQII", 0, len(b), tail, seq, n, 0) + guid + struct.pack("<QQ", size, size)
    return sealed(b)
P
python3 - <<'P'
exec(open("make.py").read())
d = bytearray(open("o.vhdx", "rb").read())
bat = bytes(d[3 * MB:3 * MB + 4096])
def dirty(name, log):
    x = bytearray(d)
    x[3 * MB:3 * MB + 4096] = bytes(4096)
    x[65536:65536 + 4096] = header(d, 8, log=GUID)
    for off, b in log:
        for i in range(0, len(b), 4096):
            o = MB + (off + i) % MB
            x[o:o + 4096] = b[i:i + 4096]
    open(name, "wb").write(x)
good = (3 * MB, bat)
wrong = (3 * MB, b"\x07" * 4096)
dirty("log1.vhdx", [(0, entry(7, 0, [good], len(d)))])
# an older entry writes nonsense, the newest repairs it; the newest wraps around the end
e1 = entry(7, MB - 3 * 4096, [wrong], len(d)); e2 = entry(8, MB - 3 * 4096, [good], len(d))
dirty("log2.vhdx", [(MB - 3 * 4096, e1), (MB - 4096, e2)])
# behind the newest a torn one (its checksum is wrong), before it one of another log
torn = entry(9, 8192, [wrong], len(d)); torn[200] ^= 1
dirty("log3.vhdx", [(0, entry(7, 8192, [wrong], len(d), guid=bytes(16))), (8192, entry(8, 8192, [good], len(d))), (16384, torn)])
# two runs: the one with the higher numbers counts
dirty("log4.vhdx", [(0, entry(3, 0, [wrong], len(d))), (65536, entry(90, 65536, [good], len(d)))])
# zeros: written over nonsense
x = bytearray(bat)
dirty("log5.vhdx", [(0, entry(5, 0, [good, (4 * MB - 4096, b"\xff" * 4096)], len(d))), (4 * 4096, b""), (3 * 4096, entry(6, 0, [], len(d), zero=(4 * MB - 4096, 4096)))])
# no valid entry at all
dirty("log6.vhdx", [(0, torn)])
P
for i in 1 2 3 4 5; do
	disktool cmp log$i.vhdx a.raw 2>err || fail "log $i: $(cat err)"
	grep -q 'FINDING: disk-dirty: vhdx: its log was replayed' err || fail "log $i: no finding"
	[ $i = 5 ] && continue
	cp log$i.vhdx q.vhdx; qemu-img check -q -r all -f vhdx q.vhdx >/dev/null 2>&1 || { echo "note: qemu refuses log $i"; continue; }
	qemu-img compare -f raw -F vhdx a.raw q.vhdx >/dev/null || echo "note: qemu reads log $i otherwise"
done
disktool info log6.vhdx 2>err >/dev/null; grep -q 'FINDING: disk-damaged' err || fail "log 6"
cp o.vhdx h1.vhdx; printf X | dd of=h1.vhdx bs=1 seek=131100 conv=notrunc status=none
disktool cmp h1.vhdx a.raw 2>err || fail "one header"; grep -q 'header 2 is damaged' err || fail "one header: no finding"
cp o.vhdx h1.vhdx; printf X | dd of=h1.vhdx bs=1 seek=196700 conv=notrunc status=none
disktool cmp h1.vhdx a.raw 2>err || fail "one region table"; grep -q 'first region table' err || fail "one region table: no finding"
python3 - <<'P'
exec(open("make.py").read())
d = bytearray(open("o.vhdx", "rb").read())
data_id = bytes(d[65536 + 32:65536 + 48])
raw = bytearray(open("a.raw", "rb").read())
g = "{%08x-%04x-%04x-%s-%s}" % (*struct.unpack("<IHH", data_id[:8]), data_id[8:10].hex(), data_id[10:].hex())
kv = [("parent_linkage", g), ("relative_path", ".\\o.vhdx"), ("absolute_win32_path", "C:\\o.vhdx")]
blob = bytearray(20 + 12 * len(kv)); blob[:16] = bytes.fromhex("b7ef4ab09ed1814ab78925b8e9445913"); blob[18:20] = struct.pack("<H", len(kv))
for i, (k, v) in enumerate(kv):
    k, v = k.encode("utf-16-le"), v.encode("utf-16-le")
    blob[20 + 12 * i:32 + 12 * i] = struct.pack("<IIHH", len(blob), len(blob) + len(k), len(k), len(v)); blob += k + v
x = bytearray(6 * MB + 4 * MB)
x[:4 * MB] = d[:4 * MB]
x[65536:65536 + 4096] = header(d, 5, data=b"D" * 16); x[131072:131072 + 4096] = header(d, 6, data=b"D" * 16)
m = 2 * MB
x[m + 10:m + 12] = struct.pack("<H", 6)
x[m + 32 + 5 * 32:m + 32 + 6 * 32] = bytes.fromhex("2d5fd3a80bb34d45abf7d3d84834ab0c") + struct.pack("<IIII", 65536 + 4096, len(blob), 4, 0)
x[m + 65536 + 4096:m + 65536 + 4096 + len(blob)] = blob
x[m + 65536 + 4] = 2
x[3 * MB:4 * MB] = bytes(MB)
def bat(i, v): x[3 * MB + i * 8:3 * MB + i * 8 + 8] = struct.pack("<Q", v)
ratio = (1 << 23) * 512 // (2 * MB)
bat(2, 6 * MB | 7)      # block 2 (4 MiB on): in part
bat(3, 2)               # block 3: zeros over the parent
bat(20, 8 * MB | 6)     # block 20: all here
bat(ratio, 4 * MB | 6)  # the bitmap
raw[6 * MB:8 * MB] = bytes(2 * MB)
x[8 * MB:10 * MB] = b"w" * (2 * MB); raw[40 * MB:42 * MB] = b"w" * (2 * MB)
for s in (0, 3, 2047, 4095):
    x[6 * MB + s * 512:6 * MB + s * 512 + 512] = raw[4 * MB + s * 512:4 * MB + s * 512 + 512] = bytes([s % 250 + 1]) * 512
    bit = 4 * MB // 512 + s
    x[4 * MB + bit // 8] |= 1 << bit % 8
open("diff.vhdx", "wb").write(x); open("diff.raw", "wb").write(raw)
P
disktool cmp --dir . diff.vhdx diff.raw 2>err || fail "differencing: $(cat err)"
[ "$(disktool map --dir . diff.vhdx 2>/dev/null | awk '$3 == "data" && $4 == 0 { n += $2 } END { print n }')" = $((4 * 512 + 2097152)) ] || fail "layers"
disktool info diff.vhdx 2>err && fail "opened a parent unasked"; grep -q 'not allowed' err || fail "$(cat err)"
mkdir other; qemu-img convert -f raw -O vhdx a.raw other/o.vhdx
expect_rc 4 disktool info --dir other diff.vhdx 2>err; grep -q 'another disk' err || fail "wrong parent: $(cat err)"
