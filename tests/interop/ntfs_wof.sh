#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files that Windows' overlay filter compressed (CompactOS): XPRESS in chunks of 4, 8 and 16 KiB, LZX of 32. Compressed by
# wimlib, put together with ntfs-3g; truth is what went in.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/tools/ntfs_lib.sh"
need wimlib-imagex
mkdir src
python3 - <<'END2'
import random
r = random.Random(5)
text = b"".join(b"line %d of something that packs\r\n" % (i * 7919 % 60000) for i in range(30000))
def w(n, b): open("src/" + n, "wb").write(b)
w("text", text)
for n in (1, 100, 4095, 4096, 4097, 8192, 8193, 16384, 32767, 32768, 32769, 65536, 100001):
    w("t%d" % n, text[-n:])
w("zeros", bytes(300000))
w("noise", r.randbytes(70000))
w("mixed", text[:40000] + r.randbytes(70000) + text[:50000] + bytes(100000) + r.randbytes(20))
# calls, whose targets LZX makes absolute, also near the ends of chunks
b = bytearray(r.choice(b"\x55\x48\x89\xe5\x90\xc3") for _ in range(200000))
for i in range(0, len(b) - 5, 37):
    b[i:i + 5] = b"\xe8" + (r.choice([r.randrange(-i - 9, 12000000), 12000000 - i % 3, -i, -i - 1, 5])).to_bytes(4, "little", signed=True)
for i in range(32768 - 12, len(b), 32768):
    b[i] = 0xe8
w("calls", bytes(b))
w("runs", b"".join(bytes([r.randrange(256)]) * r.choice([1, 2, 3, 18, 19, 270, 300, 5000]) for _ in range(400)))
# matches of every distance and length
m = bytearray(r.randbytes(300))
while len(m) < 150000:
    k = min(len(m), 1 << r.randrange(16))
    at = len(m) - r.randrange(1, k + 1)
    m += m[at:at + r.randrange(2, 600)] + r.randbytes(r.randrange(3))
w("matches", bytes(m))
w("empty", b"")
END2
cp -L /bin/bash src/program
# sums of what is there; links, times and owners are ntfs-3g's
sums() { fsdump --xattrs "$1" 2>"$2.err" | tee "$2.all" | sed -nE 's/^f ([^ ]+ ){3}([0-9]+) [^ ]+ [^ ]+ [^ ]+ ([0-9a-f]{64}) (.*)$/\2 \3 \4/p' | sort -k3 >"$2"; }
(cd src && for f in *; do echo "$(stat -c %s "$f") $(sha256sum <"$f" | cut -c1-64) /$f"; done) | sort -k3 >truth
for m in xpress4k:XPRESS:4096 xpress8k:XPRESS:8192 xpress16k:XPRESS:16384 lzx:LZX:32768; do
	IFS=: read -r method codec chunk <<<"$m"
	wimlib-imagex capture src $method.wim --no-acls --compress=$codec --chunk-size=$chunk >wim.log 2>&1 || { cat wim.log; fail "wimlib"; }
	make_ntfs $method.img 24M
	ntfs_mount $method.img m streams_interface=windows
	n=$(mkwof.py $method.wim src m $method)
	ntfs_umount m
	[ "$n" -ge 15 ] || fail "$method: only $n files are compressed"
	sums $method.img got
	[ ! -s got.err ] || { head got.err; fail "$method: findings"; }
	cmp truth got || { diff truth got | head -5; fail "$method"; }
	! grep -qE '^s |ntfs_reparse|WofCompressed' got.all || fail "$method: the means of compression are shown"
done

# the same files, compressed and not: one tree
make_ntfs plain.img 24M
ntfs_mount plain.img m
cp src/* m/
ntfs_umount m
strata init lib
strata -L lib -q import plain.img -b plain
strata -L lib -q import --verify --json lzx.img -b lzx >lzx.json
strata -L lib -q export lzx -o back.img
cmp lzx.img back.img || fail "not the same disk"
for f in text program mixed matches; do strata -L lib cat lzx:/$f | cmp - src/$f || fail "cat $f"; done
strata -L lib diff plain lzx --json | python3 -c '
import json, sys
for e in json.load(sys.stdin)["entries"]:
    assert e["status"] == "M" and "content" not in str(e.get("changed")), e'
python3 -c '
import json
j = json.load(open("lzx.json"))
# only what is on the disk is new: no second copy of content
assert j["new_bytes"] < 24 << 20 and not j["findings"], j'

# provider and method unknown, the stream missing, chunks damaged: named, and the disk is kept
rec=$(ntfsedit.py find lzx.img text)
damage() {
	cp lzx.img bad.img
	ntfsedit.py set bad.img "$1" "$2" "$3" || fail "ntfsedit $*"
	fsdump bad.img >bad.out 2>bad.err || true
	grep -qE "$4" bad.out bad.err || { head -5 bad.err; grep text bad.out; fail "$1 $2 $3: no $4"; }
}
ok="$(sha256sum <src/text | cut -c1-64) /text"
damage rec:$rec:0xc0 32 02000000 "^f .* - /text|UNREADABLE: /text.*not known"
damage rec:$rec:0xc0 36 01000000 "^f .* - /text|UNREADABLE: /text.*in a WIM"
damage rec:$rec:0xc0 36 03000000 "^f .* - /text|UNREADABLE: /text.*not known"
damage rec:$rec:0xc0 44 09000000 "^f .* - /text|UNREADABLE: /text.*not known"
damage rec:$rec:0xc0 44 00000000 "UNREADABLE: /text.*(cannot be decoded|is from)"
damage rec:$rec:0xc0 44 01000000 "$ok"
echo "all as they went in"
