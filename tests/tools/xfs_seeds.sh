#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# xfs_seeds.sh SEEDS DUMPS: makes the tiny XFS images of fuzz/corpus/xfs, and what the kernel (version 5) or the folder
# they were made from (version 4) says that is in them. Run by hand when the set shall change; needs root and python3.
set -eu
seeds=$(realpath "$1"); dumps=$(realpath "$2"); here=$(dirname "$(realpath "$0")"); export PATH="$here:$PATH"
export TEST_DIR=. TEST_DEV=. QA_CHECK_FS=1 LC_ALL=C TZ=UTC # lets mkfs.xfs make file systems below 300 MB
w=$(mktemp -d); trap 'umount "$w/m" 2>/dev/null || true; rm -rf "$w"' EXIT; cd "$w"; mkdir m

# pack NAME: without inodes that are not in use (nobody reads them, and they are most of a tiny image), and with the log
# as mkfs made it
pack() {
	python3 - "$1.img" "$1.mkfs" <<'PY'
import struct, sys
b = bytearray(open(sys.argv[1], "rb").read())
size = struct.unpack_from(">H", b, 104)[0]
bs, agblocks, log, = struct.unpack_from(">I", b, 4)[0], struct.unpack_from(">I", b, 84)[0], struct.unpack_from(">I", b, 96)[0]
start, aglog = struct.unpack_from(">Q", b, 48)[0], b[124]
at = ((start >> aglog) * agblocks + (start & (1 << aglog) - 1)) * bs
b[at:at + log * bs] = bytes(log * bs)
with open(sys.argv[2], "rb") as f:
    f.seek(at)
    b[at:at + 1024] = f.read(1024)
for at in range(0, len(b), size):
    if b[at:at + 4] == b"IN\0\0":
        b[at:at + size] = bytes(size)
open(sys.argv[1], "wb").write(b)
PY
	simg.py pack "$1.img" "$seeds/$1.simg" --skip-data
}
v5() { # NAME OPTIONS: fill m between v5 and done5
	name=$1; shift; truncate -s 34M "$name.img"; mkfs.xfs -q -L "$name" "$@" "$name.img"; cp --sparse=always "$name.img" "$name.mkfs"; mount -o loop "$name.img" m
}
done5() {
	find m -exec touch -h -d @1700000000.5 {} +
	treedump.py m --xattrs | grep -v ' trusted\.SGI_ACL_' >"$dumps/$name.dump"; umount m; pack "$name"
}
names() { local i; for i in $(seq "$2"); do ln m/one "m/$1/$(printf '%0*d' "$3" "$i")"; done; }

# directories of each form, symlinks, devices
v5 dirs -b size=1024 -i size=512 -d agcount=1 -m rmapbt=0,reflink=0
: >m/one; mkdir m/empty m/short m/block m/leaf m/node; names short 3 5; names block 12 20; names leaf 70 60; names node 600 9
ln -s short/00001 m/link; ln -s "$(printf 'x%.0s' {1..400})" m/far; ln -s "$(printf 'y%.0s' {1..1010})" m/farther
mkfifo m/fifo; mknod m/null c 1 3; mknod m/disk b 259 70000; done5
# directory blocks of more than one block, several groups
v5 bigdir -b size=1024 -n size=4096 -d agcount=2 -i sparse=1 -m rmapbt=1,reflink=1
: >m/one; mkdir m/many m/other; names many 90 60; echo content >m/other/file; done5
# attributes of each form
v5 attrs -b size=1024 -i nrext64=1 -d agcount=1 -m rmapbt=0
python3 - <<'PY'
import os, struct
def x(p, *l):
    open("m/" + p, "ab").close()
    for n, v in l: os.setxattr("m/" + p, n, v)
U = 2**32 - 1
x("short", ("user.a", b"1"), ("trusted.b", b""), ("security.c", b"333"))
x("leaf", *[("user.k%d" % i, b"v" * 40) for i in range(10)])
x("node", *[("user.name-%d" % i, b"%d" % i * 50) for i in range(40)])
x("remote", ("user.r", b"r" * 2500), ("user.exact", b"e" * 968))
x("acl", ("system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in
  ((1, 6, U), (2, 7, 1000), (4, 4, U), (8, 5, 50), (16, 7, U), (32, 0, U)))))
PY
done5
# extents: in the inode, in a tree, not written, shared, holes
v5 data -b size=1024 -d agcount=2 -m reflink=1,rmapbt=0
python3 - <<'PY'
import os
def f(name, offs, block=1024, zero=False):
    with open("m/" + name, "wb") as o:
        for i, at in enumerate(offs):
            o.seek(at)
            o.write(bytes([0 if zero else 65 + i % 26]) * block)
f("inline", [0, 8192, 100000])
f("tree", [i * 4096 for i in range(160)], zero=True)
f("tail", [0], 1500)
open("m/hole", "wb").truncate(1 << 26)
fd = os.open("m/prealloc", os.O_CREAT | os.O_RDWR); os.posix_fallocate(fd, 0, 65536); os.pwrite(fd, b"B" * 1024, 20480)
PY
sync -f m; cp --reflink=always m/inline m/shared; done5

