#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Partition tables as sfdisk, fdisk, sgdisk and parted write them, in sectors
# of several sizes, damaged and cut; the oracle is sfdisk's own listing.
. "$(dirname "$0")/../lib.sh"
need sfdisk fdisk sgdisk parted python3 mkfs.fat mkfs.ext4 mkfs.ntfs mkfs.exfat

# listing IMAGE: sfdisk's listing in the form of partdump
listing() {
	sfdisk -J "$1" 2>/dev/null | python3 -c '
import json, re, sys
t = json.load(sys.stdin)["partitiontable"]
dos = t["label"] == "dos"
ident = "%08x" % int(t["id"], 16) if dos else t["id"].lower()
print("#", "mbr" if dos else "gpt", t["sectorsize"], ident)
for p in t.get("partitions", []):
    n = int(re.search(r"(\d+)$", p["node"]).group(1))
    if dos:
        kind, uuid, attr = "0x%02x" % int(p["type"], 16), "%s-%02x" % (ident, n), 0x80 if p.get("bootable") else 0
    else:
        kind, uuid, attr = p["type"], p["uuid"].lower(), 0
        for a in p.get("attrs", "").split():
            attr |= {"RequiredPartition": 1, "LegacyBIOSBootable": 4}.get(a, 0)
            if a.startswith("GUID:"): attr |= sum(1 << int(b) for b in a[5:].split(","))
    print(n, p["start"], p["size"], kind, uuid, "%x" % attr, p.get("name", ""))'
}
# same IMAGE: the same listing and no finding
same() {
	listing "$1" > want
	partdump "$1" > got 2> findings
	diff want got || fail "$1: listings differ"
	[ ! -s findings ] || { cat findings; fail "$1: findings on a sound table"; }
}
finding() { grep -q "^FINDING: $1:" findings || { cat findings; fail "no finding $1"; }; }
new() { rm -f d; truncate -s "$1" d; }

# --- MBR, logical partitions, by sfdisk and by parted
new 200M
sfdisk -q d <<-E
	label: dos
	size=10M, type=83, bootable
	size=20M, type=c
	type=5
	size=5M, type=83
	size=6M, type=82
	size=7M, type=8e
	size=9M, type=83
E
same d
cp d dos
sfdisk -q --delete d 6 && same d		# numbers close up, links skip
new 300M
parted -s d mklabel msdos mkpart primary ext4 1M 50M mkpart extended 60M 100% mkpart logical 61M 100M mkpart logical 150M 250M \
	mkpart logical 105M 140M
same d
# 50 logical partitions
new 300M
{ echo "label: dos"; echo "type=f"; for i in $(seq 50); do echo "size=1M, type=83"; done; } | sfdisk -q d
same d
[ "$(grep -c '0x83' got)" = 50 ] || fail "50 logical partitions"

# --- GPT, by sgdisk and parted
new 300M
sgdisk -n1:0:+10M -t1:ef00 -c1:"EFI sÿs ä€😀" -n5:0:+20M -A5:set:2 -A5:set:63 -n128:0:0 d >/dev/null
same d
cp d gpt
new 64M
parted -s d mklabel gpt mkpart a ext4 1M 20M mkpart b 30M 100%
same d
sgdisk -S 256 d >/dev/null 2>&1 && same d

# --- hybrid: the GPT counts, the MBR's entries are named
cp gpt d
sgdisk -h 1:5 d >/dev/null
listing d > want
partdump d > got 2> findings
diff want got || fail "hybrid"
finding part-hybrid

# --- damage: first header, its entries, then both
for at in 520 1100; do
	cp gpt d
	printf '\xff\xfe' | dd of=d bs=1 seek=$at conv=notrunc status=none
	partdump d > got 2> findings
	partdump gpt 2>/dev/null | diff - got || fail "backup not used ($at)"
	finding part-backup
