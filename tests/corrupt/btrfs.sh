#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# btrfs: a field that contradicts its format is refused or reported; the rest is
# still read. Checksums are made right after each change.
. "$(dirname "$0")/../lib.sh"
need python3
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0} # fsdump leaves early where it cannot open
simg.py unpack "$TOP/fuzz/corpus/btrfs/mixed.simg" a.img
PYTHONPATH=$TOP/tests/tools python3 - <<'END'
import struct
from corrupt import *

image = open("a.img", "rb").read()
SB = 65536
crc_table = [0] * 256
for i in range(256):
    c = i
    for _ in range(8):
        c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
    crc_table[i] = c

def sealed(at, b):
    c = 0xffffffff
    for x in b[32:]:
        c = c >> 8 ^ crc_table[(c ^ x) & 255]
    return [(at, struct.pack("<I", c ^ 0xffffffff) + bytes(28) + bytes(b[32:]))]

def change(at, off, new):
    "field at off of the 4 KiB block at at"
    b = bytearray(image[at:at + 4096])
    b[off:off + len(new)] = new
    return sealed(at, b)

def le(n, v):
    return (v & (1 << 8 * n) - 1).to_bytes(n, "little")

# every node of the image: {owner: [offset]}, found by the UUID of the volume
nodes = {}
for at in range(0, len(image), 4096):
    if at != SB and image[at + 32:at + 48] == image[SB + 32:SB + 48]:
        assert struct.unpack_from("<Q", image, at + 48)[0] == at
        nodes.setdefault(struct.unpack_from("<Q", image, at + 88)[0], []).append(at)
items = {}  # (owner, objectid, type): [(node, slot, item's data in node, length)]
for owner, blocks in nodes.items():
    for at in blocks:
        if image[at + 100]:
            continue
        for i in range(struct.unpack_from("<I", image, at + 96)[0]):
            o, t, k, off, n = struct.unpack_from("<QBQII", image, at + 101 + 25 * i)
            items.setdefault((owner, o, t), []).append((at, i, 101 + off, n))

def item(owner, objectid, kind, off, new, which=0):
    at, slot, data, n = items[owner, objectid, kind][which]
    return change(at, data + off, new)

def short(owner, objectid, kind, n, which=0):
    "the item's length in its leaf"
    at, slot, data, _ = items[owner, objectid, kind][which]
    return change(at, 101 + 25 * slot + 21, le(4, n))

def inode_of(name):
    for (owner, o, t), where in items.items():
        for at, slot, data, n in where:
            if owner == 5 and t == 96 and image[at + data + 30:at + data + n] == name:
                return struct.unpack_from("<Q", image, at + data)[0]
    assert False, name

def entry(name):
    for (owner, o, t), where in items.items():
        for w, (at, slot, data, n) in enumerate(where):
            if owner == 5 and t == 96 and image[at + data + 30:at + data + n] == name:
                return owner, o, t, w
    assert False, name

def dirent(name, off, new):
    o, i, t, w = entry(name)
    return item(o, i, t, off, new, w)

root5, leaves5 = [a for a in nodes[5] if image[a + 100]], [a for a in nodes[5] if not image[a + 100]]
assert len(root5) == 1 and len(leaves5) > 3
leaf = leaves5[2]
inline, zl, plain, sparse, pre = map(inode_of, (b"inline", b"zlib", b"plain", b"sparse", b"pre"))
lzo = zstd = None
for (owner, o, t), where in items.items():
    for at, slot, data, n in where:
        if owner == 5 and t == 108 and image[at + data + 20] == 1:
            if image[at + data + 16] == 2: lzo = o
            if image[at + data + 16] == 3: zstd = o
assert lzo and zstd
def disk(ino):
    at, slot, data, n = items[5, ino, 108][0]
    return struct.unpack_from("<Q", image, at + data + 21)[0]

