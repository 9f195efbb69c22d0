# SPDX-License-Identifier: Apache-2.0
# strata mount against the kernel's own mount of the same disk: every name,
# mode, owner, time, link, device, extended attribute and byte; disks as files;
# the whole library; what goes away while it is mounted.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/serve.inc"
need_root; need mke2fs sfdisk qemu-img python3 setfattr rsync fusermount3 debugfs
[ -w /dev/fuse ] || skip "no /dev/fuse"
export STRATA_LIBRARY=$PWD/lib
show() { mkdir -p "${@: -1}"; strata mount "$@"; cleanup_mounts+=("${@: -1}"); }
mkdir tree && python3 - <<'PY'
import os
os.chdir("tree")
for i in range(3000):
    open("many-%04d" % i, "w").close() if i else os.mkdir("many")
for i in range(2500):
    with open("many/name with %d \udc80 bytes" % i if i % 7 == 0 else "many/%d" % i, "wb") as f:
        f.write(b"x" * (i * 3))
os.mkfifo("fifo")
os.mknod("null", 0o20666, os.makedev(1, 3)); os.mknod("blk", 0o60640, os.makedev(259, 70000))
os.symlink("/etc/passwd", "abs"); os.symlink("many/../many/5", "rel"); os.symlink("nowhere" * 100, "dangling")
for i in range(5):
    os.link("many/12", "hard%d" % i)
os.makedirs("a/" + "/".join("d%d" % i for i in range(60)))
open("a/secret", "w").write("no"); os.chmod("a/secret", 0o000); os.chown("a/secret", 12345, 54321)
open("a/suid", "w").write("s"); os.chmod("a/suid", 0o6755)
os.utime("a/suid", ns=(0, 1234567890123456789)); os.utime("a", ns=(0, -5 * 10**9))
os.setxattr("a/suid", "user.note", b"a\0b" * 50); os.setxattr("a/suid", "user.empty", b"")
os.setxattr("many", "trusted.t", b"deep"); os.setxattr("a/secret", "security.x", b"y" * 1500)
with open("big", "wb") as f:
    f.write(os.urandom(3 << 20)); f.seek(20 << 20); f.write(os.urandom(5 << 20))
PY
truncate -s 120M fs; mke2fs -q -F -t ext4 -O ea_inode fs
mkdir w; mount -o loop fs w; cp -a tree/. w/; umount w
truncate -s 140M disk.raw; printf 'label: gpt\n2048,,L\n' | sfdisk -q disk.raw 2>/dev/null
dd if=fs of=disk.raw bs=1M seek=1 conv=notrunc,sparse 2>/dev/null
strata -q init lib; strata -q import disk.raw -b team/web

# files as the kernel shows them
loop_mount fs k
show team/web m
for d in k m; do treedump.py $d --xattrs | grep -v 'x .* system.data' > $d.dump; done
[ "$(wc -l < k.dump)" -gt 5500 ] || fail "the oracle is empty"
same_tree k.dump m.dump
diff -r --no-dereference k/many m/many
rsync -aHAXn --checksum --delete --itemize-changes k/ m/ > rsync.out 2>/dev/null || true
! grep -q '^[<>ch*]' rsync.out || { head rsync.out; fail "rsync sees differences"; }
mkdir copy; cp -a m/. copy/; cp -a k/. copy2/ 2>/dev/null || { mkdir copy2; cp -a k/. copy2/; }
for d in copy copy2; do treedump.py $d --xattrs > $d.dump; done; same_tree copy2.dump copy.dump
[ "$(tar -C m -cf - . | tar -tf - | wc -l)" = "$(tar -C k -cf - . | tar -tf - | wc -l)" ] || fail "tar"
[ "$(cd m && grep -rl xxx many | wc -l)" = "$(cd k && grep -rl xxx many | wc -l)" ] || fail "grep -r"

# numbers: names of one file share theirs, others do not; the same each time
[ "$(stat -c %i m/hard0)" = "$(stat -c %i m/many/12)" ] || fail "hard links have other numbers"
find m -printf '%i %p\n' | sort > i1
[ "$(find m -type f -links 1 -printf '%i\n' | sort | uniq -d | wc -l)" = 0 ] || fail "two files have one number"
ls -a m/many | head -1 >/dev/null
(cd m/many && [ "$(ls -f | wc -l)" = 2502 ])
mount | grep " $PWD/m " | grep -q 'ro,nosuid,nodev' || fail "mount options"
! cat m/null 2>/dev/null || fail "a device can be opened"
! touch m/x 2>/dev/null && ! rm m/big 2>/dev/null || fail "it can be written"

# many readers at once
for i in 1 2 3 4; do (cd m && tar -cf - .) | sha256sum > sum$i & (cd m && find . -printf '%i %p\n' | sort) > /dev/null & done; wait
for i in 2 3 4; do cmp sum1 sum$i; done
strata umount m
show team/web m; find m -printf '%i %p\n' | sort | cmp - i1
strata umount m