done
dd if=/dev/zero of=d bs=512 seek=$(($(stat -c %s d) / 512 - 1)) count=1 conv=notrunc status=none
partdump d > got 2> findings
[ "$(wc -l < got)" = 1 ] || fail "entries from a damaged table"
finding part-table-damaged
cp gpt d
dd if=/dev/zero of=d bs=512 seek=$(($(stat -c %s d) / 512 - 1)) count=1 conv=notrunc status=none
partdump d 2> findings | diff <(partdump gpt 2>/dev/null) - || fail "primary not used"
finding part-backup

# --- cut: partitions that start inside stay
cp gpt d
truncate -s 40M d
partdump d > got 2> findings
grep -q '^5 22528 40960' got && grep -q '^128 63488 18432 ' got || fail "cut GPT: $(cat got)"
finding part-backup; finding part-entry-bad
cp dos d
truncate -s 15M d
partdump d > got 2> findings
[ "$(sed -n 3p got | cut -d' ' -f1-3)" = "2 22528 8192" ] && [ "$(wc -l < got)" = 3 ] || fail "cut MBR: $(cat got)"
finding part-entry-bad

# --- 4096-byte sectors in a plain file: GPT tells, MBR by what starts there
new 300M
printf 'g\nn\n1\n\n+10M\nn\n3\n\n+20M\nw\n' | fdisk -b 4096 d >/dev/null 2>&1
partdump d > got 2> findings
fdisk -b 4096 -l d 2>/dev/null | awk '/^d[0-9]/ { print substr($1, 2), $2, $4 }' > want
[ "$(wc -l < want)" = 2 ] || fail "fdisk made no table"
sed 1d got | cut -d' ' -f1-3 | diff want - || fail "4096-byte sectors"
grep -q '^# gpt 4096' got || fail "sector size"
[ ! -s findings ] || fail "findings: $(cat findings)"
# its backup alone
dd if=/dev/zero of=d bs=4096 seek=1 count=1 conv=notrunc status=none
partdump d 2> findings | diff got - || fail "backup with 4096-byte sectors"
finding part-backup
for make in "mkfs.fat -S 4096" mkfs.ext4 mkfs.xfs mkfs.btrfs; do
	new 600M
	printf 'o\nn\np\n1\n\n+400M\nn\np\n3\n\n+20M\nw\n' | fdisk -b 4096 d >/dev/null 2>&1
	fdisk -b 4096 -l d 2>/dev/null | awk '/^d[0-9]/ { print substr($1, 2), $2, $4 }' > want
	partdump d 4096 2>/dev/null | sed 1d | cut -d' ' -f1-3 | diff want - || fail "MBR, 4096 known"
	rm -f fs; truncate -s 400M fs; $make fs >/dev/null 2>&1 || fail "$make"
	dd if=fs of=d bs=4096 seek="$(head -1 want | cut -d' ' -f2)" conv=notrunc,sparse status=none
	partdump d 2>/dev/null > got
	sed 1d got | cut -d' ' -f1-3 | diff want - || fail "MBR, 4096 found by $make"
done

# --- whole-disk file systems have no partitions, random boot code neither
for make in "mkfs.fat -F 12" "mkfs.fat -F 16" "mkfs.fat -F 32" "mkfs.ntfs -q -F" mkfs.exfat mkfs.ext4 mkfs.xfs; do
	new 400M; [ "$make" != "mkfs.fat -F 12" ] || truncate -s 20M d; $make d >/dev/null 2>&1 || fail "$make"
	partdump d > got 2> findings
	[ "$(head -1 got)" = "# none 512 " ] && [ "$(wc -l < got)" = 1 ] && [ ! -s findings ] || fail "$make: $(cat got findings)"
done
# a stale table on a disk that became one file system (the boot sector is not zeroed by all tools)
for make in "mkfs.fat -I -F 16" "mkfs.ntfs -q -F" mkfs.exfat; do
	cp gpt d; $make d >/dev/null 2>&1 || fail "$make"
	partdump d > got 2> findings
	[ "$(wc -l < got)" = 1 ] || fail "phantom partitions after $make: $(cat got)"
done

