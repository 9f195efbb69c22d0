#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fsops.py DIR SEED COUNT [KEY=VALUE]...: COUNT random operations on a mounted folder, the same for the same seed.

    name=255     longest name, in units=1 (bytes) or units=2 (UTF-16)
    chars=any    any, or what Windows allows (win)
    bmp=0        1: only characters of 16 bits
    case=1       0: names that differ in case alone are one
    cluster=4096 sizes are around multiples of it
    max=300000   largest file
    can=...      of: link symlink mode owner dev fifo sock xattr sparse time (comma separated; default: sparse,time)
    times=0:2000000000   range of times that are set
What the file system refuses (ENOSPC, EINVAL of a name ...) is no error."""
import errno, os, random, socket, sys

WORDS = ["a", "B", "readme", "MAKEFILE", "Mixed", "data", "x1", "lib", "tmp~1", "LONGNA~1", "con1", "été", "Größe", "ж", "日本語", "😀", "ß", "ſ",
         "İ", "ǅ", "é", "-", "_", "#", "%", "&", "$$", "!", "(1)", "{g}", "'", "`", "@", "+", ",", ";", "=", "[x]", "sp ace", ".hid", "..x", "e.t.c"]
EXT = ["", "", ".txt", ".C", ".tar.gz", ".e", ".long extension", ".日本", ".TXT", ".x~1", ". a"]
ODD = ["new\nline", "tab\t", "back\\slash", "co:lon", "q?", "st*r", '"quote"', "<gt>", "pi|pe", "\x01\x1f", "trail.", "trail ", "\x7f"]
OK = {errno.ENOSPC, errno.EINVAL, errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG, errno.ENOENT, errno.EPERM, errno.EOPNOTSUPP, errno.EFBIG, errno.EISDIR,
      errno.ENOTDIR, errno.EMLINK, errno.EILSEQ, errno.ERANGE, errno.EACCES, errno.EXDEV, errno.E2BIG, errno.ENOTSUP, errno.ENODATA, errno.EBUSY, errno.ENOSYS, errno.EIO}


class Ops:
    def __init__(self, root, seed, **o):
        self.root, self.r, self.o = root, random.Random(seed), o
        self.can = set(o.get("can", "sparse,time").split(","))
        self.cluster, self.max = int(o.get("cluster", 4096)), int(o.get("max", 300000))
        self.limit, self.units = int(o.get("name", 255)), int(o.get("units", 1))
        self.win, self.fold = o.get("chars") == "win", o.get("case") == "0"
        self.times = [int(x) for x in o.get("times", "0:2000000000").split(":")]
        self.noise = self.r.randbytes(1 << 20)
        self.text = b"".join(b"line %d of a text\n" % i for i in range(60000))
        self.dirs, self.files, self.refused = [""], [], {}
        self.many = 0

    def name(self):
        r = self.r
        k = r.random()
        if k < .75:
            n = r.choice(WORDS) + (str(r.randrange(40)) if r.random() < .6 else "") + r.choice(EXT)
        elif k < .85 and not self.win:
            n = r.choice(ODD) + str(r.randrange(9))
        elif k < .93:
            n = r.choice(["L", "ж", "x ", "日", "ab.c", "😀"]) * 300
            n = self.fit(n, r.choice([self.limit, self.limit - 1, 13, 14, 26, 12, 64, r.randrange(1, self.limit)]))
        else:
            n = "".join(chr(r.choice([r.randrange(0x30, 0x7b), r.randrange(0xa1, 0x250), r.randrange(0x370, 0x500), r.randrange(0x3040, 0xd7ff), r.randrange(0xf900, 0xfffd),
                                      r.randrange(0x10000, 0x10ffff)])) for _ in range(r.randrange(1, 12)))
        if self.win:
            n = "".join("_" if c in '"*/:<>?\\|' or ord(c) < 32 or ord(c) == 127 else c for c in n).rstrip(". ") or "w"
        if self.o.get("bmp") == "1":
            n = "".join(c if ord(c) < 0x10000 else "b" for c in n)
        return n.replace("/", "_").replace("\0", "_") if n not in (".", "..") else "dots"

    def fit(self, n, limit):
        while len(n.encode("utf-8") if self.units == 1 else n.encode("utf-16-le")) // (1 if self.units == 1 else 2) > limit:
            n = n[:-1]
        return n or "f"

    def path(self):
        d = self.r.choice(self.dirs) if self.r.random() < .8 else self.dirs[-1]
        return (d + "/" if d else "") + self.name()

    def abs(self, p):
        return os.fsencode(self.root) + b"/" + p.encode("utf-8", "surrogateescape")

    def size(self):
        r, c = self.r, self.cluster
        k = r.random()
        s = 0 if k < .08 else r.randrange(1, 600) if k < .4 else max(0, r.randrange(1, 6) * c + r.choice([-1, 0, 1, 7])) if k < .7 else \
            max(0, 512 * r.randrange(1, 40) + r.choice([-1, 0, 1])) if k < .8 else r.randrange(self.max)
        return min(s, self.max)

    def bytes(self, n):
        src = self.noise if self.r.random() < .5 else self.text if self.r.random() < .8 else bytes(n)
        at = self.r.randrange(max(1, len(src) - n)) if len(src) > n else 0
        return (src[at:at + n] + src * (n // max(len(src), 1) + 1))[:n]

    def step(self):
        r = self.r
        ops = [(22, self.create), (10, self.append), (8, self.overwrite), (6, self.truncate), (10, self.unlink), (8, self.rename), (8, self.mkdir), (2, self.rmdir),
               (3, self.fragment), (1, self.crowd), (2, self.replace)]
        for cap, w, f in (("link", 5, self.link), ("symlink", 5, self.symlink), ("mode", 4, self.chmod), ("owner", 3, self.chown), ("dev", 2, self.mknod), ("fifo", 1, self.mkfifo),
                          ("sock", 1, self.sock), ("xattr", 8, self.xattr), ("sparse", 6, self.hole), ("time", 6, self.utime)):
            if cap in self.can:
                ops.append((w, f))
        f = r.choices([f for _, f in ops], [w for w, _ in ops])[0]
        try:
            f()
        except OSError as x:
            if x.errno not in OK:
                raise
            k = (f.__name__, errno.errorcode[x.errno])
            self.refused[k] = self.refused.get(k, 0) + 1

    def add(self, p):
        if p not in self.files:
            self.files.append(p)

    def pick(self):
        if not self.files:
            self.create()
        return self.r.choice(self.files) if self.files else ""

    def create(self):
        p = self.path()
        if os.path.lexists(self.abs(p)) and not (os.path.isfile(self.abs(p)) and not os.path.islink(self.abs(p))):
            raise OSError(errno.EEXIST, "")
        with open(self.abs(p), "wb") as f:
            self.add(p)
            f.write(self.bytes(self.size()))

    def regular(self):
        p = self.pick()
        if os.path.islink(self.abs(p)) or not os.path.isfile(self.abs(p)):
            raise OSError(errno.ENOENT, "")
        return self.abs(p)

    def append(self):
        with open(self.regular(), "ab") as f:
            f.write(self.bytes(self.size()))

    def overwrite(self):
        with open(self.regular(), "r+b") as f:
            n = os.fstat(f.fileno()).st_size
            f.seek(self.r.randrange(n + 1))
            f.write(self.bytes(self.size()))

    def truncate(self):
        p = self.regular()
        os.truncate(p, self.size())

    def hole(self):
        with open(self.regular(), "r+b") as f:
            n = os.fstat(f.fileno()).st_size
            f.seek(min(n + self.r.randrange(1, 40) * self.cluster + self.r.choice([0, 1, -1]), 4 * self.max))
            f.write(self.bytes(self.r.randrange(1, 3000)))

    def fragment(self):
        """several files that grow by turns"""
        d = self.r.choice(self.dirs)
        fs = []
        for i in range(self.r.randrange(2, 5)):
            p = (d + "/" if d else "") + "frag%d" % self.r.randrange(1000)
            fs.append(open(self.abs(p), "ab", buffering=0))
            self.add(p)
        try:
            for i in range(self.r.randrange(3, 40)):
                for f in fs:
                    f.write(self.bytes(self.r.choice([1, 2]) * self.cluster if self.cluster <= 65536 else 20000))
                    os.fsync(f.fileno())
        finally:
            for f in fs:
                f.close()

    def crowd(self):
        """a folder with many names, most of which go again"""
        if self.many > int(self.o.get("crowds", 2)):
            return
        self.many += 1
        d = "crowd%d" % self.many
        os.mkdir(self.abs(d))
        self.dirs.append(d)
        n = int(self.o.get("crowd", 300))
        names = [d + "/" + (self.name() if i % 7 == 0 else "entry %d of many" % i if i % 2 else "E%d" % i) for i in range(n)]
        for p in names:
            try:
                with open(self.abs(p), "xb") as f:
                    f.write(b"%d" % len(p))
            except OSError:
                pass
        keep = self.r.choice([1, 10, n // 2, n])
        self.r.shuffle(names)
        for i, p in enumerate(names):
            if i < keep:
                if os.path.lexists(self.abs(p)):
                    self.add(p)
            else:
                try:
                    os.unlink(self.abs(p))
                except OSError:
                    pass

    def forget(self, p):
        if p in self.files:
            self.files.remove(p)

    def unlink(self):
        p = self.pick()
        self.forget(p)
        os.unlink(self.abs(p))

    def replace(self):
        p = self.pick()
        tmp = os.path.dirname(p) + ("/" if os.path.dirname(p) else "") + "tmp.new"
        if os.path.lexists(self.abs(tmp)):
            raise OSError(errno.EEXIST, "")
        with open(self.abs(tmp), "wb") as f:
            f.write(self.bytes(self.size()))
        try:
            os.rename(self.abs(tmp), self.abs(p))
        except OSError:
            os.unlink(self.abs(tmp))
            raise

    def rename(self):
        if self.r.random() < .2 and len(self.dirs) > 1:
            a = self.r.choice(self.dirs[1:])
            b = self.path()
            if b == a or b.startswith(a + "/") or os.path.lexists(self.abs(b)):
                return
            os.rename(self.abs(a), self.abs(b))
            move = lambda x: b + x[len(a):] if x == a or x.startswith(a + "/") else x
            self.dirs = [move(x) for x in self.dirs]
            self.files = [move(x) for x in self.files]
            return
        a, b = self.pick(), self.path()
        os.rename(self.abs(a), self.abs(b))
        self.forget(a)
        self.add(b)

    def mkdir(self):
        p = self.path()
        if p.count("/") > 30:
            return
        os.mkdir(self.abs(p))
        self.dirs.append(p)

    def rmdir(self):
        if len(self.dirs) < 3:
            return
        d = self.r.choice(self.dirs[1:])
        for base, ds, fs in os.walk(self.abs(d), topdown=False):
            for n in fs:
                os.unlink(base + b"/" + n)
            for n in ds:
                q = base + b"/" + n
                os.unlink(q) if os.path.islink(q) else os.rmdir(q)
        os.rmdir(self.abs(d))
        gone = lambda x: x == d or x.startswith(d + "/")
        self.dirs = [x for x in self.dirs if not gone(x)]
        self.files = [x for x in self.files if not gone(x)]

    def link(self):
        a, b = self.regular(), self.path()
        os.link(a, self.abs(b))
        self.add(b)

    def symlink(self):
        p = self.path()
        t = self.r.choice(["x", "a/b", "../up", "/abs/é", ".", "..", "./a/../b", "x" * 200, "d/" * 60 + "e", "n" * 900, "/"])
        os.symlink(t, self.abs(p))
        self.add(p)

    def any(self):
        return self.abs(self.pick() if self.r.random() < .8 else self.r.choice(self.dirs))

    def chmod(self):
        p = self.any()
        if not os.path.islink(p):
            os.chmod(p, self.r.choice([0o644, 0o755, 0o600, 0o444, 0o4755, 0o2711, 0o1777, 0o555, 0, 0o7777]) | (0o700 if os.path.isdir(p) else 0))

    def chown(self):
        os.lchown(self.any(), self.r.choice([0, 1, 1000, 65534, 65536, 100000, 4000000000]), self.r.choice([0, 5, 1000, 65535, 70000]))

    def utime(self):
        t = self.r.randrange(*self.times) * 10**9 + self.r.choice([0, 0, 1, 999999999, self.r.randrange(10**9)])
        os.utime(self.any(), ns=(t, t), follow_symlinks=False)

    def mknod(self):
        p = self.path()
        os.mknod(self.abs(p), self.r.choice([0o20640, 0o60660]), os.makedev(self.r.choice([0, 1, 4, 8, 255, 259]), self.r.choice([0, 1, 255, 256, 65535])))
        self.add(p)

    def mkfifo(self):
        p = self.path()
        os.mkfifo(self.abs(p))
        self.add(p)

    def sock(self):
        p = self.path()
        os.mknod(self.abs(p), 0o140644)
        self.add(p)

    def xattr(self):
        p = self.any()
        if os.path.islink(p):
            return
        n = self.r.choice(["user.a", "user.b", "user.Zone.Identifier", "user.é", "user." + "n" * 100])
        if self.r.random() < .25:
            os.removexattr(p, n)
        else:
            os.setxattr(p, n, self.bytes(self.r.choice([0, 1, 10, 100, 600, 2000, int(self.o.get("xmax", 3000))])))

    def run(self, count):
        for _ in range(count):
            self.step()


if __name__ == "__main__":
    o = Ops(sys.argv[1], int(sys.argv[2]), **dict(a.split("=", 1) for a in sys.argv[4:]))
    o.run(int(sys.argv[3]))
    print(len(o.files), "files", len(o.dirs), "folders", "refused", o.refused, file=sys.stderr)
