#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# UDF: empty ones by mkudffs compared with blkid and udfinfo; full ones by genisoimage with what they were made from and with
# 7-Zip; those of tests/tools/mkudf.py (every kind of partition, descriptor and extent) with what is in them and with GRUB's
# driver; bridge discs; import and export. (Those that Linux wrote: tests/golden/udf.sh.)
# many small files: in memory, where it can be
[ ! -w /dev/shm ] || export TMPDIR=${TMPDIR:-/dev/shm}
. "$(dirname "$0")/../lib.sh"
need mkudffs udfinfo blkid genisoimage 7z grub-mount python3 jq
need_root

# --- by mkudffs: every medium, revision and block size ---
n=0
for medium in hd:0x0102,0x0150,0x0201 dvd:0x0102,0x0200,0x0201 dvdram:0x0201 dvdrw:0x0150,0x0201 cdrw:0x0150,0x0201 cdr:0x0150,0x0201,0x0260 bdr:0x0250,0x0260; do
	for rev in $(tr , ' ' <<<"${medium#*:}"); do
		for bs in 512 2048 4096; do
			rm -f u; truncate -s 16M u
			mkudffs --utf8 -m "${medium%:*}" -b $bs -r $rev --lvid="Volume $bs äé" u >mk.log 2>&1 || fail "mkudffs ${medium%:*} $rev $bs: $(tail -1 mk.log)"
			# the table of a disc that is written once is its last block
			vat=$(sed -n 's/^vatblock=//p' mk.log); [ -z "$vat" ] || truncate -s $(((vat + 1) * bs)) u
			fsdump --free u >u.dump 2>err || fail "${medium%:*} $rev $bs: $(cat err)"
			[ ! -s err ] || fail "${medium%:*} $rev $bs: $(cat err)"
			want="# udf uuid $(blkid -p -s UUID -o value u) label $(blkid -p -s LABEL -o value u)"
			[ "$(sed -n '1s/ size [0-9]*$//p' u.dump)" = "$want" ] || fail "${medium%:*} $rev $bs: blkid '$want', strata '$(head -1 u.dump)'"
			grep -q '^d 0755 0 0 0 .* /$' u.dump || fail "${medium%:*} $rev $bs: no root"
			[ -n "$vat" ] || [ "$(sed -n 's/^# free //p' u.dump)" = $(($(udfinfo u 2>/dev/null | sed -n 's/^freeblocks=//p') * bs)) ] ||
				fail "${medium%:*} $rev $bs: free: $(tail -1 u.dump), udfinfo $(udfinfo u | grep free)"
			n=$((n + 1))
		done
	done
done
rm -f u; truncate -s 16M u; mkudffs -b 2048 --vsid="not hexadecimal" u >/dev/null
[ "$(fsdump u | sed -n '1s/ label.*//p')" = "# udf uuid $(blkid -p -s UUID -o value u)" ] || fail "another volume set"
# a volume of another block size that was here before: the recognition sequence tells which it is
for sizes in "512 4096" "4096 512" "2048 4096"; do
	rm -f u; truncate -s 16M u; for bs in $sizes; do mkudffs --bootarea=preserve -m hd -b $bs --lvid="Size $bs" u >/dev/null; done
	[ "$(fsdump u 2>&1 | sed -n '/^#/s/ size [0-9]*$//p')" = "# udf uuid $(blkid -p -s UUID -o value u) label Size $bs" ] || fail "$sizes: $(fsdump u 2>&1 | head -3)"
done
for how in unalloctable freedbitmap; do
	rm -f u; truncate -s 16M u; mkudffs -m hd -b 2048 --space=$how u >/dev/null
	fsdump --free u >u.dump 2>err || fail "$how"
	want=$(($(udfinfo u | sed -n 's/^freeblocks=//p') * 2048)); [ $how != freedbitmap ] || want=0
	[ "$(sed -n 's/^# free //p' u.dump)" = $want ] || fail "$how: $(tail -1 u.dump), not $want"
done

# --- every kind of partition and descriptor ---
kinds() { # NAME OPTION...
	local name=$1; shift
	mkudf.py g "$@" || fail "mkudf.py $*"
	fsdump --free g >g.dump 2>g.err || fail "$name: $(cat g.err)"
	grep -v 'fs-backup-super' g.err >g.odd && fail "$name: $(cat g.odd)"
	same_tree g.txt g.dump
	n=$((n + 1))
}
kinds physical; kinds short ad=short; kinds extended ad=ext; kinds 1.02 efe=0 rev=0x102; kinds 4096-byte bs=4096; kinds 32K bs=32768
kinds sparable map=sparable rev=0x150 efe=0; kinds virtual map=virtual; kinds virtual-1.50 map=virtual rev=0x150 efe=0
kinds metadata map=meta rev=0x250; kinds metadata-512 map=meta rev=0x260 bs=512; kinds chains strategy=4096 rev=0x102 efe=0
kinds reserve damage=main; grep -q 'fs-backup-super.*reserve is used' g.err || fail "reserve: $(cat g.err)"
kinds mirror map=meta rev=0x250 damage=meta; grep -q 'fs-backup-super.*its mirror is used' g.err || fail "mirror: $(cat g.err)"
kinds mirror-block map=meta rev=0x250 damage=metadata; grep -q 'fs-backup-super.*mirror file is used' g.err || fail "mirror: $(cat g.err)"
# GRUB's driver: what it shows of the contents (it stops at odd names, and knows no other partitions)
for o in bs=512 bs=4096 "efe=0 rev=0x102"; do
	mkudf.py g $o
	mkdir -p grub; grub-mount "$PWD/g" grub 2>grub.err || fail "grub-mount: $(cat grub.err)"
	cleanup_mounts+=("$T/grub")
	for f in plain empty pieces large inline chained hard1 hard2 "sub/file number 3 in a folder" sub/"file number 119 in a folder"; do
		sum=$(sha256sum <"grub/$f" | cut -d' ' -f1) || fail "GRUB cannot read $f"
		grep -qE " $sum /${f// /.x20}\$" g.txt || fail "$o: GRUB reads $f otherwise"
	done
	umount grub