# --- Apple map and BSD label
new 100M
parted -s d mklabel mac mkpart primary hfs+ 1M 50M name 2 "'my disk'" mkpart primary linux-swap 60M 90M
partdump d > got 2> findings
finding part-kind
parted -sm d unit s print | sed -n '3,$p' | awk -F: '$5 != "free" { gsub("s", "", $2); gsub("s", "", $4); print $1, $2, $4 }' > want
sed 1d got | cut -d' ' -f1-3 | diff want - || fail "Apple map"
grep -q '^2 .* Apple_.* my disk$' got || fail "Apple names: $(cat got)"
new 100M
parted -s d mklabel bsd mkpart ext2 1M 50M mkpart linux-swap 60M 90M
partdump d > got 2> findings
finding part-kind
parted -sm d unit s print | sed -n '3,$p' | awk -F: '{ gsub("s", "", $2); gsub("s", "", $4); print $1, $2, $4 }' > want
sed 1d got | cut -d' ' -f1-3 | diff want - || fail "BSD label"

# one by bsdlabel -w: a is marked unused, and holds the file system all the same
python3 - d <<'P'
import struct, sys
b = bytearray(512)
struct.pack_into("<I", b, 0, 0x82564557); struct.pack_into("<I", b, 40, 512); struct.pack_into("<IHH", b, 132, 0x82564557, 0, 3)
for i, (size, start) in enumerate([(204784, 16), (0, 0), (204800, 0)]):
    struct.pack_into("<IIIBBH", b, 148 + 16 * i, size, start, 0, 0, 0, 0)
with open(sys.argv[1], "r+b") as f:
    f.truncate(0); f.truncate(204800 * 512); f.seek(512); f.write(b)
P
mkfs.ext4 -q -F -E offset=8192 d 8M 2>/dev/null
partdump d > got 2> findings
[ "$(sed 1d got | cut -d' ' -f1-3)" = "1 16 204784" ] || fail "BSD label of bsdlabel -w: $(cat got findings)"
strata inspect d 2>/dev/null | grep -q '^ *p1 *ext4' || fail "BSD label of bsdlabel -w: $(strata inspect d 2>&1)"

# --- Sun and SGI labels: made by sfdisk; read by it and by libblkid (partx)
want_parts() { sfdisk -d "$1" 2>/dev/null | sed -nE 's/^[^ ]*[^0-9]([0-9]+) : start= *([0-9]+), size= *([0-9]+), type=([0-9a-f]+).*/\1 \2 \3 \4/p' |
	while read -r n start size type; do printf '%d %d %d 0x%02x\n' "$n" "$start" "$size" "0x$type"; done; }
for scheme in sun sgi; do
	new 200M
	case $scheme in
	sun) printf '%s\n' 'label: sun' 'start=0,size=64260,type=83' 'start=64260,size=128520,type=82' 'start=208845,size=80325,type=8e' | sfdisk -q d >/dev/null 2>sf.err;;
	sgi) printf '%s\n' 'label: sgi' 'start=16065,size=64260,type=83' 'start=80325,size=128520,type=82' | sfdisk -q d >/dev/null 2>sf.err;;
	esac || fail "sfdisk $scheme: $(cat sf.err)"
	partdump d > got 2> findings
	[ "$(head -1 got)" = "# $scheme 512 " ] || fail "$scheme: $(cat got findings)"
	want_parts d > want; [ "$(wc -l < want)" -ge 2 ] || fail "the fixture: $(sfdisk -d d)"
	sed 1d got | cut -d' ' -f1-4 | diff want - || fail "$scheme"
	# a wrong sum: said, and nothing listed
	cp d bad; printf '\x01' | dd of=bad bs=1 seek=200 conv=notrunc status=none
	partdump bad > got 2> findings; finding part-table-damaged; [ "$(wc -l < got)" = 1 ] || fail "$scheme damaged: $(cat got)"
	# the whole disk is no volume beside its parts
	mkfs.ext4 -q -F -E offset=$(($(sed -n '2s/ /\n/gp' want | sed -n 2p) * 512)) d 8M 2>/dev/null
	strata inspect d 2>/dev/null | grep -q "^ *p2 *ext4" || fail "$scheme: $(strata inspect d 2>&1)"
	! strata inspect d 2>/dev/null | grep -q '^ *p\(3\|11\) .*200' || fail "$scheme: the whole disk is a volume"
