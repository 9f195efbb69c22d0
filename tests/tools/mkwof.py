#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mkwof.py WIM FOLDER MOUNT METHOD

Puts the files of FOLDER into an NTFS volume mounted at MOUNT (ntfs-3g with streams_interface=windows) as Windows'
overlay filter keeps them, METHOD being xpress4k, lzx, xpress8k or xpress16k. Their compressed form is taken from
WIM, which wimlib-imagex made of FOLDER with that compression and chunk size: the two are the same. What wimlib did
not compress becomes a usual file. Prints how many were compressed."""
import hashlib, os, struct, sys

wim, folder, mount, method = sys.argv[1:]
d = open(wim, "rb").read()
assert d[:8] == b"MSWIM\0\0\0"


def header(at):
    size, off, original = struct.unpack_from("<QQQ", d, at)
    return size & (1 << 56) - 1, size >> 56, off, original


size, flags, off, _ = header(48)
assert not flags & 4, "the table is compressed"
blobs = {}
for at in range(off, off + size, 50):
    blobs[d[at + 30:at + 50]] = header(at)
number = {"xpress4k": 0, "lzx": 1, "xpress8k": 2, "xpress16k": 3}[method]
n = 0
for name in sorted(os.listdir(folder)):
    content = open(os.path.join(folder, name), "rb").read()
    path = os.path.join(mount, name)
    size, flags, off, original = blobs.get(hashlib.sha1(content).digest(), (0, 0, 0, 0))
    if not flags & 4:
        open(path, "wb").write(content)
        continue
    assert original == len(content)
    with open(path, "wb") as f:
        f.truncate(original)
    with open(path + ":WofCompressedData", "wb") as f:
        f.write(d[off:off + size])
    data = struct.pack("<IIIII", 1, 2, 1, number, 0)
    os.setxattr(path, "system.ntfs_reparse_data", struct.pack("<IHH", 0x80000017, len(data), 0) + data)
    n += 1
print(n)