def summed(at, new):
    "bytes of data, in one sector, with a checksum that fits"
    sector = at // 4096 * 4096
    b = bytearray(image[sector:sector + 4096])
    b[at - sector:at - sector + len(new)] = new
    c = 0xffffffff
    for x in b:
        c = c >> 8 ^ crc_table[(c ^ x) & 255]
    for node, slot, data, n in items[7, 2**64 - 10, 128]:
        first = struct.unpack_from("<Q", image, node + 101 + 25 * slot + 9)[0]
        if first <= sector < first + n // 4 * 4096:
            return [(at, new)] + change(node, data + (sector - first) // 4096 * 4, struct.pack("<I", c ^ 0xffffffff))
    assert False, at

rows = [
    # superblock
    ("magic", change(SB, 0x40, b"x"), "not recognised"),
    ("checksum", [(SB + 200, b"\xff")], "not recognised: .*checksum is wrong"),
    ("checksum type", change(SB, 0xc4, le(2, 9)), "not recognised: .*checksum type 9"),
    ("its own place", change(SB, 0x30, le(8, 4096)), "not recognised: .*says it lies at 4096"),
    ("sector size 0", change(SB, 0x90, le(4, 0)), "sector size 0"),
    ("sector size 3000", change(SB, 0x90, le(4, 3000)), "sector size 3000"),
    ("sector size 128K", change(SB, 0x90, le(4, 1 << 17)), "sector size 131072"),
    ("node size 0", change(SB, 0x94, le(4, 0)), "node size 0"),
    ("node size 128K", change(SB, 0x94, le(4, 1 << 17)), "node size 131072"),
    ("node size another", change(SB, 0x94, le(4, 1 << 14)), "corrupt: "),
    ("root level", change(SB, 0xc6, b"\x08"), "level 8"),
    ("root level another", change(SB, 0xc6, b"\x02"), "level 1, not 2", "corrupt: "),
    ("chunk level", change(SB, 0xc7, b"\xff"), "level 255"),
    ("array size", change(SB, 0xa0, le(4, 2049)), "array of 2049"),
    ("array cut", change(SB, 0xa0, le(4, 90)), "corrupt: .*cut off"),
    ("array empty", change(SB, 0xa0, le(4, 0)), "corrupt: .*no chunk holds"),
    ("extent tree v2", change(SB, 0xbc, le(8, 0x2341)), "unsupported: .*extent-tree-v2", "fs-unsupported"),
    ("raid stripe tree", change(SB, 0xbc, le(8, 0x4341)), "unsupported: .*raid-stripe-tree"),
    ("zoned", change(SB, 0xbc, le(8, 0x1341)), "unsupported: .*zoned"),
    ("unknown feature", change(SB, 0xbc, le(8, 1 << 40)), "unsupported: .*0x10000000000"),
    ("compatible features", change(SB, 0xb4, le(8, 1 << 40 | 0xf)), "!FINDING", "!corrupt"),
    ("metadump", change(SB, 0x38, le(8, 1 << 33 | 1)), "fs-metadata-only", "!corrupt"),
    ("uuid being changed", change(SB, 0x38, le(8, 1 << 35 | 1)), "unsupported: .*change of the UUID"),
    ("uuid being changed in the superblock", change(SB, 0x38, le(8, 1 << 36 | 1)), "fs-dirty: .*change of the UUID", "!corrupt"),
    ("generation", change(SB, 0x48, le(8, 99)), "generation [0-9]*, not 99", "corrupt: "),
    ("root outside", change(SB, 0x50, le(8, 1 << 60)), "corrupt: |tree of roots"),
    ("chunk root outside", change(SB, 0x58, le(8, 1 << 60)), "corrupt: "),
    ("log tree", change(SB, 0x60, le(8, 1 << 20)), "fs-dirty: .*log tree", "!corrupt"),
    ("root directory", change(SB, 0x80, le(8, 77)), "subvolume 5 flags 1", "!corrupt"),
    ("label of 256", change(SB, 0x12b, b"L" * 256), "label L{256} ", "!corrupt"),
    ("size", change(SB, 0xc9 + 8, le(8, 1 << 40)), "fs-truncated: .*16777216 bytes of 1099511627776"),
    ("sys: key type", change(SB, 0x32b + 8, b"\x01"), "corrupt: .*type 1 among"),
    ("sys: stripes", change(SB, 0x32b + 17 + 44, le(2, 0)), "corrupt: .*0 stripes"),
    ("sys: many stripes", change(SB, 0x32b + 17 + 44, le(2, 65535)), "corrupt: "),
    ("sys: stripe length", change(SB, 0x32b + 17 + 16, le(8, 0)), "corrupt: .*stripe length 0"),
    ("sys: length", change(SB, 0x32b + 17, le(8, 0)), "corrupt: .*length 0"),
    ("sys: length wraps", change(SB, 0x32b + 17, le(8, -4096)), "corrupt: .*length"),
    ("sys: raid1 of one", change(SB, 0x32b + 17 + 24, le(8, 0x12)), "corrupt: .*type 0x12 with 1"),
    ("sys: two profiles", change(SB, 0x32b + 17 + 24, le(8, 0x1a)), "corrupt: .*type 0x1a"),
    ("sys: unknown type", change(SB, 0x32b + 17 + 24, le(8, 1 << 20)), "unsupported: .*type 0x100000"),
    ("sys: device", change(SB, 0x32b + 17 + 48, le(8, 9)), "volume-incomplete: .*device 9", "io: |not there"),
    ("sys: stripe offset", change(SB, 0x32b + 17 + 56, le(8, 1 << 63)), "corrupt: .*stripe at"),
    ("sys: stripe behind the end", change(SB, 0x32b + 17 + 56, le(8, 1 << 40)), "corrupt: .*behind the end"),
    # nodes
    ("leaf: checksum", [(leaf + 3000, bytes([image[leaf + 3000] ^ 1]))], "fs-damaged: .*checksum is wrong"),
    ("leaf: address", change(leaf, 48, le(8, 4096)), "fs-damaged: .*says it is 4096"),
    ("leaf: volume", change(leaf, 32, b"x"), "fs-damaged: .*another file system"),
    ("leaf: level", change(leaf, 100, b"\x01"), "fs-damaged: .*level 1, not 0"),
    ("leaf: generation", change(leaf, 80, le(8, 1)), "fs-damaged: .*generation 1, not"),
    ("leaf: empty", change(leaf, 96, le(4, 0)), "fs-damaged: .*0 items"),
    ("leaf: too many", change(leaf, 96, le(4, 1 << 30)), "fs-damaged: .*1073741824 items"),
    ("leaf: order", change(leaf, 101 + 25, bytes(17)), "fs-damaged: .*not in order"),
    ("leaf: first key", change(leaf, 101, bytes(17)), "fs-damaged: .*parent's"),
    ("leaf: item outside", change(leaf, 101 + 17, le(4, 1 << 31)), "fs-damaged: .*item 0 is outside"),
    ("leaf: item in the table", change(leaf, 101 + 17, le(4, 0)), "fs-damaged: .*item 0 is outside"),
    ("leaf: item length", change(leaf, 101 + 21, le(4, -1)), "fs-damaged: .*item 0 is outside"),
    ("node: pointer", change(root5[0], 101 + 33 + 17, le(8, 12345)), "fs-damaged", "!corrupt: "),
    ("node: the same child", change(root5[0], 101 + 33 + 17, image[root5[0] + 118:root5[0] + 126]), "fs-damaged: .*(disagree|parent's)"),
    ("node: itself", change(root5[0], 101 + 33 + 17, le(8, root5[0])), "fs-damaged: .*(level|disagree|generation)"),
    # inodes, entries, attributes
    ("inode: size", item(5, inline, 1, 16, le(8, 1 << 63)), "UNREADABLE: /inline: .*a size of"),
    ("inode: mode", item(5, inline, 1, 52, le(4, 0)), "UNREADABLE: /inline: .*mode 00"),
    ("inode: short", short(5, inline, 1, 100), "UNREADABLE: /inline: .*100 bytes"),
    ("inode: nanoseconds", item(5, inline, 1, 136 + 8, le(4, -1)), r" /inline\n", "!UNREADABLE"),
    ("inode: size of a link", item(5, inode_of(b"link"), 1, 16, le(8, 1 << 20)), "UNREADABLE: /dir/link: .*1048576"),
    ("entry: name length", dirent(b"f07", 27, le(2, 300)), "dir-damaged: .*does not fit", "READDIR: /: ", "/f08"),
    ("entry: slash", dirent(b"f07", 30, b"a/b"), "name-bad", "/f08", "!READDIR"),
    ("entry: NUL", dirent(b"f07", 30, b"a\0b"), "name-bad", "/f08"),
    ("entry: empty", dirent(b"f07", 27, le(2, 0)), "name-bad", "/f08"),
    ("entry: type of location", dirent(b"f07", 8, b"\x07"), "dir-damaged: .*type 7", "/f08"),
    ("entry: inode too large", dirent(b"f07", 0, le(8, 1 << 50)), "file-limit: .*does not fit", "/f08"),
    ("entry: no such inode", dirent(b"f07", 0, le(8, 1 << 30)), "UNREADABLE: /f07: .*no inode", "/f08"),
    ("entry: subvolume as its own child", dirent(b"sub", 0, le(8, 5)), "/sub\n", "!READDIR: /:"),
    ("entry: short", short(5, 256, 96, 29), "dir-damaged"),
    ("xattr: name length", item(5, inline, 24, 27, le(2, 500)), "xattr-damaged", "XATTRS: /inline"),
    ("xattr: no name", item(5, inline, 24, 27, le(2, 0)), "xattr-damaged"),
    ("xattr: data length", item(5, inline, 24, 25, le(2, 5000)), "xattr-damaged"),
    # extents
    ("extent: short", short(5, plain, 108, 52), "UNREADABLE: /plain .*too short"),
    ("extent: shorter", short(5, plain, 108, 20), "UNREADABLE: /plain .*too short"),
    ("extent: type", item(5, plain, 108, 20, b"\x03"), "UNREADABLE: /plain .*unknown type"),
    ("extent: encryption", item(5, plain, 108, 17, b"\x01"), "UNREADABLE: /plain .*encrypted"),
    ("extent: encoding", item(5, plain, 108, 18, b"\x01"), "UNREADABLE: /plain .*encrypted"),
    ("extent: compression", item(5, zl, 108, 16, b"\x09"), "UNREADABLE: /zlib .*compression 9"),
    ("extent: odd address", item(5, plain, 108, 21, le(8, 12345678)), "UNREADABLE: /plain .*sectors"),
    ("extent: address outside", item(5, plain, 108, 21, le(8, 1 << 50)), "UNREADABLE: /plain .*no chunk"),
    ("extent: address wraps", item(5, plain, 108, 21, le(8, -4096)), "UNREADABLE: /plain .*(more than|no chunk)"),
    ("extent: length on disk", item(5, plain, 108, 29, le(8, 4096)), "UNREADABLE: /plain .*more than there is"),
    ("extent: offset", item(5, plain, 108, 37, le(8, 1 << 40)), "UNREADABLE: /plain .*more than there is"),
    ("extent: offset wraps", item(5, plain, 108, 37, le(8, -1)), "UNREADABLE: /plain .*more than there is"),
    ("extent: no length", item(5, plain, 108, 45, le(8, 0)), "UNREADABLE: /plain .*its length"),
    ("extent: length wraps", item(5, plain, 108, 45, le(8, -1)), "UNREADABLE: /plain .*its length"),
    ("extent: ram", item(5, zl, 108, 8, le(8, 4096)), "UNREADABLE: /zlib .*more than there is"),
    ("extent: ram of 1 TiB", item(5, zl, 108, 8, le(8, 1 << 40)), "UNREADABLE: /zlib .*too large"),
    ("extent: overlap", item(5, sparse, 108, 45, le(8, 4 << 20)) if len(items[5, sparse, 108]) > 1 else change(SB, 0x12b, b"L"), "overlaps|label L"),
    ("inline: ram of 1 TiB", item(5, inline, 108, 8, le(8, 1 << 40)), "UNREADABLE: /inline .*large"),
    ("inline: too little data", item(5, inline, 108, 8, le(8, 50)), r" /inline\n", "!UNREADABLE"),
    ("data checksum", [(disk(zl), b"\xff" * 32)], "UNREADABLE: /zlib .*does not match its checksum"),
    ("zlib data", summed(disk(zl), b"\xff" * 32), "UNREADABLE: /zlib .*bad zlib"),
    ("lzo data", summed(disk(lzo), b"\xff" * 32), "UNREADABLE: /lzo/file .*lzo"),
    ("lzo segment", summed(disk(lzo) + 4, b"\xff" * 4), "UNREADABLE: /lzo/file .*lzo segment"),
    ("lzo stream", summed(disk(lzo) + 8, b"\xff" * 64), "UNREADABLE: /lzo/file .*bad lzo"),
    ("zstd data", summed(disk(zstd), b"\xff" * 32), "UNREADABLE: /zstd/file .*bad zstd"),
    ("zstd window", summed(disk(zstd) + 5, b"\xff"), "/zstd/file"),
    # roots
    ("root: level", item(1, 256, 132, 238, b"\x09"), "fs-damaged: .*256: level 9", "/sub\n"),
    ("root: short", short(1, 256, 132, 200), "fs-damaged: .*256: 200 bytes", "/sub\n"),
    ("root: deleted", item(1, 256, 132, 216, le(4, 0)), r"d 0755 .* /sub\n", "!subvolume 256", "!/sub/file"),
    ("root: address", item(1, 256, 132, 176, le(8, 8192)), "UNREADABLE: /sub"),
    ("root: of the top", item(1, 5, 132, 176, le(8, 8192)), "UNREADABLE: /"),
    ("root ref: name length", item(1, 5, 156, 16, le(2, 999)), "fs-damaged: .*999 bytes"),
    ("root ref: name", item(1, 5, 156, 18, b"X"), r"d 0755 .* /sub\n", "!/sub/file", "subvolume 256 flags 1 Xub"),
    ("root ref: directory", item(1, 5, 156, 0, le(8, 4000)), "fs-damaged: .*not in the tree of files"),
    ("default", item(1, 6, 84, 0, le(8, 258)), "subvolume 258 flags 7 snap"),
    ("default: name", item(1, 6, 84, 30, b"x"), "subvolume 5 flags 1"),
    # chunks and extents
    ("chunk: length", item(3, 256, 228, 0, le(8, 1)), "fs-damaged: .*length 1|corrupt"),
    ("chunk: overlap", item(3, 256, 228, 0, le(8, 1 << 40)), "corrupt: .*overlap"),
    ("extent item: length", change(*[(at, 101 + 25 * s + 9, le(8, -1)) for (o, i, t), w in items.items() if o == 2 and t == 168
        for at, s, d, n in w][0]), "FREE: .*bytes"),
    ("extent leaf", [(nodes[2][0] + 200, b"\xaa")], "fs-damaged", "FREE: "),
    ("checksum of a leaf in the extent tree", change(nodes[2][0], 80, le(8, 3)), "FREE: .*generation"),
]
n = table(image, rows, ["--xattrs", "--free"])
# cut short: whatever is left is read
n += table(image, [("cut at %d" % c, [("cut", c)], "fs-truncated|not recognised") for c in (0, 65536, 69631, 69632, 1 << 20, 8 << 20)], ["--xattrs"])
# a copy of the superblock that calls itself newer, and leads nowhere: the first one is taken, where it is there
copy = 64 << 20
b = bytearray(image[SB:SB + 4096])
b[0x30:0x38], b[0x48:0x50], b[0x50:0x58] = le(8, copy), le(8, 1 << 40), le(8, 1 << 60)
n += table(image + bytes(copy + 4096 - len(image)), [
    ("a newer copy", sealed(copy, b), "^f ", "!^fsdump"),
    ("a newer copy alone", sealed(copy, b) + change(SB, 0x40, b"x"), "^fsdump: corrupt: "),
], ["--xattrs"])
# single bytes of metadata, checksums right
rnd = random.Random(5)
blocks = [SB] + [a for b in nodes.values() for a in b]
for k in range(250):
    at = rnd.choice(blocks)
    b = image[at:at + 4096]
    used = [i for i in range(32, 4096) if b[i]] if rnd.random() < .8 else range(32, 4096)
    off = rnd.choice(used)
    v = rnd.choice([0, 1, 0x7f, 0x80, 0xff, b[off] ^ 1 << rnd.randrange(8)])
    rc, out = run_image(image, change(at, off, bytes([v])), ["--xattrs", "--free"])
    if rc not in (0, 4):
        complain("block %d byte %d = %#x" % (at, off, v), "exit %s" % rc, out)
    n += 1
done("%d rows" % n)
END