done

# --- by genisoimage: names, folders, many files; UDF alone is shown, since nothing else has all ---
mkdir src
python3 - <<'END'
import os, random
r = random.Random(5)
os.chdir("src")
for d in range(20):
    os.mkdir("folder %d" % d)
    for f in range(150):
        open("folder %d/a file with a name that Joliet would cut off since it has more than sixty-four characters %d.text" % (d, f), "wb").write(
            r.randbytes(r.choice([0, 1, 13, 100, 2047, 2048, 2049])))
open("big", "wb").write(r.randbytes(5000000))
for n in ["größe", "日本語", "a" * 200, "two  spaces", "UPPER", "lower.c"]:
    open(n, "w").write(n)
p = "deep"
for i in range(30):
    os.mkdir(p); p += "/d%d" % i
os.mkdir("empty")
END
genisoimage -quiet -D -udf -input-charset utf-8 -V 'A Bridge' -o u.iso src 2>/dev/null
fsdump --free u.iso >u.dump 2>u.err || fail "bridge: $(cat u.err)"
grep -q '^# udf uuid .* label A Bridge ' u.dump || fail "bridge: $(head -1 u.dump)"
grep -q 'fs-bridge: udf: the volume is ISO 9660 as well' u.err || fail "bridge: $(cat u.err)"
flat() { grep -v '^#' "$1" | awk '{ print $1, $5, $9, $10 }' | sort; }
treedump.py src >src.dump; flat src.dump >a; flat u.dump >b; cmp a b || { diff a b | head; fail "bridge"; }
7z x -tudf -o7z u.iso >/dev/null || fail "7z"
treedump.py 7z >7z.dump; flat 7z.dump >c; cmp b c || { diff b c | head; fail "7z reads otherwise"; }
# Joliet beside it: still UDF. Rock Ridge: that, with owners and links. A damaged UDF side: ISO 9660.
mkdir few; echo x >few/file; ln -s file few/link; chmod 640 few/file
genisoimage -quiet -udf -J -o j.iso few 2>/dev/null; fsdump j.iso 2>/dev/null | grep -q '^# udf' || fail "UDF and Joliet"
genisoimage -quiet -udf -R -o r.iso few 2>/dev/null; fsdump r.iso >r.dump 2>r.err
grep -q '^# iso9660' r.dump && grep -q '^f 0640 .* /file' r.dump && grep -q '^l .* /link -> file' r.dump || fail "UDF and Rock Ridge: $(cat r.dump)"
grep -q 'fs-bridge: iso9660: the volume is UDF as well' r.err || fail "UDF and Rock Ridge: $(cat r.err)"
cp u.iso d.iso; printf 'x' | dd of=d.iso bs=1 seek=$((257 * 2048)) conv=notrunc status=none
fsdump d.iso >d.dump 2>d.err; grep -q '^# iso9660' d.dump && grep -q 'fs-damaged: iso9660: .*cannot be opened' d.err || fail "damaged bridge: $(head -1 d.dump) $(cat d.err)"
# boot entries, as installation media of Windows have them
head -c 4096 /dev/zero >few/boot.img
genisoimage -quiet -udf -b boot.img -no-emul-boot -boot-load-size 8 -o w.iso few 2>/dev/null; fsdump w.iso >w.dump 2>w.err
grep -q '^# udf' w.dump && grep -q 'boot-entry: El Torito: x86 BIOS, no emulation, bootable, 8 sectors' w.err || fail "boot entries: $(cat w.err)"

# --- through the library: the same contents as from another file system, and the disk as it was ---
export STRATA_LIBRARY=$T/lib
strata init "$T/lib" >/dev/null
xorriso -as mkisofs -quiet -R -o plain.iso src 2>/dev/null
strata import -q plain.iso -b other
strata import -q u.iso -b disc --json >import.json
[ "$(jq -r '.disks[0].volumes[0].fs' import.json)" = udf ] || fail "$(cat import.json)"
[ "$(jq .stored_bytes import.json)" -lt 2000000 ] || fail "files of UDF are not those of ISO 9660: $(jq .stored_bytes import.json) stored"
sums() { strata ls -R --json "$1:/" | jq -r '.entries[] | select(.sha256) | .path + " " + .sha256' | sort; }
cmp <(sums other) <(sums disc) || fail "other contents"
strata export -q disc -o back.raw --format raw && cmp u.iso back.raw || fail "export"
mkudf.py g; strata import -q g -b kinds; strata export -q kinds -o back.raw --format raw; cmp g back.raw || fail "export"
[ "$(strata cat kinds:/holes | sha256sum | cut -d' ' -f1)" = "$(awk '$NF == "/holes" { print $9 }' g.txt)" ] || fail "cat"
[ "$(strata ls --json kinds:/ | jq -r '.entries[] | select(.path == "link-abs").target')" = "/a/.././日本" ] || fail "ls"
strata import -q g -b small --free-space discard && [ "$(strata cat small:/large | sha256sum)" = "$(strata cat kinds:/large | sha256sum)" ] || fail "discard"
echo "$n images, $(wc -l <b) files"
