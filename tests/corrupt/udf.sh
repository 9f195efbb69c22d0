#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# UDF: a row a field, its descriptor's sums made again, so that what follows is reached; loops; single-byte changes of all metadata.
. "$(dirname "$0")/../lib.sh"
need python3
mkudf.py g bs=512 few=1
mkudf.py m bs=512 few=1 map=meta rev=0x250
mkudf.py v bs=512 few=1 map=virtual
mkudf.py v15 bs=512 few=1 map=virtual rev=0x150 efe=0
mkudf.py s bs=512 few=1 map=sparable rev=0x150 efe=0
mkudf.py c bs=512 few=1 strategy=4096 rev=0x102 efe=0
PYTHONPATH=$TOP/tests/tools python3 - <<'END'
import struct
from corrupt import *
BS, START = 512, 320
le16 = lambda v: struct.pack("<H", v)
le32 = lambda v: struct.pack("<I", v)
le64 = lambda v: struct.pack("<Q", v)
def crc(b):
    c = 0
    for x in b:
        c ^= x << 8
        for _ in range(8):
            c = (c << 1 ^ 0x1021 if c & 0x8000 else c << 1) & 0xffff
    return c
class Image:
    def __init__(self, name):
        self.b = open(name, "rb").read()
    def seal(self, off, changes):
        """the descriptor at off with fields changed (offset in it, bytes) and a right tag: one change"""
        n = struct.unpack_from("<H", self.b, off + 10)[0] + 16
        d = bytearray(self.b[off:off + n])
        for at, new in changes:
            d[at:at + len(new)] = new
        struct.pack_into("<H", d, 8, crc(d[16:n]))
        d[4] = (sum(d[:4]) + sum(d[5:16])) & 255
        return [(off, bytes(d))]
    def ident(self, name, at=0):
        """where the identifier of this name lies (those without implementation use)"""
        b = name.encode()
        at = self.b.index(bytes([8]) + b, START * BS + at)
        while self.b[at - 38:at - 36] != b"\1\1" or self.b[at - 19] != len(b) + 1:
            at = self.b.index(bytes([8]) + b, at + 1)
        return at - 38
    def icb(self, name):
        return START * BS + struct.unpack_from("<I", self.b, self.ident(name) + 24)[0] * BS
    def row(self, what, off, changes, *wanted):
        return (what, self.seal(off, changes), *wanted)
