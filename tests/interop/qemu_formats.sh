#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Formats that are read through qemu-nbd: the same bytes as qemu-img gives, by
# many threads; nothing but the image is opened; nothing is left running.
. "$(dirname "$0")/../lib.sh"
need qemu-img qemu-io qemu-nbd python3 gzip
disktool info /dev/null >/dev/null 2>&1 || true
python3 - <<'P'
import random, struct, zlib
r = random.Random(9)
size = 6 << 20
d = bytearray(size)
for off, n in ((0, 3000), (1 << 20, 70000), (3 << 20, 1 << 20), (size - 5, 5)):
    d[off:off + n] = r.randbytes(n)
open("d.raw", "wb").write(d)
# cloop
bs = 65536
blocks = [zlib.compress(bytes(d[i:i + bs])) for i in range(0, size, bs)]
head = b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n"
head = head.ljust(128, b"\0") + struct.pack(">II", bs, len(blocks))
at = len(head) + 8 * (len(blocks) + 1)
offs = []
for b in blocks + [b""]:
    offs.append(at); at += len(b)
open("d.cloop", "wb").write(head + b"".join(struct.pack(">Q", o) for o in offs) + b"".join(blocks))
# DMG: one block table with zlib, raw and zero runs
body, runs, step = b"", [], 512 * 512
for i in range(0, size, step):
    c = bytes(d[i:i + step])
    if not any(c): runs.append((2, i // 512, step // 512, 0, 0)); continue
    if i // step % 2: p, kind = c, 1
    else: p, kind = zlib.compress(c), 0x80000005
    runs.append((kind, i // 512, step // 512, len(body), len(p))); body += p
runs.append((0xffffffff, size // 512, 0, 0, 0))
mish = b"mish" + struct.pack(">IQQQII", 1, 0, size // 512, 0, 520, 0) + bytes(24)
mish += struct.pack(">II", 2, 32) + bytes(128) + struct.pack(">I", len(runs))
for k, s, n, o, l in runs: mish += struct.pack(">IIQQQQ", k, 0, s, n, o, l)
import base64
plist = (b'<?xml version="1.0"?><plist version="1.0"><dict><key>resource-fork</key><dict><key>blkx</key><array><dict>'
    b'<key>Data</key><data>\n' + base64.b64encode(mish) + b'\n</data></dict></array></dict></dict></plist>')
koly = b"koly" + struct.pack(">IIIQQQQQ", 4, 512, 1, 0, 0, len(body), 0, 0) + struct.pack(">II", 1, 1)
koly = koly.ljust(216, b"\0") + struct.pack(">QQ", len(body), len(plist))
koly = koly.ljust(492, b"\0") + struct.pack(">Q", size // 512)
open("d.dmg", "wb").write(body + plist + koly.ljust(512, b"\0"))
# Bochs: growing, version 2: catalog, then a bitmap sector and data per extent
ext, bm = 512 * 1024, 512 * 1024 // 512 // 8
used = [i for i in range(0, size, ext) if any(d[i:i + ext])]
cat = [used.index(i) if i in used else 0xffffffff for i in range(0, size, ext)]
h = b"Bochs Virtual HD Image".ljust(32, b"\0") + b"Redolog".ljust(16, b"\0") + b"Growing".ljust(16, b"\0")
h += struct.pack("<IIIII", 0x20000, 512, len(cat), bm, ext) + struct.pack("<IQ", 0, size)
h = h.ljust(512, b"\0") + b"".join(struct.pack("<I", c) for c in cat)
for i in used: h += (b"\xff" * bm).ljust(512, b"\0") + bytes(d[i:i + ext])
open("d.bochs", "wb").write(h)
P
for f in qed qcow parallels; do qemu-img convert -O $f d.raw d.$f; done
before=$(pgrep -c qemu-nbd || true); n=0
for f in qed qcow parallels cloop dmg bochs; do
	qemu-img convert -f $f -O raw d.$f want.raw 2>err || { echo "qemu-img does not read this $f: $(cat err)"; continue; }
	cmp want.raw d.raw || fail "$f: the fixture is wrong"
	disktool info d.$f > out 2>err || fail "$f: $(cat err)"
	grep -q "^$f" out || fail "$f: taken for $(head -1 out)"
	disktool cmp d.$f d.raw || fail "$f differs"
	disktool map d.$f > map || fail "$f: map"
	[ "$(awk '{s += $2} END {print s}' map)" = $((6 << 20)) ] || fail "$f: map: $(cat map)"
	n=$((n + 1))
done
[ $n -ge 5 ] || fail "only $n formats"
disktool map d.qed | grep -q zero || fail "qed: no holes"
# out of a wrapper, where the image has no name
gzip -k d.parallels; disktool cmp d.parallels.gz d.raw 2>/dev/null || fail "parallels in gzip"
# a backing file is not followed: neither by us nor by qemu
qemu-img create -q -f qed -b "$T/d.raw" -F raw o.qed
expect_rc 4 disktool info o.qed 2>err; grep -q "backing file" err || fail "qed backing"
qemu-img create -q -f qcow -b "$T/d.raw" -F raw o.qcow
expect_rc 4 disktool info o.qcow 2>err; grep -q "backing file" err || fail "qcow backing"
# damaged: refused in qemu's words
head -c 100000 d.dmg > bad.dmg; tail -c 512 d.dmg >> bad.dmg
expect_rc 4 disktool info bad.dmg 2>err; grep -q "corrupt.*dmg" err || fail "damaged: $(cat err)"
printf '\377\377\377\377' | dd of=d.qed bs=1 seek=4 conv=notrunc status=none
expect_rc 4 disktool info d.qed 2>err; grep -q "corrupt.*qed" err || fail "damaged: $(cat err)"
# without qemu: said clearly
PATH="$BUILD/tests/tools" expect_rc 4 disktool info d.qcow 2>err; grep -q "qemu-nbd, which is not installed" err || fail "no qemu: $(cat err)"
sleep 0.2
[ "$(pgrep -c qemu-nbd || true)" -le "$before" ] || fail "qemu-nbd is left running"
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
	strace -f -e trace=openat,open,connect,setrlimit,prlimit64 -o trace disktool info d.qcow >/dev/null 2>&1 || true # (LeakSanitizer fails under ptrace)
	grep -q 'RLIMIT_AS' trace || fail "no limits"
	[ "$(grep -c 'd\.qcow' trace)" = 1 ] || fail "the image is opened by name: $(grep 'd\.qcow' trace)"
fi
