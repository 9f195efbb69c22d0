#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The log of XFS field by field, with checksums made right again: what contradicts the format is told, and the disk is
# shown without the log, exactly as it was. Then single bytes all over the log.
. "$(dirname "$0")/../lib.sh"
need python3
simg.py unpack "$TOP/fuzz/corpus/xfs/log.simg" log; simg.py unpack "$TOP/fuzz/corpus/xfs/log-v4.simg" log-v4
PYTHONPATH=$TOP/tests/tools python3 - <<'END'
import random, struct
from corrupt import *

T = []
for i in range(256):
    c = i
    for _ in range(8):
        c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
    T.append(c)


def crc32c(*parts):
    c = 0xffffffff
    for b in parts:
        for x in b:
            c = c >> 8 ^ T[(c ^ x) & 255]
    return c ^ 0xffffffff


def be(n, v):
    return (v & (1 << 8 * n) - 1).to_bytes(n, "big")


def le(n, v):
    return (v & (1 << 8 * n) - 1).to_bytes(n, "little")


class Record:
    def __init__(self, b, at):
        self.at, self.head = at, bytearray(b[at:at + 512])
        self.len, self.ops = (int.from_bytes(self.head[o:o + 4], "big") for o in (12, 40))
        self.n = -(-self.len // 512)
        self.data = bytearray(b[at + 512:at + 512 + self.n * 512])
        for k in range(self.n):  # one header block: at most 64
            self.data[k * 512:k * 512 + 4] = self.head[44 + 4 * k:48 + 4 * k]

    def packed(self, head=(), data=(), crc=True):
        """with changes in the header, in the data: on disk"""
        h, d = bytearray(self.head), bytearray(self.data)
        for o, v in data:
            d[o:o + len(v)] = v
        for k in range(self.n):
            h[44 + 4 * k:48 + 4 * k] = d[k * 512:k * 512 + 4]
            d[k * 512:k * 512 + 4] = h[4:8]
        for o, v in head:
            h[o:o + len(v)] = v
        if crc:
            h[32:36] = bytes(4)
            h[32:36] = crc32c(h[:328], d[:self.len]).to_bytes(4, "little")
        return [(self.at, bytes(h + d))]


class Log:
    def __init__(self, name):
        self.b = b = open(name, "rb").read()
        g = lambda at, n: int.from_bytes(b[at:at + n], "big")
        self.at = ((g(48, 8) >> b[124]) * g(84, 4) + (g(48, 8) & (1 << b[124]) - 1)) * g(4, 4)
        self.end = self.at + g(96, 4) * g(4, 4)
        self.recs = [Record(b, o) for o in range(self.at, self.end, 512) if b[o:o + 4] == b"\xfe\xed\xba\xbe"]
        last = self.recs[-1]
        tail = self.at + int.from_bytes(last.head[28:32], "big") * 512
        self.recs = [r for r in self.recs if r.at >= tail]
        assert all(r.n <= 64 and r.packed()[0][1] == b[r.at:r.at + 512 + r.n * 512] for r in self.recs), "packing"
        self.ops, self.items = [], []  # (record, offset of the operation, length, flags); the first of these of each item
        for r in self.recs:
            o = 0
            for _ in range(r.ops):
                self.ops.append((r, o, int.from_bytes(r.data[o + 4:o + 8], "big"), r.data[o + 9]))
                o += 12 + self.ops[-1][2]
        left = None
        for i, (r, o, n, flags) in enumerate(self.ops):
            if flags & 1:
                left = "head"
            elif flags & 8 or flags & 2 or not n:
                continue
            elif left == "head":
                left = 0
            elif left:
                left -= 1
            elif left == 0:
                left = int.from_bytes(r.data[o + 14:o + 16], "little") - 1
                self.items.append((int.from_bytes(r.data[o + 12:o + 14], "little"), i))

    def item(self, type, test=lambda d: True, regions=()):
        """the index of the operation of the first such one, whose regions are all in one record"""
        for t, i in self.items:
            r, o, n, flags = self.ops[i]
            if t == type and not any(x[3] & 12 for x in self.ops[i:i + 3]) and test(r.data[o + 12:o + 12 + n]):
                return i
        raise SystemExit("no item %#x" % type)

    def put(self, i, *changes):
        """changes in the data of operation i"""
        r, o = self.ops[i][:2]
        return r.packed(data=[(o + 12 + c, v) for c, v in changes])

    def op(self, i, *changes):
        r, o = self.ops[i][:2]
        return r.packed(data=[(o + c, v) for c, v in changes])


u16 = lambda d, o: int.from_bytes(d[o:o + 2], "little")
u32 = lambda d, o: int.from_bytes(d[o:o + 4], "little")
NOT = "fs-dirty: the log was not replayed, files are as they are on the disk: xfs: "
DISK = ["/gone/0{50}", "!/new1"]  # on the disk, deleted in the log; and only in the log
rows_of = lambda rows: [(n, c, NOT + w, "!fs-journal", *DISK) for n, c, w in rows]
n = 0
for name, v5 in (("log", True), ("log-v4", False)):
    L = Log(name)
    if not v5:  # all of it is in the log
        DISK = DISK[1:]
    last, first = L.recs[-1], L.recs[0]
    rows = [("untouched", [], "fs-journal: log: [1-9][0-9]* items of [1-9]", "!/gone/0", "/new1")]
    # the last record: as if it had not been written; without it the transaction has no end
    for what, o, v in (("cycle", 4, be(4, 9)), ("version 0", 8, be(4, 0)), ("version 4", 8, be(4, 4)), ("length 0", 12, be(4, 0)), ("length", 12, be(4, -1)),
            ("length of two blocks more", 12, be(4, last.len + 1024)), ("lsn", 16, be(8, 1 << 32)), ("uuid", 304, bytes(16)), ("size", 320, be(4, 1 << 30))):
        rows.append(("last record's " + what, last.packed(head=[(o, v)]), "fs-journal|" + NOT))
    # what is not written whole before it counts as little: the log ends, as Linux has it, in an unmount
    rows.append(("last record's magic", last.packed(head=[(0, b"\xfe" * 4)]), *(["!FINDING", *DISK] if v5 else ["fs-journal"])))
    # the first record whole is the tail, where the log is so small
    rows.append(("tail where no record is", last.packed(head=[(24, be(8, int.from_bytes(last.head[24:32], "big") + 1))]), "fs-journal|" + NOT))
    # old kernels wrote none
    rows.append(("no checksums", [c for r in L.recs for c in r.packed(head=[(32, bytes(4))], crc=False)], *([] if v5 else ["fs-journal: log: [1-9]", "/new1"])))
    rows.append(("last record's checksum", last.packed(head=[(32, b"\0\1\2\3")], crc=False), "fs-journal|" + NOT))
    n += table(L.b, rows, ("--xattrs",))
    rows = [("order of bytes", last.packed(head=[(300, be(4, 2))]), "the log was written by a machine of another order")]
    for what, v in (("outside", be(8, 1 << 32 | 1 << 30)), ("of the next cycle", be(8, 2 << 32)), ("long ago", be(8, 7 << 32))):
        rows.append(("tail " + what, last.packed(head=[(24, v)]), ""))
    # operations
    o = next(i for i, x in enumerate(L.ops) if x[3] == 0 and x[2] > 16)
    rows += [("length of an operation", L.op(o, (4, be(4, 1 << 20))), "the log's record .* longer"), ("length of -1", L.op(o, (4, be(4, -1))), "the log's record .* longer"), ("client", L.op(o, (8, b"\x77")), "the log's record .*unknown client"),
             ("flags", L.op(o, (9, b"\x40")), "the log's record .*flags"), ("it begins twice", L.op(o, (9, b"\1")), "the log's record .*flags"), ("more operations", L.ops[o][0].packed(head=[(40, be(4, -1))]), "the log's record .*fewer"),
             ("no header", L.put(next(i for i, x in enumerate(L.ops) if x[2] == 16), (0, b"XXXX")), "the log's record .*no header"),
             ("a region goes on that never began", L.op(next(i for i, x in enumerate(L.ops) if x[3] & 1) + 2, (9, b"\x08")), "the log")]
    # items
    buf = L.item(0x123c, lambda d: not u16(d, 4) & 0x1f and u16(d, 4) >> 11 in (10, 11, 0) and u32(d, 16))
    ino = L.item(0x123b, lambda d: u32(d, 4) & 1)
    dev = L.item(0x123b, lambda d: u32(d, 4) & 2)
    p = lambda i, *c: L.put(i, *c)
    rows += [("type", p(buf, (0, le(2, 0x1300))), "the log has items of an unknown type, 0x1300"), ("type IUNLINK", p(buf, (0, le(2, 0x1238))), "the log has items of an unknown type, 0x1238"), ("regions 0", p(buf, (2, le(2, 0))), "the log's record .*bad number of regions"),
             ("regions 300", p(buf, (2, le(2, 300))), "the log's record .*bad number of regions"), ("regions 200", p(buf, (2, le(2, 200))), "the log"),
             ("buffer's length 0", p(buf, (6, le(2, 0))), "the log: a buffer's place"), ("buffer of 32 MiB", p(buf, (6, le(2, -1))), "the log: a buffer is outside"), ("buffer's place", p(buf, (8, le(8, 1 << 40))), "the log: a buffer is outside"),
             ("buffer's place -1", p(buf, (8, le(8, -1))), "the log: a buffer's place"), ("buffer of one block less than its regions", p(buf, (6, le(2, 1)), (20, le(4, 0xf0))), "the log: a buffer"), ("bitmap of 2^32 words", p(buf, (16, le(4, -1))), "the log: a buffer's bitmap"),
             ("bitmap of no words", p(buf, (16, le(4, 0))), "the log: a buffer has too many"), ("bitmap empty", p(buf, (20, le(4, 0))), "the log: a buffer has too many"), ("bitmap full", p(buf, (20, le(4, 0x55555555))), "the log: a buffer"),
             ("inode's number", p(ino, (16, le(8, 1 << 50))), "the log: inode .*not where it says"), ("inode's block", p(ino, (40, le(8, 8))), "the log: inode .*not where it says"), ("inode's block outside", p(ino, (40, le(8, -1))), "the log: inode .*not where it says"),
             ("inode's offset", p(ino, (52, le(4, 17))), "the log: inode .*not where it says"), ("two kinds of content", p(dev, (4, le(4, 7))), "the log: inode .*contradict"), ("attributes without room", p(dev, (4, le(4, 0x43))), "the log: inode"),
             ("core's magic", p(ino + 1, (0, b"XX")), "the log: inode .*magic"), ("core's version", p(ino + 1, (4, b"\7")), "the log: inode .*magic"), ("core's forkoff", p(ino + 1, (82, b"\xff")), "the log: inode .*contradict")]
    if v5:
        rows += [("core's number", p(ino + 1, (152, le(8, 99))), "the log: inode .*another number")]
        ic = L.item(0x123f)
        rows += [("new inodes' " + w, p(ic, (o, be(4, v))), "the log: new inodes") for w, o, v in (("group", 4, 77), ("block 0", 8, 0), ("block", 8, -1), ("count 0", 12, 0), ("count", 12, 1 << 20), ("size", 16, 256), ("length", 20, 1 << 30))]
        root = L.item(0x123b, lambda d: u32(d, 4) & 8)
        rows += [("root of extents", p(root + 2, (6, be(2, 500))), "the log: inode .*does not fit")]
    rows = rows_of(rows)
    # what is wrong, but of no concern to the order of things
    if v5:
        for what, i, c in (("the root is gone", next(i for t, i in L.items if t == 0x123b and u32(L.ops[i][0].data[L.ops[i][1] + 12:], 16) == int.from_bytes(L.b[56:64], "big") and not L.ops[i + 1][3] & 12), (2, le(2, 0o100644))),):
            rows += [(what, p(i + 1, c), NOT + "the log: ", *DISK)]
    n += table(L.b, rows, ("--xattrs",))
    # unknown features of the log
    if v5:
        sb = bytearray(L.b[:512])
        sb[220:224] = be(4, 2)
        sb[224:228] = bytes(4)
        sb[224:228] = le(4, crc32c(sb))
        n += table(L.b, rows_of([("log_incompat", [(0, bytes(sb))], "the log has unknown features 0x2")]), ())
    # logs made here: operations (transaction, flags, data)
    def made(ops):
        out, at, block, k = [(L.at, bytes(L.end - L.at))], first.at, (first.at - L.at) // 512, 0
        while k < len(ops):
            data, count = b"", 0
            while k < len(ops) and len(data) + 12 + len(ops[k][2]) <= 32768:
                t, flags, d = ops[k]
                data += struct.pack(">IIBBH", t, len(d), 0x69, flags, 0) + d
                count, k = count + 1, k + 1
            h = bytearray(first.head)
            h[4:8], h[12:16], h[16:24], h[24:32], h[40:44] = be(4, 1), be(4, len(data)), be(8, 1 << 32 | block), be(8, 1 << 32 | (first.at - L.at) // 512), be(4, count)
            r = Record(bytes(512), 0)
            r.at, r.head, r.len, r.n = at, h, len(data), -(-len(data) // 512)
            r.data = bytearray(data + bytes(-len(data) % 512))
            out += r.packed()
            at, block = at + 512 * (1 + r.n), block + 1 + r.n
        return out[:1] + [(L.at, L.b[L.at:first.at])] + out[1:]
    head = struct.pack("<IIII", 0x5452414e, 0, 0, 0)
    trans = lambda t, *items: [(t, 1, b""), (t, 0, head)] + [(t, 0, x) for x in items] + [(t, 2, b"")]
    intent = lambda type, id: struct.pack("<HHIQ", type, 1, 0, id)
    chunk = struct.pack("<HH", 0x123f, 1) + struct.pack(">IIIIII", 0, 64, 64, int.from_bytes(L.b[104:106], "big"), 64 >> L.b[123], 0)
    DONE = "fs-journal: log: %d items of %d transactions"
    OPEN = "fs-dirty: log: changes of files that were begun in it and not ended, %d, are not finished"
    rows = [("nothing", made(trans(1)), DONE % (0, 1), "!fs-dirty"), ("an intent", made(trans(1, intent(0x1244, 7))), DONE % (1, 1), OPEN % 1),
            ("three, and one ended", made(trans(1, intent(0x1244, 7), intent(0x1246, 7), intent(0x1248, 9)) + trans(1, intent(0x1247, 7))), DONE % (4, 2), OPEN % 2),
            ("all ended", made(trans(1, intent(0x1244, 7)) + trans(2, intent(0x1245, 7))), DONE % (2, 2), "!fs-dirty"), ("extents to be freed", made(trans(1, intent(0x1236, 7))), DONE % (1, 1), "!fs-dirty"),
            ("a header in two parts", made([(1, 1, b""), (1, 4, head[:5]), (1, 0x18, head[5:]), (1, 0, intent(0x1236, 1)), (1, 2, b"")]), DONE % (1, 1)),
            ("a region in three parts", made([(1, 1, b""), (1, 0, head), (1, 4, intent(0x1236, 1)[:8]), (1, 0xc, intent(0x1236, 1)[8:12]), (1, 0x18, intent(0x1236, 1)[12:]), (1, 2, b"")]), DONE % (1, 1)),
            ("transactions in each other", made([(1, 1, b""), (2, 1, b""), (1, 0, head), (2, 0, head), (2, 0, intent(0x1236, 1)), (1, 0, intent(0x1236, 1)), (2, 2, b""), (1, 2, b"")]), DONE % (2, 2)),
            ("one without an end", made(trans(1) + trans(2, intent(0x1244, 7))[:-1]), DONE % (0, 1), "!fs-dirty"), ("an end alone", made([(9, 2, b"")] + trans(1)), DONE % (0, 1)),
            ("64 open", made([(t, 1, b"") for t in range(64)]), DONE % (0, 0)), ("65 open", made([(t, 1, b"") for t in range(65)]), NOT + "more than 64 transactions", *DISK),
            ("a region is missing", made(trans(1, struct.pack("<HHII", 0x123c, 2, 0, 0))), NOT + "the log: a region of an item is missing"), ("a header too long", made([(1, 1, b""), (1, 0, head + b"x")]), NOT + "the log's record .*too long"),
            ("half a header", made([(1, 1, b""), (1, 0, head[:8]), (1, 0, head[8:])]), NOT + "the log's record .*not whole"), ("a short item", made(trans(1, b"\x36\x12\x01")), NOT + "the log's record .*number of regions")]
    if v5:
        rows += [("the same chunk again and again", made(trans(1, *[chunk] * 3000)), NOT + "the log changes more than 16 times its own size", *DISK)]
    n += table(L.b, rows, ("--xattrs",))
    offsets = metadata(L.b[L.at:L.end])
    n += sweep(L.b, [L.at + o for o in offsets], 25, 5, ("--xattrs", "--free"))
    # with the checksum right
    rnd = random.Random(10)
    for k in range(25):
        r = rnd.choice(L.recs)
        c = r.packed(data=[(rnd.randrange(r.len), bytes([rnd.choice((0, 1, 0x7f, 0x80, 0xff, rnd.randrange(256)))])) for _ in range(rnd.choice((1, 1, 4)))])
        rc, out = run_image(L.b, c, ("--xattrs",))
        if rc not in (0, 4):
            complain("byte in a record, turn %d" % k, "exit %s" % rc, out)
        n += 1
done("%d changes" % n)
END