g = Image("g")
A1, A2, A3 = 256 * BS, len(g.b) - 257 * BS, len(g.b) - BS
main = {struct.unpack_from("<H", g.b, o)[0]: o for o in range(260 * BS, 266 * BS, BS)}
both = lambda at, changes: g.seal(main[at], changes) + g.seal(main[at] + 20 * BS, [(12, le32(main[at] // BS + 20))] + changes)
fsd = START * BS + struct.unpack_from("<I", g.b, main[6] + 252)[0] * BS
root = START * BS + struct.unpack_from("<I", g.b, fsd + 404)[0] * BS
adl = lambda off: struct.unpack_from("<I", g.b, off + 208)[0]
plain, pieces, link, inline, char, chained, holes, streams, sub = (g.icb(n) for n in ("plain", "pieces", "link", "inline", "char", "chained", "holes", "streams", "sub"))
ads = lambda off: off + 216 + adl(off)
ad0 = lambda off: 216 + adl(off)        # the first allocation descriptor, in the entry
aed = START * BS + next(struct.unpack_from("<I", g.b, o + 4)[0] for o in range(ads(chained), ads(chained) + 160, 16) if g.b[o + 3] >> 6 == 3) * BS
n = table(g.b, [(".", [], "!FINDING", " /plain$"),
    ("attributes of a device in itself", g.seal(char, [(136, le32(BS) + le32(char // BS - START) + le16(0)), (240, le32(99))]), "xattr-damaged.*of type 7", " /char$"),
    ("no NSR", [(g.b.index(b"NSR0"), b"X")], "not recognised"),
    ("first anchor's sum", [(A1 + 4, b"\0")], "!FINDING", " /plain$"),
    ("first anchor leads away", g.seal(A1, [(20, le32(0xffffff0)), (28, le32(0xffffff0))]), " /plain$"),
    ("all anchors", [(A1, b"\3"), (A2, b"\3"), (A3, b"\3")], "not recognised: udf: no anchor"),
    ("main sequence of 4 GiB", g.seal(A1, [(16, le32(0xffffffff))]), " /plain$"),
    ("main sequence empty", g.seal(A1, [(16, le32(0))]), "fs-backup-super.*reserve", " /plain$"),
    ("both sequences empty", sum((g.seal(a, [(16, le32(0)), (24, le32(0))]) for a in (A1, A2, A3)), []), "not recognised: udf: no logical volume"),
    ("a pointer to itself", g.seal(main[1], [(0, le16(3)), (20, le32(16 * BS)), (24, le32(260))]), "fs-backup-super", " /plain$"),
    ("logical volume's sum", [(main[6] + 100, b"\xff")], "fs-backup-super", " /plain$"),
    ("no logical volume", [(main[6], b"\xff"), (main[6] + 20 * BS, b"\xff")], "not recognised: udf: no logical volume"),
    ("no partition", [(main[5], b"\xff"), (main[5] + 20 * BS, b"\xff")], "not recognised: udf: no logical volume"),
    ("block size", both(6, [(212, le32(2048))]), "not recognised: udf: blocks of 2048"),
    ("domain", both(6, [(217, b"*Other")]), "not recognised: udf: .*another domain"),
    ("revision 3.00", both(6, [(240, le16(0x300))]), "not recognised: udf: revision 3.00"),
    ("maps past the block", both(6, [(264, le32(2000))]), "not recognised: udf: partition maps of 2000"),
    ("2^32 maps", both(6, [(268, le32(0xffffffff))]), "not recognised: udf: 4294967295 partition maps"),
    ("map of length 0", both(6, [(441, b"\0")]), "not recognised: udf: partition map 0"),
    ("map of type 9", both(6, [(440, b"\x09")]), "not recognised: .*map is of type 9"),
    ("another partition's number", both(6, [(444, le16(7))]), "not recognised: .*not described"),
    ("label of 255 bytes", both(6, [(84 + 127, b"\xff")]), " /plain$"),
    ("label's encoding", both(6, [(84, b"\x10")]), " /plain$"),
    ("partition past the end", both(5, [(192, le32(0xfffffff))]), "fs-truncated", " /plain$"),
    ("partition of no length", both(5, [(192, le32(0))]), "not recognised: .*block .* of a partition of 0"),
    ("partition far away", both(5, [(188, le32(0xffffff00))]), "not recognised"),
    ("bitmap's place", both(5, [(68, le32(0))]), "FREE: udf: a damaged space bitmap", " /plain$"),
    ("a bit of the bitmap", [(START * BS + struct.unpack_from("<I", g.b, main[5] + 68)[0] * BS + 24, b"\1")], "FREE: udf: .*integrity descriptor says"),
    ("integrity open", g.seal(300 * BS, [(28, le32(0))]), "fs-dirty", "FREE: udf: .*being written"),
    ("integrity's next is itself", g.seal(300 * BS, [(32, le32(BS)), (36, le32(300))]), " /plain$"),
    ("integrity far away", both(6, [(436, le32(0xffffffff))]), " /plain$"),
    ("file set's tag", [(fsd, b"\xff")], "not recognised: udf: the file set"),
    ("file set in partition 9", both(6, [(256, le16(9))]), "not recognised: .*partition reference 9 of 1"),
    ("file set far away", both(6, [(252, le32(0xffffffff))]), "not recognised: udf: the file set"),
    ("root far away", g.seal(fsd, [(404, le32(0xfffff))]), "not recognised: udf: the root"),
    ("root is a file", g.seal(fsd, [(404, le32((plain - START * BS) // BS))]), "not recognised: udf: the root directory: it is of type 5"),
    ("root's size 2^63", g.seal(root, [(56, le64(1 << 63))]), "READDIR: .*directory of"),
    ("root's size ends in an identifier's head", g.seal(root, [(56, le64(100))]), "READDIR: .*ends outside", " /plain$"),
    ("root's size ends in an identifier", g.seal(root, [(56, le64(125))]), "READDIR: .*ends outside"),
    ("root's size long", g.seal(root, [(56, le64(100000))]), "READDIR: .*no file identifier", " /plain$"),
    ("root contains itself", g.seal(g.ident("sub"), [(24, le32((root - START * BS) // BS))]), "LOOP: "),
    ("entry's checksum", [(plain + 60, b"\xff")], "UNREADABLE: /plain: .*checksum"),
    ("entry's place", g.seal(plain, [(12, le32(1))]), "UNREADABLE: /plain: .*place"),
    ("entry is none", g.seal(plain, [(0, le16(257))]), "UNREADABLE: /plain: .*no file entry"),
    ("attributes past the block", g.seal(plain, [(208, le32(400))]), "UNREADABLE: /plain: .*no file entry"),
    ("descriptors past the block", g.seal(plain, [(212, le32(400))]), "UNREADABLE: /plain: .*no file entry"),
    ("attributes of 4 GiB", g.seal(plain, [(208, le32(0xffffffff)), (212, le32(16))]), "UNREADABLE: /plain"),
    ("strategy 1", g.seal(plain, [(20, le16(1))]), "UNREADABLE: /plain: .*strategy 1"),
    ("strategy 4096 without more", g.seal(plain, [(20, le16(4096))]), "^f .* /plain$"),
    ("descriptors of form 5", g.seal(plain, [(34, le16(5))]), "file-damaged: .*form 5", " - /plain$"),
    ("inline instead", g.seal(plain, [(34, le16(3))]), "file-damaged: .*2500 bytes in 16", " - /plain$"),
    ("transformed", g.seal(plain, [(35, b"\x08")]), "file-unreadable: .*transformed"),
    ("inline too long", g.seal(inline, [(56, le64(201))]), "file-damaged: .*201 bytes in 200"),
    ("extent in partition 5", g.seal(plain, [(ad0(plain) + 8, le16(5))]), "file-damaged: .*partition reference 5"),
    ("extent far away", g.seal(plain, [(ad0(plain) + 4, le32(0xfffffff0))]), "file-damaged: .*of a partition"),
    ("extent of 1 GiB", g.seal(plain, [(ad0(plain), le32(0x3fffffff)), (56, le64(0x3fffffff))]), "file-damaged: "),
    ("size 2^64 - 1", g.seal(plain, [(56, le64((1 << 64) - 1))]), "file-damaged: .*a size of", " - /plain$"),
    ("continues at itself", g.seal(chained, [(ad0(chained), le32(BS | 3 << 30)), (ad0(chained) + 4, le32((chained - START * BS) // BS))]), "file-damaged: .*no allocation extent"),
    ("allocation extent's tag", [(aed, b"\0")], "file-damaged: .*allocation|file-damaged: .*sum", " - /chained$"),
    ("allocation extent too long", g.seal(aed, [(20, le32(500))]), "file-damaged: .*no allocation extent"),
    ("allocation extent leads to itself", g.seal(aed, [(24, le32(BS | 3 << 30)), (28, le32((aed - START * BS) // BS))]), "file-damaged: .*empty extent"),
    ("allocation extent in a loop of holes", g.seal(chained, [(56, le64(1 << 62))]) + g.seal(aed, [(20, le32(32)), (24, le32(2 << 30 | 0x3ffffe00)), (40, le32(BS | 3 << 30)), (44, le32((aed - START * BS) // BS))]),
     "file-limit: .*extents of allocation", " - /chained$"),
    ("symlink's component too long", g.seal(link, [(217, b"\xff")]), "UNREADABLE: /link: .*damaged component"),
    ("symlink's component of no type", g.seal(link, [(216, b"\x09")]), "UNREADABLE: /link: .*damaged component"),
    ("symlink's name's encoding", g.seal(link, [(220, b"\x05")]), "UNREADABLE: /link: .*damaged component"),
    ("symlink of 2^40 bytes", g.seal(link, [(56, le64(1 << 40))]), "UNREADABLE: /link"),
    ("device's attribute of no length", g.seal(char, [(216 + 24 + 8, le32(0))]), " /char$"),
    ("attribute in a loop", g.seal(char, [(216 + 24, le32(3)), (216 + 24 + 8, le32(0))]), " 0:0 - /char$"),
    ("links 0", g.seal(plain, [(48, le16(0))]), " 1 0:0 .* /plain$"),
    ("month 13", g.seal(plain, [(92 + 4, b"\x0d")]), " 0.000000000 1 0:0 .* /plain$"),
    ("stream directory is a file", g.seal(streams, [(152 + 4, le32((plain - START * BS) // BS))]), "STREAMS: .*of type 5"),
    ("stream directory far away", g.seal(streams, [(152 + 4, le32(0xffffff))]), "STREAMS: "),
    ("identifier's checksum", [(g.ident("plain") + 39, b"q")], "dir-damaged: .*checksum", " /qlain$", " /empty$"),
    ("identifier's tag", [(g.ident("plain"), b"\0")], "READDIR: /: .*no file identifier"),
    ("implementation use of 64 KiB", g.seal(g.ident("plain"), [(36, le16(0xffff))]), "READDIR: /: .*ends outside"),
    ("name of 255 bytes", [(g.ident("plain") + 19, b"\xff")], "READDIR: /: "),
    ("name of no length", g.seal(g.ident("plain"), [(19, b"\0"), (36, le16(6))]), "name-bad", "! /plain$"),
    ("name's encoding", g.seal(g.ident("plain"), [(38, b"\x07")]), "name-bad", "! /plain$"),
    ("deleted", g.seal(g.ident("plain"), [(18, b"\x04")]), "! /plain$"),
    ("cut in the descriptors", [("cut", 262 * BS)], "not recognised"),
    ("cut in the root", [("cut", root + 100)], "."),
], ("--free",))
m = Image("m")
meta, mirror = START * BS, (START + 1) * BS
mm = 265 * BS if m.b[265 * BS] == 6 else next(o for o in range(260 * BS, 266 * BS, BS) if m.b[o] == 6)
mboth = lambda changes: m.seal(mm, changes) + m.seal(mm + 20 * BS, [(12, le32(mm // BS + 20))] + changes)
n += table(m.b, [(".", [], "!FINDING"),
    ("metadata file's type", m.seal(meta, [(27, b"\x05")]), "fs-backup-super: .*type 5, not 250", " /plain$"),
    ("metadata file's extent", m.seal(meta, [(220, le32(0xffffff))]), "fs-backup-super: .*damaged extents", " /plain$"),
    ("metadata file in itself", m.seal(meta, [(34, le16(1)), (212, le32(16)), (216, le32(64 * BS)), (220, le32(0)), (224, le16(1))]), "fs-backup-super|not recognised"),
    ("both of another type", m.seal(meta, [(27, b"\x05")]) + m.seal(mirror, [(27, b"\x05")]), "not recognised: .*metadata file"),
    ("map's place of it", mboth([(446 + 40, le32(0xfffffff0))]), "fs-backup-super", " /plain$"),
    ("no mirror", mboth([(446 + 44, le32(0xffffffff))]), "!FINDING", " /plain$"),
    ("in a partition that is not", mboth([(446 + 38, le16(3))]), "not recognised: .*lies in none"),
    ("an unknown kind", mboth([(446 + 5, b"*Other")]), "not recognised: .*map is of type 2"),
])
v, w = Image("v"), Image("v15")
last = len(v.b) - BS
n += table(v.b, [(".", [], "!FINDING"), ("table's entry", [(last, b"\0")], "not recognised: .*no virtual allocation table"),
    ("table's type", v.seal(last, [(27, b"\x05")]), "not recognised: .*no virtual allocation table"),
    ("table's size", v.seal(last, [(56, le64(100))]), "not recognised"), ("table's size 2^60", v.seal(last, [(56, le64(1 << 60))]), " /plain$"),
    ("blocks behind it", [("cut", len(v.b) - BS)], "not recognised"),
    ("table of no entries", v.seal(last, [(56, le64(152))]), "not recognised: .*virtual partition of 0")])
n += table(v.b + bytes(150 * BS), [("150 blocks behind it", [], "!FINDING", " /plain$")])
n += table(w.b, [(".", [], "!FINDING"), ("identification", [(w.b.index(b"*UDF Virtual Alloc"), b"x")], "not recognised: .*no virtual")])
s = Image("s")
st = 302 * BS
second = next(o for o in range(START * BS + 2048 * BS, len(s.b), BS) if s.b[o:o + 2] == b"\0\0" and s.b[o + 17:o + 35] == b"*UDF Sparing Table")
sm = next(o for o in range(260 * BS, 266 * BS, BS) if s.b[o] == 6)
n += table(s.b, [(".", [], "!FINDING"), ("first table", [(st + 8, b"\xff")], "fs-damaged: udf: 1 of 2 sparing tables", " /plain$"),
    ("both tables", [(st + 8, b"\xff"), (second + 8, b"\xff")], "0 of 2 sparing tables"),
    ("entries 65535", s.seal(st, [(48, le16(0xffff))]), "."),
    ("a spare far away", s.seal(st, [(60, le32(0xfffffff0)), (52, le32(99))]), "."),
    ("packets of 0 blocks", s.seal(sm, [(440 + 40, le16(0))]), "fs-damaged|sparing in packets of 0|not recognised"),
    ("200 tables", s.seal(sm, [(440 + 42, b"\xc8")]), "fs-damaged|200 tables|not recognised")])
c = Image("c")
old = c.icb("plain")
n += table(c.b, [(".", [], "!FINDING"), ("the next entry is the first", c.seal(old + BS, [(40, le32((old - START * BS) // BS))]), "UNREADABLE: /plain: .*one after the other"),
    ("the next entry is away", c.seal(old + BS, [(40, le32(0xffffff))]), "^f .* 24 .* /plain$")])
for i, k in ((g, 260), (m, 60), (v, 60), (s, 60)):
    n += sweep(i.b, metadata(i.b), k)
done("%d rows" % n)
END
