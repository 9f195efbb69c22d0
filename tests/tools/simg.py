#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""simg.py pack IMAGE OUT [--max BYTES] [--skip-data] | unpack IN IMAGE
Turns an image into the sparse form that fuzz targets and golden tests read
(see fuzz/fuzz.h): only 512-byte sectors that are not zero. --skip-data leaves
out 4 KiB blocks that look like file content made by the fixture scripts (one
byte repeated, or random: no zero byte and over 240 distinct values)."""
import struct, sys

MAGIC = b"SIMG1\n\0\0"


def pack(src, dst, skip):
    with open(src, "rb") as f, open(dst, "wb") as o:
        f.seek(0, 2)
        size = f.tell()
        f.seek(0)
        o.write(MAGIC + struct.pack("<Q", size))
        run, start, at = bytearray(), 0, 0

        def flush():
            if run:
                o.write(struct.pack("<QI", start, len(run)) + run)
                run.clear()
        while True:
            b = f.read(4096)
            if not b:
                break
            if not any(b) or (skip and (len(set(b)) == 1 or len(set(b)) > 240)):
                flush()
            else:
                for i in range(0, len(b), 512):
                    s = b[i:i + 512]
                    if any(s):
                        if not run:
                            start = at + i
                        run += s
                    else:
                        flush()
            at += len(b)
        flush()


def unpack(src, dst):
    d = open(src, "rb").read()
    assert d[:8] == MAGIC
    with open(dst, "wb") as o:
        o.truncate(struct.unpack_from("<Q", d, 8)[0])
        at = 16
        while at + 12 <= len(d):
            off, n = struct.unpack_from("<QI", d, at)
            o.seek(off)
            o.write(d[at + 12:at + 12 + n])
            at += 12 + n


if sys.argv[1] == "pack":
    pack(sys.argv[2], sys.argv[3], "--skip-data" in sys.argv)
else:
    unpack(sys.argv[2], sys.argv[3])
