#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Compressed images: what gzip, xz, zstd, bzip2 and zip make is read back, cut
# and damaged files are refused, bombs end in a limit.
. "$(dirname "$0")/../lib.sh"
need gzip xz zstd bzip2 zip python3 qemu-img cmp
python3 - <<'P'
import random
r = random.Random(5)
with open("d.raw", "wb") as f:
    f.truncate(9 * 1048576 + 333)
    for off in (0, 70000, 3 << 20, (9 << 20) + 300):
        f.seek(off); f.write(r.randbytes(33) + b"some text " * 3000); f.truncate(9 * 1048576 + 333)
P
qemu-img convert -f raw -O qcow2 d.raw d.qcow2
gzip -k d.raw; gzip -1 -c d.qcow2 > q.gz; xz -k d.raw; xz -T2 --block-size=1MiB -c d.raw > mt.xz
zstd -q d.raw; zstd -q -19 --long=27 d.raw -o long.zst; bzip2 -k d.raw
zip -q d.zip d.raw; zip -q -0 stored.zip d.qcow2; zip -q -r - d.raw < /dev/null > stream.zip
cat d.raw.gz > two.gz; gzip -c < /dev/null >> two.gz; head -c 5000000 d.raw | gzip > cat.gz; tail -c +5000001 d.raw | gzip >> cat.gz
(head -c 5000000 d.raw | bzip2; tail -c +5000001 d.raw | bzip2) > cat.bz2
(head -c 5000000 d.raw | zstd -q; tail -c +5000001 d.raw | zstd -q) > cat.zst
gzip -c d.raw.xz > nested.gz
for f in d.raw.gz d.raw.xz mt.xz d.raw.zst long.zst d.raw.bz2 d.zip stream.zip two.gz cat.gz cat.bz2 cat.zst nested.gz; do
	rm -f out.raw; disktool convert -f raw "$f" out.raw 2>err || fail "$f: $(cat err)"
	cmp out.raw d.raw || fail "$f differs"
	[ "$(stat -c %b out.raw)" -lt 1000 ] || fail "$f: holes are lost"
done
grep -q "WRAPPED: gzip xz" err || fail "nested: $(cat err)"
disktool info q.gz 2>err | grep -q qcow2 || fail "qcow2 in gzip"
disktool info stored.zip 2>err | grep -q qcow2 || fail "qcow2 in zip"
# padding behind is ignored, and told
cp d.raw.gz pad.gz; printf 'trailing' >> pad.gz
disktool convert -f raw pad.gz out2.raw 2>err; cmp out2.raw d.raw; grep -q "FINDING.*ignored" err || fail "trailing bytes"
# cut off, damaged
for f in d.raw.gz d.raw.xz d.raw.zst d.raw.bz2 d.zip; do
	n=$(stat -c %s "$f")
	head -c $((n / 2)) "$f" > cut; expect_rc 4 disktool info cut 2>err
	grep -q corrupt err || fail "$f cut: $(cat err)"
	python3 -c 'import sys; b=bytearray(open(sys.argv[1],"rb").read()); b[len(b)//2]^=0x55; open("bad","wb").write(b)' "$f"
	expect_rc 4 disktool info bad 2>err
done
# a wrong checksum alone
python3 -c 'b=bytearray(open("d.raw.gz","rb").read()); b[-8]^=1; open("bad.gz","wb").write(b)'
expect_rc 4 disktool info bad.gz 2>err; grep -q "corrupt" err || fail "crc: $(cat err)"
python3 -c '
b=bytearray(open("d.zip","rb").read()); i=b.rindex(b"PK\1\2"); b[i+16]^=1; open("bad.zip","wb").write(b)'
expect_rc 4 disktool info bad.zip 2>err; grep -q "checksum" err || fail "zip crc: $(cat err)"
# as macOS makes them: a second member, for what the file system has beside the file
mkdir __MACOSX; echo attributes > __MACOSX/._d.raw
for order in "d.raw __MACOSX/._d.raw" "__MACOSX/._d.raw d.raw"; do
	rm -f mac.zip; zip -q mac.zip $order; disktool info mac.zip >/dev/null || fail "from macOS: $order"
