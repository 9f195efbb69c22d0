#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mkhive.py OUT: the smallest valid Windows registry hive, a root key without values, for hivexregedit to fill."""
import struct, sys

NONE = 0xffffffff
nk = struct.pack("<2sHQIIIIIIIIIIIIIIIHH", b"nk", 0x2c, 0, 0, NONE, 0, 0, NONE, NONE, 0, NONE, 0x20 + 0x60, NONE, 0, 0, 0, 0,
                 0, 4, 0) + b"ROOT"
sd = struct.pack("<BBHIIII", 1, 0, 0x8000, 0, 0, 0, 0)
sk = struct.pack("<2sHIIII", b"sk", 0, 0x80, 0x80, 1, len(sd)) + sd
cells = struct.pack("<i", -0x60) + nk.ljust(0x5c, b"\0") + struct.pack("<i", -0x30) + sk.ljust(0x2c, b"\0")
left = 0x1000 - 0x20 - len(cells)
hbin = struct.pack("<4sIIQQI", b"hbin", 0, 0x1000, 0, 0, 0) + cells + struct.pack("<i", left) + bytes(left - 4)
head = bytearray(4096)
struct.pack_into("<4sIIQIIIIIII", head, 0, b"regf", 1, 1, 0, 1, 3, 0, 1, 0x20, 0x1000, 1)
csum = 0
for i in range(127):
    csum ^= struct.unpack_from("<I", head, i * 4)[0]
struct.pack_into("<I", head, 508, csum)
open(sys.argv[1], "wb").write(bytes(head) + hbin)
