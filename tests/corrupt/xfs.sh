#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# XFS field by field: what contradicts the format is a finding or a refusal, and the rest is still read. Checksums are
# made right again where the field is what is tested. Then single bytes all over the metadata.
. "$(dirname "$0")/../lib.sh"
need python3
for n in dirs attrs data bigdir v4-ftype0 v4-ftype1; do simg.py unpack "$TOP/fuzz/corpus/xfs/$n.simg" $n; done
PYTHONPATH=$TOP/tests/tools python3 - <<'END'
from corrupt import *

T = [[0] * 256]
for i in range(256):
    c = i
    for _ in range(8):
        c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
    T[0][i] = c


def crc32c(b):
    c = 0xffffffff
    for x in b:
        c = c >> 8 ^ T[0][(c ^ x) & 255]
    return c ^ 0xffffffff


def be(n, v):
    return (v & (1 << 8 * n) - 1).to_bytes(n, "big")


class Image:
    def __init__(self, name):
        self.name = name
        self.b = open(name, "rb").read()
        g = lambda at, n: int.from_bytes(self.b[at:at + n], "big")
        self.bs, self.isize, self.aglog, self.inop = g(4, 4), g(104, 2), self.b[124], self.b[123]
        self.agblocks, self.dirblk, self.v5 = g(84, 4), g(4, 4) << self.b[192], g(100, 2) & 15 == 5
        self.fork = 176 if self.v5 else 100

    def fsb(self, n):
        return ((n >> self.aglog) * self.agblocks + (n & (1 << self.aglog) - 1)) * self.bs

    def bno(self, at): # the number of the block at a place
        n = at // self.bs
        return n // self.agblocks << self.aglog | n % self.agblocks

    def at(self, n):
        return self.fsb(n >> self.inop) + (n & (1 << self.inop) - 1) * self.isize

    def ino(self, path): # where the inode of "/" or of a name in it lies; the root is of the short form
        root = self.at(int.from_bytes(self.b[56:64], "big"))
        if path == "/":
            return root
        p, n = root + self.fork, self.b[root + self.fork]
        p += 6
        for _ in range(n):
            name = self.b[p + 3:p + 3 + self.b[p]]
            p += 3 + self.b[p] + 1
            if name == path[1:].encode():
                return self.at(int.from_bytes(self.b[p:p + 4], "big"))
            p += 4
        raise SystemExit("no %s in %s" % (path, self.name))

    def block(self, path, i=0, attr=False): # where block i of a fork lies; its extents are in the inode
        p = self.ino(path)
        n = int.from_bytes(self.b[p + 80:p + 82], "big") if attr else int.from_bytes(self.b[p + 76:p + 80], "big")
        if self.b[p + 127] & 0x10:
            n = int.from_bytes(self.b[p + 76:p + 80], "big") if attr else int.from_bytes(self.b[p + 24:p + 32], "big")
        p += self.fork + (self.b[p + 82] * 8 if attr else 0)
        for k in range(n):
            v = int.from_bytes(self.b[p + 16 * k:p + 16 * k + 16], "big")
            off, start, count = v >> 73 & (1 << 54) - 1, v >> 21 & (1 << 52) - 1, v & (1 << 21) - 1
            if off <= i < off + count:
                return self.fsb(start) + (i - off) * self.bs
        raise SystemExit("no block %d of %s in %s" % (i, path, self.name))

    def raw(self, at, size, crc, *changes):
        """changes with the checksum of [at, at+size) made right again"""
        b = bytearray(self.b[at:at + size])
        for off, v in changes:
            b[off:off + len(v)] = v
        if self.v5:
            b[crc:crc + 4] = bytes(4)
            b[crc:crc + 4] = crc32c(bytes(b)).to_bytes(4, "little")
        return [(at, bytes(b))]

    def sb(self, off, v): # all copies
        r = []
        for at in range(0, len(self.b), self.agblocks * self.bs):
            if self.b[at:at + 4] == b"XFSB":
                r += self.raw(at, 512, 224, (off, v))
        return r

    def inode(self, path, *changes):
        return self.raw(self.ino(path), self.isize, 100, *changes)


n = 0
D, A, X, B = Image("dirs"), Image("attrs"), Image("data"), Image("bigdir")
V0, V1 = Image("v4-ftype0"), Image("v4-ftype1")
BAD = "fsdump: (corrupt|not recognised): xfs"

