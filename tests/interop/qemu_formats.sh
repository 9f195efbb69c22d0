#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Formats that are read through qemu-nbd: the same bytes as qemu-img gives, by
# many threads; nothing but the image is opened; nothing is left running.
. "$(dirname "$0")/../lib.sh"
need qemu-img qemu-io qemu-nbd python3 gzip
disktool info /dev/null >/dev/null 2>&1 || true
python3 - <<'P'
import random
r = random.Random(9)
size = 6 << 20
d = bytearray(size)
for off, n in ((0, 3000), (1 << 20, 70000), (3 << 20, 1 << 20), (size - 5, 5)):
    d[off:off + n] = r.randbytes(n)
open("d.raw", "wb").write(d)
P
mkformats.py d.raw d
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
