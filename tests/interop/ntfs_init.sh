#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The initialized size, which only Windows makes differ from the size: what lies behind it reads as zeros, in plain and in
# compressed files. And the flag of encrypted files, whose bytes are read as they are.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/tools/ntfs_lib.sh"
make_ntfs a.img 8M
ntfs_mount a.img m compression
mkdir m/packed; setfattr -h -n system.ntfs_attrib_be -v 0x00000810 m/packed
head -c 40000 /dev/urandom >m/plain-init; head -c 40000 /dev/urandom >m/plain-none; seq 60000 >m/packed/text-init
head -c 200000 /dev/urandom >m/packed/full-init; head -c 30000 /dev/urandom >m/encrypted-file
sum=$(sha256sum <m/encrypted-file | cut -d' ' -f1)
ntfs_umount m
init() { ntfsedit.py set a.img "rec:$(ntfsedit.py find a.img "$1"):80" 56 "$2"; }
init plain-init 8913000000000000; init plain-none 0000000000000000
init text-init 0120010000000000; init full-init 0120010000000000
ntfs_want a.img want --streams
[ "$(grep -c "$(head -c 40000 /dev/zero | sha256sum | cut -d' ' -f1)" want)" = 1 ] || fail "ntfs-3g read what is not initialized"
ntfs_same a.img want
ntfsedit.py set a.img "rec:$(ntfsedit.py find a.img encrypted-file):80" 12 0040
fsdump a.img >got 2>got.err
grep -q "$sum /encrypted-file" got || fail "the encrypted bytes changed"
grep -q 'FINDING: file-encrypted' got.err || fail "no finding"