done

# --- BSD labels in an MBR's partitions: numbered behind the logical ones, as libblkid and Linux do; places that count from the
# disk (OpenBSD, NetBSD) and from the partition (FreeBSD)
nested() { # TYPE BASE [OFFSET-OF-E]
	new 100M
	printf '%s\n' 'label: dos' 'start=2048,size=20480,type=83' "start=22528,size=81920,type=$1" 'start=104448,size=40960,type=5' 'start=106496,size=8192,type=83' | sfdisk -q d
	python3 - d "$2" "${3:-}" <<-'END'
	import struct, sys
	base, far = int(sys.argv[2]), sys.argv[3]
	parts = [(20000, base + 16, 7), (0, 0, 0), (81920, base, 0), (10000, base + 30000, 1), (5000, int(far) if far else base + 50000, 27)]
	b = bytearray(512)
	struct.pack_into("<I", b, 0, 0x82564557)
	struct.pack_into("<I", b, 40, 512)
	struct.pack_into("<IHH", b, 132, 0x82564557, 0, len(parts))
	for i, (size, start, kind) in enumerate(parts):
	    struct.pack_into("<IIIBBH", b, 148 + 16 * i, size, start, 0, kind, 8, 0)
	x = 0
	for (w,) in struct.iter_unpack("<H", b[:148 + 16 * len(parts)]):
	    x ^= w
	struct.pack_into("<H", b, 136, x)
	with open(sys.argv[1], "r+b") as f:
	    f.seek(22528 * 512 + 512)
	    f.write(b)
	END
	partdump d > got 2> findings
}
for how in "a5 0" "a5 22528" "a6 22528" "a9 22528"; do
	nested $how
	partx -g -r -o NR,START,SECTORS d | grep -v '^3 ' > want
	[ "$(wc -l < want)" = 6 ] || fail "the fixture: $(partx d)"
	sed 1d got | cut -d' ' -f1-3 | grep -v '^3 ' | diff want - || fail "BSD label in MBR type $how: $(cat findings)"
	grep -q '^6 .* bsd:7 .* a$' got || fail "BSD partition names: $(cat got)"
done
nested a6 22528 90000000; finding part-entry-bad; [ "$(tail -1 got | cut -d' ' -f1-2)" = "7 52528" ] || fail "outside: $(cat got)"
echo "all tables as their tools list them"
# --- a primary that is damaged, on a disk that was made larger since: the backup is not at its end
new 60M; sgdisk -n 1:2048:+10M -n 2:0:+20M d >/dev/null; partdump d >want; truncate -s 90M d
for at in 600 560 1030; do # the header's checksum, a number in it, an entry
	cp d e; byte=$(od -An -tu1 -j $at -N 1 d)
	printf "\\x$(printf %02x $((byte ^ 255)))" | dd of=e bs=1 seek=$at conv=notrunc status=none
	partdump e 2>findings | diff want - || fail "backup before the end, damage at $at: $(cat findings)"
	finding part-backup
done
# --- Amiga and Atari: by parted, which lists the extended partition of Atari as number 0
need parted
for scheme in amiga atari; do
	new 60M; parted -s d mklabel $scheme mkpart primary ext2 2MiB 10MiB mkpart primary 11MiB 20MiB
	[ $scheme = amiga ] || parted -s d mkpart extended 21MiB 50MiB mkpart logical ext2 22MiB 30MiB mkpart logical 31MiB 40MiB
	parted -ms d unit s print | awk -F'[:s]' '/^[1-9][0-9]*:/ { print $2, $6 }' | sort -n >want
	partdump d 2>findings | awk '!/^#/ { print $2, $3 }' | sort -n >got; cmp want got || fail "$scheme: $(cat want got)"
	[ "$(wc -l <got)" -ge 2 ] || fail "$scheme: $(parted -ms d unit s print)"
	partdump d 2>&1 | grep -q "^# $scheme " || fail "$scheme is not known"
done
