#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""packdump.py PACK OUTDIR: takes a pack apart by strata-pack(5), independently of the C code: each object
becomes OUTDIR/FRAME-N-KIND, each decoded frame OUTDIR/FRAME.frame. Needs the zstd program."""
import os, struct, subprocess, sys

d = open(sys.argv[1], "rb").read()
out = sys.argv[2]
os.makedirs(out, exist_ok=True)
assert d[:8] == b"STRATAPK" and d[-48:-40] == b"STRATAPE"
at, frame = 32, 0
while at < len(d) - 48:
    magic, codec, raw, stored = struct.unpack_from("<IB3xII", d, at)
    assert magic == 0x31724653
    body = d[at + 32:at + 32 + stored]
    if codec == 1:
        body = subprocess.run(["zstd", "-dcq"], input=body, stdout=subprocess.PIPE, check=True).stdout
    assert len(body) == raw
    open(os.path.join(out, "%d.frame" % frame), "wb").write(body)
    n, = struct.unpack_from("<I", body)
    p, objs = 4, []
    for _ in range(n):
        v, = struct.unpack_from("<I", body, p)
        p += 4
        if v >> 24 == 2:
            p += 32
        objs.append((v >> 24, v & 0xffffff))
    for i, (kind, length) in enumerate(objs):
        open(os.path.join(out, "%d-%d-%d" % (frame, i, kind)), "wb").write(body[p:p + length])
        p += length
    assert p == raw
    at += 32 + stored
    frame += 1
