# SPDX-License-Identifier: Apache-2.0
"""Random operations on a mounted file system: files of every shape, links, devices, attributes, flags, huge folders.
What the file system refuses is counted, not an error."""
import ctypes, errno, fcntl, os, random, socket, stat, struct, subprocess, collections

libc = ctypes.CDLL(None, use_errno=True)
SETFLAGS, GETFLAGS = 0x40086602, 0x80086601
FSGETX, FSSETX = 0x801C581F, 0x401C5820
FICLONE, FICLONERANGE, DEDUPE = 0x40049409, 0x4020940D, 0xC0189436
U = 2**32 - 1
SIZES = (0, 1, 59, 60, 61, 100, 155, 159, 160, 161, 500, 511, 512, 1000, 1023, 1024, 2000, 2047, 2048, 3000, 3800,
         4000, 4095, 4096, 4097, 5000, 8192, 9000, 20000, 65535, 65536, 65537, 131072, 131073, 200000, 400000)
TIMES = (0, 1, -1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, -2**31, -2**31 + 1, 2**33 + 7, 3 * 2**32 - 1, 10**9, 4 * 10**9,
         -2**31 - 1, 2**34 - 2**31 - 1, 2**34)


def sh(*a):
    return subprocess.run(a, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL).returncode


class Ops:
    def __init__(self, root, fs, rnd, big=1.0):
        self.root, self.fs, self.rnd, self.big = os.fsencode(root), fs, rnd, big
        self.orphans, self.refused, self.done = [], collections.Counter(), collections.Counter()
        self.files, self.dirs, self.n = [], [self.root], 0
        self.table = [(getattr(self, n), w) for n, w in self.weights().items()]

    def weights(self):
        w = dict(create=60, write=60, append=30, truncate=30, fallocate=30, rename=25, exchange=8, link=15, symlink=15,
                 node=8, xattr=40, unxattr=15, acl=10, unlink=35, mode=10, owner=10, times=15, flags=6, mkdir=15,
                 grow=2, shrink=2, orphan=5, project=5, clone=15, clone_range=15, dedupe=5, sync=3, fsync=8, rmtree=1,
                 sparse=6, fragment=2, long_name=6, swap_name=3, many_xattrs=2, tmpfile=4, rewrite=10, deep=1)
        if self.fs == "btrfs":
            w.update(subvolume=3, snapshot=3, drop_subvolume=2, default_subvolume=1, compression=4, defragment=2,
                     balance=0.3, send=0.4, rename_subvolume=1, encoded=3)
        return w

    # --- what to act on ---

    def scan(self):
        self.files, self.dirs = [], []
        todo = [self.root]
        while todo:
            d = todo.pop()
            if len(d) > 3000:
                continue
            self.dirs.append(d)
            try:
                for x in sorted(os.scandir(d), key=lambda x: x.name):
                    if x.is_dir(follow_symlinks=False):
                        todo.append(x.path)
                    else:
                        self.files.append(x.path)
            except OSError:
                pass

    def file(self):
        if not self.files:
            self.create()
        return self.rnd.choice(self.files)

    def dir(self):
        return self.rnd.choice(self.dirs[:200])

    def any(self):
        return self.file() if self.rnd.random() < 0.8 else self.dir()

    def name(self):
        r = self.rnd
        k = r.randrange(20)
        if k == 0:
            return b"n" * 255
        if k == 1:
            return bytes(r.choice(b"\xff\xfe\n\t\x01 \\ab\xc3") for _ in range(r.randrange(1, 40)))
        if k == 2:
            return ("é日本😀"[r.randrange(4)] * r.randrange(1, 60)).encode()
        if k == 3:
            return b"long-%d-" % r.randrange(10000) + b"x" * r.randrange(1, 240)
        return b"f%d" % r.randrange(3000)

    def path(self):
        return os.path.join(self.dir(), self.name())

    def data(self, n):
        k = self.rnd.randrange(5)
        if k == 0:
            return bytes(n)
        if k == 1:
            return (b"%d compressible text " % self.rnd.randrange(10**9) * (n // 20 + 1))[:n]
        if k == 2:
            return b"".join(self.rnd.randbytes(64) + bytes(192) for _ in range(n // 256 + 1))[:n]
        return self.rnd.randbytes(n)

    def size(self):
        r = self.rnd
        return int((r.choice(SIZES) if r.random() < 0.7 else r.randrange(r.choice((300, 10000, 600000)))) * self.big) \
            if r.random() < 0.9 else r.choice(SIZES[:20])

    def open(self, p, flags=os.O_RDWR):
        st = os.lstat(p) if not flags & os.O_CREAT else None
        if st and not stat.S_ISREG(st.st_mode):
            raise OSError(errno.EINVAL, "")
        return os.open(p, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)

    def with_fd(self, fn, p=None, flags=os.O_RDWR):
        fd = self.open(p or self.file(), flags)
        try:
            return fn(fd)
        finally:
            os.close(fd)

    # --- content ---

    def create(self):
        p = self.path()
        self.with_fd(lambda fd: os.write(fd, self.data(self.size())), p, os.O_RDWR | os.O_CREAT)
        self.files.append(p)

    def where(self, fd):
        s = os.fstat(fd).st_size
        r = self.rnd
        at = r.choice((0, r.randrange(s + 1), s, s + r.randrange(100000), r.randrange(1 << r.choice((12, 20, 23)))))
        return at & ~4095 if r.random() < 0.4 else at

    def write(self):
        self.with_fd(lambda fd: os.pwrite(fd, self.data(self.size()), self.where(fd)))

    def rewrite(self):
        self.with_fd(lambda fd: os.pwrite(fd, self.data(self.rnd.choice((1, 4096, 8192))),
                                          self.rnd.randrange(os.fstat(fd).st_size + 1)))

    def append(self):
        self.with_fd(lambda fd: os.pwrite(fd, self.data(self.rnd.choice((1, 100, 4096, 9000))), os.fstat(fd).st_size))

    def truncate(self):
        def go(fd):
            s, r = os.fstat(fd).st_size, self.rnd
            os.ftruncate(fd, r.choice((0, s // 2, max(s - 1, 0), s + 1, s + r.randrange(300000), r.randrange(s + 1),
                                       r.choice(SIZES), s & ~4095)))
        self.with_fd(go)

    def sparse(self):
        def go(fd):
            for _ in range(self.rnd.randrange(1, 12)):
                os.pwrite(fd, self.data(self.rnd.choice((1, 4096, 5000))), self.rnd.randrange(1 << 25))
            os.ftruncate(fd, self.rnd.randrange(1 << 25))
        self.with_fd(go)

    def fragment(self):
        def go(fd):
            step = self.rnd.choice((2048, 8192, 16384, 12288))
            for k in range(self.rnd.choice((20, 200, 800))):
                os.pwrite(fd, b"%08d" % k, k * step)
        self.with_fd(go)

    def fallocate(self):
        def go(fd):
            mode = self.rnd.choice((0, 1, 1, 3, 3, 16, 17, 8, 32, 0x41))
            at, n = self.where(fd), self.rnd.choice((1, 4096, 8192, 65536, 300000, 1 << 20, 5000))
            if mode in (8, 32):
                at, n = at & ~0xffff if self.rnd.random() < 0.3 else at & ~4095, self.rnd.choice((4096, 8192, 65536))
            if libc.fallocate(fd, mode, ctypes.c_long(at), ctypes.c_long(n)):
                raise OSError(ctypes.get_errno(), "fallocate %d" % mode)
        self.with_fd(go)

    def clone(self):
        src = self.open(self.file())
        try:
            self.with_fd(lambda fd: fcntl.ioctl(fd, FICLONE, src), self.path(), os.O_RDWR | os.O_CREAT)
        finally:
            os.close(src)

    def clone_range(self):
        src = self.open(self.file())
        def go(fd):
            s, r = os.fstat(src).st_size, self.rnd
            at = r.randrange(s + 1) & ~4095
            n = r.choice((0, 4096, 8192, 65536, (s - at) & ~4095))
            fcntl.ioctl(fd, FICLONERANGE, struct.pack("qQQQ", src, at, n, self.where(fd) & ~4095))
        try:
            self.with_fd(go)
        finally:
            os.close(src)

    def dedupe(self):
        a, b = self.file(), self.path()
        src = self.open(a)
        try:
            n = os.fstat(src).st_size
            def go(fd):
                os.pwrite(fd, os.pread(src, 1 << 20, 0), 0)
                fcntl.ioctl(src, DEDUPE, bytearray(struct.pack("QQHHIqQQiI", 0, min(n, 1 << 20) & ~4095, 1, 0, 0, fd, 0,
                                                               0, 0, 0)))
            self.with_fd(go, b, os.O_RDWR | os.O_CREAT)
        finally:
            os.close(src)

    def orphan(self):
        p = self.file()
        fd = self.open(p)
        self.orphans.append(fd)
        os.unlink(p)
        os.pwrite(fd, self.data(self.size()), 0)
        while len(self.orphans) > 20:
            os.close(self.orphans.pop(0))

    def tmpfile(self):
        self.orphans.append(os.open(self.dir(), os.O_TMPFILE | os.O_RDWR))
        os.pwrite(self.orphans[-1], self.data(self.size()), 0)
        if self.rnd.random() < 0.5:
            libc.linkat(-100, b"/proc/self/fd/%d" % self.orphans[-1], -100, self.path(), 0x400)

    def sync(self):
        fd = os.open(self.root, os.O_RDONLY)
        libc.syncfs(fd)
        os.close(fd)

    def fsync(self):
        fd = os.open(self.any(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    # --- names ---

    def mkdir(self):
        p = self.path()
        os.mkdir(p, 0o755)
        self.dirs.append(p)

    def long_name(self):
        p = os.path.join(self.dir(), b"%d" % self.rnd.randrange(10**6) + b"L" * self.rnd.randrange(200, 249))
        os.close(os.open(p, os.O_CREAT | os.O_WRONLY, 0o600))
        self.files.append(p)

    def deep(self):
        p = self.dir()
        for i in range(self.rnd.randrange(5, 60)):
            p += b"/" + b"d" * self.rnd.choice((1, 3, 12, 100))
            if len(p) > 3000:
                break
            os.mkdir(p)

    def grow(self):
        d, n, width = self.dir(), self.rnd.choice((100, 700, 2500)), self.rnd.choice((0, 20, 100, 200))
        for i in range(int(n * self.big) + 1):
            p = os.path.join(d, b"g%05d" % i + b"w" * width)
            if self.rnd.random() < 0.1 and self.files:
                os.link(self.files[0], p)
            else:
                os.close(os.open(p, os.O_CREAT | os.O_WRONLY, 0o600))

    def shrink(self):
        d, keep = self.dir(), self.rnd.choice((0, 0.05, 0.5))
        for n in os.listdir(d):
            if self.rnd.random() >= keep and n.startswith(b"g"):
                os.unlink(os.path.join(d, n))

    def rename(self):
        os.rename(self.any(), self.rnd.choice((self.path(), self.file())))

    def exchange(self):
        if libc.renameat2(-100, self.any(), -100, self.any(), 2):
            raise OSError(ctypes.get_errno(), "renameat2")

    def swap_name(self):
        p = self.file()
        q = p + b"~"
        self.with_fd(lambda fd: os.write(fd, self.data(self.size())), q, os.O_RDWR | os.O_CREAT)
        if self.rnd.random() < 0.5:
            self.with_fd(os.fsync, q)
        os.rename(q, p)

    def link(self):
        p = self.path()
        f = self.file()
        for i in range(self.rnd.choice((1, 1, 1, 1, 5, 5, 30))):
            os.link(f, p + b"%d" % i, follow_symlinks=False)
        self.files.append(p + b"0")

    def symlink(self):
        n = self.rnd.choice((1, 2, 30, 59, 60, 61, 100, 155, 156, 157, 300, 1000, 1023, 1024, 2000, 3000, 4000, 4094,
                             4095, self.rnd.randrange(1, 4096)))
        p = self.path()
        os.symlink((b"t" if self.rnd.random() < 0.8 else b"\xff\n") * n if n < 2000 else b"s" * n, p)
        self.files.append(p)

    def node(self):
        p, k = self.path(), self.rnd.randrange(4)
        if k == 0:
            os.mkfifo(p)
        elif k == 1:
            s = socket.socket(socket.AF_UNIX)
            fd = os.open(os.path.dirname(p), os.O_PATH)
            try:
                s.bind(b"/proc/self/fd/%d/%s" % (fd, os.path.basename(p)[:60]))
            finally:
                s.close()
                os.close(fd)
        else:
            dev = self.rnd.choice(((0, 0), (1, 3), (8, 17), (255, 255), (256, 0), (0, 256), (4095, 2**20 - 1), (259, 70000)))
            os.mknod(p, (stat.S_IFCHR if k == 2 else stat.S_IFBLK) | 0o600, os.makedev(*dev))
        self.files.append(p)

    def unlink(self):
        p = self.any()
        if p in self.dirs:
            os.rmdir(p)
        else:
            os.unlink(p)

    def rmtree(self):
        d = self.dir()
        if d != self.root:
            sh("rm", "-rf", "--one-file-system", d)

    # --- metadata ---

    def xattr_name(self):
        k = self.rnd.randrange(12)
        if k == 0:
            return b"user." + b"k" * self.rnd.choice((1, 100, 249, 250))
        if k == 1:
            return b"user.\xff\n " + b"%d" % self.rnd.randrange(5)
        return self.rnd.choice((b"user.a%d", b"user.attr%d", b"trusted.t%d", b"security.s%d")) % self.rnd.randrange(12)

    def xattr(self):
        n = self.rnd.choice((0, 1, 3, 20, 60, 100, 200, 250, 256, 400, 900, 1000, 2000, 3900, 4000, 4096, 8000, 16384,
                             30000, 65536))
        os.setxattr(self.any(), self.xattr_name(), self.data(n), follow_symlinks=False)

    def many_xattrs(self):
        p = self.any()
        for i in range(self.rnd.choice((10, 100, 400))):
            os.setxattr(p, b"user.many%d" % i, self.rnd.randbytes(self.rnd.randrange(120)), follow_symlinks=False)

    def unxattr(self):
        p = self.any()
        names = os.listxattr(p, follow_symlinks=False)
        for n in names if self.rnd.random() < 0.2 else names[:1]:
            os.removexattr(p, n, follow_symlinks=False)

    def acl(self):
        ids = sorted(self.rnd.sample(range(1, 100000), self.rnd.choice((0, 1, 3, 40))))
        x = [(1, 6, U)] + [(2, self.rnd.randrange(8), i) for i in ids] + [(4, 5, U)] + \
            [(8, self.rnd.randrange(8), i) for i in ids[:3]] + ([(16, 7, U)] if ids else []) + [(32, 4, U)]
        p = self.any()
        name = b"system.posix_acl_" + (b"default" if p in self.dirs and self.rnd.random() < 0.5 else b"access")
        os.setxattr(p, name, struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in x))

    def mode(self):
        p = self.any()
        if not os.path.islink(p):
            os.chmod(p, self.rnd.randrange(0o10000))

    def owner(self):
        ids = (0, 1000, 65534, 65535, 65536, 70000, 2**31, 2**32 - 2)
        os.lchown(self.any(), self.rnd.choice(ids), self.rnd.choice(ids))

    def times(self):
        ns = self.rnd.choice(TIMES) * 10**9 + self.rnd.choice((0, 1, 500000000, 999999999))
        os.utime(self.any(), ns=(ns, ns), follow_symlinks=False)

    def flags(self):
        # immutable and append-only ones are left alone afterwards, so few of them
        flag = self.rnd.choice((0x40, 0x80, 0x4, 0x8, 0x800000, 0x400, 0x8000, 0x10000, 0x40000, 0x20000, 0x02000000) +
                               ((0x10, 0x20) if self.rnd.random() < 0.2 else ()))
        fd = os.open(self.any(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            old, = struct.unpack("i", fcntl.ioctl(fd, GETFLAGS, bytes(4)))
            fcntl.ioctl(fd, SETFLAGS, struct.pack("i", old ^ flag))
        finally:
            os.close(fd)

    def project(self):
        fd = os.open(self.any(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            x, ext, n, proj, cow, _ = struct.unpack("IIIII8s", fcntl.ioctl(fd, FSGETX, bytes(28)))
            if self.rnd.random() < 0.5:
                proj = self.rnd.choice((1, 65536, 2**31))
            else: # extent size hints: XFS allocates beyond what is written
                x, ext = x | self.rnd.choice((0x800, 0x1000, 0x10000)), 65536
                cow = ext if x & 0x10000 else 0
            fcntl.ioctl(fd, FSSETX, struct.pack("IIIII8x", x, ext, n, proj, cow))
        finally:
            os.close(fd)

    # --- btrfs ---

    def subvolumes(self):
        return [d for d in self.dirs if os.lstat(d).st_ino == 256]

    def subvolume(self):
        p = self.path()
        if sh("btrfs", "subvolume", "create", p):
            raise OSError(errno.EIO, "")
        self.dirs.append(p)

    def snapshot(self):
        a = self.rnd.choice(self.subvolumes())
        ro = ["-r"] if self.rnd.random() < 0.4 else []
        if len(self.subvolumes()) > 25 or sh("btrfs", "subvolume", "snapshot", *ro, a, self.path()):
            raise OSError(errno.EIO, "")
        self.scan()

    def drop_subvolume(self):
        if sh("btrfs", "subvolume", "delete", self.rnd.choice(self.subvolumes())):
            raise OSError(errno.EIO, "")
        self.scan()

    def rename_subvolume(self):
        os.rename(self.rnd.choice(self.subvolumes()), self.path())
        self.scan()

    def default_subvolume(self):
        if sh("btrfs", "subvolume", "set-default", self.rnd.choice(self.subvolumes())):
            raise OSError(errno.EIO, "")

    def compression(self):
        os.setxattr(self.any(), b"btrfs.compression", self.rnd.choice((b"zlib", b"lzo", b"zstd")))

    def defragment(self):
        sh("btrfs", "filesystem", "defragment", self.rnd.choice(("-f", "-czlib", "-clzo", "-czstd")), self.file())

    def balance(self):
        sh("btrfs", "balance", "start", *self.rnd.choice((["-dusage=90"], ["-musage=90"], ["--full-balance"])), self.root)

    def send(self):
        s, d = self.rnd.choice(self.subvolumes()), self.path()
        snap = os.path.join(self.root, b"snap%d" % self.rnd.randrange(10**6))
        if len(self.subvolumes()) > 20 or sh("btrfs", "subvolume", "snapshot", "-r", s, snap):
            raise OSError(errno.EIO, "")
        os.mkdir(d)
        subprocess.run(b"btrfs -q send %s | btrfs -q receive \"$D\"" % (b'"$S"',), shell=True, stderr=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, env=dict(os.environb, S=snap, D=d))
        self.scan()

    def encoded(self):
        # long runs of text, so that compressed extents are full and then cut
        def go(fd):
            os.pwrite(fd, b"%d the same again " % self.rnd.randrange(10**6) * self.rnd.choice((2000, 20000)), self.where(fd) & ~4095)
            os.fsync(fd)
            for _ in range(self.rnd.randrange(4)):
                os.pwrite(fd, self.data(4096), self.rnd.randrange(os.fstat(fd).st_size))
        self.with_fd(go)

    def run(self, n):
        fns, ws = zip(*self.table)
        for fn in self.rnd.choices(fns, ws, k=n):
            if self.n % 150 == 0:
                self.scan()
            self.n += 1
            try:
                fn()
                self.done[fn.__name__] += 1
            except OSError as e:
                self.refused[(fn.__name__, errno.errorcode.get(e.errno))] += 1

    def close(self):
        for fd in self.orphans:
            os.close(fd)
        self.orphans = []
