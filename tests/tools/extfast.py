#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""extfast.py base DIR: files to begin with
extfast.py ops DIR SEED COUNT [all]: changes of all kinds that ext4 writes as
    fast commits, each few of them followed by an fsync. all: files that are
    unlinked while they are open, too, and at the end each file is fsynced, so
    that the log has all that there is
extfast.py show IMAGE: the records of an image's fast commits
extfast.py put IMAGE RECORD...: writes these in their place, with right sums.
    RECORD is as show has it, its fields with ',': HEAD,0,3  LINK,2,13,name
    UNLINK, CREAT the same, ADD,ino,lblk,len,pblk  DEL,ino,lblk,len  INODE,ino,hex
    TAIL  PAD,length  RAW,tag,hex; sum=N before TAIL: a wrong one; block: fills
    the block up
extfast.py inode IMAGE INO: an inode in hex, to make an INODE of"""
import os, random, struct, subprocess, sys

TAGS = "? ADD DEL CREAT LINK UNLINK INODE PAD TAIL HEAD".split()


def base(d):
    os.chdir(d)
    os.mkdir("many")
    for i in range(1500):  # enough for an index
        with open("many/a name that takes room %d" % i, "w") as f:
            f.write(str(i))
    for k in range(4):
        os.mkdir("d%d" % k)
        for i in range(12):
            with open("d%d/f%d" % (k, i), "wb") as f:
                f.write(os.urandom(1000 * i * (k + 1)))
    with open("frag", "wb") as f:  # enough for a tree of extents
        for i in range(0, 600, 2):
            f.seek(i * 4096)
            f.write(b"%d" % i)
            if not i % 20:
                f.flush()
                os.fsync(f.fileno())
    os.setxattr("frag", "user.kept", b"value")
    os.setxattr("d0/f1", "user.kept", b"value" * 30)
    fd = os.open(".", os.O_RDONLY)
    os.fsync(fd)


def ops(d, seed, count, everything):
    os.chdir(d)
    r = random.Random(seed)
    dirs = ["many", "d0", "d1", "d2", "d3", "."]

    def some():
        k = r.choice(dirs)
        names = [n for n in os.listdir(k) if not os.path.isdir(os.path.join(k, n)) and n != "frag"]
        return os.path.join(k, r.choice(names)) if names else None

    def new():
        return os.path.join(r.choice(dirs), r.choice(["n%d", "new and longer than that %d", "x" * 200 + "%d"]) % r.randrange(200))

    held = []
    for i in range(count):
        k = r.randrange(15 if everything else 14)
        f = "frag" if r.randrange(6) == 0 else some()
        # What moves inline data out here journals the block, and a fast commit does not have it.
        small = k >= 12 and f and os.path.getsize(f) < 200
        try:
            if k < 3:
                with open(new(), "wb") as o:
                    o.write(r.randbytes(r.choice([0, 1, 50, 700, 5000, 70000])))
            elif k < 5:
                with open(f, "r+b") as o:
                    for _ in range(r.randrange(1, 5)):
                        o.seek(r.randrange(2000000))
                        o.write(r.randbytes(r.randrange(1, 20000)))
            elif k == 5:
                with open(f, "ab") as o:
                    o.write(r.randbytes(r.randrange(30000)))
            elif k == 6:
                os.truncate(f, r.choice([0, 1, 4096, r.randrange(3000000)]))
            elif k == 7:
                os.unlink(some())
            elif k == 8:
                os.rename(some(), r.choice([new(), some()]))
            elif k == 9:
                os.link(some(), new())
            elif k == 10:
                os.chmod(f, r.randrange(0o1000))
                os.chown(f, r.randrange(70000), r.randrange(70000))
            elif k == 11:
                os.utime(f, ns=(0, r.randrange(1 << 61)))
            elif k == 12 and not small:
                fd = os.open(f, os.O_RDWR)
                os.posix_fallocate(fd, r.randrange(1000000), r.randrange(1, 500000))
                os.close(fd)
            elif k == 14:
                held.append(os.open(some(), os.O_RDWR))
                os.unlink(os.readlink("/proc/self/fd/%d" % held[-1]))
                os.write(held[-1], r.randbytes(5000))
            elif not small:
                subprocess.run(["fallocate", "-p", "-o", str(r.randrange(1000000)), "-l", str(r.randrange(1, 400000)), f], check=True)
            if r.randrange(4) == 0:
                fd = os.open(some(), os.O_RDWR)
                os.fsync(fd)
                os.close(fd)
        except (OSError, TypeError):
            pass
    for k in dirs if everything else []:
        for n in os.listdir(k):
            if not os.path.isdir(os.path.join(k, n)):
                fd = os.open(os.path.join(k, n), os.O_RDONLY)
                os.fsync(fd)
                os.close(fd)
    with open("last", "wb") as o:
        o.write(b"last")
        o.flush()
        os.fsync(o.fileno())


class Area:
    def __init__(self, img):
        self.img = img
        j = subprocess.run(["debugfs", "-R", "cat <8>", img], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        self.bs, total = struct.unpack(">2I", j[12:20])
        count = struct.unpack(">I", j[0x54:0x58])[0] or 256
        self.first = total - count + 1
        self.data = j[self.first * self.bs:]
        self.tid = struct.unpack("<I", self.data[8:12])[0]  # of the head

    def off(self, n):
        out = subprocess.run(["debugfs", "-R", "bmap <8> %d" % (self.first + n), self.img], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        return int(out) * self.bs


def show(img):
    a = Area(img)
    d, at = a.data, 0
    while at + 4 <= len(d):
        if at % a.bs > a.bs - 4:
            at = (at // a.bs + 1) * a.bs
            continue
        t, n = struct.unpack_from("<HH", d, at)
        if not 1 <= t <= 9:
            break
        v, s = d[at + 4:at + 4 + n], TAGS[t]
        if t == 1:
            ino, lblk, ln, hi, lo = struct.unpack_from("<IIHHI", v)
            s += ",%d,%d,%d,%d" % (ino, lblk, ln, hi << 32 | lo)
        elif t == 2:
            s += ",%d,%d,%d" % struct.unpack_from("<III", v)
        elif t in (3, 4, 5):
            s += ",%d,%d,%s" % (*struct.unpack_from("<II", v), v[8:].decode("latin-1"))
        elif t == 6:
            s += ",%d,%s" % (struct.unpack_from("<I", v)[0], v[4:].hex())
        elif t == 9:
            s += ",%d,%d" % struct.unpack_from("<II", v)
        print(s)
        at += 4 + n


def crc32c(c, b):
    for x in b:
        c ^= x
        for _ in range(8):
            c = c >> 1 ^ 0x82f63b78 * (c & 1)
    return c


def put(img, recs):
    a = Area(img)
    out, c, wrong = b"", 0, 0
    for w in recs:
        name, *f = w.split(",", 3 if w.startswith(("LINK", "UNLINK", "CREAT")) else -1)
        room = a.bs - len(out) % a.bs
        if name.startswith("sum="):
            wrong = int(name[4:])
            continue
        if name == "block":
            n, v = 7, bytes(room - 4)
        elif name == "TAIL":
            v = struct.pack("<I", int(f[0]) if f else a.tid)
            c = crc32c(c, struct.pack("<HH", 8, room - 4) + v)
            out += struct.pack("<HH", 8, room - 4) + v + struct.pack("<I", c ^ wrong)
            out += bytes(-len(out) % a.bs)
            c = wrong = 0
            continue
        elif name == "RAW":
            n, v = int(f[0]), bytes.fromhex(f[1])
        else:
            n = TAGS.index(name)
            if name == "HEAD":
                v = struct.pack("<II", int(f[0]), int(f[1]) if len(f) > 1 else a.tid)
            elif name == "ADD":
                p = int(f[3])
                v = struct.pack("<IIHHI", int(f[0]), int(f[1]), int(f[2]), p >> 32, p & 0xffffffff)
            elif name == "DEL":
                v = struct.pack("<III", *map(int, f))
            elif name == "INODE":
                v = struct.pack("<I", int(f[0])) + bytes.fromhex(f[1])
            elif name == "PAD":
                v = bytes(int(f[0]))
            else:
                v = struct.pack("<II", int(f[0]), int(f[1])) + f[2].encode("latin-1")
        b = struct.pack("<HH", n, len(v)) + v
        if len(b) > room:
            pad = struct.pack("<HH", 7, room - 4) + bytes(room - 4) if room >= 4 else b""
            c = crc32c(c, pad)
            out += pad or bytes(room)
        c = crc32c(c, b)
        out += b
    out += bytes(-len(out) % a.bs + a.bs)  # and an end
    with open(img, "r+b") as f:
        for n in range(len(out) // a.bs):
            f.seek(a.off(n))
            f.write(out[n * a.bs:(n + 1) * a.bs])


def inode(img, ino):
    out = subprocess.run(["debugfs", "-R", "imap <%d>" % ino, img], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
    blk, off = out.split("at block ")[1].split(", offset ")
    with open(img, "rb") as f:
        f.seek(int(blk) * Area(img).bs + int(off, 16))
        print(f.read(160).hex())


cmd, arg = sys.argv[1], sys.argv[2:]
if cmd == "ops":
    ops(arg[0], int(arg[1]), int(arg[2]), len(arg) > 3)
elif cmd == "put":
    put(arg[0], arg[1:])
elif cmd == "inode":
    inode(arg[0], int(arg[1]))
else:
    {"base": base, "show": show}[cmd](arg[0])