# superblocks: every copy says the same
rows = []
for what, off, v in (("blocksize 0", 4, be(4, 0)), ("blocksize 1000", 4, be(4, 1000)), ("blocksize 128K", 4, be(4, 131072)), ("blocklog", 120, b"\x0b"), ("dblocks 0", 8, be(8, 0)),
        ("dblocks huge", 8, be(8, -1)), ("rootino 0 is no directory", 56, be(8, 0)), ("rootino outside", 56, be(8, -1)), ("logstart outside", 48, be(8, 1 << 40)),
        ("logblocks", 96, be(4, -1)), ("agblocks 0", 84, be(4, 0)), ("agblocks 63", 84, be(4, 63)), ("agblocks huge", 84, be(4, -1)), ("agcount 0", 88, be(4, 0)),
        ("agcount huge", 88, be(4, -1)), ("agblklog", 124, b"\xff"), ("sectsize 0", 102, be(2, 0)), ("sectlog", 121, b"\x00"), ("inodesize 128", 104, be(2, 128)),
        ("inodesize 4096", 104, be(2, 4096)), ("inodelog", 122, b"\xff"), ("inopblog", 123, b"\x09"), ("dirblklog", 192, b"\x07"), ("dirblklog 255", 192, b"\xff"),
        ("inprogress", 126, b"\x01")):
    rows.append((what, D.sb(off, v), BAD))
rows += [("version 3", D.sb(100, be(2, 0xb4a3)), "unsupported: .*version 3"), ("incompat", D.sb(216, be(4, 0x80000000)), "unsupported: .*0x80000000"),
         ("zoned", D.sb(216, be(4, 0x20f)), "unsupported: .*0x200"), ("quota inode is the root", D.sb(160, D.b[56:64]), BAD),
         ("magic", [(0, b"YFSB")], BAD), ("cut to a sector", [("cut", 512)], "fs-truncated|" + BAD), ("empty", [("cut", 0)], "not recognised"), ("511 bytes", [("cut", 511)], "not recognised")]
n += table(D.b, rows, ("--free", "--xattrs"))
n += table(V0.b, [("version 4 without directories 2", V0.sb(100, be(2, 0x94a4)), "unsupported"), ("shared", V0.sb(100, be(2, 0xb6a4)), "unsupported"),
                  ("features2", V0.sb(200, be(4, 0x8000a)) + V0.sb(204, be(4, 0x8000a)), "unsupported"),
                  # seen as with file types, names are one byte off; never read outside
                  ("ftype", V0.sb(200, be(4, 0x28a)) + V0.sb(204, be(4, 0x28a)), "dir-damaged|READDIR")])

# inodes
i, f = D.inode, "/short"
root = D.b[56:64]
rows = [("magic", i(f, (0, b"XX")), "UNREADABLE: /short: .*no inode"), ("mode 0", i(f, (2, be(2, 0))), "UNREADABLE: /short: .*not in use"), ("mode type", i(f, (2, be(2, 0o30755))), "UNREADABLE: /short: .*no file type"),
        ("version 2", i(f, (4, b"\2")), "version is not 3"), ("format", i(f, (5, b"\5")), "file-damaged: .*another format"), ("local file", i("/one", (5, b"\1")), "file-damaged.*another format"),
        ("size negative", i(f, (56, be(8, -1))), "size is negative"), ("directory size", i("/node", (56, be(8, 1024))), "not that of its blocks"), ("size over the fork", i(f, (56, be(8, 4000))), "over that of the inode"), ("forkoff", i(f, (82, b"\xff")), "starts outside"),
        ("nextents", i("/block", (76, be(4, 100))), "more extents than fit"), ("number", i(f, (152, be(8, 5))), "another number"), ("uuid", i(f, (160, bytes(16))), "another file system"),
        ("checksum", [(D.ino(f) + 100, b"\0\0\0\0")], "file-damaged: .*checksum", "\n- 0|f .* /short/00003"), ("root's magic", i("/", (0, b"XX")), "fsdump: corrupt"), ("root is a file", i("/", (2, be(2, 0o100644))), "root is not a directory"),
        ("times", i("/one", (40, be(8, -1))), "f .* /one"), ("device's format", i("/null", (5, b"\2")), "file-damaged"), ("metadata inode", i("/one", (120, be(8, 0x28))), "UNREADABLE: /one"),
        ("symlink's size 0", i("/link", (56, be(8, 0))), "UNREADABLE: /link"), ("symlink's size 60000", i("/far", (56, be(8, 60000))), "UNREADABLE: /far"), ("symlink holds NUL", i("/link", (178, b"\0")), "holds a NUL"),
        # short directories: count, width, name length, inode
        ("short count", i(f, (176, b"\xff")), "does not fit", "/short/00003"), ("short wide", i(f, (177, b"\xff")), "dir-damaged"), ("short name length", i(f, (182, b"\xff")), "does not fit"), ("short name length 0", i(f, (182, b"\0")), "does not fit"),
        ("short slash", i(f, (185, b"/")), "name-bad", "/short/00003"), ("short NUL", i(f, (186, b"\0")), "name-bad"), ("short inode", i(f, (191, be(4, -1))), "outside the file system", "/short/00003"), ("directory in itself", i(f, (191, D.b[60:64])), "READDIR|LOOP|d ")]
