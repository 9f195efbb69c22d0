#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# UDF with a folder of 20,000 files, 3,333 hard links, folders 60 deep, a file of 5 GiB of holes, and all that mkudf.py
# knows: what is read is what was written, and what GRUB reads of some.
[ ! -w /dev/shm ] || export TMPDIR=${TMPDIR:-/dev/shm}
. "$(dirname "$0")/../lib.sh"
need grub-mount python3
need_root
mkudf.py g many=20000 || fail "mkudf.py"
fsdump --free g >g.dump 2>err || fail "$(cat err)"
[ ! -s err ] || fail "findings: $(cat err)"
same_tree g.txt g.dump
[ "$(grep -vc '^#' g.dump)" -ge 23500 ] || fail "too few"
# GRUB looks through the whole folder for each
mkdir grub; grub-mount "$PWD/g" grub 2>grub.err || fail "grub-mount: $(cat grub.err)"
cleanup_mounts+=("$T/grub")
for f in "many/file 0" "many/datei-ä-1" "many/ファイル 10002" "many/file 19996" links/0 links/3332 "deep$(printf '/%s' {0..58})/bottom"; do
	sum=$(sha256sum <"grub/$f" | cut -d' ' -f1) || fail "GRUB cannot read $f"
	name=$(python3 -c 'import os, sys; print("".join(chr(c) if 0x20 < c < 0x7f and c != 0x5c else "\\x%02x" % c for c in os.fsencode(sys.argv[1])))' "$f")
	grep -qF " $sum /$name" g.txt || fail "GRUB reads $f otherwise"
done
umount grub
echo "$(wc -l <g.txt) entries"
