#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# EROFS: a row a field, and single-byte changes of small images of every layout.
. "$(dirname "$0")/../lib.sh"
need mkfs.erofs python3 setfattr
need_root
mkdir -p d/dir; printf hello > d/file; ln -s a/b d/link; mknod d/node c 5 1; seq 9000 > d/text; setfattr -n user.name -v value d/file; printf x > d/dir/entry
for o in "-x-1 -Enoinline_data" "-zlz4" "-zlz4 -Elegacy-compress" "-zlz4hc -C65536" "-zlz4 -Eztailpacking" "--chunksize=4096"; do
	mkfs.erofs -Eforce-inode-extended $o "img$((i=${i:-0} + 1))" d >mk.log 2>&1 || mkfs.erofs $o "img$i" d >mk.log 2>&1 || fail "mkfs.erofs $o"
done
mkfs.erofs -Eforce-inode-extended img0 d >/dev/null 2>&1
setfattr -x user.name d/file
for m in lzma deflate zstd; do mkerofs.py --methods $m made-$m d; done
mkerofs.py --fragments made-fragments d
setfattr -n user.long.prefix.name -v value d/file
mkerofs.py --methods zstd,lzma --blocks 4 --inline --fragments --prefixes --compact made-all d
PYTHONPATH=$TOP/tests/tools python3 - <<'END'
import hashlib, struct
from corrupt import *
le16, le32, le64 = (lambda v: struct.pack("<H", v)), (lambda v: struct.pack("<I", v)), (lambda v: struct.pack("<Q", v))
def load(name):
    global b, meta, root
    b = open(name, "rb").read()
    meta = struct.unpack_from("<I", b, 1024 + 0x28)[0] * 4096
    root = meta + 32 * struct.unpack_from("<H", b, 1024 + 0xe)[0]
g16, g32, g64 = (lambda o: struct.unpack_from("<H", b, o)[0]), (lambda o: struct.unpack_from("<I", b, o)[0]), (lambda o: struct.unpack_from("<Q", b, o)[0])
def rootdir():
    """offset of the root's only directory block"""
    fmt, icount = g16(root), g16(root + 2)
    at = root + (64 if fmt & 1 else 32) + (12 + 4 * (icount - 1) if icount else 0)
    return at if fmt >> 1 & 7 == 2 else g32(root + 16) * 4096
