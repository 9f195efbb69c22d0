#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# squashfs: every compressor, fragments, holes, hard links, attributes, devices and
# a large directory, compared with the kernel's mount (or what the image was made from).
. "$(dirname "$0")/../lib.sh"
need mksquashfs setfattr python3
need_root

mkdir src
PYTHONPATH=$TOP/tests/tools python3 - <<'END'
import os, random
from basetree import base, kinds
r = random.Random(7)
os.chdir("src")
base()
os.mkdir("x")
os.chdir("x")
text = b"".join(b"line %d of something that packs\n" % i for i in range(60000))
open("text", "wb").write(text)
open("exact", "wb").write(text[:131072 * 3])
open("tail", "wb").write(text[:131072 * 3 + 77])
open("noise", "wb").write(r.randbytes(700001))
with open("sparse", "wb") as o:
    o.write(b"start")
    o.seek(131072 * 40 + 5)
    o.write(b"middle")
    o.truncate(131072 * 90 + 3)
with open("hole", "wb") as o:
    o.truncate(1 << 27)
kinds(255)
os.utime("mode", (1, 1))
os.utime("zero", (2**32 - 1, 2**32 - 1))
os.setxattr("text", "user.big", bytes(range(256)) * 12)
os.setxattr("sl", "trusted.onlink", b"l", follow_symlinks=False)
END
check() { # NAME IMAGE
	fsdump --xattrs "$2" >ours 2>ours.err || fail "$1: $(head ours.err)"
	[ ! -s ours.err ] || fail "$1: $(head ours.err)"
	loop_mount "$2" mnt squashfs
	[ -s truth ] || treedump.py mnt --xattrs > truth
	umount mnt
	same_tree truth ours
}
: > truth
first=1
for c in "gzip" "xz -Xbcj x86" "lzo" "lz4 -Xhc" "zstd -Xcompression-level 3" "gzip -b 4096 -no-fragments" "zstd -b 1M -always-use-fragments" \
	"gzip -noD -noF" "gzip -noI -noD -noF -noX" "gzip -no-duplicates -no-tailends"; do
	# the whole tree once, then without the many files
	rm -f i.sqfs
	mksquashfs src i.sqfs -quiet -no-progress -comp $c $([ $first = 1 ] || echo -wildcards -e "many/f0[1-9]*" "many/f1*") >mk.log 2>&1 || fail "mksquashfs $c: $(tail -2 mk.log)"
	check "$c" i.sqfs
	[ $first = 0 ] || { [ "$(grep -vc '^#' ours)" -ge 22000 ] || fail "too few files"; first=0; : > truth; }
done
# the old .lzma form is not made by this mksquashfs everywhere
if mksquashfs src/x l.sqfs -quiet -no-progress -comp lzma >/dev/null 2>&1; then
	fsdump l.sqfs > ours 2>err || fail "lzma: $(head err)"
	[ ! -s err ] || fail "lzma: $(head err)"
	treedump.py src/x > truth
	sed 's/\.[0-9]* \([0-9]\)/ \1/' truth | grep -v ' /$' > truth.a; sed 's/\.000000000 / /' ours | grep -v ' /$' > ours.a
	same_tree truth.a ours.a
fi
# older forms, of either byte order: named, kept as blocks, no damage
for v in '3.1 <' '2.1 >' '1.0 >'; do
	python3 - $v <<'E2'
import struct, sys
v, order = sys.argv[1], sys.argv[2]
b = bytearray(65536)
struct.pack_into(order + "I", b, 0, 0x73717368)
struct.pack_into(order + "HH", b, 28, *map(int, v.split(".")))
open("old", "wb").write(b)
E2
	fsdump old >out 2>err || true
	grep -q "unsupported: squashfs: version ${v% *}, only 4.0 is read" err || fail "version $v: $(cat err)"
	strata inspect old >out 2>err || fail "inspect of version $v"
	grep -q squashfs3 out && grep -q '^strata: warning: .*uses a feature that is not read' err || fail "version $v: $(cat out err)"
done
echo "squashfs: all trees are the same"
