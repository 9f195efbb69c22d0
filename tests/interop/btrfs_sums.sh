#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# btrfs keeps checksums of data: an import says which file has a block that does not match, on every profile and with each
# kind of checksum, as btrfs check does; nothing is said of sound ones. A compressed file is read from its sound copy.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/btrfs.inc"
need jq setfattr chattr
strata init lib >/dev/null; export STRATA_LIBRARY=$T/lib
fill() { # DEVICES: files of all kinds on the mounted file system
	python3 - mnt <<'P'
import os, random, sys
os.chdir(sys.argv[1])
r = random.Random(11)
for i in range(300):
    open("f%d" % i, "wb").write(r.randbytes(r.randrange(60000)))
open("large", "wb").write(r.randbytes(9 << 20))
open("marked", "wb").write(r.randbytes(50000) + b"HERE IS THE MARK" + r.randbytes(250000))
with open("sparse", "wb") as f:
    f.seek(3 << 20); f.write(r.randbytes(70000)); f.truncate(8 << 20)
os.mkdir("nosum")
P
	chattr +C mnt/nosum
	python3 -c 'import random; open("mnt/nosum/file", "wb").write(random.Random(5).randbytes(90000) + b"NOBODY SUMS THIS" + bytes(range(256)) * 99)'
	sync -f mnt
	fallocate -l 1M mnt/prealloc
	cp --reflink=always mnt/large mnt/clone
	python3 -c 'f = open("mnt/large", "r+b"); f.seek(5000000); f.write(b"changed" * 3000)'
	sync -f mnt
}
# made NAME NDEV COMPRESS MKFS-OPTIONS...
made() {
	local name=$1 ndev=$2 opt=$3 i size=200M; shift 3
	[[ "$*" != *dup* ]] || size=400M
	imgs=(); loops=()
	for ((i = 0; i < ndev; i++)); do rm -f "$name.$i"; truncate -s $size "$name.$i"; imgs+=("$name.$i"); loops+=("$(losetup -f --show "$name.$i")"); done
	mkfs.btrfs -q -f "$@" "${loops[@]}" >mkfs.log 2>&1 || { cat mkfs.log; fail "mkfs.btrfs $*"; }
	mount -t btrfs -o "${opt:-compress=no}" "${loops[0]}" mnt 2>mount.err || skip "cannot mount btrfs: $(tail -1 mount.err)"
	fill
	[ -z "$opt" ] || { seq 200000 >mnt/packed; sync -f mnt; }
	ino=$(stat -c %i mnt/marked); pino=$(stat -c %i mnt/packed 2>/dev/null || echo 0)
	umount mnt; drop_loops
}
sound() { strata import --json "$1" -b "$2" >import.json 2>err || { cat err; fail "import $1"; }
	jq -e '[.findings[] | select(.id | startswith("file-"))] == []' import.json >/dev/null || fail "$2: $(jq -c '.findings[:3]' import.json)"; }
flip() { python3 - "$1" "$2" <<'P'
import sys
d = open(sys.argv[1], "r+b"); b = d.read(); at = b.find(sys.argv[2].encode())
assert at >= 0
d.seek(at); d.write(b"\xff")
print(at)
P
}
for o in "crc single" "xxhash single" "sha256 dup" "blake2 single"; do
	read -r sum profile <<<"$o"
	made "$sum" 1 "" --csum "${sum/crc/crc32c}" -d "$profile" -m single
	sound "$sum.0" "$sum"
	at=$(flip "$sum.0" "HERE IS THE MARK")
	strata import --json "$sum.0" -b "$sum-bad" >import.json 2>err || { cat err; fail "import of a bad $sum"; }
	jq -c '[.findings[] | select(.id == "file-checksum")]' import.json >found
	jq -e --argjson at $((at / 4096 * 4096)) --arg what "inode $ino of subvolume 5; its bytes are stored as they are" 'length == 1 and .[0].offset == $at and .[0].detail == $what' found >/dev/null || { jq -c . found; fail "$sum: wanted inode $ino at $((at / 4096 * 4096))"; }
	strata export -q "$sum-bad" -o back.raw; cmp "$sum.0" back.raw; rm back.raw
	# the kernel and btrfs check see the same
	if [ $profile = single ]; then
		btrfs check --check-data-csum "$sum.0" >check.log 2>&1 || true
		grep -qiE 'csum|checksum' check.log || { cat check.log; fail "btrfs check does not see it"; }
	fi
	# no sums are kept of this one
	cp "$sum.0" nosum.img; flip nosum.img "NOBODY SUMS THIS" >/dev/null
	strata import --json nosum.img -b nosum >import.json 2>/dev/null
	[ "$(jq '[.findings[] | select(.id == "file-checksum")] | length' import.json)" = 1 ] || fail "a file without checksums"
	rm -f "$sum.0" nosum.img
