#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ntfsedit.py slim IMAGE | split IMAGE | unsync IMAGE REC | find IMAGE NAME | set IMAGE WHERE OFFSET HEX
Changes NTFS volumes in ways that no tool does. slim: zeros in $UpCase, $AttrDef, $LogFile and unused
records, so that a packed image is
small. split: moves all but the first run of $MFT to other records, behind an attribute list, as on old and full volumes.
unsync: tears the write of a record (its second sector is from another time).
find: the number of a record by a name in it. set: bytes at an offset of boot, rec:N, rec:N:TYPE (that attribute), list:N:I
(entry I of its attribute list) or indx:N:I (block I of a directory's index), with the update sequence kept valid."""
import struct, sys

path = sys.argv[2]
d = bytearray(open(path, "rb").read())
u16 = lambda o: struct.unpack_from("<H", d, o)[0]
u32 = lambda o: struct.unpack_from("<I", d, o)[0]
u64 = lambda o: struct.unpack_from("<Q", d, o)[0]
spc = d[13] if d[13] <= 128 else 1 << (256 - d[13])
cl = u16(11) * spc
cpr = struct.unpack_from("b", d, 0x40)[0]
rec = 1 << -cpr if cpr < 0 else cpr * cl


def runs(a):
    out, p, lcn = [], a + u16(a + 32), 0
    while d[p]:
        n, o = d[p] & 15, d[p] >> 4
        ln = int.from_bytes(d[p + 1:p + 1 + n], "little")
        if o:
            lcn += int.from_bytes(d[p + 1 + n:p + 1 + n + o], "little", signed=True)
        out.append((lcn if o else None, ln))
        p += 1 + n + o
    return out


def encode(rs):
    out, prev = bytearray(), 0
    for lcn, n in rs:
        ln = n.to_bytes(n.bit_length() // 8 + 1, "little")
        dl = lcn - prev
        off = dl.to_bytes((dl if dl >= 0 else ~dl).bit_length() // 8 + 1, "little", signed=True)
        out += bytes([len(ln) | len(off) << 4]) + ln + off
        prev = lcn
    return bytes(out) + b"\0"


def attr(base, typ):
    a = base + u16(base + 20)
    while u32(a) != typ:
        assert u32(a) != 0xffffffff
        a += u32(a + 4)
    return a


def fix(base, size):
    """Undo the update sequence; redo() writes it again."""
    usa, n = u16(base + 4), u16(base + 6)
    for i in range(1, n):
        d[base + i * 512 - 2:base + i * 512] = d[base + usa + 2 * i:base + usa + 2 * i + 2]


def redo(base):
    usa, n = u16(base + 4), u16(base + 6)
    for i in range(1, n):
        d[base + usa + 2 * i:base + usa + 2 * i + 2] = d[base + i * 512 - 2:base + i * 512]
        d[base + i * 512 - 2:base + i * 512] = d[base + usa:base + usa + 2]


mft = u64(0x30) * cl
fix(mft, rec)
mft_runs = runs(attr(mft, 0x80))
redo(mft)


def record(no):
    at, off = 0, no * rec
    for lcn, n in mft_runs:
        if off < at + n * cl:
            return lcn * cl + off - at
        at += n * cl
    raise SystemExit("no record %d" % no)


def slim():
    for no in (2, 4, 10):
        b = record(no)
        for lcn, n in runs(attr(b, 0x80)):
            d[lcn * cl:(lcn + n) * cl] = bytes(n * cl)
    # records that are not in use, the boot code, the copy of the boot sector
    for no in range(12, sum(n for _, n in mft_runs) * cl // rec):
        b = record(no)
        if d[b:b + 4] == b"FILE" and not u16(b + 22) & 1 or 12 <= no < 16:
            d[b:b + rec] = bytes(rec)
    d[0x54:510] = bytes(510 - 0x54)
    d[512:8192] = bytes(8192 - 512)


def pad8(b):
    return b + bytes(-len(b) % 8)


def split():
    """Record 0 keeps the first run; each further record that is free inside the first run takes a share."""
    fix(mft, rec)
    a = attr(mft, 0x80)
    first = mft_runs[0][1] * cl // rec
    free = []
    for no in range(24, first):
        b = record(no)
        if d[b:b + 4] == b"FILE" and not u16(b + 22) & 1:
            free.append(no)
    assert len(mft_runs) > 3 and len(free) >= 2, "not enough pieces or free records: %d, %d" % (len(mft_runs), len(free))
    rest = mft_runs[1:]
    half = len(rest) // 2
    shares = [rest[:half], rest[half:]]
    head = bytes(d[a:a + 64])
    inst = struct.unpack_from("<H", head, 14)[0]
    seq0 = u16(mft + 16)
    vcn = mft_runs[0][1]
    entries = []

    def nonres(h, lo, hi, rs):
        r = encode(rs)
        x = bytearray(h + r)
        struct.pack_into("<HH", x, 32, 64, 0)
        struct.pack_into("<QQ", x, 16, lo, hi)
        x = bytearray(pad8(bytes(x)))
        struct.pack_into("<I", x, 4, len(x))
        return bytes(x)
    for no, rs in zip(free, shares):
        n = sum(x[1] for x in rs)
        b = record(no)
        usa = u16(b + 4)
        start = u16(b + 20)
        h = bytearray(head)
        struct.pack_into("<H", h, 14, 0)
        h[40:64] = bytes(24)
        body = nonres(bytes(h), vcn, vcn + n - 1, rs)
        assert start + len(body) + 8 <= rec - 2
        d[b + start:b + start + len(body) + 8] = body + struct.pack("<II", 0xffffffff, 0)
        struct.pack_into("<HHHHIIQH", d, b + 16, u16(b + 16) or 1, 0, start, 1, start + len(body) + 8, rec, seq0 << 48, 1)
        entries.append((0x80, vcn, no | u16(b + 16) << 48, 0))
        for i in range(1, u16(b + 6)):
            d[b + i * 512 - 2:b + i * 512] = bytes(2)
        redo(b)
        vcn += n
    # the base record, taken apart and put together with the list
    attrs, p = [], mft + u16(mft + 20)
    while u32(p) != 0xffffffff:
        attrs.append(bytes(d[p:p + u32(p + 4)]))
        p += u32(p + 4)
    attrs = [nonres(head, 0, mft_runs[0][1] - 1, mft_runs[:1]) if struct.unpack_from("<I", x)[0] == 0x80 else x for x in attrs]
    lst = [(struct.unpack_from("<I", x)[0], 0, seq0 << 48, struct.unpack_from("<H", x, 14)[0]) for x in attrs] + entries
    lst.sort(key=lambda t: t[:2])
    val = b"".join(pad8(struct.pack("<IHBBQQH", t, 32, 0, 26, lo, ref, i)) for t, lo, ref, i in lst)
    la = pad8(struct.pack("<IIBBHHHIHBB", 0x20, 24 + len(val), 0, 0, 24, 0, u16(mft + 40), len(val), 24, 0, 0) + val)
    attrs.insert(1, la)
    body = b"".join(attrs) + struct.pack("<II", 0xffffffff, 0)
    start = u16(mft + 20)
    assert start + len(body) <= rec
    d[mft + start:mft + rec] = body + bytes(rec - start - len(body))
    struct.pack_into("<I", d, mft + 24, start + len(body))
    struct.pack_into("<H", d, mft + 40, u16(mft + 40) + 1)
    redo(mft)
    mirror = u64(0x38) * cl
    d[mirror:mirror + rec] = d[mft:mft + rec]


def find(name):
    key = name.encode("utf-16le")
    for no in range(sum(n for _, n in mft_runs) * cl // rec):
        b = record(no)
        if d[b:b + 4] != b"FILE" or not u16(b + 22) & 1 or u64(b + 32):
            continue
        fix(b, rec)
        at, hit = b + u16(b + 20), False
        while u32(at) != 0xffffffff and at < b + rec:
            v = at + u16(at + 20)
            hit |= u32(at) == 0x30 and bytes(d[v + 66:v + 66 + 2 * d[v + 64]]) == key
            at += u32(at + 4)
        redo(b)
        if hit:
            return no
    raise SystemExit("no %s" % name)


def poke(where, off, data):
    w = where.split(":")
    if w[0] == "boot":
        d[off:off + len(data)] = data
        return
    b = record(int(w[1]))
    if len(w) == 2 and off in (4, 6):
        d[b + off:b + off + len(data)] = data
        return
    if w[0] == "indx":
        lcn = runs(attr(b, 0xa0))[0][0]
        b = lcn * cl + int(w[2]) * 4096
        if off in (4, 6):
            d[b + off:b + off + len(data)] = data
            return
        fix(b, 4096)
        at = b
    else:
        fix(b, rec)
        at = b if len(w) < 3 else attr(b, 0x20 if w[0] == "list" else int(w[2], 16))
        if w[0] == "list":
            at = runs(at)[0][0] * cl if d[at + 8] else at + u16(at + 20)
            for _ in range(int(w[2])):
                at += u16(at + 4)
    d[at + off:at + off + len(data)] = data
    redo(b)


if sys.argv[1] == "slim":
    slim()
elif sys.argv[1] == "find":
    print(find(sys.argv[3]))
    sys.exit()
elif sys.argv[1] == "set":
    poke(sys.argv[3], int(sys.argv[4], 0), bytes.fromhex(sys.argv[5]))
elif sys.argv[1] == "split":
    split()
else:
    b = record(int(sys.argv[3]))
    d[b + rec - 2] ^= 0x55
open(path, "wb").write(d)