# log-v4 is not made here, since it needs a kernel that mounts version 4: Linux 6.1 in a guest, as tests/tools/udfvm has it,
# did much the same as below on "mkfs.xfs -m crc=0 -b size=512 -l version=1 -n ftype=0 -i size=256 -d agcount=1" of 20 MiB, shut it down
# (XFS_IOC_GOINGDOWN, with the log), recovered a copy and listed that.

# fresh_log IMAGE: what a mount writes ahead of the log's head (headers of the cycle before, 2 MiB of them) as it was:
# zeros, of that same cycle
fresh_log() {
	python3 - "$1" <<'PY'
import sys
f = open(sys.argv[1], "r+b")
b = f.read()
g = lambda at, n: int.from_bytes(b[at:at + n], "big")
at = ((g(48, 8) >> b[124]) * g(84, 4) + (g(48, 8) & (1 << b[124]) - 1)) * g(4, 4)
for o in range(at, at + g(96, 4) * g(4, 4), 512):
    if b[o:o + 8] == b"\xfe\xed\xba\xbe\0\0\0\0":
        f.seek(o)
        f.write(bytes(512))
PY
}

# a dirty log: changes of all kinds over what was there; the kernel recovers a copy
name=log; truncate -s 34M log.img; mkfs.xfs -q -L log -b size=1024 -i nrext64=1 -d agcount=1 -m rmapbt=0,reflink=0 log.img; mount -o loop log.img m
python3 - <<'PY'
import os
for d in ("short", "block", "gone"):
    os.mkdir("m/" + d)
for i in range(70):
    open("m/gone/%060d" % i, "w").close()
for n in ("one", "two", "cut", "attrs", "old"):
    open("m/" + n, "w").write(n * 20)
os.symlink("s" * 300, "m/far")
PY
umount m; mount -o loop log.img m
python3 - <<'PY'
import os
for i in range(4):
    open("m/short/%d" % i, "w").close()
for i in range(12):
    os.link("m/one", "m/block/%020d" % i)
for i in range(50):
    os.mkdir("m/new%02d" % i)
for i in range(70):
    os.unlink("m/gone/%060d" % i)
os.rmdir("m/gone")
os.symlink("t" * 500, "m/farther")
os.symlink("near", "m/near")
os.unlink("m/far")
os.mknod("m/disk", 0o60640, os.makedev(8, 17))
os.truncate("m/cut", 7)
os.rename("m/old", "m/short/renamed")
os.chmod("m/two", 0o4711)
os.chown("m/two", 70000, 5)
for i in range(12):
    os.setxattr("m/attrs", "user.name%d" % i, b"v" * 90)
os.setxattr("m/two", "user.remote", b"r" * 2500)
os.setxattr("m/near", "trusted.n", b"n", follow_symlinks=False)
with open("m/tree", "wb") as f:
    for i in range(60):
        f.seek(i * 4096)
        f.write(bytes(1024))
PY
find m -exec touch -h -d @1700000001.5 {} +; sync -f m; cp --sparse=always log.img dirty; umount m; fresh_log dirty
cp --sparse=always dirty rec; mount -o loop rec m; umount m; mount -o loop,ro,norecovery rec m
treedump.py m --xattrs | grep -v ' trusted\.SGI_ACL_' >"$dumps/log.dump"; umount m; simg.py pack dirty "$seeds/log.simg"

# version 4: 512-byte blocks; and 8-byte inode numbers cannot be had this small
mkdir src src/short src/block src/leaf src/node; : >src/one
for i in $(seq 3); do : >src/short/$i; done
for i in $(seq 70); do : >"src/leaf/$(printf '%060d' "$i")"; done
ln -s short/1 src/link; ln -s "$(printf 'z%.0s' {1..900})" src/far; mknod src/null c 1 3; printf 'A%.0s' {1..3000} >src/data
find src -exec touch -h -d @1700000000 {} +
for o in "v4-ftype0 -b size=512 -n ftype=0" "v4-ftype1 -b size=2048 -n ftype=1 -i size=256"; do
	set -- $o; name=$1; shift; truncate -s 20M "$name.img"
	xfs_proto.py src >proto; mkfs.xfs -q -m crc=0 -d agcount=1 -p proto "$@" "$name.img" 2>/dev/null; cp "$name.img" "$name.mkfs"
	{ i=$(xfs_db -r -c 'path /short/1' -c inode "$name.img" | awk '/inode number/ {print $NF}'); echo "inode $i"; echo "attr_set -r -v 3 root"
	  i=$(xfs_db -r -c 'path /short/2' -c inode "$name.img" | awk '/inode number/ {print $NF}'); echo "inode $i"
	  for n in $(seq 60); do echo "attr_set -u -v 9 user-$n"; done; echo "attr_set -u -v 3000 big"; } | xfs_db -x "$name.img" >/dev/null
	treedump.py src >"$dumps/$name.dump"; pack "$name"
done
