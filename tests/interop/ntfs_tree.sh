#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 20,000 files of all kinds on NTFS: odd names, deep, large directories, sparse, huge, special files, thousands of hard
# links, compressed files, files and an MFT in many pieces: every path as ntfs-3g shows it, and its free space.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/tools/ntfs_lib.sh"
make_ntfs a.img 260M -L "Täst vol"
ntfs_mount a.img m compression
mkdir m/packed m/l
setfattr -h -n system.ntfs_attrib_be -v 0x00000810 m/packed
python3 "$tree" fill m/all 20000 2>fill.err || { cat fill.err; fail "fill"; }
python3 "$tree" packed m/packed
python3 "$tree" links m/l 3000
free=$(stat -f -c '%f*%S' m)
ntfs_umount m
ntfs_want a.img want --streams
[ "$(grep -c . want)" -gt 20000 ] || fail "the fixture is too small"
ntfs_same a.img want
grep -q '^# ntfs uuid [0-9A-F]\{16\} label T\\*ä*' got || grep -q '^# ntfs uuid' got || fail "no header"
[ "$(blkid -o value -s UUID a.img)" = "$(sed -n 's/^# ntfs uuid \([0-9A-F]*\).*/\1/p' got)" ] || fail "UUID"
# ntfs-3g counts the last, partial byte of its bitmap alike
have=$(sed -n 's/^# free //p' got); want=$((free))
[ "$have" -eq "$want" ] || fail "free space $have, ntfs-3g says $want"
# sizes that the fixture must have reached: compressed files, lists
ntfsinfo -F packed/p7 a.img | grep -qi compress || fail "nothing was compressed"
ntfsinfo -F l/first a.img | grep -q ATTRIBUTE_LIST || fail "no attribute list"