# one volume; disks as files
show team/web:p1:/ m; cmp m/big tree/big; strata umount m
show team/web --disk d
cmp d/disk0.raw disk.raw
qemu-img check -q -f qcow2 d/disk0.qcow2
qemu-img compare -q -f qcow2 -F raw d/disk0.qcow2 disk.raw
cp d/disk0.qcow2 copy.qcow2; qemu-img check -q copy.qcow2; qemu-img compare -q -f qcow2 -F raw copy.qcow2 disk.raw
[ "$(qemu-img info --output=json d/disk0.qcow2 | python3 -c 'import json,sys; print(json.load(sys.stdin)["virtual-size"])')" = $((140 << 20)) ] || fail "size"
qemu-img map --output=json -f qcow2 d/disk0.qcow2 | python3 -c '
import json, sys
have = sum(x["length"] for x in json.load(sys.stdin) if x["data"])
assert have < 100 << 20, have'
strata umount d

# the whole library
dd if=/dev/urandom of=disk.raw bs=4096 seek=30000 count=1 conv=notrunc 2>/dev/null
strata -q import disk.raw -b team/web -m second
strata -q tag v1 team/web~1; strata -q branch other team/web
show --all all
[ "$(ls all)" = "$(printf 'branch\ncommit\ntag')" ] || fail "top"
[ "$(ls all/branch)" = "$(printf 'other\nteam')" ] && [ "$(ls all/branch/team)" = web ] && [ "$(ls all/tag)" = v1 ] || fail "refs"
[ "$(ls all/commit | wc -l)" = 2 ] || fail "commits"
cmp all/branch/team/web/big tree/big; cmp all/tag/v1/big tree/big
ls all/branch/team/web/.versions > versions
[ "$(wc -l < versions)" = 2 ] && grep -qE '^0001-[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{6}Z-[0-9a-f]{12}$' versions && grep -q '^0002-' versions ||
	{ cat versions; fail "versions"; }
for v in $(cat versions); do cmp "all/branch/team/web/.versions/$v/big" tree/big; done
! ls -a all/branch/team/web | grep -q '^\.versions$' || fail ".versions is listed"
id=$(tail -1 versions); cmp "all/commit/${id##*-}/big" tree/big
for bad in all/branch/nope all/commit/0000 all/branch/team/we all/tag/team 'all/branch/..lock' all/x; do ! ls "$bad" 2>/dev/null || fail "$bad is there"; done
# a branch goes away and another comes while they are shown
(cd all/branch/other; strata -q branch -d other; cmp big "$T/tree/big"; sleep 1.2; ls many | wc -l | grep -qx 2500)
[ "$(ls all/branch)" = team ] || fail "a deleted branch is shown"
strata -q branch fresh team/web~1; [ -e all/branch/fresh/big ] || fail "a new branch is not shown"
(cd all/tag; expect_rc 5 strata umount "$T/all" 2>/dev/null)
strata umount all

# damage is EIO, never other bytes
damaged bad
if STRATA_LIBRARY=bad show team/web m 2>err; then
	python3 - <<'PY'
import errno, os
bad = 0
want = open("tree/big", "rb").read()
try:
    fd = os.open("m/big", os.O_RDONLY)
    for off in range(0, len(want), 4096):
        try:
            assert os.pread(fd, 4096, off) == want[off:off + 4096], "wrong bytes"
        except OSError as x:
            assert x.errno == errno.EIO
            bad += 1
except OSError as x:
    assert x.errno == errno.EIO
    bad += 1
assert bad
PY
	strata umount m
fi

# killed: the folder says so, and can be mounted again
strata mount -f team/web m & pid=$!
for i in $(seq 100); do [ -e m/big ] && break; sleep 0.05; done
kill -9 $pid; wait $pid 2>/dev/null || true
! ls m 2>/dev/null || fail "the server is still there"
strata mount team/web m; cmp m/big tree/big; strata umount m
# in the foreground
strata mount -f team/web m & pid=$!
for i in $(seq 100); do [ -e m/big ] && break; sleep 0.05; done
cmp m/big tree/big; kill -TERM $pid; wait $pid || fail "exit $?"
[ -z "$(ls m)" ] || fail "it is still mounted"

# what is refused
touch m/x; expect_rc 5 strata mount team/web m 2>err; grep -q "not empty" err; rm m/x
expect_rc 3 strata mount team/web nowhere 2>/dev/null
expect_rc 2 strata mount team/web disk.raw 2>/dev/null
expect_rc 3 strata mount nope m 2>/dev/null
expect_rc 2 strata mount team/web:/many m 2>/dev/null
expect_rc 2 strata umount m 2>err; grep -q "no mount of strata" err
expect_rc 2 strata umount k 2>/dev/null
