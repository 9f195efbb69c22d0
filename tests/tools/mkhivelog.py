#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mkhivelog.py OLD NEW OUT: a registry hive that was not closed, OUT, and its logs OUT.LOG1 and OUT.LOG2, as Windows leaves
them: OUT is OLD, the logs bring it to NEW. Entries lie in both logs, behind one that is applied already."""
import struct, sys

old, new = (bytearray(open(p, "rb").read()) for p in sys.argv[1:3])
out = sys.argv[3]
SEED = int.from_bytes(bytes.fromhex("82EF4D887A4E55C5"), "little")


def marvin(d, seed=SEED):
    rotl = lambda x, n: (x << n | x >> 32 - n) & 0xffffffff
    lo, hi = seed & 0xffffffff, seed >> 32
    n = len(d) // 4 * 4
    words = [int.from_bytes(d[i:i + 4], "little") for i in range(0, n, 4)]
    for w in words + [int.from_bytes((d[n:] + b"\x80").ljust(4, b"\0"), "little"), 0]:
        lo = lo + w & 0xffffffff
        hi ^= lo
        lo = rotl(lo, 20) + hi & 0xffffffff
        hi = rotl(hi, 9) ^ lo
        lo = rotl(lo, 27) + hi & 0xffffffff
        hi = rotl(hi, 19)
    return hi << 32 | lo


# published vectors
for d, h in (("", 0x30ed35c100cd3c7d), ("AF", 0x48e73fc77d75ddc1), ("E70F", 0xb5f6e1fc485dbff8), ("37F495", 0xf0b07c789b8cf7e8)):
    assert marvin(bytes.fromhex(d), 0x004fb61a001bdbcc) == h


def seal(b):
    c = 0
    for i in range(0, 508, 4):
        c ^= struct.unpack_from("<I", b, i)[0]
    struct.pack_into("<I", b, 508, c)


def entry(seq, pages):
    body = b"".join(struct.pack("<II", off, len(p)) for off, p in pages) + b"".join(p for _, p in pages)
    size = -(-(40 + len(body)) // 512) * 512
    body = body.ljust(size - 40, b"\0")
    head = struct.pack("<4sIIIIIQ", b"HvLE", size, 0, seq, len(new) - 4096, len(pages), marvin(body))
    return head + struct.pack("<Q", marvin(head)) + body


seq = 7
pages = [(o - 4096, bytes(new[o:o + 4096])) for o in range(4096, len(new), 4096) if new[o:o + 4096] != old[o:o + 4096]]
assert len(pages) >= 2, "change more"
stale = entry(seq - 1, [(0, b"\xee" * 4096)])
wrong = [(o, bytes(4096)) for o, _ in pages[:1]]
logs = [stale + entry(seq, wrong) + entry(seq + 1, pages[:1]), entry(seq + 2, pages[1:])]
if len(sys.argv) > 4 and sys.argv[4] == "swapped":
    logs.reverse()
struct.pack_into("<II", old, 4, seq + 1, seq)
seal(old)
open(out, "wb").write(old)
for i, log in enumerate(logs):
    base = bytearray(old[:512])
    struct.pack_into("<III", base, 4, seq, seq, 0)
    struct.pack_into("<I", base, 28, 6)
    seal(base)
    open("%s.LOG%d" % (out, i + 1), "wb").write(bytes(base) + log + b"HvLE" + bytes(1000))
