# SPDX-License-Identifier: Apache-2.0
"""What the trees of several file systems' tests begin with."""
import os, socket


def base():
    """In the current folder: a folder of 20,000 small files, one that is 60 deep, one that is empty."""
    os.mkdir("many")
    for i in range(20000):
        with open("many/f%05d" % i, "wb") as o:
            o.write(b"%d" % i * (i % 40))
    deep = "."
    for i in range(60):
        deep += "/d%d" % i
        os.mkdir(deep)
    open(deep + "/bottom", "w").write("deep")
    os.mkdir("empty")


def kinds(longest):
    """In the current folder: every type of entry, 2,000 links, odd names (one of `longest` bytes), and the file "mode" with owner,
    mode and attributes. The folder "empty" beside it gets an attribute."""
    open("zero", "w").close()
    for n in [b"\xc3\xbcml", b"new\nline", b"bad\xff\xfe", b"y" * longest, b"back\\slash", b"sp ace"]:
        open(n, "wb").write(n)
    open("linked", "w").write("one content")
    for i in range(2000):
        os.link("linked", "link%d" % i)
    os.symlink("a/../b", "sl")
    os.symlink("z" * 4000, "long")
    os.mkfifo("fifo")
    os.mknod("char", 0o20640, os.makedev(4, 300))
    os.mknod("bdev", 0o60600, os.makedev(259, 70000))
    s = socket.socket(socket.AF_UNIX)
    s.bind("sock")
    open("mode", "w").close()
    os.chmod("mode", 0o6751)
    os.chown("mode", 123456, 7890123)
    os.setxattr("mode", "user.a", b"one")
    os.setxattr("mode", "user.empty", b"")
    os.setxattr("mode", "user.big", bytes(range(256)) * 12)
    os.setxattr("mode", "trusted.t", b"\0\1\2")
    os.setxattr("mode", "security.s", b"label")
    os.setxattr("../empty", "user.dir", b"d")