b = D.block("/block")
ent = b + 64 + 16 + 16  # behind "." and ".."
blk = lambda *c: D.raw(b, 4096, 4, *c)
rows += [("block magic", blk((0, b"XXXX")), "no magic"), ("block owner", blk((40, be(8, 3))), "of another directory"), ("block uuid", blk((24, b"\0")), "of another directory"), ("block checksum", [(b + 4, b"\0\0\0\0")], "checksum", "/block/.*1"),
         ("index too long", blk((4088, be(4, 1000))), "index is bad", "/block/0*1\n"), ("entry's length", blk((96 + 8, b"\xff")), "contradicts"), ("entry's length 0", blk((96 + 8, b"\0")), "contradicts|name-bad"),
         ("entry's tag", blk((96 + 30, be(2, 7))), "contradicts"), ("entry's inode", blk((96, be(8, 1 << 60))), "outside the file system"), ("free of 0", blk((96, be(2, -1)), (98, be(2, 0))), "contradicts"),
         ("free of 65528", blk((96, be(2, -1)), (98, be(2, 65528))), "contradicts"), ("free of 7", blk((96, be(2, -1)), (98, be(2, 7))), "contradicts"), ("slash", blk((96 + 9, b"/")), "name-bad")]
b = D.block("/node")
ext = D.ino("/node") + 176
rec = lambda un, off, start, count: be(16, un << 127 | off << 73 | start << 21 | count)
start = int.from_bytes(D.b[ext:ext + 16], "big") >> 21 & (1 << 52) - 1
rows += [("data magic", D.raw(b, 4096, 4, (0, b"XDB3")), "index is bad|contradicts|dir-damaged"), ("extent outside", i("/node", (176, rec(0, 0, 1 << 50, 1))), "outside the file system"),
         ("extent empty", i("/node", (176, rec(0, 0, start, 0))), "not in order"), ("first extent far away", i("/node", (176, rec(0, 1 << 40, start, 1))), "not that of its blocks|not in order"),
         ("extent of all", i("/node", (176, rec(0, 0, 0, (1 << 21) - 1))), "outside the file system"), ("extent at 2^54", i("/node", (176, rec(0, (1 << 54) - 1, start, 1))), "past the largest file"),
         ("extent of the superblock", i("/node", (176, rec(0, 0, 0, 64))), "no magic")]
n += table(D.b, rows, ("--free", "--xattrs"))
far = D.block("/far")
n += table(D.b, [("symlink's " + w, D.raw(far, 1024, 12, (o, v)) if w != "checksum" else [(far + o, v)], "UNREADABLE: /far") for w, o, v in
                 (("magic", 0, b"Y"), ("offset", 4, b"\1"), ("bytes", 8, be(4, 5)), ("owner", 32, be(8, 5)), ("uuid", 16, b"\0"), ("checksum", 12, b"\0\0"))])
# the 4-KiB directory blocks of 1-KiB blocks
e = B.ino("/many") + 176
start = int.from_bytes(B.b[e:e + 16], "big") >> 21 & (1 << 52) - 1
n += table(B.b, [("half a block", B.inode("/many", (176, rec(0, 0, start, 2))), "missing"), ("from the middle", B.inode("/many", (176, rec(0, 2, start, 2))), "missing|no magic")])