done

# striped and mirrored: two partitions of one disk
need sfdisk
for profile in raid0 raid1; do
	made $profile 2 "" -d $profile -m raid1
	rm -f two.img; truncate -s 402M two.img
	printf 'label: gpt\nstart=2048,size=409600\nstart=411648,size=409600\n' | sfdisk -q two.img
	dd if=$profile.0 of=two.img bs=1M seek=1 conv=notrunc,sparse status=none
	dd if=$profile.1 of=two.img bs=1M seek=201 conv=notrunc,sparse status=none
	rm -f $profile.?
	sound two.img $profile
	[ "$(strata show --json "$profile:/marked" | jq .size)" -gt 300000 ] || fail "$profile is not read"
	# of two copies the first is the file's: both are changed, one at least is told
	at=$(flip two.img "HERE IS THE MARK")
	[ $profile = raid0 ] || at2=$(flip two.img "HERE IS THE MARK")
	strata import --json two.img -b $profile-bad >import.json 2>/dev/null
	[ $profile = raid0 ] || ! jq -e --argjson at $((at2 / 4096 * 4096)) '.findings | map(select(.offset == $at)) | length == 1' import.json >/dev/null || at=$at2
	jq -e --argjson at $((at / 4096 * 4096)) --arg what "inode $ino of subvolume 5; its bytes are stored as they are" '[.findings[] | select(.id == "file-checksum")] | length == 1 and .[0].offset == $at and .[0].detail == $what' import.json >/dev/null ||
		{ jq -c .findings import.json; fail "$profile: wanted inode $ino at $((at / 4096 * 4096))"; }
	rm -f two.img
done

# compressed: from the sound copy where there is one, else said
made packed 1 compress-force=lzo -d dup -m single
sound packed.0 packed
want=$(seq 200000 | sha256sum | cut -c1-64)
# a byte in the middle of each copy of the file's first extent
ext=$(python3 - packed.0 <<'P'
import sys
d = open(sys.argv[1], "rb").read()
# LZO leaves the first bytes as they are
for at in range(0, len(d), 4096):
    if b"1\n2\n3\n4\n5" in d[at:at + 64]:
        print(at)
P
)
if [ "$(wc -w <<<"$ext")" = 2 ]; then
	set -- $ext
	poke() { printf '\377\377' | dd of="$1" bs=1 seek=$(($2 + 1500)) conv=notrunc status=none; }
	for keep in 2 1; do
		cp packed.0 one.img; [ $keep = 2 ] && poke one.img "$1" || poke one.img "$2"
		fsdump one.img >dump 2>dump.err
		grep -q "$want /packed" dump || { cat dump.err | head -3; fail "the sound copy is not read"; }
	done
	cp packed.0 both.img; poke both.img "$1"; poke both.img "$2"
	fsdump both.img >dump 2>dump.err || true
	grep -q "UNREADABLE: /packed.*checksum" dump.err || { head -3 dump.err; fail "both copies are bad"; }
	strata import --json both.img -b both >import.json 2>/dev/null
	jq -e --arg w "btrfs: data at logical address" '[.findings[] | select(.id == "file-unreadable" and (.detail | contains($w)))] | length == 1' import.json >/dev/null || { jq -c .findings import.json; fail "an import of both bad"; }
else
	fail "found not two copies of the compressed extent but: $ext"
fi
echo "all as btrfs check says"
