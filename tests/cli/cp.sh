#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cp against the kernel's mount: content, metadata, attributes, hard links,
# devices; nothing outside DEST; what is there already.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/cli/files.inc"
make_library
loop_mount root.img r
# attributes depend on the host's file system: ext4 has all of them
truncate -s 400M host.img; mkfs.ext4 -q -I 512 host.img; rw_mount host.img out

strata cp m:p2:/odd out/copy
treedump.py r/odd --xattrs > want; treedump.py out/copy --xattrs > have; same_tree want have
# names of one file are one file on the host too
(cd r/odd; find . -type f -links +1 -printf '%i %P\0') > links.r
(cd out/copy; find . -type f -links +1 -printf '%i %P\0') > links.o
python3 - <<'END'
def groups(f):
    g = {}
    for l in open(f, "rb").read().split(b"\0")[:-1]:
        i, n = l.split(b" ", 1)
        g.setdefault(i, set()).add(n)
    return sorted(map(sorted, g.values()))
a, b = groups("links.r"), groups("links.o")
assert a == b and sum(map(len, a)) > 10, (len(a), len(b))
END
# zeros are holes
[ "$(du -s --block-size=1K out/copy | cut -f1)" -le "$(($(du -s --block-size=1K r/odd | cut -f1) + 4096))" ] || fail "not sparse"
rm -rf out/copy

# where it goes, as cp has it
strata cp m:/etc/fstab out/; cmp out/fstab r/etc/fstab
strata cp m:/etc/fstab out/renamed; cmp out/renamed r/etc/fstab
strata cp m:/deep out/; [ "$(cat out/deep/a/b/c/file)" = below ] || fail "into a folder"
strata cp m:/deep out/new; [ "$(cat out/new/a/b/c/file)" = below ] || fail "under a new name"
strata cp m:/deep/a/ out/; [ "$(cat out/a/b/c/file)" = below ] || fail "slash"
strata cp m:/etc/fstab m:/usr/bin/tool out/new; [ -f out/new/tool ] || fail "several"
mkdir out/root; strata -q cp m:p3:/ out/root; [ "$(cat out/root/user/greeting)" = hello ] || fail "a whole volume"
[ "$(stat -c %u:%g out/root/user/greeting)" = 1000:1000 ] || fail owner
strata cp m:/etc/os-release out/link; [ "$(readlink out/link)" = ../usr/lib/os-release ] || fail "symlink as it is"
strata cp -H m:/etc/os-release out/; [ "$(head -1 out/os-release)" = ID=test ] || fail "-H"
strata cp m:/etc/fstab - | cmp - r/etc/fstab
expect_rc 3 strata cp m:/etc/fstab m:/etc/fstab out/nowhere 2>err
expect_rc 3 strata cp m:/etc/fstab out/no/where 2>err
expect_rc 3 strata cp m:/nope out/ 2>err
expect_rc 2 strata cp m:/etc 2>err
expect_rc 5 strata cp m:/deep out/fstab 2>err; cmp out/fstab r/etc/fstab
mkdir out/tool; expect_rc 5 strata cp m:/usr/bin/tool out/ 2>err; grep -q 'a folder of that name' err || fail "$(cat err)"
# what is there is replaced, never written through
mkdir outside; echo precious > outside/file; rm -rf out/deep; mkdir out/deep; ln -s "$T/outside" out/deep/a
expect_rc 5 strata cp m:/deep out/ 2>err; [ "$(ls outside)" = file ] || fail "followed a symlink of the host"
ln -sf "$T/outside/file" out/fstab; strata cp m:/etc/fstab out/; [ "$(cat outside/file)" = precious ] && cmp out/fstab r/etc/fstab || fail "wrote through a symlink"
ln "$T/out/fstab" out/other; strata cp m:/usr/bin/tool out/other; cmp out/fstab r/etc/fstab || fail "wrote through a hard link"
# without metadata, and without root
(umask 022; strata cp --no-preserve m:/home/user out/plain); [ "$(stat -c '%a %u' out/plain/greeting)" = "644 0" ] || fail "--no-preserve"
if command -v setpriv >/dev/null; then
	chmod 755 "$T"; chmod -R a+rX lib; mkdir out/nobody; chown 65534 out/nobody
	rc=0; setpriv --reuid 65534 --clear-groups "$BUILD/strata" -q cp m:/odd m:/etc out/nobody 2>err || rc=$?
	[ -f out/nobody/etc/fstab ] && [ "$(stat -c %u out/nobody/etc/fstab)" = 65534 ] || fail "not root ($rc): $(cat err)"
	find r/odd -type b -o -type c | grep -q . && { [ $rc = 7 ] || fail "devices without root: $rc"; }
fi

# trees that no import makes: names that leave the folder, a name below a symlink
tree() { rm -rf bad; strata init bad 2>/dev/null; { printf 'commit\tc\t1\n'; cat; printf 'end\n'; } | mkcommit bad > made; strata -L bad branch b "$(cut -d' ' -f2 made)"; }
rm -rf out/x; mkdir out/x
for name in .. . %2e%2e%2fescaped /tmp/escaped a%00b 'a/../../escaped'; do
	printf 'file\t%s\tevil\n' "$name" | tree
	expect_rc 6 strata -L bad cp b:/ out/x 2>err
	expect_rc 6 strata -L bad ls b:/ >/dev/null 2>err; grep -q 'no folder can have' err || fail "$name: $(cat err)"
	[ -z "$(ls -A out/x)" ] || fail "$name: $(ls -A out/x)"
done
printf 'dir\t..\nfile\tescaped\tevil\nup\n' | tree; expect_rc 6 strata -L bad cp b:/ out/x 2>err
[ ! -e out/escaped ] || fail "a folder named .."
# hard links that claim to be one file and are not; symlinks with odd targets
printf 'hard\ta\tone\t7\nhard\tb\ttwo\t7\nhard\tc\tone\t7\nlink\tz\t\n' | tree
expect_rc 4 strata -L bad cp b:/ out/x 2>err
[ "$(cat out/x/a out/x/b out/x/c)" = onetwoone ] && [ out/x/a -ef out/x/c ] || fail "false hard links"
# names that are bytes
printf 'file\t%%0a%%ff%%1b[2J\tdata\n' | tree; rm -rf out/x/*
strata -L bad cp b:/ out/x; [ "$(cat out/x/$'\n\xff\e[2J')" = data ] || fail "a name of odd bytes"
strata -L bad ls --json b:/ | jq -e '.entries[0].path.bytes == "Cv8bWzJK"' >/dev/null || fail "JSON of odd bytes"
strata -L bad ls -z b:/ | cmp - <(printf '\n\xff\e[2J\0') || fail "-z"
