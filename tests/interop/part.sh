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
echo "all tables as their tools list them"
