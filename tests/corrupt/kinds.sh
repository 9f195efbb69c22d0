#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Kinds that are kept as blocks: a field that contradicts its format is not recognised.
. "$(dirname "$0")/../lib.sh"
need python3
PYTHONPATH=$TOP/tests/tools python3 - <<'END'
import struct, subprocess
from corrupt import *

def le16(v): return struct.pack("<H", v)
def le32(v): return struct.pack("<I", v)
def be32(v): return struct.pack(">I", v)
NO = "not recognised"
n = 0
for kind, rows in {
    "apfs": [("magic", 32, b"NXSC", NO), ("type", 24, le16(2), NO), ("subtype", 28, le16(1), NO), ("block size 0", 36, le32(0), NO),
             ("block size 4097", 36, le32(4097), NO), ("count overflows", 40, b"\xff" * 8, "size 0\n"), ("no uuid", 72, bytes(16), "uuid  label")],
    "jfs": [("magic", 32768, b"JFS2", NO), ("l2bsize 200", 32768 + 20, le16(200), NO), ("l2pbsize", 32768 + 28, le16(12), NO),
            ("bsize", 32768 + 16, le32(4097), NO), ("factor", 32768 + 22, le16(2), NO)],
    "reiserfs-3.6": [("magic", 65536 + 52, b"ReIsEr5Fs", NO), ("block size 0", 65536 + 44, le16(0), NO), ("odd block size", 65536 + 44, le16(4095), NO),
                     ("inside its journal", 65536 + 12, le32(3), NO)],
    "bcache": [("magic", 4096 + 24, b"\0", NO), ("sector", 4096 + 8, b"\x09", NO)],
    "zfs": [("encoding", 16384, b"\x02", "label tank"), ("version of the list", 16387 + 4, b"\x01", "label tank"),
            ("pair of 4 GiB", 16384 + 12, be32(0xffffffff), "zfs_member|not recognised"), ("pair of 0", 16384 + 12, be32(0), "zfs_member|not recognised"),
            ("name of 4 GiB", 16384 + 20, be32(0xfffffff0), "label tank")],
    "bitlocker-win7": [("metadata at 0", 176, bytes(8), NO), ("metadata outside", 176, b"\xff" * 8, NO), ("metadata magic", 65536, b"x", NO)],
    "bitlocker-vista": [("cluster overflows", 56, b"\xff" * 8, NO)],
    "luks2-backup": [("magic", 0x4000, b"LUKS", NO), ("version", 0x4007, b"\x03", NO), ("its own place", 0x4100, b"\xff", NO)],
    "hfsplus": [("magic", 1024, b"H,", NO), ("version", 1027, b"\x09", NO), ("block size 0", 1064, be32(0), NO), ("block size 3", 1064, be32(3), NO),
                ("catalog far away", 1024 + 288, be32(0xffffffff), "hfsplus uuid [0-9a-f-]+ label *size"),
                ("leaf far away", 16 * 4096 + 24, be32(0xffffffff), "label *size"), ("node of 1 byte", 16 * 4096 + 32, b"\0\x01", "label *size"),
                ("name of 65535", 32 * 4096 + 20, b"\xff\xff", "label *size"), ("not a leaf", 32 * 4096 + 8, b"\0", "label *size"),
                ("not the root", 32 * 4096 + 16, be32(2), "label *size")],
    "hfs": [("block size", 1024 + 20, be32(0), NO), ("name of 255", 1024 + 36, b"\xff", "hfs uuid [0-9a-f-]+ label *size")],
    "hfs-wrapped": [("embedded far away", 1024 + 126, b"\xff\xff", "# hfs uuid"), ("embedded magic", 1024 + 124, b"xx", "# hfs uuid")],
    "ufs2-le": [("magic", 65536 + 1372, b"\0", NO), ("block size", 65536 + 48, le32(3), "# ufs")],
    "vmfs": [("magic", 2 << 20, b"\0", NO)],
    "reiser4": [("magic", 65536, b"\0", NO)],
    "minix3-be": [("as it is", 0, b"", "# minix uuid"), ("block size", 1024 + 28, b"\x0f", NO), ("zones", 1024 + 20, bytes(4), NO)],
    "befs": [("block size", 512 + 40, b"\1", NO), ("shift 63", 512 + 44, b"\x3f", NO), ("group shift 200", 512 + 76, b"\xc8", NO), ("magic 2", 512 + 68, b"\0", NO),
             ("root far away", 512 + 116, b"\xff\xff\xff\x7f", "befs uuid  label be volume"), ("attribute of 65535", 30 * 1024 + 236, b"\xff\xff", "befs uuid  label"),
             ("attribute without a name", 30 * 1024 + 236, b"\0\0", "befs uuid  label"), ("id of 9 bytes", 30 * 1024 + 258, b"\x09", "befs uuid  label")],
    "nilfs2": [("length 65535", 1024 + 8, b"\xff\xff", "# nilfs2 uuid 0f1e2d3c"), ("a bit in it", 1024 + 170, b"\1", "label nilfs volume"), ("length 0", 1024 + 8, b"\0\0", "# nilfs2 uuid")],
    "nilfs2-second": [("a bit in it", (2 << 20) - 4096 + 170, b"\1", NO), ("length 19", (2 << 20) - 4096 + 8, b"\x13\0", NO), ("seed", (2 << 20) - 4096 + 12, b"\0", NO)],
    "gfs2": [("format", 65536 + 27, b"\xff", NO), ("multi", 65536 + 31, b"\xff", NO)],
    "ocfs2-1024": [("block size 4096", 2048 + 248, b"\x0c", NO)],
    "ocfs": [("label of 65535", 8192 + 512 + 112, b"\xff\xff", "# ocfs uuid 0f1e2d3c-[0-9a-f-]+ label oracle")],
    "mpool": [("checksum", 62, b"\0\0", NO)], "stratis": [("checksum", 512, b"\0\0\0\0", NO)], "ubi": [("checksum", 60, b"\0\0\0\0", NO)],
    "lvm1": [("version", 2, b"\x03", NO), ("id", 44, b"\0", NO)], "drbdmanage": [("id", 20, b"z", NO), ("end of line", 43, b"x", NO)],
    "snapshot-cow": [("chunk of 3", 12, b"\3", NO)], "verity": [("version", 8, b"\2", NO)], "integrity": [("version", 8, b"\0", NO)],
    "hpfs": [("spare", 8192 + 512, b"\0", NO), ("boot sector", 38, b"\0", "# hpfs uuid  label  ?size")], "cramfs-le": [("signature", 16, b"c", NO)],
    "ubifs": [("node type", 20, b"\0", NO)],
    "ddf-be": [("first header far away", (2 << 20) - 512 + 96, b"\x7f", NO), ("first header", 3000 * 512, b"\0", NO)],
    "via": [("checksum", (2 << 20) - 512 + 10, b"\xee", NO)], "jmicron": [("checksum", (2 << 20) - 512 + 10, b"\xee", NO)],
    "silicon": [("checksum", (2 << 20) - 512 + 10, b"\xee", NO), ("disk 9", (2 << 20) - 512 + 0x116, b"\x09", NO)], "adaptec": [("signature", (2 << 20) - 512 + 256, b"\0", NO)],
    "xfs-log": [("version", 70 * 512 + 8, b"\1", NO), ("length 0", 70 * 512 + 12, bytes(4), NO), ("format", 70 * 512 + 303, b"\x09", NO)],
    "drbd9": [("magic", (2 << 20) - 4096 + 60, b"\0", NO)], "isw": [("magic", (2 << 20) - 1024, b"i", NO)],
}.items():
    subprocess.run(["mkkinds.py", kind, "k.img"], check=True)
    image = open("k.img", "rb").read()
    n += table(image, [(kind + ": " + name, [(off, b)], want) for name, off, b, want in rows] + [(".", [])])
subprocess.run("truncate -s 4M s; mkswap -q -L x s; truncate -s 2M m; mkfs.minix -1 m >/dev/null; truncate -s 64M f; mkfs.f2fs -q f", shell=True, check=True,
               stdout=subprocess.DEVNULL)
n += table(open("s", "rb").read(), [(".", []), ("swap version", [(1024, le32(2))], NO), ("swap magic", [(4086, b"x")], NO),
    ("last page", [(1028, b"\xff" * 4)], "size 17592186044416\n")])
n += table(open("m", "rb").read(), [(".", []), ("inodes 0", [(1024, le16(0))], NO), ("no inode map", [(1028, le16(0))], NO), ("small zone map", [(1030, le16(0))], NO),
    ("zone size", [(1034, le16(9))], NO), ("state", [(1042, le16(0xfff0))], NO), ("ext magic", [(1080, le16(0xef53))], NO)])
n += table(open("f", "rb").read(), [(".", []), ("first magic: the copy is used", [(1024, b"\0")], "# f2fs uuid"), ("both", [(1024, b"\0"), (5120, b"\0")], NO),
    ("block size", [(1040, le32(63)), (5136, le32(63))], NO)])
done("%d rows" % n)
END
