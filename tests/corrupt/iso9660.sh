#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ISO 9660: a row a field, and single-byte changes of all metadata.
. "$(dirname "$0")/../lib.sh"
need xorriso python3
need_root
mkdir d; printf hello > d/file; printf linked > d/hl; ln d/hl d/hl2; ln -s a/b d/link; mkdir d/dir; mknod d/node c 5 1; seq 30000 > d/text; ln -s "$(printf 'x%.0s' {1..240})" d/long
xorriso -outdev i.iso -padding 0 -zisofs version_2=off -map d / -set_filter_r --zisofs /text -- -commit >/dev/null 2>&1
PYTHONPATH=$TOP/tests/tools python3 - <<'END'
import struct
from corrupt import *
b = open("i.iso", "rb").read()
le32 = lambda v: struct.pack("<I", v)
pvd = 32768
root = struct.unpack_from("<I", b, pvd + 158)[0] * 2048
def record(name):
    """the record with this NM name"""
    at = b.index(b"NM" + bytes([5 + len(name)]) + b"\1\0" + name)
    off = root
    while True:
        n = b[off]
        if not n: off = (off // 2048 + 1) * 2048; continue
        if off <= at < off + n: return off
        off += n
def entry(name, sig):
    off = record(name)
    return b.index(sig, off, off + b[off])
f, t = record(b"file"), record(b"text")
ext = struct.unpack_from("<I", b, t + 2)[0] * 2048
rows = [(".", [], "!FINDING", " /text$"),
    ("magic", [(pvd + 1, b"X")], "not recognised"),
    ("type of the first descriptor", [(pvd, b"\x05")], "not recognised|Joliet|iso9660"),
    ("block size 0", [(pvd + 128, b"\0\0")], "not recognised"),
    ("block size 4096", [(pvd + 128, b"\0\x10")], "not recognised"),
    ("larger than its source", [(pvd + 80, le32(0xffffff))], "fs-truncated"),
    ("root far away", [(pvd + 158, le32(0xfffffff0))], "root directory|Joliet"),
    ("root is a file", [(root + 25, b"\0")], "not a directory|iso9660"),
    ("root's size huge", [(root + 10, le32(0xfffffff0))], "READDIR.*bytes"),
    ("root's size past the end", [(root + 10, le32(0x10000000))], "READDIR: /: .*outside|READDIR: /"),
    ("record length 1", [(f, b"\x01")], "READDIR: /: .*no directory record"),
    ("record length 255", [(f, b"\xff")], "/file$"),
    ("name longer than the record", [(f + 32, b"\xff")], "READDIR: /: .*no directory record"),
    ("extent outside", [(f + 2, le32(0xffffff0))], "file-damaged.*extent lies outside", " /file$"),
    ("size past the end", [(f + 10, le32(0xfffffff))], "file-damaged.*extent lies outside"),
    ("multi-extent without a next", [(f + 25, b"\x80")], "/file"),
    ("interleaved", [(f + 26, b"\x01")], "file-unreadable.*interleaved"),
    ("directory flag on a file", [(f + 25, b"\x02")], "not a directory|does not start|file-damaged|LOOP|READDIR|UNREADABLE"),
    ("no directory flag", [(record(b"dir") + 25, b"\0")], "FINDING: file-damaged.*disagree"),
    ("associated", [(f + 25, b"\x04")], "! /file$"),
    ("SP check", [(b.index(b"SP\7\1"), b"XX")], " 0555 0 0 5 "),
    ("PX length 5", [(entry(b"file", b"PX") + 2, b"\x05")], "file-damaged.*system use"),
    ("PX length 255", [(entry(b"file", b"PX") + 2, b"\xff")], "file-damaged.*system use"),
    ("entry of length 0", [(entry(b"file", b"PX") + 2, b"\0")], "file-damaged.*system use"),
    ("PX mode of a directory", [(entry(b"file", b"PX") + 4, le32(0o40755))], "file-damaged.*disagree"),
    ("NM with a slash", [(entry(b"file", b"NM") + 5, b"/")], "name-bad"),
    ("NM with a NUL", [(entry(b"file", b"NM") + 5, b"\0")], "name-bad"),
    ("NM is ..", [(entry(b"file", b"NM") + 2, b"\x07"), (entry(b"file", b"NM") + 5, b"..")], "name-bad|damaged"),
    ("SL component too long", [(b.index(b"SL", record(b"link")) + 6, b"\xff")], "file-damaged.*system use"),
    ("TF form", [(entry(b"file", b"TF") + 4, b"\xff")], "file-damaged.*system use"),
    ("CE to itself", [(b.index(b"CE", record(b"long")) + 4, le32(record(b"long") // 2048)), (b.index(b"CE", record(b"long")) + 12, le32(b.index(b"CE", record(b"long")) % 2048)),
                      (b.index(b"CE", record(b"long")) + 20, le32(28))], "file-damaged.*system use"),
    ("CE far away", [(b.index(b"CE", record(b"long")) + 4, le32(0xffffff00))], "file-damaged.*system use"),
    ("CE of 4 GiB", [(b.index(b"CE", record(b"long")) + 20, le32(0xffffff00))], "file-damaged.*system use"),
    ("ZF algorithm", [(entry(b"text", b"ZF") + 4, b"zp")], "file-unreadable.*not known"),
    ("ZF block size 2^31", [(entry(b"text", b"ZF") + 7, b"\x1f")], "file-damaged.*marked as compressed"),
    ("ZF header", [(entry(b"text", b"ZF") + 6, b"\xff")], "file-damaged.*marked as compressed"),
    ("ZF size", [(entry(b"text", b"ZF") + 8, le32(0xffffffff))], "file-damaged.*marked as compressed"),
    ("zisofs magic", [(ext, b"\0")], "file-damaged.*marked as compressed"),
    ("zisofs pointer back", [(ext + 20, le32(1))], "UNREADABLE: /text.*lies at"),
    ("zisofs pointer far", [(ext + 20, le32(0xffffff00))], "UNREADABLE: /text.*lies at"),
    ("zisofs data", [(ext + 60, b"\xff\xff\xff\xff")], "UNREADABLE: /text.*cannot be decoded"),
    ("cut behind the descriptors", [("cut", 40000)], "outside|root"),
    ("cut in the root", [("cut", root + 100)], "."),
]
n = table(b, rows)
n += sweep(b, range(pvd, pvd + 4096), 60)
n += sweep(b, range(root, root + 2048), 300, 2)
done("%d rows" % n)
END
