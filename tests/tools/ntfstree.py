#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ntfstree.py fill DIR COUNT | frag DIR | links DIR N | attrs DIR | packed DIR | wsl DIR | dump DIR
What the NTFS tests put on a volume that ntfs-3g has mounted, and (dump) what
ntfs-3g says of it beside what treedump.py shows: named streams (as fsdump's
"s" lines; needs streams_interface=xattr) and system xattrs ("x" lines)."""
import hashlib, os, random, stat, struct, sys

SYSTEM = ("system.ntfs_acl", "system.ntfs_attrib_be", "system.ntfs_reparse_data", "system.ntfs_ea")


def put(path, data):
    with open(path, "wb") as f:
        f.write(data)


def fill(top, count):
    rnd = random.Random(4)
    odd = ["a b", "tab\there", "new\nline", "Ünïcödé", "日本語", "emoji \U0001f600", "%s%n", "-rf", "dot.", ".hidden",
           "UPPER", "upper", "a" * 255, "é" * 255, "e\u0301", "back\\slash", "quo\"te", "star*", "co:lon", "\x01\x7f"]
    os.makedirs(top + "/odd")
    for i, n in enumerate(odd):
        put("%s/odd/%s" % (top, n), b"%d" % i)
        os.makedirs("%s/odd/d-%s" % (top, n[:200]))
    deep = top
    for i in range(120):
        deep += "/level%d" % i
        os.mkdir(deep)
        if i % 10 == 0:
            put(deep + "/file", b"x" * i)
    # one very large directory, one empty, the rest in between
    os.mkdir(top + "/large")
    os.mkdir(top + "/empty")
    for i in range(count // 2):
        put("%s/large/%05d-%s" % (top, i, "n" * (i % 60)), b"" if i % 7 == 0 else rnd.randbytes(i % 900))
    i = 0
    while i < count // 2:
        d = "%s/tree/%d/%d" % (top, i % 10, i)
        os.makedirs(d)
        for k in range(100):
            put("%s/f%d" % (d, k), rnd.randbytes(rnd.choice((0, 1, 10, 500, 700, 800, 1024, 4095, 4096, 4097, 9000))))
            i += 1
    # every so many are removed again, so that indexes and records have gaps
    for i in range(0, count // 2, 13):
        os.unlink("%s/large/%05d-%s" % (top, i, "n" * (i % 60)))
    sp = top + "/sparse"
    os.mkdir(sp)
    for i in range(20):
        with open("%s/s%d" % (sp, i), "wb") as f:
            for _ in range(i):
                f.seek(rnd.randrange(1 << 24))
                f.write(rnd.randbytes(rnd.randrange(1, 20000)))
            f.truncate(rnd.randrange(1 << 24))
    with open(sp + "/huge", "wb") as f:
        f.write(b"start")
        f.truncate(1 << 29)
    for i, t in enumerate(("x", "../y", "/abs/olute", "ü/é", "t" * 500)):
        os.symlink(t, "%s/link%d" % (sp, i))
    os.mkfifo(sp + "/fifo")
    os.mknod(sp + "/chr", stat.S_IFCHR | 0o600, os.makedev(4, 65))
    os.mknod(sp + "/blk", stat.S_IFBLK | 0o600, os.makedev(8, 1))
    os.mknod(sp + "/sock", stat.S_IFSOCK | 0o600)
    for i, t in enumerate((0, 1, 10**9, 2**31, 2**32 + 7)):
        put("%s/time%d" % (sp, i), b"t")
        os.utime("%s/time%d" % (sp, i), ns=(t * 10**9 + i * 100, t * 10**9 + i * 100))
    if "nolarge" not in sys.argv:
        put(sp + "/big", rnd.randbytes(20 << 20))


def packed(top):
    """Content of every shape that a compressed folder can hold."""
    rnd = random.Random(5)
    text = b"".join(b"line %d of some text\n" % i for i in range(40000))
    shapes = [b"", b"a", text[:100], text[:4096], text[:65535], text[:65536], text[:65537], text, bytes(300000),
              rnd.randbytes(65536), rnd.randbytes(200000), text[:70000] + rnd.randbytes(70000) + bytes(140000) + text[:9],
              rnd.randbytes(4096) * 40, bytes(65536) + text[:65536], b"ab" * 100000, rnd.randbytes(5000),
              rnd.randbytes(4094), rnd.randbytes(61440), rnd.randbytes(61441)]
    for i in range(60):
        b = bytearray()
        for _ in range(rnd.randrange(1, 40)):
            b += rnd.choice((bytes(rnd.randrange(9000)), text[:rnd.randrange(9000)], rnd.randbytes(rnd.randrange(9000)),
                             bytes([rnd.randrange(256)]) * rnd.randrange(5000)))
        shapes.append(bytes(b))
    for i, s in enumerate(shapes):
        put("%s/p%d" % (top, i), s)
    with open(top + "/holes", "wb") as f:
        f.write(text[:100000])
        f.seek(1 << 23)
        f.write(text[:100000])
        f.truncate(1 << 24)


def frag(top):
    """Files in as many pieces as it takes for attribute lists: small files fill the volume, every second goes, and what
    comes then must take their places."""
    rnd = random.Random(6)
    block = os.statvfs(top).f_bsize
    n = 0
    small = max(block, 1024)
    try:
        while n < 3000:
            put("%s/s%d" % (top, n), rnd.randbytes(small))
            n += 1
        with open(top + "/rest", "wb") as f:
            while True:
                f.write(bytes(1 << 16))
                f.flush()
    except OSError:
        pass
    for i in range(0, n, 2):
        try:
            os.unlink("%s/s%d" % (top, i))
        except OSError:
            pass
    with open(top + "/pieces", "wb", buffering=0) as f:
        for _ in range(n // 3):
            f.write(rnd.randbytes(small))
    with open(top + "/tail", "ab") as f:
        for i in range(50):
            f.write(rnd.randbytes(block))
            f.flush()
            put("%s/t%d" % (top, i), b"r" * 100)
    # and the MFT grows in pieces
    try:
        for i in range(2500):
            put("%s/m%d" % (top, i), b"m" * 300)
    except OSError:
        pass
    if os.path.exists(top + "/rest"):
        os.unlink(top + "/rest")


def links(top, n):
    put(top + "/first", b"linked\n")
    os.mkdir(top + "/names")
    for i in range(n):
        os.link(top + "/first", "%s/names/link-%d-%s" % (top, i, "x" * (i % 100)))


def reparse(tag, data):
    return struct.pack("<IHH", tag, len(data), 0) + data


def symlink(target, relative, printed=None):
    t, p = target.encode("utf-16le"), (printed or target).encode("utf-16le")
    return reparse(0xa000000c, struct.pack("<HHHHI", len(p), len(t), 0, len(p), 1 if relative else 0) + p + t)


def junction(target):
    t = target.encode("utf-16le")
    return reparse(0xa0000003, struct.pack("<HHHH", 0, len(t), len(t) + 2, 0) + t + b"\0\0\0\0")


def attrs(top):
    """Streams, DOS attributes, 8.3 names, descriptors, reparse points, extended attributes."""
    rnd = random.Random(7)

    def new(name, data=b""):
        put(top + "/" + name, data)
        return top + "/" + name
    f = new("streams", b"main")
    for i in range(40):
        os.setxattr(f, "user.s%d" % i, rnd.randbytes(rnd.choice((0, 1, 100, 700, 5000, 60000))))
    os.setxattr(f, "user.Zone.Identifier", b"[ZoneTransfer]\r\nZoneId=3\r\n")
    os.setxattr(f, "user.ünï", b"odd name")
    os.mkdir(top + "/dir-streams")
    os.setxattr(top + "/dir-streams", "user.on dir", b"y" * 3000)
    for i, a in enumerate((0x1, 0x2, 0x6, 0x20, 0x27, 0x1000, 0x2000)):
        os.setxattr(new("attr%d" % i, b"content"), "system.ntfs_attrib_be", struct.pack(">I", a))
    for i in range(20):
        f = new("with a long name %d.text" % i, b"d")
        os.setxattr(f, "system.ntfs_dos_name", b"WITHA~%X.TEX" % i if i < 10 else b"WI%04d~1.TEX" % i)
    for i in range(30):
        # owner and group: S-1-5-21-1-2-3-(1000+i); everyone: read
        sid = struct.pack("<BB6sIIIII", 1, 5, b"\0\0\0\0\0\5", 21, 1, 2, 3, 1000 + i)
        ace = struct.pack("<BBHI", 0, 0, 20, 0x120089) + struct.pack("<BB6sI", 1, 1, b"\0\0\0\0\0\1", 0)
        acl = struct.pack("<BBHHH", 2, 0, 8 + len(ace), 1, 0) + ace
        sd = struct.pack("<BBHIIII", 1, 0, 0x8004, 20, 20 + len(sid), 0, 20 + 2 * len(sid)) + sid + sid + acl
        os.setxattr(new("acl%d" % i), "system.ntfs_acl", sd)
    os.makedirs(top + "/target/inner")
    points = {
        "rel": symlink("target\\inner", True), "rel-ü": symlink("..\\ü\\x", True),
        "abs": symlink("\\??\\C:\\Users\\All", False, "C:\\Users\\All"), "unc": symlink("\\??\\UNC\\server\\share\\f", False),
        "lx": reparse(0xa000001d, b"\2\0\0\0" + "../ünix".encode()),
        "cloud": reparse(0x9000601a, b"opaque"), "appexec": reparse(0x8000001b, b"\3\0\0\0x"),
        "wof": reparse(0x80000017, struct.pack("<IIII", 1, 1, 0, 0)), "dedup": reparse(0x80000013, b"z" * 80),
    }
    for n, data in points.items():
        os.setxattr(new("r-" + n, b"" if n not in ("cloud", "appexec", "wof", "dedup") else b"local"),
                    "system.ntfs_reparse_data", data)
    for n, t in (("j-abs", "\\??\\C:\\Windows"), ("j-vol", "\\??\\Volume{01234567-89ab-cdef-0123-456789abcdef}\\")):
        os.mkdir(top + "/" + n)
        os.setxattr(top + "/" + n, "system.ntfs_reparse_data", junction(t))


def wsl(top):
    """Special files as WSL has them; mounted with special_files=wsl."""
    os.mkdir(top + "/wsl")
    os.mkfifo(top + "/wsl/fifo")
    os.mknod(top + "/wsl/chr", stat.S_IFCHR | 0o600, os.makedev(4, 65))
    os.mknod(top + "/wsl/blk", stat.S_IFBLK | 0o600, os.makedev(8, 1))
    os.mknod(top + "/wsl/sock", stat.S_IFSOCK | 0o600)
    os.symlink("../x/ünï", top + "/wsl/link")


def esc(b):
    return b"".join(bytes([c]) if 0x20 < c < 0x7f and c != 0x5c else b"\\x%02x" % c for c in b)


def dump(top, system):
    out = sys.stdout.buffer
    top = os.fsencode(top)
    todo = [top]
    while todo:
        p = todo.pop()
        rel = esc(p[len(top):] or b"/")
        try:
            for n in os.listxattr(p, follow_symlinks=False):
                if n.startswith("user."):
                    v = os.getxattr(p, n, follow_symlinks=False)
                    out.write(b"s %s %s %d %s\n" % (rel, esc(os.fsencode(n[5:])), len(v),
                                                   hashlib.sha256(v).hexdigest().encode()))
        except OSError:
            pass
        for n in SYSTEM if system else ():
            try:
                out.write(b"x %s %s %s\n" % (rel, n.encode(), os.getxattr(p, n, follow_symlinks=False).hex().encode()))
            except OSError:
                pass
        if stat.S_ISDIR(os.lstat(p).st_mode):
            todo.extend(os.path.join(p, n) for n in os.listdir(p))


what, top = sys.argv[1], sys.argv[2]
if what == "fill":
    fill(top, int(sys.argv[3]))
elif what == "links":
    links(top, int(sys.argv[3]))
elif what == "dump":
    dump(top, "--streams" not in sys.argv)
else:
    {"frag": frag, "attrs": attrs, "packed": packed, "wsl": wsl}[what](top)
