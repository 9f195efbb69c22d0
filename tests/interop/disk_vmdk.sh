#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# VMDK against qemu-img: every subformat in, both that we write out, snapshots;
# and what it may open.
. "$(dirname "$0")/../lib.sh"
need qemu-img qemu-io python3 cmp
python3 - <<'P'
import random
r = random.Random(3)
with open("a.raw", "wb") as f:
    f.truncate(70 * 1048576 + 512 * 3)
    for off, n in ((0, 513), (1048576 - 1, 2), (5 * 1048576, 3 * 1048576), (40 * 1048576, 100), (70 * 1048576 + 512, 1024)):
        f.seek(off); f.write(r.randbytes(n // 2) + bytes([65 + off % 7]) * (n - n // 2))
P
size() { disktool info "$@" 2>/dev/null | sed -n 's/^size //p'; }
for sub in monolithicSparse monolithicFlat twoGbMaxExtentSparse twoGbMaxExtentFlat streamOptimized; do
	mkdir $sub
	qemu-img convert -f raw -O vmdk -o subformat=$sub a.raw $sub/a.vmdk
	qemu-img convert -f vmdk -O raw $sub/a.vmdk want.raw
	disktool cmp --dir $sub $sub/a.vmdk want.raw 2>err || fail "$sub differs: $(cat err)"
	cmp -n "$(stat -c %s a.raw)" a.raw want.raw || fail "$sub: oracle"
	n=$(disktool map --dir $sub $sub/a.vmdk 2>/dev/null | awk '$3 == "data" { n += $2 } END { print n }')
	[ "$n" -le 4000000 ] || fail "$sub: no holes: $n"
	disktool info --dir $sub $sub/a.vmdk 2>/dev/null | grep -q $sub || fail "$sub: detail"
done
qemu-img convert -f raw -O vmdk -o zeroed_grain=on,compat6=on a.raw z.vmdk
qemu-io -f vmdk -c 'write -z 5M 2M' z.vmdk >/dev/null
qemu-img convert -f vmdk -O raw z.vmdk want.raw; disktool cmp z.vmdk want.raw || fail "zeroed grains"
# a disk in several files of 2 GiB
qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentSparse big.vmdk 5G
qemu-io -f vmdk -c 'write -P 7 2147450880 65536' -c 'write -P 9 5368643584 65536' big.vmdk >/dev/null
disktool map --dir . big.vmdk 2>/dev/null > map
qemu-img convert -f vmdk -O raw big.vmdk want.raw; disktool cmp --dir . big.vmdk want.raw 2>/dev/null || fail "several extents"
grep -c ' data ' map | grep -qx 2 || fail "several extents: $(cat map)"
rm -f want.raw big*
# a snapshot over a parent
cp monolithicSparse/a.vmdk base.vmdk
qemu-img create -q -f vmdk -F vmdk -b base.vmdk snap.vmdk
qemu-io -f vmdk -c 'write -P 3 6M 1M' -c 'write -P 4 60M 4k' snap.vmdk >/dev/null
qemu-img create -q -f vmdk -F vmdk -b snap.vmdk snap2.vmdk
qemu-io -f vmdk -c 'write -P 5 6500k 64k' snap2.vmdk >/dev/null
qemu-img convert -f vmdk -O raw snap2.vmdk want.raw
disktool cmp --dir . snap2.vmdk want.raw 2>err || fail "snapshot: $(cat err)"
disktool map --dir . snap2.vmdk 2>/dev/null > map
for l in 0 1 2; do grep -q " data $l$" map || fail "layer $l: $(cat map)"; done
expect_rc 4 disktool info snap.vmdk 2>err; grep -q 'not allowed' err || fail "opened a parent unasked: $(cat err)"
qemu-io -f vmdk -c 'write -P 8 0 64k' base.vmdk >/dev/null   # a new content id
expect_rc 4 disktool info --dir . snap.vmdk 2>err; grep -q 'content id' err || fail "wrong parent: $(cat err)"
# what only ESX makes: COWD and seSparse extents, by hand, qemu as the oracle
python3 - <<'P'
import struct
S = 512
b = bytearray(S * 40)
b[:32] = b"COWD" + struct.pack("<7I", 1, 3, 8192, 1, 4, 2, 40)
b[4 * S:4 * S + 8] = struct.pack("<2I", 5, 0)
gt = bytearray(4096 * 4); gt[:12] = struct.pack("<3I", 38, 0, 39); gt[16380:] = struct.pack("<I", 37)
b[5 * S:37 * S] = gt
for i in (37, 38, 39): b[i * S:i * S + S] = bytes([i]) * S
open("cowd-delta.vmdk", "wb").write(b)
h = struct.pack("<26Q", 0xcafebabe, 0x200000001, 65536, 8, 64, 0, 0, 0, 0, 0, 1, 1, 2, 1, 3, 1, 4, 1, 5, 128, 133, 1, 134, 1, 136, 4104 * 8)
b = bytearray(S * (136 + 4104 * 8)); b[:len(h)] = h
b[S:S + 32] = struct.pack("<4Q", 0xcafecafe, 0, 0, 0)
b[4 * S:4 * S + 16] = struct.pack("<2Q", 0x1000000000000001, 0x1000000000000000)
def at(n): return 3 << 60 | (n & 0xfff) << 48 | n >> 12
b[69 * S:69 * S + 48] = struct.pack("<6Q", at(0), 1 << 60, 2 << 60, 0, at(2), at(4097))
b[5 * S + 8 * 4095:5 * S + 8 * 4096] = struct.pack("<Q", at(4103))
for g in (0, 2, 4097, 4103): b[(136 + g * 8) * S:(136 + g * 8 + 8) * S] = bytes([g % 251 + 1]) * 4096
open("se-sesparse.vmdk", "wb").write(b)
D = "# Disk DescriptorFile\nversion=1\nCID=00000007\nparentCID=ffffffff\ncreateType=\"%s\"\nRW %d %s \"%s\"\n"
open("cowd.vmdk", "w").write(D % ("vmfsSparse", 8192, "VMFSSPARSE", "cowd-delta.vmdk"))
open("se.vmdk", "w").write(D % ("seSparse", 65536, "SESPARSE", "se-sesparse.vmdk"))
P
for f in cowd se; do
	qemu-img convert -f vmdk -O raw $f.vmdk want.raw
	[ "$(tr -d '\0' <want.raw | wc -c)" -ge 1536 ] || fail "$f: the oracle reads nothing"
	disktool cmp --dir . $f.vmdk want.raw 2>err || fail "$f: $(cat err)"
done
# formats out
for f in vmdk vmdk-stream; do
	disktool convert -O $f a.raw o.vmdk
	qemu-img compare -f raw -F vmdk a.raw o.vmdk >/dev/null || fail "$f: qemu-img compare"
	qemu-img check -f vmdk o.vmdk >/dev/null || fail "$f: qemu-img check"
	[ "$(qemu-img info -f vmdk --output=json o.vmdk | python3 -c 'import json,sys; print(json.load(sys.stdin)["virtual-size"])')" = "$(stat -c %s a.raw)" ] || fail "$f: size"
	disktool cmp o.vmdk a.raw || fail "$f: our own reader"
	disktool convert -O $f a.raw p.vmdk; sed -i 's/"p.vmdk"/"o.vmdk"/' p.vmdk; cmp o.vmdk p.vmdk || fail "$f: not the same twice"
	: > empty.raw; disktool convert -O $f empty.raw e.vmdk; disktool cmp e.vmdk empty.raw || fail "$f: empty"
	truncate -s 1T huge.raw; disktool convert -O $f huge.raw h.vmdk
	disktool map h.vmdk | grep -qx "0 1099511627776 zero 0" || fail "$f: huge"
	[ "$(stat -c %b h.vmdk)" -le 2048 ] || fail "$f: huge and not sparse"
	qemu-img info -f vmdk h.vmdk | grep -q '1 TiB' || fail "$f: huge, qemu"
done
disktool convert -O vmdk-stream a.raw o.vmdk
disktool convert -O vmdk-stream a.raw - | cat > s.vmdk
qemu-img compare -f raw -F vmdk a.raw s.vmdk >/dev/null || fail "streamed"
# names that lead elsewhere open nothing: only what --dir holds is ever opened
mkdir jail; i=0
for name in /etc/passwd ../a.raw sub/../../a.raw json:{} nbd:localhost:1 http://localhost/x 'C:\x.vmdk' //etc/passwd; do
	for kind in extent sparse parent; do
		python3 - "$name" $kind <<'P'
import sys
name, kind = sys.argv[1:]
x = 'RW 8 FLAT "%s" 0\n' % name if kind == "extent" else 'RW 8 SPARSE "%s"\n' % name
if kind == "parent":
    x = 'RW 8 ZERO\n'
open("jail/x.vmdk", "w").write('# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=%s\nparentFileNameHint="%s"\n%s' %
                               ("2" if kind == "parent" else "ffffffff", name, x))
P
		if command -v strace >/dev/null; then
			ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=%file,%network -o trace disktool info --dir jail jail/x.vmdk 2>err && fail "$kind $name: opened"
			grep -E 'passwd|a\.raw|socket|connect|localhost|x\.vmdk"' trace | grep -v '"jail/x.vmdk"' | grep -v execve && fail "$kind $name: touched"
		else
			disktool info --dir jail jail/x.vmdk 2>err && fail "$kind $name: opened"
		fi
		grep -q 'not allowed' err || fail "$kind $name: $(cat err)"
		i=$((i + 1))
	done
done
[ $i = 24 ] || fail "cases"
# a raw disk that starts like nothing we know stays raw, one that names files too
printf 'RW 8 FLAT "/etc/passwd" 0\nversion=1\n' > t.raw; disktool info t.raw | grep -qx raw || fail "text taken for a descriptor"
# cut off: a finding, zeros; a stream without its end is refused
head -c 2000000 monolithicSparse/a.vmdk > cut.vmdk; disktool cmp cut.vmdk a.raw 2>err && fail "cut off reads whole"
grep -q 'FINDING: disk-truncated' err || fail "no finding: $(cat err)"
disktool convert -O vmdk-stream a.raw o.vmdk; head -c 500000 o.vmdk > cut.vmdk; expect_rc 4 disktool info cut.vmdk 2>err
# the largest that VMFS takes, whose tables qemu lays out in a hole of the file: not read grain by grain
qemu-img create -q -f vmdk huge.vmdk 62T
for at in 0 30T 67894123233280; do qemu-io -f vmdk -c "write -P 5 $at 64k" -c "write -P 6 $at 4k" huge.vmdk >/dev/null; done
strata -q init huge.lib
sec=6; case $BUILD in *asan*) sec=60 ;; esac
(ulimit -t $sec; strata -q -L huge.lib import huge.vmdk -b huge) || fail "62 TiB take over $sec seconds of a processor"
strata -q -L huge.lib export huge -o huge.qcow2
# cmp would read 62 TiB
for f in huge.vmdk huge.qcow2; do
	for at in 0 30T 67894123233280; do qemu-io -r -c "read -v $at 64k" $f; done | grep '^[0-9a-f]*: ' >$f.data
done
cmp huge.vmdk.data huge.qcow2.data && [ "$(wc -l <huge.vmdk.data)" -ge 12000 ] || fail "62 TiB read back otherwise"