done
# Zip64 with all fields of the old directory full, the numbers of volumes too; but a second volume is none of it
python3 - <<'END'
import struct
b = bytearray(open("d.zip", "rb").read())
end = b.rindex(b"PK\5\6")
n, size, off = struct.unpack_from("<HII", b, end + 10)
z = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, n, n, size, off)
for name, total in (("full.zip", 1), ("split.zip", 2)):
    loc = struct.pack("<4sIQI", b"PK\6\7", 0, end, total)
    open(name, "wb").write(b[:end] + z + loc + b"PK\5\6" + b"\xff" * 16 + b"\0\0")
END
disktool info full.zip >/dev/null || fail "Zip64 with full fields"
expect_rc 4 disktool info split.zip 2>err; grep -q "several volumes" err || fail "volumes: $(cat err)"
# refused
zip -q two.zip d.raw d.qcow2; expect_rc 4 disktool info two.zip 2>err; grep -q "several members" err || fail "two members"
zip -q -P x pw.zip d.raw; expect_rc 4 disktool info pw.zip 2>err; grep -q password err || fail "password"
gzip -c nested.gz > n3.gz; gzip -c n3.gz > n4.gz; expect_rc 4 disktool info n4.gz 2>err; grep -q "limit" err || fail "depth"
# a bomb: 70 GB of zeros in a few KiB (frames of zstd repeat)
truncate -s 1G zeros; zstd -q zeros -o z.zst
for i in $(seq 65); do cat z.zst; done > bomb.zst
SECONDS=0
expect_rc 4 disktool info bomb.zst 2>err; grep -q "limit.*unpack to more than" err || fail "bomb: $(cat err)"
# xz that asks for 1.5 GiB of memory
if xz -q --lzma2=preset=0,dict=1536MiB -c d.raw > mem.xz 2>/dev/null; then
	expect_rc 4 disktool info mem.xz 2>err; grep -q "limit.*memory" err || fail "memory: $(cat err)"
fi
# lz4, lzma, lzip, frames that are passed over, members of zip packed in other ways, archives with one disk
python3 - <<'END'
import bz2, lzma, struct, zipfile, zlib
d = open("d.raw", "rb").read()
skip = struct.pack("<II", 0x184d2a53, 5) + b"hello"
z = open("d.raw.zst", "rb").read()
open("skip.zst", "wb").write(skip + struct.pack("<II", 0x184d2a5f, 0) + z + skip)
open("tail.zst", "wb").write(z + bytes(700))
x = open("d.raw.xz", "rb").read()
open("tail.xz", "wb").write(x + bytes(333)); open("two.xz", "wb").write(lzma.compress(d[:4000000]) + bytes(8) + lzma.compress(d[4000000:]) + b"and more")
g = open("d.raw.gz", "rb").read()
open("tail.gz", "wb").write(g + b"\x1f is no member"); open("zeros.gz", "wb").write(g + bytes(5000))
open("d.lzma", "wb").write(lzma.compress(d, format=lzma.FORMAT_ALONE))
raw = lzma.compress(d, format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 20}])
open("d.lz", "wb").write(b"LZIP\x01\x14" + raw + struct.pack("<IQQ", zlib.crc32(d), len(d), len(raw) + 26))
def zip1(name, method, packed, flags=0):
    n = b"dir/d.raw"
    rest = struct.pack("<HHHHHIIIHH", 20, flags, method, 0, 33, zlib.crc32(d), len(packed), len(d), len(n), 0)
    local = b"PK\3\4" + rest + n + packed
    cd = b"PK\1\2\x14\0" + rest + struct.pack("<HHHII", 0, 0, 0, 0, 0) + n
    open(name, "wb").write(local + cd + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(cd), len(local), 0))
