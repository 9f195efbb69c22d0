#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ls and cat against the kernel's own mount of the same volumes; the merged
# view; symlinks; exit codes.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/cli/files.inc"
make_library

loop_mount root.img r; loop_mount home.img h
treedump.py r | grep -v ' /$' > want
strata ls -R --json m:p2:/ | lsdump.py > have; same_tree want have
treedump.py r/odd | grep -v ' /$' > want
strata ls -R --json m:/odd | lsdump.py > have; same_tree want have
[ "$(strata ls --json m:p2:/odd | lsdump.py | wc -l)" = "$(find r/odd -mindepth 1 -maxdepth 1 -printf x | wc -c)" ] || fail "one level"
(cd r/odd; find . -mindepth 1 -printf '%P\0') | sort -z > want.z
strata ls -R -z m:/odd | sort -z | cmp - want.z || fail "names with -z"

# the merged view: mounts in place of their points, one that nobody made a folder for
treedump.py h | grep -v ' /$' > want
strata ls -R --json m:/home | lsdump.py > have; same_tree want have
[ "$(strata cat m:/home/user/greeting)" = hello ] || fail "/home is not mounted"
[ "$(strata cat m:p2:/home/hidden-by-mount)" = hidden ] || fail "by volume"
[ "$(strata cat m:/boot/efi/efi/boot/bootx64.efi)" = boot ] || fail "ESP, without regard to case"
[ "$(strata cat m:p1:/EFI/BOOT/BOOTX64.EFI)" = boot ] || fail "ESP by volume"
strata ls m:/srv > out; [ "$(cat out)" = "bound here" ] || fail "bind mount: $(cat out)"
[ "$(strata cat 'm:/srv/bound here/b/c/file')" = below ] || fail "bind mount's content"
[ "$(strata cat m#0:/home/../home/./user//greeting)" = hello ] || fail "dots"
strata ls -R m:/ | grep -qx home/user/greeting || fail "walking over mounts"
strata ls -R m:/ | grep -q hidden-by-mount && fail "what a mount hides is listed"

# symlinks, never the host's
[ "$(strata cat m:/etc/os-release | head -1)" = ID=test ] || fail "relative symlink"
[ "$(strata cat m:/up | head -1)" = ID=test ] || fail "a symlink to above the root"
[ "$(strata cat m:/link-to-a/b/c/file m:/bin/tool)" = "$(printf 'below\ntool')" ] || fail "symlinks on the way"
[ "$(strata cat m:/link-to-a/../a/b/c/../c/file)" = below ] || fail ".. is of the folder, not of the text"
[ "$(strata ls m:/bin)" = tool ] || fail "ls follows"
[ "$(strata ls -l m:/bin | grep -c -- '-> usr/bin$')" = 1 ] || fail "ls -l does not"
[ "$(strata ls -l m:/bin/ | grep -c tool)" = 1 ] || fail "ls -l with a slash does"
expect_rc 4 strata cat m:/loop1 2>err; grep -q 'too many levels of symbolic links' err || fail "loop: $(cat err)"
expect_rc 3 strata cat m:/dangling 2>err
expect_rc 3 strata cat m:/etc/nope 2>err; grep -q 'm:/etc/nope: no such file' err || fail "$(cat err)"
expect_rc 3 strata cat m:/etc/fstab/x 2>err
expect_rc 3 strata cat m:/etc/fstab/ 2>err
expect_rc 3 strata ls m:p9:/ 2>err; expect_rc 3 strata ls nope:/ 2>err; expect_rc 3 strata ls 'm#1:/' 2>err
expect_rc 2 strata cat m 2>err; expect_rc 2 strata cat m:/etc 2>err; expect_rc 2 strata ls 2>err

# content, binary safe, several at once
find r/odd -type f -size -200k -print0 | sort -z | head -z -n 40 | while read -r -d '' f; do
	strata cat "m:/${f#r/}" | cmp - "$f" || fail "content of $f"
done
# a mode, sizes and columns that people read
strata ls -l m:/etc | grep -Eq '^-rw-r--r--  +1 +0 +0 +[0-9]+ 20[0-9-]+ [0-9:]+ fstab$' || fail "ls -l: $(strata ls -l m:/etc)"
# sizes for people, as ls rounds them: up
mkdir sizes; for n in 0 1 1023 1024 1025 1126 1127 10137 10138 10240 10241 1047552 1047553 1048576 1153331 1153434 1153435 10485760 104857599 1072693249 1073741823 5368709121 1098437885953 $(shuf -i 1-9000000000 -n 40 --random-source=<(seq 99999)); do truncate -s "$n" "sizes/$n"; done
truncate -s 16M sizes.img; mke2fs -q -F -t ext4 -d sizes sizes.img
LC_ALL=C ls -lh sizes | awk 'NR > 1 { print $NF, $5 }' | sort > want
strata ls -lh sizes.img:/ | awk '$NF != "lost+found" { print $NF, $5 }' | sort > have; cmp want have || fail "$(diff want have)"