# extents of files
t = X.ino("/tree")
fo = 176
off0 = X.b[t + 176 + 4:t + 176 + 12]
leaf = X.fsb(int.from_bytes(X.b[t + 176 + 4 + (512 - 176 - 4) // 16 * 8 if not X.b[t + 82] else t + 176 + 4 + (X.b[t + 82] * 8 - 4) // 16 * 8:][:8], "big"))
rt = lambda *c: X.inode("/tree", *c)
lf = lambda *c: X.raw(leaf, 1024, 64, *c)
rows = [("level 0", rt((176, be(2, 0))), "depth is bad"), ("level 9", rt((176, be(2, 9))), "depth is bad"), ("level 2", rt((176, be(2, 2))), "another level"), ("records 0", rt((178, be(2, 0))), "number of records"),
        ("records 65535", rt((178, be(2, -1))), "number of records"), ("leaf magic", lf((0, b"XXXX")), "no magic"), ("leaf level", lf((4, be(2, 1))), "another level"), ("leaf records 0", lf((6, be(2, 0))), "number of records"),
        ("leaf records", lf((6, be(2, -1))), "number of records"), ("leaf owner", lf((56, be(8, 7))), "of another file"), ("leaf uuid", lf((40, b"\0\0")), "of another file"), ("leaf checksum", [(leaf + 64, b"\0\0")], "checksum"),
        ("next leaf is itself", lf((16, be(8, X.bno(leaf)))), "not in order"), ("next leaf outside", lf((16, be(8, 1 << 60))), "outside"),
        ("record's start", lf((72, be(16, (1 << 127) - 1 & ~((1 << 73) - 1) | 1))), "past the largest|not in order|outside"),
        ("inline outside", X.inode("/inline", (176, rec(0, 0, 1 << 40, 1))), "outside the file system"), ("inline past the group", X.inode("/inline", (176, rec(0, 0, X.agblocks - 1, 2))), "outside the file system"),
        ("nextents 2^32", X.inode("/inline", (76, be(4, -1))), "more extents than fit"), ("nextents 2^63", X.inode("/inline", (24, be(8, -1)), (120, be(8, 0x18))), "more extents than fit"),
        ("size 2^63-1", X.inode("/hole", (56, be(8, (1 << 63) - 1))), "9223372036854775807")]
n += table(X.b, rows, ("--no-content", "--free"))
# free space: a group is told whole or not at all
agf = lambda *c: X.raw(512, 512, 216, *c)
root = int.from_bytes(X.b[512 + 16:512 + 20], "big") * 1024
fr = lambda *c: X.raw(root, 1024, 52, *c)
fl = lambda *c: X.raw(1536, 512, 32, *c)
first = int.from_bytes(X.b[512 + 40:512 + 44], "big")
G = "fs-damaged: .*group 0"
rows = [("AGF " + w, agf((o, v)), G) for w, o, v in (("magic", 0, b"Y"), ("seqno", 8, be(4, 1)), ("length", 12, be(4, 9)), ("root", 16, be(4, -1)), ("level 0", 28, be(4, 0)), ("level 99", 28, be(4, 99)), ("freeblks", 52, be(4, 1)), ("uuid", 64, b"\0\0"))]
rows += [("AGF checksum", [(512 + 216, b"\0\0")], G), ("list " + "too long", agf((48, be(4, 3000))), "# free"), ("list out of its sector", agf((40, be(4, 3000))), "# free"), ("list's entry", fl((36 + 4 * first, be(4, -1))), G), ("list's entry 0", fl((36 + 4 * first, be(4, 0))), G), ("list's magic", fl((0, b"Y")), G)]
rows += [("tree's " + w, fr((o, v)), G) for w, o, v in (("magic", 0, b"Y"), ("level", 4, be(2, 1)), ("records", 6, be(2, -1)), ("sibling is itself", 12, be(4, root // 1024)), ("sibling outside", 12, be(4, 1 << 30)), ("owner", 48, be(4, 1)),
         ("record's start 0", 56, be(4, 0)), ("record's start", 56, be(4, -2)), ("record's length 0", 60, be(4, 0)), ("record's length", 60, be(4, -1)))]
n += table(X.b, rows, ("--no-content", "--free"))

# attributes
s = A.ino("/short") + 176 + A.b[A.ino("/short") + 82] * 8 - A.ino("/short")
at = lambda *c: A.inode("/short", *c)
rows = [("count", at((s + 2, b"\xff")), "xattr-damaged"), ("name length", at((s + 4, b"\xff")), "xattr-damaged: .*does not fit"), ("value length", at((s + 5, b"\xff")), "xattr-damaged"), ("name length 0", at((s + 4, b"\0")), "xattr-damaged"),
        ("both name spaces", at((s + 6, b"\6")), "name is bad"), ("parent pointer", at((s + 6, b"\x08")), "!xattr-damaged", "!x /short user.a", "x /short security.c"), ("incomplete", at((s + 6, b"\x80")), "!xattr-damaged", "!x /short user.a"),
        ("format", at((83, b"\7")), "unknown format"), ("anextents", A.inode("/leaf", (76, be(4, 500))), "more extents")]
l = A.block("/leaf", 0, True)
lf = lambda *c: A.raw(l, 1024, 12, *c)
idx = int.from_bytes(A.b[l + 84:l + 86], "big")
rows += [("leaf magic", lf((8, b"XX")), "no magic"), ("leaf owner", lf((48, be(8, 1))), "of another file"), ("leaf uuid", lf((32, b"\0\0")), "of another file"), ("leaf checksum", [(l + 12, b"\0\0")], "checksum", "x /leaf user.k1"), ("leaf count", lf((56, be(2, -1))), "too many"),
         ("leaf next is itself", lf((0, be(4, 1)), (0, be(4, 1))), "missing"), ("leaf next missing", lf((0, be(4, 77))), "missing"), ("index", lf((84, be(2, -1))), "does not fit", "x /leaf user.k1"), ("value length", lf((idx, be(2, -1))), "does not fit"),
         ("name length", lf((idx + 2, b"\xff")), "does not fit|x /leaf"), ("not local", lf((86, b"\0")), "xattr-damaged|x /leaf")]
nd = A.block("/node", 0, True)
nf = lambda *c: A.raw(nd, 1024, 12, *c)
assert A.b[nd + 8:nd + 10] == b"\x3e\xbe"
rows += [("node level 0", nf((58, be(2, 0))), "node of attributes"), ("node level 9", nf((58, be(2, 9))), "node of attributes"), ("node count 0", nf((56, be(2, 0))), "node of attributes"), ("node to itself", nf((68, be(4, 0))), "node of attributes"),
         ("node to nowhere", nf((68, be(4, -1))), "missing"), ("node deeper", nf((58, be(2, 3))), "where a node should be")]
first = int.from_bytes(A.b[nd + 68:nd + 72], "big")
l1 = A.block("/node", first, True)
rows += [("leaves in a ring", A.raw(l1, 1024, 12, (0, be(4, first))), "limit|more than|XATTRS")]
r = A.block("/remote", 0, True)
nrec = int.from_bytes(A.b[r + 56:r + 58], "big")
for k in range(nrec):
    e = int.from_bytes(A.b[r + 80 + 8 * k + 4:r + 80 + 8 * k + 6], "big")
    if not A.b[r + 80 + 8 * k + 6] & 1 and int.from_bytes(A.b[r + e + 4:r + e + 8], "big") == 2500:
        vb = int.from_bytes(A.b[r + e:r + e + 4], "big")
        rows += [("remote length", A.raw(r, 1024, 12, (e + 4, be(4, 70000))), "over 64 KiB"), ("remote length 2501", A.raw(r, 1024, 12, (e + 4, be(4, 2501))), "remote block is bad"), ("remote block", A.raw(r, 1024, 12, (e, be(4, 900))), "missing"), ("remote block 0", A.raw(r, 1024, 12, (e, be(4, 0))), "remote block is bad")]
v = A.block("/remote", vb, True)
rows += [("value " + w, A.raw(v, 1024, 12, (o, x)), "remote block is bad", "x /remote user.exact") for w, o, x in (("magic", 0, b"Y"), ("offset", 4, b"\1"), ("bytes", 8, b"\1"), ("owner", 32, b"\1"), ("uuid", 16, b"\0\0"))]
rows += [("value checksum", [(v + 100, b"\0")], "checksum of a remote", "x /remote user.exact")]
k = A.ino("/acl")
s = 176 + A.b[k + 82] * 8
o = A.b[k + s:k + 512].find(b"SGI_ACL_FILE") + s + 12
rows += [("list's count", A.inode("/acl", (o, be(4, -1))), "list does not fit"), ("list's count 1", A.inode("/acl", (o, be(4, 1))), "x /acl system.posix_acl_access 0200000001000600ffffffff\n")]
n += table(A.b, rows, ("--no-content", "--xattrs"))

for im in (D, A, X, B, V0, V1):
    n += sweep(im.b, metadata(im.b), 25, 7, ("--xattrs", "--free", "--no-content"))
done("%d changes" % n)
END
