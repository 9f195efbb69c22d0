#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""xfs_tree.py DIR [FILES]: fills a mounted XFS with what its reader must know:
every form of directory, attribute fork, symlink and extent map, odd names, deep
paths, sparse and huge files, hard links, reflinks, devices, old and new times.
FILES (default 2000) is the number of small files."""
import fcntl, os, random, socket, stat, struct, sys

root = os.fsencode(sys.argv[1])
nfiles = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
rnd = random.Random(4)
J = os.path.join


def mk(*p):
    d = J(root, *p)
    os.makedirs(d, exist_ok=True)
    return d


def put(path, data=b""):
    with open(path, "wb") as f:
        f.write(data)


def soft(fn, *a, **k):  # what this file system or kernel may refuse
    try:
        fn(*a, **k)
    except OSError as e:
        print("refused:", fn.__name__, a[:1], e, file=sys.stderr)


# small files, odd owners, modes, times
for i in range(nfiles):
    d = mk(b"small", b"%03d" % (i // 200))
    p = J(d, b"f%d" % i)
    put(p, rnd.randbytes(rnd.choice((0, 1, 100, 511, 512, 4096, 5000))))
    os.chown(p, rnd.choice((0, 1000, 70000, 2**32 - 2)), rnd.choice((0, 100, 2**31)))
    os.chmod(p, rnd.randrange(0o10000))
    ns = rnd.choice((0, 1, 10**18 + 123456789, (2**31 - 1) * 10**9 + 999999999, -2**31 * 10**9, -1,
                     2**32 * 10**9 + 5))
    os.utime(p, ns=(ns, ns))
# names
d = mk(b"names")
for i in range(1, 256):
    if i != 0x2f:
        put(J(d, b"c" + bytes([i])), b"x")
for n in (1, 2, 3, 4, 7, 8, 9, 20, 100, 254, 255):
    put(J(d, b"n" * n), b"%d" % n)
put(J(d, "日本語 😀 é".encode()), b"utf8")
put(J(d, b"\xff\xfe bad utf8"), b"")
# directories: empty, short, block, leaf, node, emptied
mk(b"dirs", b"empty")
for count, length in ((1, 5), (3, 10), (20, 20), (60, 30), (300, 60), (3000, 12), (4000, 200)):
    d = mk(b"dirs", b"n%d" % count)
    for i in range(count):
        put(J(d, (b"%05d" % i).ljust(length, b"x")))
d = mk(b"dirs", b"holes")
for i in range(4000):
    put(J(d, b"%05d-%s" % (i, b"y" * 60)))
for i in range(4000):
    if i % 10 and not 3990 < i:
        os.unlink(J(d, b"%05d-%s" % (i, b"y" * 60)))
d = mk(b"dirs", b"emptied")
for i in range(2000):
    put(J(d, b"%05d-%s" % (i, b"y" * 30)))
for i in range(2000):
    os.unlink(J(d, b"%05d-%s" % (i, b"y" * 30)))
# deep
fd = os.open(root, os.O_RDONLY)
for i in range(600):
    n = b"deep%d" % i if i % 3 else b"d"
    os.mkdir(n, dir_fd=fd)
    nfd = os.open(n, os.O_RDONLY, dir_fd=fd)
    os.close(fd)
    fd = nfd
os.close(os.open(b"bottom", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
os.close(fd)
# symlinks: in the inode and in blocks of their own
d = mk(b"links")
for n in (1, 10, 59, 60, 100, 150, 155, 156, 157, 330, 336, 337, 340, 400, 450, 500, 512, 700, 1000, 1023):
    os.symlink((b"t" * 200 + b"/") * 6 and ((b"t" * 200 + b"/") * 6)[:n], J(d, b"s%d" % n))
os.symlink(b"../names/\xff\xfe bad", J(d, b"odd"))
# hard links
put(J(d, b"hard"), b"hard")
for i in range(3000):
    os.link(J(d, b"hard"), J(mk(b"links", b"h"), b"%d" % i))
# special files
d = mk(b"special")
os.mkfifo(J(d, b"fifo"))
s = socket.socket(socket.AF_UNIX)
cwd = os.getcwd()
os.chdir(d)
s.bind(b"socket")
os.chdir(cwd)
for ma, mi in ((0, 0), (1, 3), (8, 17), (255, 255), (259, 70000), (4095, 200000)):
    soft(os.mknod, J(d, b"c%d" % ma), stat.S_IFCHR | 0o600, os.makedev(ma, mi))
    soft(os.mknod, J(d, b"b%d" % ma), stat.S_IFBLK | 0o640, os.makedev(ma, mi))
# content: sparse, huge, fragmented, preallocated, shared
d = mk(b"data")
fds = [os.open(J(d, b"frag%d" % i), os.O_CREAT | os.O_RDWR) for i in range(3)]
for k in range(400):
    for i, fd in enumerate(fds):
        os.pwrite(fd, rnd.randbytes(4096), (k * (i + 1)) * 8192)
        if k % 20 == 0:
            os.fsync(fd)
for fd in fds:
    os.close(fd)
fd = os.open(J(d, b"very-fragmented"), os.O_CREAT | os.O_RDWR)
for k in range(6000):
    os.pwrite(fd, b"%08d" % k, k * 16384)
os.close(fd)
put(J(d, b"big"), rnd.randbytes(3 << 20) + b"tail")
with open(J(d, b"huge"), "wb") as f:
    f.truncate(1 << 43)
for name, size in ((b"sparse", 100 << 20), (b"sparse-end", (64 << 20) + 1)):
    with open(J(d, name), "wb") as f:
        f.write(b"head")
        f.seek(30 << 20)
        f.write(b"middle" * 1000)
        f.truncate(size)
os.truncate(J(d, b"huge"), 300 << 20)
fd = os.open(J(d, b"prealloc"), os.O_CREAT | os.O_RDWR)
os.posix_fallocate(fd, 0, 1 << 20)
os.pwrite(fd, b"written" * 1000, 200000)
os.close(fd)
fd = os.open(J(d, b"prealloc-behind"), os.O_CREAT | os.O_RDWR)
os.write(fd, b"short")
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate(ctypes.c_int(fd), ctypes.c_int(1), ctypes.c_long(0), ctypes.c_long(1 << 20))
libc.fallocate(ctypes.c_int(fd), ctypes.c_int(3), ctypes.c_long(0), ctypes.c_long(0))
os.close(fd)
fd = os.open(J(d, b"punched"), os.O_CREAT | os.O_RDWR)
os.write(fd, rnd.randbytes(1 << 20))
for k in range(20):
    libc.fallocate(ctypes.c_int(fd), ctypes.c_int(3), ctypes.c_long(k * 50000), ctypes.c_long(20000))
os.close(fd)


def reflink(src, dst):
    with open(src, "rb") as a, open(dst, "wb") as b:
        fcntl.ioctl(b, 0x40049409, a.fileno())


os.system(b"sync -f " + d)
for i in range(5):
    soft(reflink, J(d, b"big"), J(d, b"reflink%d" % i))
    if os.path.exists(J(d, b"reflink%d" % i)):
        with open(J(d, b"reflink%d" % i), "r+b") as f:
            f.seek(i * 300000)
            f.write(b"changed" * 3000)
# attributes: short, leaf, node, remote, all name spaces, lists
d = mk(b"xattrs")


def xattr(name, *items):
    p = J(d, name)
    if not os.path.lexists(p):
        put(p, name)
    for n, v in items:
        soft(os.setxattr, p, n, v, follow_symlinks=False)


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *x) for x in entries)


U = 2**32 - 1
xattr(b"one", (b"user.a", b"1"))
xattr(b"empty", (b"user.empty", b""))
xattr(b"spaces", (b"user.x", b"u"), (b"trusted.x", b"t"), (b"security.x", b"s"))
xattr(b"selinux", (b"security.selinux", b"system_u:object_r:bin_t:s0\0"))
xattr(b"caps", (b"security.capability", bytes.fromhex("0100000200040000000000000000000000000000")))
xattr(b"short", *[(b"user.k%d" % i, b"v" * i) for i in range(8)])
xattr(b"leaf", *[(b"user.k%d" % i, b"v" * 60) for i in range(30)])
xattr(b"node", *[(b"user.key-%d-%s" % (i, b"n" * (i % 100)), rnd.randbytes(i % 90)) for i in range(700)])
xattr(b"remote", *[(b"user.r%d" % n, rnd.randbytes(n)) for n in (2000, 4000, 4096, 9000, 30000, 65535, 65536)])
xattr(b"mixed", (b"user.big", rnd.randbytes(65536)), *[(b"trusted.m%d" % i, b"m" * 250) for i in range(60)])
xattr(b"acl", (b"system.posix_acl_access", acl((1, 6, U), (2, 7, 1000), (2, 4, 70000), (4, 5, U), (8, 1, 50),
                                               (16, 7, U), (32, 0, U))))
xattr(b"acl-many", (b"system.posix_acl_access", acl((1, 6, U), *[(2, 7, 1000 + i) for i in range(200)], (4, 5, U),
                                                    (16, 7, U), (32, 0, U))))
os.mkdir(J(d, b"acl-dir"))
xattr(b"acl-dir", (b"system.posix_acl_default", acl((1, 7, U), (4, 5, U), (32, 5, U))))
os.symlink(b"target", J(d, b"link"))
xattr(b"link", (b"trusted.on.link", b"yes"))
os.symlink(b"L" * 300, J(d, b"longlink"))
xattr(b"longlink", (b"trusted.on.link", b"v" * 200))
xattr(b"removed", *[(b"user.k%d" % i, b"v" * 60) for i in range(40)])
for i in range(40):
    soft(os.removexattr, J(d, b"removed"), b"user.k%d" % i)
xattr(b"holes", *[(b"user.k%d" % i, b"v" * 60) for i in range(500)])
for i in range(0, 500, 3):
    soft(os.removexattr, J(d, b"holes"), b"user.k%d" % i)
for n in (b"k" * 249, b"\xff\x01odd"):
    xattr(b"names", (b"user." + n, b"v"))
