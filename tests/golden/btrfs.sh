#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two small btrfs images as mkfs.btrfs 6.2 and Linux 6.18 left them (every kind
# of extent and inode, subvolumes, a snapshot; BLAKE2 checksums): what is read of
# the first is what the kernel showed of it (btrfs.txt; the lines with # and the
# stub in the snapshot are ours), also where its first superblock, or the second
# of a larger device, is the damaged one.
. "$(dirname "$0")/../lib.sh"
need python3
G=$TOP/fuzz/corpus/btrfs
simg.py unpack "$G/mixed.simg" a.img
fsdump --xattrs --free a.img 2>err | sort >a.txt
[ ! -s err ] || fail "findings: $(cat err)"
grep -v '/snap/nested$' a.txt | cmp - "$TOP/tests/golden/btrfs.txt" || fail "the golden image reads otherwise"
grep -q '^d 0755 0 0 0 .* /snap/nested$' a.txt || fail "no stub in the snapshot"

simg.py unpack "$G/blake.simg" b.img
fsdump b.img >b.txt 2>err || fail "blake2: $(cat err)"
[ ! -s err ] || fail "blake2: $(cat err)"
[ "$(grep -v '^#' b.txt | cut -d' ' -f1,9- | sort)" = "$(printf '%s\n' 'd - /' 'd - /d' 'f 98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4 /d/f' 'l - /l -> x')" ] || fail "blake2: $(cat b.txt)"

# Superblock copies: the same volume grown to 70 MiB, so that it has a second.
python3 - <<'PY'
import struct
t = [0] * 256
for i in range(256):
    c = i
    for _ in range(8):
        c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
    t[i] = c
def sealed(s):
    c = 0xffffffff
    for b in s[32:]:
        c = c >> 8 ^ t[(c ^ b) & 255]
    return struct.pack("<I", c ^ 0xffffffff) + bytes(28) + bytes(s[32:])
img = bytearray(open("a.img", "rb").read())
img += bytes((70 << 20) - len(img))
first = img[65536:65536 + 4096]
def copy(at, **kw):
    s = bytearray(first)
    s[48:56] = struct.pack("<Q", at)
    for off, v in kw.get("set", ()):
        s[off:off + len(v)] = v
    return sealed(s)
def write(name, a, b):
    c = bytearray(img)
    c[65536:65536 + 4096] = a
    c[64 << 20:(64 << 20) + 4096] = b
    open(name, "wb").write(c)
good = copy(65536)
assert good == bytes(first)
write("both.img", good, copy(64 << 20))
write("second.img", bytes(4096), copy(64 << 20))
write("torn.img", good[:100] + b"\xff" + good[101:], copy(64 << 20))
# an older first copy, whose tree of roots is long gone
gen = struct.unpack_from("<Q", first, 0x48)[0]
write("newer.img", copy(65536, set=[(0x48, struct.pack("<QQ", gen - 1, 4096))]), copy(64 << 20))
# a copy of another file system is none
write("foreign.img", good, copy(64 << 20, set=[(0x48, struct.pack("<QQ", gen + 9, 4096)), (0x20, b"x" * 16)]))
PY
for i in both second torn newer foreign; do
	fsdump --xattrs --free $i.img 2>err | sort >$i.txt
	cmp a.txt $i.txt || fail "$i: $(cat err)"
	case $i in
	second | torn) grep -q '^FINDING: fs-backup-super' err || fail "$i: no finding" ;;
	*) [ ! -s err ] || fail "$i: $(cat err)" ;;
	esac
done
echo ok
