#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# show (of commits and of files, against stat and getfattr) and reflog.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/cli/files.inc"
need jq setfattr
make_disk --files 50 --links 10
rw_mount root.img rw
echo data > rw/file; chown 12:34 rw/file; chmod 4751 rw/file; touch -d '2001-02-03 04:05:06.789 UTC' rw/file
setfattr -n user.text -v 'some text' rw/file; setfattr -n user.bin -v 0x00ff10 rw/file; setfattr -n user.long -v "$(head -c 900 /dev/zero | tr '\0' x)" rw/file
mknod rw/dev b 8 3; umount rw
dd if=root.img of=disk.raw bs=1M seek=35 conv=notrunc status=none
export STRATA_LIBRARY=$T/lib
strata init lib 2>/dev/null
strata -q import disk.raw -b m -m 'First line

More of it' --annotate ticket=42 --annotate 'we"ird=a=b' --sha256

strata show m:/file --json > j
jq -e --arg sha "$(echo data | sha256sum | cut -d' ' -f1)" '.schema == "strata/show/1" and .path == "/file" and .volume == "p2"
	and .volume_path == "/file" and .type == "file" and .mode == "4751" and .uid == 12 and .gid == 34 and .size == 5
	and .mtime == "2001-02-03T04:05:06.789000000Z" and .sha256 == $sha and .target == null and .rdev == null and .nlink == 1
	and .readable and (.xattrs | map({(.name): .}) | add | .["user.text"].value == "some text"
		and .["user.bin"].value.bytes == "AP8Q" and .["user.long"].size == 900 and (.["user.long"].value | length) == 900)' j >/dev/null || fail "$(cat j)"
strata show m:/file > text
for want in 'path:   /file' 'mode:   4751 -rwsr-x--x' 'owner:  12:34' 'xattr:  user.text="some text"' 'xattr:  user.bin=0x00ff10' 'size:   5'; do
	grep -qxF "$want" text || fail "no '$want' in: $(cat text)"
done
[ "$(strata show m:/dev --json | jq -r '.type + .rdev')" = block8:3 ] || fail device
[ "$(strata show m:/etc/os-release --json | jq -r '.type + .target')" = symlink../usr/lib/os-release ] || fail "show follows"
[ "$(strata show m:/home/user/greeting --json | jq -r '.volume + .volume_path + .path')" = p3/user/greeting/home/user/greeting ] || fail "where in its volume"
[ "$(strata show m:/boot/efi --json | jq -r '.volume + .volume_path')" = p1/ ] || fail "a mount's root"
[ "$(strata show m: --json | jq -r '.path + .type')" = /directory ] || fail "root"
[ "$(strata show m --json | jq -r '.disks[0].volumes[1].tree')" = "$(strata show m:/ --json | jq -r .tree)" ] || fail "tree of the root"

strata show m --json > j
jq -e --arg sum "$(sha256sum disk.raw | cut -d' ' -f1)" '.schema == "strata/show/1" and .message == "First line\n\nMore of it" and .parents == [] and .annotations == {"ticket": "42", "we\"ird": "a=b"}
	and .disks[0].sha256 == $sum and .disks[0].partitions == "gpt" and (.disks[0].volumes | map(.name)) == ["p1", "p2", "p3"]
	and .disks[0].volumes[1].label == "rootfs" and .disks[0].volumes[2].uuid == "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"' j >/dev/null || fail "$(cat j)"
strata show m > text; grep -qx 'Note:   ticket=42' text && grep -qx '    More of it' text && grep -q 'p2 .*ext4 .*label rootfs' text || fail "$(cat text)"
expect_rc 3 strata show m:/nope 2>err; expect_rc 3 strata show nope 2>err; expect_rc 2 strata show 2>err

printf x | dd of=disk.raw bs=1 seek=600000 conv=notrunc status=none; strata -q import disk.raw -b m
strata reflog m > text; [ "$(wc -l < text)" = 2 ] && grep -q "m@{1} .*: import" text || fail "$(cat text)"
strata reflog --json > j
jq -e --arg tip "$(strata log m --json -n 1 | jq -r '.commits[0].id')" '.schema == "strata/reflog/1" and (.entries | length) == 2 and .entries[0].new == $tip
	and .entries[0].index == 0 and .entries[1].old == null and .entries[0].old == .entries[1].new and .entries[0].author == "Test <test@example.org>"' j >/dev/null || fail "$(cat j)"
[ "$(strata log --json -n 1 'm@{1}' | jq -r '.commits[0].message' | head -1)" = "First line" ] || fail "m@{1}"
expect_rc 3 strata reflog nope 2>err

# Names of commits: on a terminal or when asked for, as in git.
strata tag v9 m
for c in "log -n 1" "log --oneline -n 1" show; do
	! strata $c m | grep -q 'tag: v9' || fail "$c: names in a pipe"
	strata $c --decorate m | head -1 | grep -qF '(m, tag: v9)' || fail "$c --decorate: $(strata $c --decorate m | head -1)"
	script -qec "strata --no-pager --color never $c m" /dev/null | head -1 | grep -qF '(m, tag: v9)' || fail "$c on a terminal"
	! script -qec "strata --no-pager $c --no-decorate m" /dev/null | grep -q 'tag: v9' || fail "$c --no-decorate"
done
