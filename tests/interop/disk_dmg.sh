#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Apple disk images with runs of every kind, against qemu-img (zlib) and dmg2img
# (bzip2); fields damaged one by one; nothing else is opened, nothing is run.
. "$(dirname "$0")/../lib.sh"
need qemu-img dmg2img python3 cmp
python3 - <<'P'
import random
r = random.Random(1)
d = bytearray(6 << 20)
for off, n in ((0, 3000), (1 << 20, 70000), (3 << 20, 1 << 20), (5000000, 200000), ((6 << 20) - 5, 5)):
    d[off:off + n] = r.randbytes(n // 2) + b"t" * (n - n // 2)
open("d.raw", "wb").write(d)
P
for k in zlib bzip2 lzma; do
	DMG_KINDS=$k mkformats.py d.raw $k
	disktool info $k.dmg >out; grep -q '^dmg' out && grep -qi "$k" out || fail "$k: $(cat out)"
	disktool cmp $k.dmg d.raw || fail "$k differs"
	disktool map $k.dmg >map; [ "$(awk '$3 == "zero" { s += $2 } END { print s }' map)" -gt 3000000 ] || fail "$k: no holes"
	[ "$(awk '{ s += $2 } END { print s }' map)" = $((6 << 20)) ] || fail "$k: map"
done
qemu-img convert -f dmg -O raw zlib.dmg want.raw; cmp want.raw d.raw || fail "the fixture is wrong (qemu-img)"
dmg2img -s bzip2.dmg want2.img >/dev/null; cmp want2.img d.raw || fail "the fixture is wrong (dmg2img)"
cat > damage.py <<'P'
# Each row: what, the code wanted, a change of the image (as a function of trailer, tables and all)
import base64, re, struct, subprocess, sys
good = open("bzip2.dmg", "rb").read()
koly = len(good) - 512
xml_at, xml_len = struct.unpack_from(">QQ", good, koly + 0xd8)
xml = good[xml_at:xml_at + xml_len]
m = re.search(rb"<data>\n(.*?)</data>", xml, re.S)
mish = base64.b64decode(m[1])
def make(table=None, text=None, trailer=()):
    t = xml if text is None else text
    if table is not None: t = xml.replace(m[1], base64.encodebytes(bytes(table)))
    k = bytearray(good[koly:]); k[0xe0:0xe8] = struct.pack(">Q", len(t))
    for off, fmt, v in trailer: struct.pack_into(">" + fmt, k, off, v)
    return good[:xml_at] + t + bytes(k)
def table(off, fmt, v, run=None):
    t = bytearray(mish)
    struct.pack_into(">" + fmt, t, off if run is None else 204 + 40 * run + off, v)
    return make(t)
kinds = [struct.unpack_from(">I", mish, 204 + 40 * i)[0] for i in range(struct.unpack_from(">I", mish, 200)[0])]
z, b, r = kinds.index(0x80000005), kinds.index(0x80000006), kinds.index(1)
where = lambda i: struct.unpack_from(">Q", mish, 204 + 40 * i + 24)[0]
def data(off, bytes_):
    d = bytearray(good); d[off:off + len(bytes_)] = bytes_; return bytes(d)
def over(i): # one run again and again
    e = mish[204 + 40 * i:244 + 40 * i]; n, = struct.unpack_from(">Q", e, 16); stored, = struct.unpack_from(">Q", e, 32)
    k = len(good) // stored + 2 if stored else 2
    return make(mish[:200] + struct.pack(">I", k) + b"".join(e[:8] + struct.pack(">Q", j * n) + e[16:] for j in range(k)))
M = 1 << 64
rows = [
    ("nothing", "ok", make()),
    ("trailer's magic", "ok", data(koly, b"X")),  # then it is raw
    ("trailer's version", "ok", data(koly + 7, b"\5")),
    ("list outside", "corrupt", make(trailer=[(0xd8, "Q", M - 1)])),
    ("list's length", "corrupt", make(trailer=[(0xe0, "Q", M - 1)])),
    ("list cut", "corrupt", make(trailer=[(0xe0, "Q", xml_len - 9)])),
    ("disk of 2^64 sectors", "limit", make(trailer=[(0x1ec, "Q", M - 1)])),
    ("data fork far off", "corrupt", make(trailer=[(0x18, "Q", M - 1)])),
    ("no list", "corrupt", make(text=b"x")),
    ("list without tables", "ok", make(text=xml.replace(b"blkx", b"blky"))),
    ("an entity", "corrupt", make(text=xml.replace(b'PropertyList-1.0.dtd">', b'PropertyList-1.0.dtd" [<!ENTITY a "b">]>'))),
    ("no base64", "corrupt", make(text=xml.replace(m[1], b"!!!!"))),
    ("empty table", "corrupt", make(text=xml.replace(m[1], b""))),
    ("deep", "limit", make(text=b"<plist>" * 100)),
    ("table's magic", "corrupt", table(0, "B", 0)),
    ("table's first sector", "limit", table(8, "Q", M - 1)),
    ("table's data", "corrupt", table(24, "Q", M - 1)),
    ("more runs than there are", "corrupt", table(200, "I", 0xffffffff)),
    ("unknown kind", "unsupported", table(0, "I", 0x80000009, z)),
    ("the same bytes over and over", "corrupt", over(r)),
    ("ADC", "unsupported", table(0, "I", 0x80000004, z)),
    ("LZFSE", "unsupported", table(0, "I", 0x80000007, z)),
    ("zlib called bzip2", "read", table(0, "I", 0x80000006, z)),
    ("bzip2 called LZMA", "read", table(0, "I", 0x80000008, b)),
    ("sector 2^63", "limit", table(8, "Q", 1 << 63, z)),
    ("sector of another run", "corrupt", table(8, "Q", struct.unpack_from(">Q", mish, 204 + 40 * b + 8)[0], z)),
    ("2^64 sectors", "limit", table(16, "Q", M - 1, z)),
    ("a packed run of 9 MiB", "limit", table(16, "Q", 9 << 11, len(kinds) - 2)),
    ("fewer sectors", "read", table(16, "Q", 1, z)),
    ("packed bytes outside", "corrupt", table(24, "Q", len(good), z)),
    ("packed bytes elsewhere", "read", table(24, "Q", where(z) + 1, z)),
    ("too many packed bytes", "corrupt", table(32, "Q", M - 1, z)),
    ("no packed bytes", "read", table(32, "Q", 0, z)),
    ("raw bytes too few", "corrupt", table(32, "Q", 512, r)),
    ("data of zlib", "read", data(where(z) + 20, b"\xff" * 8)),
    ("block of bzip2", "read", data(where(b) + 10, b"XXXX")),
    ("bzip2's magic", "read", data(where(b), b"X")),
]
for what, want, d in rows:
    open("bad.dmg", "wb").write(d)
    p = subprocess.run(["disktool", "info", "bad.dmg"], capture_output=True, text=True)
    got = "ok" if p.returncode == 0 else p.stderr.split(": ")[1] if p.returncode == 4 else "exit %d" % p.returncode
    if want == "read":
        if got != "ok": sys.exit("%s: %s %s" % (what, got, p.stderr))
        p = subprocess.run(["disktool", "convert", "bad.dmg", "out.raw"], capture_output=True, text=True)
        got = "read" if p.returncode == 4 and "dmg: the packed run of sector" in p.stderr else "exit %d" % p.returncode
    if got != want: sys.exit("%s: %s, wanted %s: %s" % (what, got, want, p.stderr))
print(len(rows), "rows")
P
python3 damage.py || fail "damage"
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
	ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=%file,%network,%process -o trace disktool info bzip2.dmg >/dev/null
	[ "$(grep -c 'execve(' trace)" = 1 ] && ! grep -qE 'socket\(|PropertyList' trace || fail "it opens more than the image"
fi
