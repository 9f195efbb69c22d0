#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mkkinds.py KIND OUT: a minimal image of a kind of volume for which Debian has no
mkfs, written from its specification. "list" prints the kinds."""
import struct, sys

UUID = bytes.fromhex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")
MIB = 1 << 20


class Img:
    def __init__(self, size):
        self.b = bytearray(size)

    def put(self, off, fmt, *v):
        if isinstance(fmt, bytes):
            self.b[off:off + len(fmt)] = fmt
        else:
            struct.pack_into(fmt, self.b, off, *v)
        return self


def crc64(data):
    crc = 0xffffffffffffffff
    for c in data:
        crc ^= c << 56
        for _ in range(8):
            crc = ((crc << 1) ^ 0x42F0E1EBA9EA3693 if crc >> 63 else crc << 1) & 0xffffffffffffffff
    return crc ^ 0xffffffffffffffff


def hfsplus(base=0, size=2 * MIB, label="Größe \u65e5 vol", fid=b"\1\2\3\4\5\6\7\x08"):
    i = Img(size)
    h = base + 1024
    bs = 4096
    i.put(h, ">2sH", b"H+", 4).put(h + 40, ">3I", bs, (size - base) // bs, 10)
    i.put(h + 104, fid)
    # the catalog in two extents: the header node in the first, the leaf in the second
    i.put(h + 272, ">QII", 8 * bs, 0, 8).put(h + 288, ">4I", 16, 1, 32, 7)
    node = base + 16 * bs
    i.put(node, ">IIbBHH", 0, 0, 1, 0, 3, 0)
    i.put(node + 14, ">HIIIIHHII", 1, 1, 1, 1, 1, bs, 516, 8, 6)
    leaf = base + 32 * bs
    name = label.encode("utf-16-be")
    i.put(leaf, ">IIbBHH", 0, 0, -1, 1, 1, 0)
    i.put(leaf + 14, ">HIH", 6 + len(name), 1, len(name) // 2).put(leaf + 22, name)
    return i


def hfs_wrapped():
    i = hfsplus(base=8 * 512 + 4 * 4096)
    return i.put(1024, b"BD").put(1024 + 18, ">HI", 400, 4096).put(1024 + 28, ">H", 8).put(1024 + 124, ">2sHH", b"H+", 4, 300)


def hfs():
    i = Img(MIB)
    i.put(1024, b"BD").put(1024 + 18, ">HI", 1000, 1024).put(1024 + 28, ">H", 8)
    return i.put(1024 + 36, b"\x07MacDisk").put(1024 + 116, b"abcdefgh")


def ufs(at, magic, order, label=b""):
    i = Img(512 * 1024)
    return i.put(at + 48, order + "I", 16384).put(at + 144, order + "II", 0x5f1e2d3c, 0x00ab12cd) \
        .put(at + 680, label).put(at + 1372, order + "I", magic)


def xstr(s):
    return struct.pack(">I", len(s)) + s + bytes(-len(s) % 4)


def pair(name, typ, value):
    body = xstr(name) + struct.pack(">II", typ, 1) + value
    return struct.pack(">II", len(body) + 8, len(body) + 24) + body


def zfs():
    i = Img(64 * MIB)
    for at in (0, 256 * 1024, 64 * MIB - 512 * 1024, 64 * MIB - 256 * 1024):
        nv = b"\x01\x01\0\0" + struct.pack(">II", 0, 1) + pair(b"version", 8, struct.pack(">Q", 5000)) + \
            pair(b"name", 9, xstr(b"tank")) + pair(b"state", 8, struct.pack(">Q", 0)) + \
            pair(b"pool_guid", 8, struct.pack(">Q", 0xdeadbeefcafe1234)) + \
            pair(b"guid", 8, struct.pack(">Q", 77777777777)) + struct.pack(">II", 0, 0)
        i.put(at + 16384, nv)
        for k in range(128):
            i.put(at + 128 * 1024 + k * 1024, "<QQQ", 0x00bab10c, 5000, 10 + k)
    return i


def bitlocker(kind):
    i = Img(MIB)
    if kind == "vista":
        i.put(0, b"\xeb\x52\x90-FVE-FS-").put(11, "<HB", 512, 8).put(56, "<Q", 16)
    elif kind == "win7":
        i.put(0, b"\xeb\x58\x90-FVE-FS-").put(11, "<HB", 512, 8)
        i.put(160, bytes.fromhex("3bd667494929d84a8399f6a339e3d001")).put(176, "<3Q", 65536, 131072, 262144)
    else:
        i.put(0, b"\xeb\x58\x90MSWIN4.1").put(11, "<HB", 512, 8)
        i.put(424, bytes.fromhex("3bd667494929d84a8399f6a339e3d001")).put(440, "<3Q", 65536, 131072, 262144)
    return i.put(65536, b"-FVE-FS-\x40\0\x02\0").put(510, b"\x55\xaa")


def luks2_backup():
    i = Img(MIB)
    i.put(0x4000, b"SKUL\xba\xbe\0\x02").put(0x4008, ">Q", 0x4000).put(0x4018, b"second copy")
    return i.put(0x4000 + 168, b"9f5e2d3c-4b5a-6978-8796-a5b4c3d2e1f0").put(0x4100, ">Q", 0x4000)


def jfs():
    i = Img(17 * MIB)
    return i.put(32768, b"JFS1").put(32772, "<IQIHHIHH", 2, 32000, 4096, 12, 3, 512, 9, 0) \
        .put(32768 + 136, UUID).put(32768 + 152, b"jfs label")


def reiserfs(magic, label=b"reiser"):
    i = Img(MIB)
    return i.put(65536, "<4I", 8000, 7000, 300, 18).put(65536 + 44, "<H", 4096).put(65536 + 52, magic) \
        .put(65536 + 84, UUID).put(65536 + 100, label)


def reiser4():
    return Img(MIB).put(65536, b"ReIsEr4").put(65536 + 20, UUID).put(65536 + 36, b"four")


def bcache():
    i = Img(MIB)
    i.put(4096 + 8, "<QQ", 8, 1).put(4096 + 24, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"))
    i.put(4096 + 40, UUID).put(4096 + 56, UUID[::-1]).put(4096 + 72, b"cache label")
    return i.put(4096, "<Q", crc64(i.b[4096 + 8:4096 + 208]))


def vmfs(member, fs):
    i = Img(3 * MIB)
    if member:
        i.put(MIB, "<II", 0xc001d00d, 4).put(MIB + 130, UUID)
    if fs:
        i.put(2 * MIB, "<IIB", 0x2fabf15e, 5, 5).put(2 * MIB + 9, UUID[::-1]).put(2 * MIB + 29, b"datastore1")
    return i


def apfs():
    return Img(MIB).put(8, "<QQHHHH", 1, 5, 1, 0x8000, 0, 0).put(32, b"NXSB").put(36, "<IQ", 4096, 256).put(72, UUID)


KINDS = {
    "hfsplus": hfsplus, "hfsplus-noid": lambda: hfsplus(fid=bytes(8), label="x"), "hfs-wrapped": hfs_wrapped, "hfs": hfs,
    "ufs1-le": lambda: ufs(8192, 0x00011954, "<"), "ufs1-be": lambda: ufs(8192, 0x00011954, ">"),
    "ufs2-le": lambda: ufs(65536, 0x19540119, "<", b"freebsd root"), "ufs2-be": lambda: ufs(65536, 0x19540119, ">", b"sparc"),
    "ufs2-256k": lambda: ufs(262144, 0x19540119, "<", b"far"),
    "zfs": zfs, "bitlocker-vista": lambda: bitlocker("vista"), "bitlocker-win7": lambda: bitlocker("win7"),
    "bitlocker-togo": lambda: bitlocker("togo"), "luks2-backup": luks2_backup, "jfs": jfs,
    "reiserfs-3.5": lambda: reiserfs(b"ReIsErFs"), "reiserfs-3.6": lambda: reiserfs(b"ReIsEr2Fs"),
    "reiserfs-jr": lambda: reiserfs(b"ReIsEr3Fs", b"journal away"), "reiser4": reiser4, "bcache": bcache,
    "vmfs": lambda: vmfs(False, True), "vmfs-volume": lambda: vmfs(True, False), "apfs": apfs,
}
if sys.argv[1] == "list":
    print("\n".join(KINDS))
else:
    with open(sys.argv[2], "wb") as f:
        b = KINDS[sys.argv[1]]().b
        f.truncate(len(b))
        for at in range(0, len(b), 65536):
            if any(b[at:at + 65536]):
                f.seek(at)
                f.write(b[at:at + 65536])
