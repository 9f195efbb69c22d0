#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# NTFS, field by field: one field of a valid volume is changed, its checksums (update sequences) kept right; what must be
# said of it, and the files that it does not touch are all still there.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/tools/ntfs_lib.sh"
make_ntfs a.img 6M -c 512
ntfs_mount a.img m compression
mkdir m/directory m/packed m/small; setfattr -h -n system.ntfs_attrib_be -v 0x00000810 m/packed
for i in $(seq 80); do echo $i >"m/directory/entry-$i-$(printf y%.0s $(seq 50))"; done
head -c 30000 /dev/urandom >m/plain; seq 9000 >m/packed/compressed-file; echo r >m/resident; echo a >m/small/a
setfattr -n user.ads -v stream m/resident; echo first >m/linked
for i in $(seq 30); do ln m/linked "m/link-$i-$(printf z%.0s $(seq 60))"; done
echo x >m/rp; setfattr -h -n system.ntfs_reparse_data -v 0x0c0000a014000000020002000000020001000000780078000000 m/rp 2>/dev/null || true
ntfs_umount m
edit() { ntfsedit.py "$@"; }
plain=$(edit find a.img plain); lz=$(edit find a.img compressed-file); res=$(edit find a.img resident); dir=$(edit find a.img directory)
linked=$(edit find a.img linked); small=$(edit find a.img small)
fsdump a.img >all 2>all.err || fail "fsdump"
[ ! -s all.err ] || { cat all.err; fail "the valid volume has findings"; }
total=$(wc -l <all)
n=0
# row WHERE OFFSET HEX LOST EXPECTED: at most LOST lines of the dump may go or change; EXPECTED is in the messages
row() {
	n=$((n + 1))
	cp a.img c.img; edit set c.img "$1" "$2" "$3" || fail "row $n: set"
	local rc=0 gone
	# fsdump does not clean up where it cannot open
	[ "$5" != rc4 ] || export ASAN_OPTIONS=detect_leaks=0
	timeout 20 fsdump --free --xattrs c.img >c.out 2>c.err || rc=$?
	unset ASAN_OPTIONS
	case $5 in rc4) [ $rc = 4 ] || { cat c.err; fail "row $n ($*): exit $rc"; }; return ;; esac
	[ $rc -le 1 ] || { cat c.err; fail "row $n ($*): exit $rc"; }
	[ -z "$5" ] || grep -qE "$5" c.err || { head -20 c.err; fail "row $n ($*): not said"; }
	gone=$(sort all c.out c.out | uniq -u | grep -c '' || true)
	gone=$(comm -23 <(sort all) <(sort c.out) | wc -l)
	[ "$gone" -le "$4" ] || { comm -23 <(sort all) <(sort c.out) | head; fail "row $n ($*): $gone of $total lines are gone"; }
}
# boot sector: the copy serves
for f in "11 0000" "11 0108" "13 00" "13 03" "13 b0" "64 00" "64 7f" "64 80" "40 0000000000000000" "40 ffffffffffffffff" "48 ffffffffffffff7f" "48 0000000000000000" "510 0000"; do
	row boot ${f% *} ${f#* } 0 'fs-backup-super'
done
row boot 3 00 0 rc4
row boot 48 01000000000000 0 'fs-backup-super: \$MFT'
row boot 56 ffffffffffffff 0 ''
row boot 40 ff 0 ''
row boot 40 0008000000000000 9999 'fs-backup|damaged|truncated|$'
# record headers
row rec:$plain 0 42414144 1 'magic'
row rec:$plain 4 0100 1 'update sequence'
row rec:$plain 4 fe03 1 'update sequence'
row rec:$plain 6 0900 1 'update sequence'
row rec:$plain 6 0000 1 'update sequence'
row rec:$plain 16 7700 1 'used again'
row rec:$plain 18 ffff 1 ''
row rec:$plain 20 ff 1 'attributes at'
row rec:$plain 20 fe03 1 'attributes at'
row rec:$plain 20 0000 1 'attributes at'
row rec:$plain 22 0000 1 'not in use'
row rec:$plain 22 0300 1 'no directory'
row rec:$plain 24 ffffffff 1 'bytes used'
row rec:$plain 24 00000000 1 'bytes used'
row rec:$plain 28 00080000 1 'says it has'
row rec:$plain 32 0500000000000100 1 'extends another'
row rec:$plain 44 01000000 1 'says it is'
# attribute headers
row rec:$plain:10 4 00000000 1 'is bad'
row rec:$plain:10 4 ffffffff 1 'is bad'
row rec:$plain:10 4 08000000 1 'is bad'
row rec:$plain:10 8 02 1 'is bad'
row rec:$plain:10 16 ffffffff 1 'is bad'
row rec:$plain:10 20 ffff 1 'is bad'
row rec:$plain:10 16 10000000 1 'standard information'
row rec:$plain:80 9 ff 1 'is bad'
row rec:$plain:80 10 fffe 0 ''
row rec:$plain:80 12 0200 1 'unknown method'
row rec:$plain:80 12 0140 1 ''
row rec:$plain:80 24 ff00000000000000 1 'runs'
row rec:$plain:80 32 0000 1 'is bad'
row rec:$plain:80 32 ffff 1 'is bad'
row rec:$plain:80 48 ffffffffffffffff 1 'size'
row rec:$plain:80 48 ffffff0000000000 1 'bytes in'
row rec:$plain:80 56 0500000000000000 1 ''
row rec:$plain:80 64 ff 1 'runs'
row rec:$plain:80 64 00 1 'runs'
row rec:$plain:80 64 11ff 1 'runs'
row rec:$plain:80 64 417fffffffff 1 'outside|runs'
row rec:$plain:80 64 8101112233445566 1 'outside|runs'
row rec:$lz:80 34 ff 1 'unknown method'
row rec:$lz:80 34 01 1 ''
row rec:$lz:80 12 0000 1 ''
row rec:$res:80 16 ffffff00 2 'is bad'
row rec:$res:80 20 ffff 2 'is bad'
# attribute lists
row list:$linked:0 4 0000 40 'attribute list is bad'
row list:$linked:0 4 ffff 40 'attribute list is bad'
row list:$linked:0 24 7700 40 'not there'
row list:$linked:0 16 ffffffff00000000 40 'missing|is not'
row rec:$linked:20 16 ffffff00 40 ''
# directories
row rec:$small:90 24 90000000 2 'dir-damaged|no directory|root is bad|READDIR|is bad'
row rec:$dir:90 40 00000000 100 'index blocks of'
row indx:$dir:0 0 00 90 'dir-damaged.*magic'
row indx:$dir:0 6 0300 90 'dir-damaged.*update'
row indx:$dir:0 16 ff 90 'dir-damaged.*another'
row indx:$dir:0 24 ffffffff 90 'dir-damaged.*index entries'
row indx:$dir:0 28 ffffffff 90 'dir-damaged.*index entries'
row indx:$dir:0 72 0000 90 'dir-damaged.*is bad'
row indx:$dir:0 72 ffff 90 'dir-damaged.*is bad'
row indx:$dir:0 74 ffff 90 'dir-damaged.*is bad'
row indx:$dir:0 64 ffffffffffff 90 'dir-damaged.*reference|UNREADABLE'
row indx:$dir:0 144 ff 90 'dir-damaged.*name'
row indx:$dir:0 146 2f00 90 'name-bad'
row indx:$dir:0 146 0000 90 'name-bad'
row rec:$dir:b0 32 00 90 'dir-damaged.*not marked'
echo "$n rows"
