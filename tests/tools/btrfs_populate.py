#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""btrfs_populate.py DIR COUNT [SEED]: fills a mounted btrfs with what its reader
must get right: odd names, deep paths, every type, sparse, huge, fragmented,
preallocated, cloned and truncated files, hard links, attributes, nested
subvolumes and snapshots, a large directory. Same SEED, same files."""
import fcntl, os, random, socket, stat, struct, subprocess, sys

top, count = os.fsencode(sys.argv[1]), int(sys.argv[2])
rnd = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
os.chdir(top)


def sub(*args):
    subprocess.run(("btrfs", "-q", "subvolume") + args, check=True)


def put(path, data):
    with open(path, "wb") as f:
        f.write(data)


def text(n):
    words = [b"lorem", b"ipsum", b"dolor", b"sit", b"amet", b"0123456789"]
    out = bytearray()
    while len(out) < n:
        out += rnd.choice(words) + b" "
    return bytes(out[:n])


def clone(src, dst, soff=0, length=0, doff=0):
    s, d = os.open(src, os.O_RDONLY), os.open(dst, os.O_RDWR | os.O_CREAT)
    fcntl.ioctl(d, 0x4020940D, struct.pack("qQQQ", s, soff, length, doff))  # FICLONERANGE
    os.close(s)
    os.close(d)


def odd(i):
    n = rnd.randrange(1, 40)
    b = bytes(c for c in (rnd.randrange(1, 256) for _ in range(n)) if c != 47)
    return b"%d" % i + b if rnd.random() < .9 else (b"%d" % i + b * 30)[:255]


# many small files over a tree of folders; sizes around the limits of inline
# data, sectors and compressed extents
sizes = [0, 1, 100, 2000, 2047, 2048, 2049, 3000, 4095, 4096, 4097, 8192, 70000]
for i in range(count):
    d = b"tree/%d/%d" % (i % 37, i % 11)
    os.makedirs(d, exist_ok=True)
    p = d + b"/" + odd(i)
    n = rnd.choice(sizes[:12]) if i % 200 else rnd.choice(sizes)
    put(p, text(n) if i % 3 else rnd.randbytes(min(n, 5000)))
    r = rnd.random()
    if r < .05:
        os.setxattr(p, b"user.a%d" % i, text(rnd.randrange(200)))
    elif r < .08:
        os.chown(p, rnd.randrange(1 << 20), 0xfffffffe)
        os.chmod(p, rnd.randrange(0o10000))
    elif r < .2:
        os.utime(p, ns=(0, rnd.randrange(-2**60, 2**60)))
    elif r < .25:
        os.link(p, p[:240] + b".lnk")

os.mkdir("large")
for i in range(count // 4):
    os.close(os.open(b"large/%s-%d" % (b"n" * rnd.randrange(100), i), os.O_CREAT | os.O_WRONLY))
os.mkdir("empty")
os.mkdir("links")
put("links/0", b"many names")
for i in range(1, 700):  # more than one item of back references holds
    try:
        os.link("links/0", "links/%s%d" % ("x" * 50, i))
    except OSError:  # without extref
        break
p = b"deep"
for i in range(60):
    os.mkdir(p)
    p += b"/" + b"d" * rnd.randrange(1, 60)
os.mkdir(p)
put(p + b"/bottom", b"x")

os.mkdir("kinds")
os.symlink(b"t" * 1900, "kinds/long-link")
os.symlink(b"../\xff\xfe odd", "kinds/odd link")
os.symlink(b"x", "kinds/short-link")
os.mkfifo("kinds/fifo")
os.mknod("kinds/char", stat.S_IFCHR | 0o600, os.makedev(4095, 1048575))
os.mknod("kinds/block", stat.S_IFBLK | 0o640, os.makedev(8, 300))
s = socket.socket(socket.AF_UNIX)
s.bind("kinds/socket")
put("kinds/acl", b"acl")
os.setxattr("kinds/acl", "system.posix_acl_access", struct.pack(
    "<I" + "HHI" * 5, 2, 1, 6, 0xffffffff, 2, 4, 1000, 4, 4, 0xffffffff, 16, 6, 0xffffffff, 32, 4, 0xffffffff))
os.setxattr("empty", "system.posix_acl_default", struct.pack(
    "<I" + "HHI" * 3, 2, 1, 7, 0xffffffff, 4, 5, 0xffffffff, 32, 5, 0xffffffff))
put("kinds/xattrs", b"x")
for i in range(40):
    os.setxattr("kinds/xattrs", "user.attribute.%d" % i, rnd.randbytes(i * 5))
os.setxattr("kinds/xattrs", "user.big", rnd.randbytes(2000))
os.setxattr("kinds/xattrs", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
os.setxattr("kinds/xattrs", "trusted.t", b"\0bin\xff")
os.setxattr("kinds", "user.on-a-folder", b"")

os.mkdir("files")
for n in (4096, 5000, 131072, 131073, 262144, 300001, 3000000):
    put("files/text%d" % n, text(n))
    put("files/random%d" % n, rnd.randbytes(n))
    put("files/mixed%d" % n, b"".join(text(5000) + rnd.randbytes(3000) for _ in range(n // 8000 + 1)))
with open("files/sparse", "wb") as f:
    for at in (0, 10000, 1 << 20, (1 << 20) + 4096, 5 << 20, 30 << 20):
        f.seek(at)
        f.write(text(3000))
    f.truncate(40 << 20)
with open("files/hole-only", "wb") as f:
    f.truncate(12345678)
with open("files/frag", "wb") as f:
    for i in rnd.sample(range(150), 150):
        f.seek(i * 6000)
        f.write(text(6000))
        f.flush()
        os.fsync(f.fileno())
fd = os.open("files/prealloc", os.O_RDWR | os.O_CREAT)
os.posix_fallocate(fd, 0, 1000000)
os.pwrite(fd, text(9000), 500000)
os.close(fd)
put("files/prealloc-behind", text(10000))
subprocess.run(["fallocate", "-n", "-o", "8192", "-l", "500000", "files/prealloc-behind"], check=True)
put("files/punched", text(1000000))
subprocess.run(["fallocate", "-p", "-o", "100000", "-l", "300000", "files/punched"], check=True)
os.system("sync -f .")
# a middle piece of large extents, also compressed ones
clone("files/text3000000", "files/clone-all")
clone("files/text3000000", "files/clone-part", 135168, 40960, 0)
clone("files/text3000000", "files/clone-part", 4096, 4096, 1 << 20)
clone("files/random3000000", "files/clone-random", 4096 * 33, 4096 * 300, 4096 * 7)
with open("files/text262144", "r+b") as f:  # overwritten inside
    f.seek(50000)
    f.write(b"overwritten")
    os.fsync(f.fileno())
os.truncate("files/text131073", 77777)
os.truncate("files/random262144", 5)
os.truncate("files/mixed5000", 200000)
put("files/inline-grown", b"i" * 1500)
os.system("sync -f .")
with open("files/inline-grown", "ab") as f:
    f.truncate(50000)
put("files/property", text(100))
try:
    os.setxattr("files/property", "btrfs.compression", b"zstd")
except OSError:  # nodatacow
    pass
with open("files/property", "ab") as f:
    f.write(text(500000))

sub("create", "sub")
put("sub/file", text(6000))
os.mkdir("sub/dir")
os.chown("sub/dir", 1234, 4321)
sub("create", "sub/dir/nested")
put("sub/dir/nested/file", b"nested")
sub("create", "sub/dir/gone")
sub("snapshot", "-r", "sub", "snap-ro")
os.mkdir("snapshots")
sub("snapshot", "sub", "snapshots/rw")
put("snapshots/rw/file", b"changed")
sub("snapshot", ".", "snapshots/top")
sub("delete", "sub/dir/gone")
os.rename("sub/dir/nested", "moved")
os.system("sync -f .")