def inode(name):
    d = rootdir()
    for i in range(g16(d + 8) // 12):
        at = d + g16(d + 12 * i + 8)
        if b[at:at + len(name)] == name: return meta + 32 * g64(d + 12 * i)
load("img0")
f, l, t, d = inode(b"file"), inode(b"link"), inode(b"text"), rootdir()
x = f + 64
rows = [(".", [], "/file$", "^x /file user.name", "!READDIR|UNREADABLE"),
    ("magic", [(1024, b"X")], "not recognised"),
    ("block bits 0", [(1036, b"\0")], "corrupt.*blocks of"),
    ("block bits 255", [(1036, b"\xff")], "corrupt.*blocks of"),
    ("unknown feature", [(1024 + 0x50, le32(1 << 31))], "unsupported.*0x80000000"),
    ("48-bit addresses", [(1024 + 0x50, le32(g32(1024 + 0x50) | 0x80))], "unsupported.*48-bit"),
    ("compressed metadata", [(1024 + 0x50, le32(g32(1024 + 0x50) | 0x100))], "unsupported.*compressed metadata"),
    ("prefixes of attributes outside", [(1024 + 0x50, le32(g32(1024 + 0x50) | 0x40)), (1024 + 0x5b, b"\1"), (1024 + 0x5c, b"\xff" * 4), (b.index(b"name", x) - 3, b"\x80")], "XATTRS: /file.*prefixes"),
    ("prefix that is not there", [(b.index(b"name", x) - 3, b"\x85")], "XATTRS: /file.*prefix 5 of 0"),
    ("directory block size", [(1024 + 0x5a, b"\1")], "unsupported.*directory blocks"),
    ("root outside", [(1038, b"\xff\xff")], "root directory"),
    ("root is a file", [(1038, le16((f - meta) // 32))], "root is not a directory"),
    ("metadata outside", [(1024 + 0x28, le32(0xffffffff))], "root directory"),
    ("more blocks than there are", [(1024 + 0x24, le32(0xffffffff))], "fs-truncated"),
    ("layout 7", [(f, le16(0xf))], "UNREADABLE: /file.*format"),
    ("unknown format bits", [(f, le16(g16(f) | 0x100))], "UNREADABLE: /file.*format"),
    ("mode without a type", [(f + 4, le16(0o644))], "UNREADABLE: /file.*format"),
    ("size 2^64", [(f + 8, b"\xff" * 8)], "UNREADABLE: /file.*has"),
    ("inline size too large", [(f + 8, le64(1 << 40))], "outside the volume"),
    ("start outside", [(t + 16, le32(0xfffffff0))], "EXTENTS: /text.*outside"),
    ("target of 2^40", [(l + 8, le64(1 << 40))], "UNREADABLE: /link"),
    ("nanoseconds", [(f + 40, le32(0xffffffff))], "\\.000000000"),
    ("first name's offset 0", [(d + 8, le16(0))], "READDIR: /: .*contradicts"),
    ("first name's offset odd", [(d + 8, le16(13))], "READDIR: /: .*contradicts"),
    ("first name's offset far", [(d + 8, le16(0xfffc))], "READDIR: /: .*contradicts"),
    ("name's offset back", [(d + 20, le16(1))], "READDIR: /: .*contradicts"),
    ("name's offset far", [(d + 20, le16(0xffff))], "READDIR: /: .*contradicts"),
    ("name with a slash", [(b.index(b"file", d), b"/")], "name-bad"),
    ("name with a NUL", [(b.index(b"file", d) + 1, b"\0")], "name-bad"),
    ("node outside", [(d + 12 * 2, le64(1 << 60))], "UNREADABLE"),
    ("node overflows", [(d + 12 * 2, b"\xff" * 8)], "UNREADABLE"),
    ("attributes of 256 KiB", [(f + 2, le16(0xffff))], "."),
    ("255 shared attributes", [(x + 4, b"\xff")], "XATTRS: /file.*255 shared"),
    ("attribute's value too long", [(b.index(b"name", x) - 2, le16(0xffff))], "XATTRS: /file"),
    ("attribute's prefix", [(b.index(b"name", x) - 3, b"\x09")], "!XATTRS|^x /file"),
    ("attribute's name with a NUL", [(b.index(b"name", x), b"\0")], "XATTRS: /file.*bad name"),
    ("cut behind the superblock", [("cut", 1152)], "."),
]
n = table(b, rows, ["--xattrs"])
load("img3")  # 8-byte index entries
t = inode(b"text")
end = t + (64 if g16(t) & 1 else 32) + (12 + 4 * (g16(t + 2) - 1) if g16(t + 2) else 0)
h = (end + 7) // 8 * 8
ix = h + 16
n += table(b, [(".", [], "/text$", "!UNREADABLE"),
    ("first is not a head", [(ix, le16(2)), (ix + 4, le32(1))], "/text.*begins nowhere"),
    ("second kind of head", [(ix, le16(3))], "!UNREADABLE"),
    ("begins behind its end", [(ix + 2, le16(0xffff))], "/text.*behind its end"),
    ("begins late", [(ix + 2, le16(5))], "/text.*begins with nothing"),
    ("block outside", [(ix + 4, le32(0xfffffff0))], "/text.*outside the volume"),
    ("plain, but longer than a block", [(ix, le16(0))], "UNREADABLE: /text.*plain bytes|UNREADABLE: /text"),
    ("distance 0", [(ix + 8, le16(2)), (ix + 12, le32(0))], "UNREADABLE: /text"),
    ("big pcluster where there are none", [(ix + 8, le16(2)), (ix + 12, le32(0x805))], "/text.*where there are none"),
    ("data", [(g32(ix + 4) * 4096 + 4000, b"\xff" * 90)], "UNREADABLE: /text.*cannot be decoded"),
    ("file of 2^62 bytes", [(t + 8, le64(1 << 62))] if g16(t) & 1 else [], "/text"),
], ["--xattrs"])
load("img2")  # packed entries
t = inode(b"text")
end = t + (64 if g16(t) & 1 else 32) + (12 + 4 * (g16(t + 2) - 1) if g16(t + 2) else 0)
h = (end + 7) // 8 * 8
n += table(b, [(".", [], "/text$", "!UNREADABLE"),
    ("algorithm", [(h + 6, b"\1")], "file-unreadable.*unknown kind 1"),
    ("cluster bits", [(h + 7, b"\x0f")], "file-damaged.*clusters of"),
    ("cluster bits 15", [(h + 7, b"\x03")], "UNREADABLE: /text|file-damaged"),
    ("whole file a fragment", [(h + 7, b"\x80")], "file-damaged.*fragment where there are none"),
    ("end a fragment", [(h + 4, le16(g16(h + 4) | 0x20))], "file-damaged.*fragment where there are none"),
    ("inline tail", [(h + 4, le16(g16(h + 4) | 8)), (h + 2, le16(0xffff))], "."),
    ("packed block address", [(h + 8 + 4, b"\xff" * 4)], "/text"),
], ["--xattrs"])
def heads(node):
    """type and data of each extent in an index of 8-byte entries"""
    i = (node + 64 + 7) // 8 * 8 + 16
    return [(g16(k) & 3, g32(k + 4) * 4096) for k in range(i, i + 8 * ((g64(node + 8) + 4095) // 4096), 8) if g16(k) & 3 != 2]
# the last bytes of a stream, which lies at the end of its blocks
streams = ["lzma", "deflate", "zstd"]
right = hashlib.sha256(open("d/text", "rb").read()).hexdigest()
for k in streams:
    load("made-" + k)
    t = inode(b"text")
    h = (t + 64 + 7) // 8 * 8
    at = next(a for kind, a in heads(t) if kind == 1)
    n += table(b, [(".", [], "/text$", "!UNREADABLE"),
        ("stream", [(at + 3000, bytes(range(90)))], "!" + right),
        ("stream of zeros", [(at, bytes(4096))], "UNREADABLE: /text.*cannot be decoded"),
        ("method that the superblock lacks", [(h + 6, b"\0")], "file-unreadable.*unknown kind 0"),
        ("method 9", [(h + 6, b"\x09")], "file-unreadable.*unknown kind 9"),
        ("settings of the methods outside", [(1024 + 128, b"\xff\xff")], "."),
        ("list of extents", [(h + 4, le16(1))], "file-unreadable.*list of extents"),
    ], ["--xattrs"])
load("made-fragments")
t, q = inode(b"text"), meta + 32 * g64(1024 + 0x60)
h = (t + 64 + 7) // 8 * 8
n += table(b, [(".", [], "/text$", "!UNREADABLE"),
    ("fragment behind the end", [(h, le32(0x7fffffff))], "/text.*fragment of"),
    ("fragment far behind", [(h + 16 + 4, b"\xff" * 4), (h, b"\xff" * 4)], "/text"),
    ("no packed file", [(1024 + 0x60, le64(1 << 50))], "/text.*outside the volume"),
    ("packed file is a folder", [(1024 + 0x60, le64((root - meta) // 32))], "/text.*file of fragments"),
    ("packed file has fragments", [(1024 + 0x60, le64((t - meta) // 32))], "/text.*file of fragments"),
    ("packed file is short", [(q + 8, le64(1))], "/text.*fragment of"),
    ("packed file's stream", [(a, bytes(range(256)) * 16) for _, a in heads(q)], "!" + right),
], ["--xattrs"])
for name in ["img%d" % i for i in range(7)] + ["made-" + k for k in [*streams, "fragments", "all"]]:
    load(name)
    n += sweep(b, metadata(b), 120, 1, ["--xattrs"])
done("%d rows" % n)
END
