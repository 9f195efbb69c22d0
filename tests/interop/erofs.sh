#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# EROFS: plain, inline, chunked and LZ4-compressed images of both index formats,
# compared with the kernel's mount.
. "$(dirname "$0")/../lib.sh"
need mkfs.erofs setfattr blkid python3
need_root

mkdir src
PYTHONPATH=$TOP/tests/tools python3 - <<'END'
import os, random
from basetree import base, kinds
r = random.Random(9)
os.chdir("src")
base()
os.mkdir("x")
os.chdir("x")
text = b"".join(b"line %d of something that packs\n" % (i * 7919 % 60000) for i in range(60000))
open("text", "wb").write(text)
open("block", "wb").write(text[:4096])
open("blocks", "wb").write(text[:4096 * 5])
open("tail", "wb").write(text[:4096 * 5 + 77])
open("noise", "wb").write(r.randbytes(300001))
open("mixed", "wb").write(text[:50000] + r.randbytes(30000) + text[50000:90000] + bytes(200000) + r.randbytes(5000) + b"end")
with open("sparse", "wb") as o:
    o.write(b"start")
    o.seek(1 << 20)
    o.write(b"middle")
    o.truncate((3 << 20) + 3)
for i in range(200):
    open("s%d" % i, "wb").write(text[:r.randrange(20000)] if i % 4 else r.randbytes(r.randrange(20000)))
kinds(200)
os.utime("mode", ns=(1, 1000000001))
for i in range(20):
    os.setxattr("s%d" % i, "user.shared", b"the same everywhere")
END
setfacl -m u:77:rwx -d -m g:88:r src/empty 2>/dev/null || true
first=1
n=0
for o in "-Uc1b9c1aa-0000-4000-8000-000000000001" "-zlz4" "-zlz4hc,9" "-zlz4 -Elegacy-compress" "-zlz4hc -C65536" "-zlz4hc -C1048576 -Elegacy-compress" \
	"-zlz4 -Eztailpacking" "-zlz4 -Eztailpacking,legacy-compress" "-zlz4hc -C16384 -Eztailpacking" "--chunksize=4096" "--chunksize=65536 -Eforce-chunk-indexes" \
	"-Eforce-inode-compact -T1600000000" "-Eforce-inode-extended" "-Enoinline_data" "-x0" "-zlz4 --max-extent-bytes=8192"; do
	rm -f i.img
	from=src; [ $first = 1 ] || from=src/x
	mkfs.erofs $o i.img $from >mk.log 2>&1 || { grep -qi "unknown\|invalid\|not support" mk.log && continue; fail "mkfs.erofs $o: $(tail -2 mk.log)"; }
	fsdump --xattrs i.img >ours 2>ours.err || fail "$o: $(head ours.err)"
	[ ! -s ours.err ] || fail "$o: $(head ours.err)"
	loop_mount i.img mnt erofs
	treedump.py mnt --xattrs > truth
	umount mnt
	same_tree truth ours
	[ $first = 0 ] || {
		[ "$(grep -vc '^#' ours)" -ge 22000 ] || fail "too few files"
		[ "$(sed -n '1s/ size [0-9]*$//p' ours)" = "# erofs uuid $(blkid -p -s UUID -o value i.img) label " ] || fail "$(head -1 ours)"
	}
	first=0
	n=$((n + 1))
done
[ $n -ge 12 ] || fail "only $n images"
echo "$n images, all trees are the same"