zip1("m12.zip", 12, bz2.compress(d)); zip1("m95.zip", 95, x); zip1("m93.zip", 93, z); zip1("m9.zip", 9, b"x" * 99); zip1("m98.zip", 98, b"x" * 99)
zip1("aes.zip", 99, b"x" * 99, 1); zip1("enc.zip", 95, x, 0x41)
with zipfile.ZipFile("m14.zip", "w", zipfile.ZIP_LZMA) as f:
    f.writestr("readme.txt", "how to"); f.writestr("x/", ""); f.writestr("x/d.raw", d); f.writestr("x/empty.img", "")
END
lz4 -q -k d.raw 2>/dev/null && (head -c 3000000 d.raw | lz4 -q; tail -c +3000001 d.raw | lz4 -q -9) >cat.lz4 || cp d.raw.gz d.raw.lz4
mkdir -p a/b; cp --sparse=always d.raw a/b/disk.raw; echo '{}' >a/metadata.json; echo x >a/Vagrantfile
for f in gnu oldgnu posix ustar v7; do tar -C a --format=$f -cf $f.tar .; tar -C a/b --format=$f -S -cf $f.sparse.tar disk.raw 2>/dev/null || rm -f $f.sparse.tar; done
tar -C a/b -S --sparse-version=0.1 --format=posix -cf old.tar disk.raw
gzip -c oldgnu.sparse.tar >gce.tar.gz; xz -0 -c posix.sparse.tar >p.tar.xz; (cat gnu.tar; head -c 5000 /dev/urandom) >trail.tar
n=0
for f in skip.zst tail.zst tail.xz two.xz tail.gz zeros.gz d.lzma d.lz d.raw.lz4 cat.lz4 m12.zip m95.zip m93.zip m14.zip *gnu*.tar posix*.tar ustar.tar v7.tar gce.tar.gz p.tar.xz trail.tar; do
	[ -e "$f" ] || continue
	rm -f out.raw; disktool convert -f raw "$f" out.raw 2>err || fail "$f: $(cat err)"
	cmp out.raw d.raw || fail "$f differs"
	n=$((n + 1))
done
[ $n -ge 22 ] || fail "only $n"
for f in tail.zst two.xz tail.gz; do disktool info $f 2>&1 | grep -q "FINDING.*ignored" || fail "$f: what follows is not told"; done
disktool info gnu.tar 2>&1 | grep -q "one disk among 3 files" || fail "files that are not kept"
mkdir m; echo [] >m/manifest.json; echo x >m/layer; tar -C m -cf docker.tar manifest.json layer; echo x >m/ova.xml; tar -C m -cf x.xva ova.xml layer; tar -C m -cf files.tar layer ova.xml
cp d.raw m/1.img; cp d.raw m/2.img; tar -C m -cf images.tar 1.img 2.img layer; rm m/ova.xml; tar -C m -cf files.tar layer -C "$T" d.lz
while read -r f words; do expect_rc 4 disktool info "$f" 2>err; grep -q "$words" err || fail "$f: $(cat err)"; done <<'END'
m9.zip Deflate64
m98.zip method 98
aes.zip password
enc.zip password
old.tar sparse in a format
docker.tar container image
x.xva XenServer
files.tar 2: 'layer', 'd.lz'
images.tar 2: '1.img', '2.img'
END
for f in d.lzma d.lz d.raw.lz4 gnu.sparse.tar posix.sparse.tar m14.zip m12.zip; do
	head -c $(($(stat -c %s $f) / 2)) $f >cut; expect_rc 4 disktool info cut 2>err; grep -q corrupt err || fail "$f cut: $(cat err)"
done
# nothing is left behind
[ -z "$(find "${TMPDIR:-/var/tmp}" -maxdepth 1 -name 'strata.??????' -newer d.raw)" ] || fail "temporary files"
