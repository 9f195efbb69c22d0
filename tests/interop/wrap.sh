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
# nothing is left behind
[ -z "$(find "${TMPDIR:-/var/tmp}" -maxdepth 1 -name 'strata.??????' -newer d.raw)" ] || fail "temporary files"
