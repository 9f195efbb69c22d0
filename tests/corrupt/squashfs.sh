#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# squashfs: a row a field, and single-byte changes of all of a small image.
. "$(dirname "$0")/../lib.sh"
need mksquashfs python3 setfattr
need_root
mkdir -p d/dir; printf hello > d/file; ln -s a/b d/link; mknod d/node c 5 1; seq 3000 > d/text; setfattr -n user.name -v value d/file
printf x > d/dir/entry
mksquashfs d i.sqfs -quiet -no-progress -nopad -noI -noX -noF -noD -b 4096 -no-fragments >/dev/null
PYTHONPATH=$TOP/tests/tools python3 - <<'END'
import struct, subprocess
from corrupt import *
b = open("i.sqfs", "rb").read()
le16, le32, le64 = (lambda v: struct.pack("<H", v)), (lambda v: struct.pack("<I", v)), (lambda v: struct.pack("<Q", v))
g16, g32, g64 = (lambda o: struct.unpack_from("<H", b, o)[0]), (lambda o: struct.unpack_from("<I", b, o)[0]), (lambda o: struct.unpack_from("<Q", b, o)[0])
inodes, dirs, xattr, idt = g64(64), g64(72), g64(56), g64(48)
root = inodes + 2 + (g64(32) & 0xffff)
def inode(name):
    """offset of the inode of a name of the root directory"""
    at = b.index(name, dirs) - 8
    return inodes + 2 + g16(at)
f, t, l = inode(b"file"), inode(b"text"), inode(b"link")
ent = b.index(b"file", dirs) - 8
first = dirs + 2 + g16(root + 16 + 10)  # header of the root's list
if g16(root) == 8: first = dirs + 2 + g16(root + 16 + 18)
size16 = root + 16 + 8
xstart = g64(xattr)
rows = [(".", [], "/file$", "^x /file user.name", "!READDIR|UNREADABLE"),
    ("magic", [(0, b"X")], "not recognised"),
    ("major 5", [(28, le16(5))], "not recognised"),
    ("major 3", [(28, le16(3))], "unsupported"),
    ("minor 1", [(30, le16(1))], "unsupported"),
    ("block size 0", [(12, le32(0))], "corrupt.*block size"),
    ("block size 3", [(12, le32(4097))], "corrupt.*block size"),
    ("block size 2 MiB", [(12, le32(1 << 21)), (22, le16(21))], "corrupt.*block size"),
    ("block log", [(22, le16(13))], "corrupt.*block size"),
    ("block log 65535", [(22, le16(65535))], "corrupt.*block size"),
    ("compressor 0", [(20, le16(0))], "unsupported.*unknown kind"),
    ("compressor 9", [(20, le16(9))], "unsupported.*unknown kind"),
    ("root outside", [(32, le64(1 << 40))], "root directory"),
    ("root not an inode", [(32, le64(g64(32) + 1))], "root directory|not a directory"),
    ("root is a file", [(32, le64(f - inodes - 2))], "root is not a directory"),
    ("bytes used", [(40, le64(1 << 40))], "fs-truncated"),
    ("ids 0", [(26, le16(0))], "owner 0 of 0"),
    ("id table outside", [(48, le64(1 << 60))], "corrupt.*tables lie"),
    ("xattr table outside", [(56, le64(1 << 60))], "xattr-damaged", "/file$"),
    ("xattrs start behind", [(xattr, le64(1 << 60))], "xattr-damaged", "/file$"),
    ("inode table 0", [(64, le64(0))], "corrupt.*tables lie"),
    ("inode table behind", [(64, le64(dirs + 1))], "corrupt.*tables lie"),
    ("directory table outside", [(72, le64(1 << 60))], "corrupt.*tables lie"),
    ("id block outside", [(idt, le64(1 << 60))], "root directory"),
    ("metadata block of 0 bytes", [(inodes, le16(0x8000))], "metadata block of 0 bytes"),
    ("metadata block of 32767 bytes", [(inodes, le16(0xffff))], "metadata block of 32767 bytes"),
    ("metadata marked as compressed", [(inodes, le16(g16(inodes) & 0x7fff))], "cannot be decoded"),
    ("inode type 0", [(f, le16(0))], "UNREADABLE: /file.*of type 0"),
    ("inode type 15", [(f, le16(15))], "UNREADABLE: /file.*of type 15"),
    ("owner 9", [(f + 4, le16(9))], "UNREADABLE: /file.*owner 9"),
    ("directory size 4", [(size16, le16(4))] if g16(root) == 1 else [], "READDIR: /: .*contradicts itself" if g16(root) == 1 else "."),
    ("directory list outside", [(root + 16, le32(0xfffffff0))] if g16(root) == 1 else [], "READDIR: /:" if g16(root) == 1 else "."),
    ("header of 257 entries", [(first, le32(256))], "READDIR: /: .*contradicts itself"),
    ("header's block outside", [(first + 4, le32(0xfffffff0))], "UNREADABLE.*outside"),
    ("entry's offset", [(ent, le16(8000))], "UNREADABLE: /file"),
    ("name of 65536 bytes", [(ent + 6, le16(0xffff))], "READDIR: /: .*contradicts itself"),
    ("name with a slash", [(ent + 8, b"/")], "name-bad"),
    ("name with a NUL", [(ent + 8, b"\0")], "name-bad"),
    ("name is ..", [(b.index(b"file", dirs) - 2, le16(1)), (ent + 8, b"..")], "name-bad|contradicts"),
    ("target of 4 GiB", [(l + 20, le32(0xfffffff0))], "UNREADABLE: /link.*target of"),
    ("target past the metadata", [(l + 20, le32(60000))], "UNREADABLE: /link"),
    ("start outside", [(t + 16, le32(0xfffffff0))], "EXTENTS: /text.*data block"),
    ("size 4 GiB", [(t + 28, le32(0xfffffff0))], "UNREADABLE: /text"),
    ("fragment 7", [(t + 20, le32(7))], "UNREADABLE: /text.*fragment 7"),
    ("block of 16 MiB", [(t + 32, le32(0xffffff))], "UNREADABLE: /text.*data block of"),
    ("block marked as compressed", [(t + 32, le32(g32(t + 32) & 0xffffff))], "UNREADABLE: /text.*cannot be decoded"),
    ("short block", [(t + 32, le32((1 << 24) | 100))], "UNREADABLE: /text.*has 100 bytes"),
    ("xattr type", [(xstart + 2, le16(9))], "XATTRS: /file.*type 9"),
    ("xattr name of 0", [(xstart + 4, le16(0))], "XATTRS: /file"),
    ("xattr name of 65535", [(xstart + 4, le16(65535))], "XATTRS: /file"),
    ("xattr value of 4 GiB", [(b.index(b"name", xstart) + 4, le32(0xffffffff))], "XATTRS: /file.*4294967295"),
    ("cut behind the superblock", [("cut", 96)], "corrupt|root"),
    ("cut in the tables", [("cut", dirs + 10)], "fs-truncated|corrupt"),
]
n = table(b, rows, ["--xattrs"])
n += sweep(b, metadata(b[:96]) + list(range(inodes, len(b))), 500, 3, ["--xattrs"])
for c in ("gzip", "xz", "lzo", "lz4", "zstd"):
    subprocess.run(["mksquashfs", "d", "c.sqfs", "-noappend", "-quiet", "-no-progress", "-nopad", "-comp", c], check=True, stdout=subprocess.DEVNULL)
    b = open("c.sqfs", "rb").read()
    n += sweep(b, range(len(b)), 60, 4, ["--xattrs"])
done("%d rows" % n)
END
