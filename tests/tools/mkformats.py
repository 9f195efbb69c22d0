#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mkformats.py RAW PREFIX: the disk RAW as PREFIX.cloop, .dmg, .bochs and .cowd.vmdk (with its extent),
formats that no tool at hand writes. With DMG_KINDS=bzip2 or lzma the DMG also has runs of that kind."""
import base64, bz2, lzma, os, struct, sys, zlib

d = open(sys.argv[1], "rb").read()
size = len(d)
out = sys.argv[2]
assert size % 512 == 0


def write(ending, b):
    open(out + ending, "wb").write(b)


def cloop():
    bs = 65536
    blocks = [zlib.compress(d[i:i + bs].ljust(bs, b"\0") if i + bs > size else d[i:i + bs]) for i in range(0, size, bs)]
    head = b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n"
    head = head.ljust(128, b"\0") + struct.pack(">II", bs, len(blocks))
    at = len(head) + 8 * (len(blocks) + 1)
    offs = []
    for b in blocks + [b""]:
        offs.append(at)
        at += len(b)
    write(".cloop", head + b"".join(struct.pack(">Q", o) for o in offs) + b"".join(blocks))


def dmg():
    """One table with zlib, raw, zero and ignored runs, a comment between them."""
    body, runs, step = b"", [], 256 * 512
    for k, i in enumerate(range(0, size, step)):
        c = d[i:i + step]
        n = len(c) // 512
        if not any(c):
            runs.append((0 if k % 2 else 2, i // 512, n, 0, 0))
            continue
        if k % 3 == 2 and os.environ.get("DMG_KINDS") == "bzip2":
            p, kind = bz2.compress(c), 0x80000006
        elif k % 3 == 2 and os.environ.get("DMG_KINDS") == "lzma":
            p, kind = lzma.compress(c), 0x80000008
        elif k % 3 == 1:
            p, kind = c, 1
        else:
            p, kind = zlib.compress(c), 0x80000005
        if len(runs) == 3:
            runs.append((0x7ffffffe, i // 512, 0, 0, 0))
        runs.append((kind, i // 512, n, len(body), len(p)))
        body += p
    runs.append((0xffffffff, size // 512, 0, 0, 0))
    mish = b"mish" + struct.pack(">IQQQII", 1, 0, size // 512, 0, 520, 0) + bytes(24)
    mish += struct.pack(">II", 2, 32) + bytes(128) + struct.pack(">I", len(runs))
    for k, s, n, o, l in runs:
        mish += struct.pack(">IIQQQQ", k, 0, s, n, o, l)
    plist = (b'<?xml version="1.0"?><!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd"><plist version="1.0">\n<dict>\n<key>resource-fork</key>\n<dict>\n<key>blkx</key>\n<array>\n<dict>\n'
             b"<key>Attributes</key>\n<string>0x0050</string>\n<key>CFName</key>\n<string>whole disk</string>\n"
             b"<key>Data</key>\n<data>\n" + base64.encodebytes(mish) + b"</data>\n<key>ID</key>\n<string>0</string>\n"
             b"<key>Name</key>\n<string>whole disk</string>\n</dict>\n</array>\n</dict>\n</dict>\n</plist>\n")
    koly = b"koly" + struct.pack(">IIIQQQQQ", 4, 512, 1, 0, 0, len(body), 0, 0) + struct.pack(">II", 1, 1)
    koly = koly.ljust(216, b"\0") + struct.pack(">QQ", len(body), len(plist))
    koly = koly.ljust(492, b"\0") + struct.pack(">Q", size // 512)
    write(".dmg", body + plist + koly.ljust(512, b"\0"))


def bochs():
    """Growing, version 2: a catalog, then a bitmap sector and data for each extent."""
    ext = 512 * 1024
    bm = ext // 512 // 8
    used = [i for i in range(0, size, ext) if any(d[i:i + ext])]
    cat = [used.index(i) if i in used else 0xffffffff for i in range(0, size, ext)]
    h = b"Bochs Virtual HD Image".ljust(32, b"\0") + b"Redolog".ljust(16, b"\0") + b"Growing".ljust(16, b"\0")
    h += struct.pack("<IIIII", 0x20000, 512, len(cat), bm, ext) + struct.pack("<IQ", 0, size)
    h = h.ljust(512, b"\0") + b"".join(struct.pack("<I", c) for c in cat)
    for i in used:
        h += (b"\xff" * bm).ljust(512, b"\0") + d[i:i + ext].ljust(ext, b"\0")
    write(".bochs", h)


def cowd():
    """What ESX 3 and 4 write for a thin disk on VMFS (VMFSSPARSE): grains of 512 bytes times 128."""
    grain, ngt = 128, 4096
    n = -(-size // 512 // grain)
    dirs = -(-n // ngt)
    gd = bytearray((dirs * 4 + 511) // 512 * 512)
    at = 4 + len(gd) // 512
    tables, data = [], b""
    first = at + dirs * 32
    for k in range(dirs):
        struct.pack_into("<I", gd, 4 * k, at + 32 * k)
        gt = bytearray(ngt * 4)
        for i in range(ngt):
            c = d[(k * ngt + i) * grain * 512:(k * ngt + i + 1) * grain * 512]
            if any(c):
                struct.pack_into("<I", gt, 4 * i, first + len(data) // 512)
                data += c.ljust(grain * 512, b"\0")
        tables.append(bytes(gt))
    h = b"COWD" + struct.pack("<7I", 1, 3, size // 512, grain, 4, dirs, first + len(data) // 512)
    write("-delta.vmdk", h.ljust(2048, b"\0") + bytes(gd) + b"".join(tables) + data)
    write(".cowd.vmdk", ('# Disk DescriptorFile\nversion=1\nCID=00000007\nparentCID=ffffffff\ncreateType="vmfsSparse"\n'
                         'RW %d VMFSSPARSE "%s-delta.vmdk"\n' % (size // 512, os.path.basename(out))).encode())


cloop()
dmg()
bochs()
cowd()
