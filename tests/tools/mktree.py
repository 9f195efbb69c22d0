#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mktree.py DIR [--files N] [--links N] [--no-xattrs] [--no-acl] [--no-special] [--big]:
fills a mounted folder with what file-system readers get wrong: odd names, deep paths, sparse,
fragmented and preallocated files, hard links, large and empty directories, devices, symlinks of all
lengths, attributes, owners and times at their limits. The same for the same arguments."""
import os, random, stat, struct, sys

args = sys.argv[1:]
root = os.fsencode(args[0])


def opt(name, default):
    return int(args[args.index(name) + 1]) if name in args else default


nfiles, nlinks = opt("--files", 2000), opt("--links", 200)
xattrs, acl, special = ("--no-" + x not in args for x in ("xattrs", "acl", "special"))
big = "--big" in args
rnd = random.Random(1)
join = os.path.join


def put(path, data):
    with open(path, "wb") as f:
        f.write(data)


def attempt(fn, *a, **k):
    try:
        fn(*a, **k)
        return True
    except OSError:
        return False


def data(n):
    return rnd.randbytes(n) if n < 4096 else bytes([rnd.randrange(1, 256)]) * n


# names: every byte a name may hold, the longest, those that look like something else
odd = join(root, b"odd names")
os.mkdir(odd)
names = [bytes([c]) + b"x" for c in range(1, 256) if c != 0x2f]
names += [b"a" * 255, "ä€𝄞".encode() * 20, b"...", b". .", b"-rf", b"new\nline", b"tab\t", b"\\x41", b" lead", b"trail ",
          b"CON", b"a:b", b"*?", "Ä".encode(), "A\u0308".encode(), b"\xff\xfe\xfd", b"~", b"#x#", b"con.txt"]
for i, n in enumerate(names):
    put(join(odd, n), data(i))

# deep
p = join(root, b"deep")
os.mkdir(p)
fd = os.open(p, os.O_RDONLY)
for i in range(60):
    name = b"d" * (1 + i % 40)
    os.mkdir(name, dir_fd=fd)
    nfd = os.open(name, os.O_RDONLY, dir_fd=fd)
    os.close(fd)
    fd = nfd
os.close(os.open(b"bottom", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
os.close(fd)

# sizes around block and chunk borders
sz = join(root, b"sizes")
os.mkdir(sz)
for n in (0, 1, 59, 60, 61, 100, 127, 128, 159, 160, 161, 255, 256, 511, 512, 513, 1023, 1024, 1025, 2047, 2048, 4095, 4096, 4097,
          12288, 12289, 49152, 49153, 65535, 65536, 65537, 300000, 1048576, 4300800):
    put(join(sz, b"%d" % n), data(n))

# sparse, preallocated, fragmented
sp = join(root, b"sparse")
os.mkdir(sp)
for i, holes in enumerate(([0], [4096 * 3], [1 << 20, 5 << 20], [1 << 27], [65536 * k for k in range(1, 60, 2)])):
    with open(join(sp, b"s%d" % i), "wb") as f:
        for h in holes:
            f.seek(h)
            f.write(b"data at %d" % h)
with open(join(sp, b"tail hole"), "wb") as f:
    f.write(b"x" * 5000)
    f.truncate(10 << 20)
with open(join(sp, b"all hole"), "wb") as f:
    f.truncate(12345678)
if big:
    with open(join(sp, b"huge"), "wb") as f:
        for h in (0, 1 << 31, (1 << 32) + 12345):
            if not attempt(f.seek, h) or not attempt(f.write, b"far away"):
                break
            attempt(f.flush)
with open(join(sp, b"prealloc"), "wb") as f:
    if attempt(os.posix_fallocate, f.fileno(), 0, 1 << 20):
        f.seek(100000)
        f.write(b"written in the middle" * 1000)
with open(join(sp, b"keep size"), "wb") as f:
    f.write(b"short")
os.system(b"fallocate -n -o 8192 -l 65536 '" + join(sp, b"keep size") + b"' 2>/dev/null")
os.system(b"fallocate -n -l 65536 '" + join(sp, b"keep size 2") + b"' 2>/dev/null")
frag = [open(join(sp, b"frag%d" % i), "wb") for i in range(4)]
for r in range(120):
    for f in frag:
        f.write(data(4096))
        f.flush()
        os.fsync(f.fileno()) if r % 16 == 0 else None
    if r % 3 == 0:
        for f in frag:
            f.seek(4096 * 2, 1)
for f in frag:
    f.close()

# symlinks of every interesting length
sl = join(root, b"links")
os.mkdir(sl)
for n in (1, 2, 20, 58, 59, 60, 61, 62, 63, 64, 100, 155, 156, 157, 200, 255, 256, 500, 1000):
    attempt(os.symlink, (b"target/" * 150)[:n], join(sl, b"l%d" % n))
attempt(os.symlink, b"\xff\xc3( no utf8", join(sl, b"bytes"))

# hard links
if nlinks:
    h = join(root, b"hard")
    os.mkdir(h)
    put(join(h, b"0"), b"linked")
    for i in range(1, nlinks):
        if not attempt(os.link, join(h, b"0"), join(h, b"%d" % i)):
            break

# directories: many entries, emptied again, empty
for name, n in ((b"large", nfiles), (b"medium", 300)):
    d = join(root, name)
    os.mkdir(d)
    for i in range(n):
        put(join(d, b"file-%06d-%s" % (i, b"n" * rnd.randrange(40))), data(rnd.choice((0, 0, 0, 10, 70, 200, 5000))))
d = join(root, b"was large")
os.mkdir(d)
for i in range(nfiles // 4):
    put(join(d, b"gone-%d" % i), b"")
for i in range(nfiles // 4):
    if i % 7:
        os.unlink(join(d, b"gone-%d" % i))
for i in range(50):
    os.makedirs(join(root, b"dirs/e%d/f%d" % (i % 7, i)))

# types, modes, owners, times
if special:
    sp = join(root, b"special")
    os.mkdir(sp)
    for name, t, dev in ((b"null", stat.S_IFCHR, os.makedev(1, 3)), (b"sda", stat.S_IFBLK, os.makedev(8, 0)),
                         (b"b255", stat.S_IFBLK, os.makedev(255, 255)), (b"big", stat.S_IFBLK, os.makedev(259, 70000)),
                         (b"c4095", stat.S_IFCHR, os.makedev(4095, 1048575)), (b"c0", stat.S_IFCHR, os.makedev(0, 0)),
                         (b"pipe", stat.S_IFIFO, 0), (b"sock", stat.S_IFSOCK, 0)):
        attempt(os.mknod, join(sp, name), t | 0o640, dev)
m = join(root, b"modes")
os.mkdir(m)
for mode in (0, 0o777, 0o4755, 0o2755, 0o1777, 0o7777, 0o001):
    q = join(m, b"%o" % mode)
    put(q, b"")
    attempt(os.chmod, q, mode)
for uid, gid in ((0, 1), (1000, 1000), (65534, 65535), (65536, 70000), (1 << 31, (1 << 32) - 2)):
    q = join(m, b"own %d" % uid)
    put(q, b"")
    attempt(os.chown, q, uid, gid)

if xattrs:
    x = join(root, b"xattrs")
    os.mkdir(x)
    for n in (0, 1, 30, 100, 900, 3000, 3900, 60000):
        q = join(x, b"v%d" % n)
        put(q, b"content")
        attempt(os.setxattr, q, b"user.value", rnd.randbytes(n))
        attempt(os.setxattr, q, b"trusted.t", b"t" * (n % 50))
    put(join(x, b"many"), b"")
    for i in range(60):
        attempt(os.setxattr, join(x, b"many"), b"user.n%d" % i, b"v" * (i % 30))
    put(join(x, b"cap"), b"")
    attempt(os.setxattr, join(x, b"cap"), b"security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    attempt(os.setxattr, x, b"user.dir", b"of a directory")
    attempt(os.symlink, b"nowhere", join(x, b"sym"))
    attempt(os.setxattr, join(x, b"sym"), b"trusted.sym", b"of a symlink", follow_symlinks=False)
    put(join(x, b"long name"), b"")
    attempt(os.setxattr, join(x, b"long name"), b"user." + b"n" * 240, b"v")
if acl:
    def aclv(*e):
        return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *t) for t in e)
    U = 0xffffffff
    a = join(root, b"acl")
    os.mkdir(a)
    full = aclv((1, 6, U), (2, 7, 1000), (2, 4, 70000), (4, 4, U), (8, 5, 4000000000), (0x10, 7, U), (0x20, 0, U))
    for i in range(3):
        q = join(a, b"f%d" % i)
        put(q, b"acl")
        attempt(os.setxattr, q, b"system.posix_acl_access", full)
    attempt(os.setxattr, a, b"system.posix_acl_default", full)
    os.mkdir(join(a, b"child"))

# times last: everything above has changed some
t = join(root, b"times")
os.mkdir(t)
for sec in (-(1 << 31), -1, 0, 1, 1700000000, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 3 << 32, 15032385535):
    for ns in (0, 1, 999999999):
        q = join(t, b"%d.%d" % (sec, ns))
        put(q, b"")
        attempt(os.utime, q, ns=(sec * 10**9 + ns, sec * 10**9 + ns))
