#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# EROFS in the forms that Debian's mkfs.erofs does not make: LZMA, DEFLATE, Zstandard,
# two of them in a file, fragments, duplicates, interlaced blocks, prefixes of
# attributes' names. The images are tests/tools/mkerofs.py's, the truth is the kernel's mount.
. "$(dirname "$0")/../lib.sh"
need python3 setfattr mkfs.erofs
need_root

mkdir src
python3 - <<'END2'
import os, random
r = random.Random(9)
os.chdir("src")
text = b"".join(b"line %d of something that packs\n" % (i * 7919 % 60000) for i in range(20000))
os.makedirs("d/e")
def w(n, b): open(n, "wb").write(b)
w("text", text)
w("block", text[:4096])
w("blocks", text[:4096 * 5])
w("tail", text[:4096 * 5 + 77])
w("noise", r.randbytes(300001))
w("mixed", text[:50000] + r.randbytes(30000) + text[50000:90000] + bytes(200000) + r.randbytes(5000) + b"end")
w("again", text[:200000] + b"other" + text[:70000])
w("again2", r.randbytes(5001) + text[:100000])
w("zero", b"")
w("one", b"1")
w("zeros", bytes(1 << 18))
for i in range(60):
    w("d/s%d" % i, text[:r.randrange(20000)] if i % 4 else r.randbytes(r.randrange(20000)))
for i in range(300):
    w("d/e/" + "n%d" % i * 9, b"x" * i)
os.symlink("a/b", "sl")
os.symlink("z" * 3000, "long")
os.mknod("chr", 0o20640, os.makedev(4, 300))
os.mkfifo("fifo")
os.link("text", "d/text2")
os.setxattr("one", "user.a", b"v")
os.setxattr("one", "user.long.prefix.name", b"w" * 300)
os.setxattr("d", "user.long.prefix.d", b"1")
END2

n=0
while read -r o; do
	mkerofs.py $o i.img src || fail "mkerofs.py $o"
	fsdump --xattrs i.img >ours 2>ours.err || fail "$o: $(head ours.err)"
	[ ! -s ours.err ] || fail "$o: $(head ours.err)"
	mkdir -p mnt
	if mount -t erofs -o loop,ro i.img mnt 2>mount.err; then
		cleanup_mounts=(mnt)
		treedump.py mnt --xattrs >truth
		umount mnt
		! grep -q unreadable truth || fail "$o: the kernel cannot read it"
		n=$((n + 1))
	else
		# a kernel without that compression: the files are known all the same
		treedump.py src --xattrs >truth
	fi
	same_tree truth ours
done <<'END2'
--methods lzma
--methods deflate
--methods zstd
--methods lz4,lzma
--methods zstd,deflate
--methods lz4 --blocks 8
--methods lzma --blocks 16 --inline
--methods lz4 --fragments
--methods deflate --fragments --packed-plain --blocks 4
--methods zstd --fragments --inline --compact
--methods lz4 --dedupe
--methods lzma,zstd --dedupe --blocks 8
--methods lz4 --interlaced
--methods deflate,lz4 --interlaced --blocks 4
--methods lz4 --interlaced --fragments --compact --blocks 8
--methods lzma,zstd --inline --compact --blocks 8
--methods lz4 --prefixes
--methods lz4 --prefixes --packed-plain
--methods deflate,lz4 --prefixes --fragments --dedupe --blocks 16 --inline --interlaced
END2
[ $n -ge 4 ] || skip "the kernel mounts none of them"

# fragments are stored once, as they stand on the disk, and read back
strata -L lib init -q 2>/dev/null || strata init lib
mkerofs.py --methods zstd --fragments i.img src
strata -L lib -q import i.img -b made --verify
strata -L lib -q export made -o back.img
cmp i.img back.img
for f in text noise mixed one d/s7; do strata -L lib cat "made:/$f" | cmp - "src/$f" || fail "$f"; done
strata -L lib stats --json >stats.json
python3 - <<'END2'
import json, os
s = json.load(open("stats.json"))
assert s["stored_bytes"] < 1.3 * os.path.getsize("i.img"), s
END2

# another device, given or not: all is as the kernel shows it; listed, and what is not there named
mkfs.erofs --chunksize=4096 --blobdev=blob.img dev.img src >/dev/null 2>&1 || { echo "$n images"; exit 0; }
kernel() { # IMAGE OPTIONS: its tree into ./truth, where the kernel can
	treedump.py src --xattrs >truth
	! mount -t erofs -o "loop,ro$2" "$1" mnt 2>mount.err || { cleanup_mounts=(mnt); treedump.py mnt --xattrs >truth; umount mnt; n=$((n + 1)); }
}
loop=$(losetup -f --show blob.img); kernel dev.img ",device=$loop"; losetup -d "$loop"
fsdump --xattrs dev.img blob.img >ours 2>ours.err || fail "two devices: $(head ours.err)"
[ ! -s ours.err ] || fail "two devices: $(head ours.err)"
same_tree truth ours
fsdump --xattrs dev.img >one 2>one.err || fail "the other device is missing: $(head one.err)"
grep -q "volume-incomplete: erofs: 1 of 1 further devices" one.err && grep -q "file-unreadable.*device 1, which is not there" one.err || fail "nothing said of the other device: $(head -3 one.err)"
sed 's/ [0-9a-f]\{64\} / - /' truth >listed; sed 's/ [0-9a-f]\{64\} / - /' one >one.listed; same_tree listed one.listed
# both in one file: where the table says, as layers of containers are
python3 - <<'END2'
import struct
d, blob = bytearray(open("dev.img", "rb").read()), open("blob.img", "rb").read()
slot = struct.unpack_from("<H", d, 1024 + 88)[0] * 128
d += bytes(-len(d) % 65536)
struct.pack_into("<II", d, slot + 64, len(blob) // 4096, len(d) // 4096)
open("mapped.img", "wb").write(d)
open("flat.img", "wb").write(d + blob)
END2
kernel flat.img ""
fsdump --xattrs flat.img >ours 2>ours.err || fail "one after the other: $(head ours.err)"
[ ! -s ours.err ] || fail "one after the other: $(head ours.err)"
same_tree truth ours
# through the library, as two disks; one of another size is not taken for it
strata -L lib -q import mapped.img blob.img -b two --verify
for f in text noise d/s7; do strata -L lib cat "two:/$f" | cmp - "src/$f" || fail "two disks: $f"; done
cp blob.img more.img; head -c 512 /dev/zero >>more.img
strata -L lib import mapped.img more.img -b other --verify >/dev/null 2>other.err; grep -q "1 of 1 further devices are not there" other.err || fail "a disk of another size was taken"
strata -L lib -q import dev.img -b alone 2>/dev/null; [ "$(strata -L lib ls -R alone:/ | wc -l)" -gt 300 ] || fail "files of the other device are not listed"
strata -L lib export -q alone -o back.img; cmp dev.img back.img
echo "$n images, all trees are the same"
