#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# FAT12, FAT16 and FAT32 as mtools fills them; names, content and file times
# as mcopy takes them out, times of folders as fls (the Sleuth Kit) shows them,
# free space as fsck.fat counts it.
. "$(dirname "$0")/../lib.sh"
need mkfs.fat fsck.fat mcopy mdir mattrib fls python3 blkid
export LC_ALL=C.UTF-8 MTOOLS_SKIP_CHECK=1 MTOOLSRC=$T/mtoolsrc
echo "default_codepage=437" > "$MTOOLSRC"

mkdir -p src/{EFI/BOOT,EFI/debian,empty,"a long folder name",many,deep}
head -c 100000 /dev/urandom > src/EFI/BOOT/BOOTX64.EFI
head -c 70001 /dev/urandom > src/EFI/debian/grubx64.efi
: > src/empty.txt
echo one > src/README.TXT; echo two > src/lower.txt; echo three > src/MixedCase.txt; echo four > src/UPPER.low; echo five > src/noext
echo six > "src/a long folder name/täst ünicode €.txt"; echo seven > "src/a long folder name/日本語"
printf x > "src/a long folder name/$(printf 'n%.0s' $(seq 250)).txt"
printf x > "src/a long folder name/thirteen char"; printf x > "src/a long folder name/.hidden.with.dots"
for i in $(seq 300); do echo "$i" > "src/many/file number $i"; done
d=src/deep; for i in $(seq 12); do d=$d/level$i; mkdir $d; echo "$i" > $d/f; done
find src -exec touch -d "2021-03-04 05:06:08" {} +
touch -d "1980-01-01 00:00:00" src/noext; touch -d "2000-02-29 23:59:58" src/UPPER.low; touch -d "2037-12-31 12:00:00" src/lower.txt

fill() { # fill IMAGE: with holes from files that were deleted, so that others are fragmented
	local i
	for i in 1 2 3 4 5 6 7 8; do head -c 9000 /dev/zero | tr '\0' "$i" > gap$i; mcopy -m -i "$1" gap$i ::; done
	for i in 1 3 5 7; do mdel -i "$1" ::gap$i; done
	mcopy -s -m -i "$1" src/* ::
	mdel -i "$1" "::many/file number 7" "::many/file number 150"
	mattrib -i "$1" +r ::README.TXT
}
check() { # check IMAGE
	rm -rf out; mkdir out
	mcopy -s -m -n -i "$1" :: out/ 2>/dev/null
	chmod -R 0755 out; chmod 0555 out/README.TXT
	fsdump --free "$1" > got 2> err || { cat err; fail "fsdump"; }
	[ ! -s err ] || { cat err; fail "messages about a sound file system"; }
	treedump.py out > want
	# mcopy does not give folders their time
	for f in got want; do sed -E '/^d /s/^(d [0-9]+ [0-9]+ [0-9]+ [0-9]+) [0-9.]+/\1 T/' $f > $f.f; done
	same_tree got.f want.f
	fls -r -p -m / "$1" 2>/dev/null | grep -v '(Volume Label\|(deleted)\|\$' | awk -F'|' '{ print $9, $2 }' | sort > want.times
	grep -v '^#' got | python3 -c '
import sys
for l in sys.stdin:
    p = l.rstrip("\n").split(" ")
    n = p[9].encode().decode("unicode_escape").encode("latin1").decode()
    if n != "/": print(p[5].split(".")[0], n)' | sort > got.times
	diff <(grep -v nnnnnn want.times) <(grep -v nnnnnn got.times) > times.diff || { head -5 times.diff; tail -5 times.diff; fail "times"; }
	# used clusters
	local bytes clusters total used
	read -r used total < <(fsck.fat -n "$1" | sed -nE 's/.* ([0-9]+)\/([0-9]+) clusters/\1 \2/p')
	clusters=$(fsck.fat -nv "$1" | sed -nE 's/^ *([0-9]+) bytes per cluster.*/\1/p')
	bytes=$(sed -n 's/^# free //p' got)
	[ "$bytes" = $(((total - used) * clusters)) ] || fail "free space: $bytes, not $(((total - used) * clusters))"
	local b; b=$(blkid -p -o value -s UUID "$1") || true
	grep -q "^# vfat uuid $b label " got || fail "uuid: $(head -1 got)"
	b=$(blkid -p -o value -s LABEL "$1") || true
	grep -q "^# vfat .* label $b size" got || fail "label $b: $(head -1 got)"
}
n=0
while read -r size options; do
	rm -f d; mkfs.fat $options -C d "$size" >/dev/null; echo "$size $options"
	fill d; check d; n=$((n + 1))
done <<-E
	2880 -F 12 -n FLOPPY
	16384 -F 12 -s 16
	32768 -F 16 -s 2 -n MY_LABEL
	131072 -F 16 -s 32
	140000 -F 32 -s 2 -n EFI
	300000 -F 32 -s 8 -f 1
	300000 -F 32 -S 1024 -s 2 -n SECTORS
	140000 -F 32 -s 2 -i deadbeef -R 64
E
# deleted all: an empty root that once was full
mdeltree -i d ::many ::deep "::a long folder name" ::EFI 2>/dev/null
check d

# labels: the root directory's over the boot sector's
mlabel -i d ::"NEW NAME"; check d
grep -q "label NEW NAME " got || fail "label of the root directory"
# what stays behind in the boot sector when it is erased is none (Windows erases so), and "NO NAME" can be one
for label in "NO NAME" ""; do
	cp d other; python3 - other "$label" <<-'END'
	import sys
	d = bytearray(open(sys.argv[1], "rb").read())
	at = d.index(b"NEW NAME   \x08")
	d[at:at + 11] = sys.argv[2].ljust(11).encode() if sys.argv[2] else b"\xe5" + d[at + 1:at + 11]
	d[71:82] = b"BOOT SECTOR"
	open(sys.argv[1], "wb").write(d)
	END
	[ "$(blkid -p -s LABEL -o value other)" = "$label" ] || fail "the fixture: $(blkid -p other)"
	fsdump other 2>/dev/null | grep -q "label $label size" || fail "label '$label': $(fsdump other 2>/dev/null | head -1)"
done

# a kernel or firmware that did not unmount
cp d dirty; printf '\x01' | dd of=dirty bs=1 seek=65 conv=notrunc status=none
fsdump dirty 2>&1 >/dev/null | grep -q "FINDING: fs-dirty" || fail "dirty bit"
# a second table that differs
cp d mirror; second=$((64 * 512 + $(od -An -tu4 -j36 -N4 d) * 512))
printf '\x55\x55\x55\x05' | dd of=mirror bs=1 seek=$((second + 800)) conv=notrunc status=none
fsdump mirror 2>&1 >/dev/null | grep -q "FINDING: fs-damaged" || fail "mirror"
# cut short: files that are there are read
cp d cut; truncate -s 3M cut
fsdump cut > got 2> err; grep -q "fs-truncated" err || fail "truncated"
grep -q '/README.TXT' got || fail "cut: nothing listed"
echo "$n file systems as mtools sees them"
