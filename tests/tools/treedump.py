#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""treedump.py DIR [--no-content] [--xattrs] [--damaged]: every entry below a mounted
folder in the form of fsdump, as the kernel (or FUSE) shows it: the oracle.
--damaged: what it cannot read is left out."""
import hashlib, os, stat, sys

args = [a for a in sys.argv[1:] if not a.startswith("--")]
content = "--no-content" not in sys.argv
xattrs = "--xattrs" in sys.argv
damaged = "--damaged" in sys.argv
root = os.fsencode(args[0]).rstrip(b"/")
rootdev = os.lstat(root).st_dev
out = sys.stdout.buffer


def esc(b):
    return b"".join(bytes([c]) if 0x20 < c < 0x7f and c != 0x5c else b"\\x%02x" % c for c in b)


def kind(m):
    for f, c in ((stat.S_ISREG, b"f"), (stat.S_ISDIR, b"d"), (stat.S_ISLNK, b"l"), (stat.S_ISCHR, b"c"),
                 (stat.S_ISBLK, b"b"), (stat.S_ISFIFO, b"p"), (stat.S_ISSOCK, b"s")):
        if f(m):
            return c
    return b"?"


def soft(fn, *a):
    try:
        return fn(*a)
    except OSError as e:
        if not damaged:
            raise
        print("%s: %r" % (e.strerror, a[0]), file=sys.stderr)
        return None


def sha(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while True:
            b = f.read(1 << 20)
            if not b:
                break
            h.update(b)
    return h.hexdigest().encode()


todo = [root]
while todo:
    p = todo.pop()
    st = soft(os.lstat, p)
    if not st:
        continue
    k = kind(st.st_mode)
    h = b"-"
    if k == b"f" and content:
        try:
            h = sha(p)
        except OSError:
            h = b"unreadable"
    rel = p[len(root):] or b"/"
    rdev = (os.major(st.st_rdev), os.minor(st.st_rdev)) if k in b"cb" else (0, 0)
    ns = st.st_mtime_ns
    line = b"%s %04o %d %d %d %d.%09d %d %d:%d %s %s" % (
        k, stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, st.st_size if k in b"fl" else 0,
        ns // 10**9, ns % 10**9, 1 if k == b"d" else st.st_nlink, rdev[0], rdev[1], h, esc(rel))
    if k == b"l":
        target = soft(os.readlink, p)
        line += b" -> " + (b"unreadable" if target is None else esc(target))
    out.write(line + b"\n")
    if xattrs:
        try:
            for n in os.listxattr(p, follow_symlinks=False):
                v = os.getxattr(p, n, follow_symlinks=False)
                out.write(b"x %s %s %s\n" % (esc(rel), esc(os.fsencode(n)), v.hex().encode()))
        except OSError:
            pass
    if k == b"d":
        todo.extend(os.path.join(p, n) for n in soft(os.listdir, p) or [])
