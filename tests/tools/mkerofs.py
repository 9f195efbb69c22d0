#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mkerofs.py [OPTIONS] IMAGE FOLDER

Makes EROFS images in the forms that Debian's mkfs.erofs cannot: other
compressions than LZ4, two of them in one file, fragments, duplicates,
interlaced plain blocks, long prefixes of attributes. The kernel's mount tells
whether they are right; this is for tests, and makes no attempt at small images.

  --methods A[,B]   of the first and second kind of heads: lz4 lzma deflate zstd
  --blocks N        blocks of a compressed extent at most; > 1: big pclusters
  --compact         packed index entries
  --inline          the last extent with the inode
  --fragments       the last extent, and small files, in the packed file
  --packed-plain    the packed file is not compressed
  --dedupe          extents that begin as one seen before name that one
  --interlaced      plain extents keep the file's alignment
  --prefixes        user.long.prefix. is a prefix of its own
"""
import argparse
import ctypes
import os
import random
import stat
import struct
import zlib

BS = 4096
PLAIN, HEAD1, NONHEAD, HEAD2 = range(4)
METHODS = {"lz4": 0, "lzma": 1, "deflate": 2, "zstd": 3}
CBLKCNT = 1 << 11
ADVISE_BIG1, ADVISE_BIG2, ADVISE_INLINE, ADVISE_INTERLACED, ADVISE_FRAGMENT = 2, 4, 8, 16, 32


def lz4(data):
    lib = ctypes.CDLL("liblz4.so.1")
    out = ctypes.create_string_buffer(len(data) + len(data) // 200 + 64)
    n = lib.LZ4_compress_default(data, out, len(data), len(out))
    return out.raw[:n]


def lzma(data):
    lib = ctypes.CDLL("liblzma.so.5")
    stream = (ctypes.c_uint64 * 32)()
    options = (ctypes.c_uint32 * 64)()
    src = ctypes.create_string_buffer(data, len(data))
    out = ctypes.create_string_buffer(2 * len(data) + 4096)
    assert not lib.lzma_lzma_preset(options, 6)
    options[0] = 1 << 16
    assert lib.lzma_microlzma_encoder(stream, options) == 0
    # next_in avail_in total_in next_out avail_out total_out
    stream[0], stream[1] = ctypes.addressof(src), len(data)
    stream[3], stream[4] = ctypes.addressof(out), len(out)
    assert lib.lzma_code(stream, 3) == 1 and stream[2] == len(data)
    n = stream[5]
    lib.lzma_end(stream)
    return out.raw[:n]


def deflate(data):
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    return c.compress(data) + c.flush()


def zstd(data):
    lib = ctypes.CDLL("libzstd.so.1")
    lib.ZSTD_compress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(len(data) + 4096)
    n = lib.ZSTD_compress(out, ctypes.c_size_t(len(out)), data, ctypes.c_size_t(len(data)), 3)
    return out.raw[:n]


PACK = {"lz4": lz4, "lzma": lzma, "deflate": deflate, "zstd": zstd}


class Extent:
    def __init__(self, la, length, kind, block=0, blocks=1, partial=False):
        self.la, self.length, self.kind = la, length, kind
        self.block, self.blocks, self.partial = block, blocks, partial


class Maker:
    def __init__(self, o):
        self.o = o
        self.methods = o.methods.split(",")
        self.heads = [HEAD1, HEAD2][:len(self.methods)]
        self.data = [b"\0" * BS]  # blocks; the first is the superblock's
        self.known = {}  # first block of content -> (content, block, blocks, kind)
        self.packed = bytearray()
        self.r = random.Random(4)
        self.nodes = []

    def put(self, b):
        at = len(self.data)
        for i in range(0, len(b), BS):
            self.data.append(b[i:i + BS].ljust(BS, b"\0"))
        return at

    def compress(self, name, la, piece):
        """the longest of a few beginnings that fits, or nothing"""
        for n in (self.r.choice([262144, 131072, 65536]), 32768, 20000, 9000):
            n = min(n, len(piece))
            if n <= BS - la % BS and n < len(piece):
                break  # the next head would be in the same cluster
            packed = PACK[name](piece[:n])
            blocks = -(-len(packed) // BS)
            # the count of blocks needs an entry that is not a head
            clusters = ((la + n) // BS if n < len(piece) else -(-(la + n) // BS)) - la // BS
            if blocks <= self.o.blocks and blocks * BS < n and (blocks == 1 or clusters >= 2):
                return n, packed, blocks
        return None

    def extents(self, content, packing=True):
        """the extents of a file, and what goes behind its index"""
        out, la, tail = [], 0, b""
        advise = ADVISE_INTERLACED if self.o.interlaced else 0
        if self.o.blocks > 1:
            advise |= ADVISE_BIG1 | (ADVISE_BIG2 if len(self.methods) > 1 or self.o.compact else 0)
        size = len(content)
        fragment = None
        while la < size:
            piece = content[la:]
            if packing and self.o.fragments and len(piece) <= 5000:
                fragment = self.fragment(piece)
                out.append(Extent(la, len(piece), HEAD1))
                break
            if self.o.dedupe and piece[:BS] in self.known:
                was, block, blocks, kind = self.known[piece[:BS]]
                n = len(os.path.commonprefix([was, piece]))
                clusters = (la + n) // BS - la // BS
                if n > 2 * BS and (blocks == 1 or clusters >= 2) and kind != PLAIN:
                    out.append(Extent(la, n, kind, block, blocks, n < len(was)))
                    la += n
                    continue
            i = len(out) % len(self.methods)
            got = self.compress(self.methods[i], la, piece) if self.r.randrange(8) else None
            if got:
                n, packed, blocks = got
                if packing and self.o.inline and n == len(piece) and len(packed) < 2000:
                    tail = packed
                    out.append(Extent(la, n, self.heads[i]))
                    break
                block = self.put(packed.rjust(blocks * BS, b"\0"))
                out.append(Extent(la, n, self.heads[i], block, blocks))
                self.known.setdefault(piece[:BS], (piece[:n], block, blocks, self.heads[i]))
            else:
                # with both flags a plain extent may have several blocks
                blocks = self.r.randrange(1, self.o.blocks + 1) if advise & ADVISE_BIG2 else 1
                n = min(len(piece), blocks * BS)
                if self.r.randrange(2) and n - 100 > BS - la % BS and n < len(piece):
                    n -= self.r.randrange(100)
                blocks = -(-n // BS)
                clusters = ((la + n) // BS if n < len(piece) else -(-(la + n) // BS)) - la // BS
                if blocks > 1 and clusters < 2:
                    blocks = 1
                    n = min(n, BS)
                if n == len(piece) and -(-(la + n) // BS) * BS - la > blocks * BS:
                    # Linux takes the last cluster as full: the rest is one more
                    n = BS - la % BS
                    blocks = 1
                raw = piece[:n]
                if packing and self.o.inline and n == len(piece) and n < 2000 and not self.o.interlaced:
                    tail = raw
                    out.append(Extent(la, n, PLAIN))
                    break
                if self.o.interlaced:
                    first = BS - la % BS
                    b = bytearray(blocks * BS)
                    b[:max(0, n - first)] = raw[first:]
                    b[blocks * BS - first:blocks * BS - first + min(n, first)] = raw[:first]
                    raw = bytes(b)
                out.append(Extent(la, n, PLAIN, self.put(raw.ljust(blocks * BS, b"\0")), blocks))
            la += n
        if tail:
            advise |= ADVISE_INLINE
        if fragment is not None:
            advise |= ADVISE_FRAGMENT
        return out, advise, tail, fragment

    def fragment(self, piece):
        at = self.packed.find(piece)
        if at < 0:
            at = len(self.packed)
            self.packed += piece
        return at

    def entries(self, size, extents):
        """(type, offset or distances, extent, number in it) of each cluster"""
        n = -(-size // BS)
        out = [None] * n
        for i, x in enumerate(extents):
            lcn = x.la // BS
            end = extents[i + 1].la // BS if i + 1 < len(extents) else n
            assert out[lcn] is None and end > lcn, (lcn, end)
            out[lcn] = (x.kind, x.la % BS, 0, 0, x)
            for k in range(lcn + 1, end):
                back = k - lcn
                big = x.blocks > 1 or (self.o.blocks > 1 and x.kind != PLAIN)
                if self.o.blocks > 1 and (x.kind != PLAIN or len(self.methods) > 1 or self.o.compact) and back == 1 and big:
                    back = CBLKCNT | x.blocks
                elif self.o.blocks > 1 and self.o.compact and back == 1:
                    back = CBLKCNT | x.blocks
                out[k] = (NONHEAD, 0, back, end - k, x)
        return out

    def index(self, size, extents):
        es = self.entries(size, extents)
        b = bytearray()
        if not self.o.compact:
            for kind, ofs, back, ahead, x in es:
                if kind == NONHEAD:
                    b += struct.pack("<HHHH", kind, 0, back, ahead)
                else:
                    b += struct.pack("<HHI", kind | (0x8000 if x.partial else 0), ofs, x.block)
            return b"\0" * 8 + bytes(b)
        for p in range(0, len(es), 2):
            pair = es[p:p + 2]
            words, base = [], 0
            for i, (kind, ofs, back, ahead, x) in enumerate(pair):
                lo = ofs
                if kind == NONHEAD:
                    lo = back if i == 0 or back & CBLKCNT else min(ahead, CBLKCNT - 1)
                words.append(kind << 12 | lo)
                if kind != NONHEAD:
                    before = 0 if self.o.blocks > 1 else 1
                    if i:
                        k0, _, back0, _, _ = pair[0]
                        if k0 != NONHEAD:
                            before += 1
                        elif back0 & CBLKCNT:
                            before += back0 & ~CBLKCNT
                    mine = x.block - before
                    assert not base or not x.block or mine == base, "not in a row"
                    base = mine if x.block else base
            words += [0] * (2 - len(words))
            b += struct.pack("<HHI", words[0], words[1], base & 0xffffffff)
        return bytes(b)

    def file(self, content, packing=True):
        """layout, i_u, what follows the inode (a function of its place), its inline data"""
        if not content:
            return 0, 0, b"", b""
        if packing and self.o.fragments and len(content) <= 3000:
            return 1, 0, struct.pack("<Q", self.fragment(content) | 1 << 63), b""
        before = len(self.data)
        xs, advise, tail, fragment = self.extents(content, packing)
        m = [METHODS[k] for k in self.methods] + [0]
        first = struct.pack("<HH", 0, len(tail)) if fragment is None else struct.pack("<I", fragment)
        head = first + struct.pack("<HBB", advise, m[0] | m[1] << 4, 0)
        return 3 if self.o.compact else 1, len(self.data) - before, head + self.index(len(content), xs), tail

    def xattrs(self, path):
        out = b""
        try:
            names = os.listxattr(path, follow_symlinks=False)
        except OSError:
            names = []
        for name in sorted(names):
            v = os.getxattr(path, name, follow_symlinks=False)
            index, rest = None, None
            for prefix, i in ([("user.long.prefix.", 0x80)] if self.o.prefixes else []) + [("user.", 1), ("trusted.", 4), ("security.", 6)]:
                if name.startswith(prefix):
                    index, rest = i, name[len(prefix):].encode()
                    break
            if index is None:
                continue
            e = struct.pack("<BBH", len(rest), index, len(v)) + rest + v
            out += e.ljust(-(-len(e) // 4) * 4, b"\0")
        return struct.pack("<IBxxxxxxx", 0, 0) + out if out else b""

    def add(self, path, parent):
        st = os.lstat(path)
        n = dict(path=path, st=st, parent=parent, kids=[], tail=b"", after=b"", u=0, layout=0, size=0, x=self.xattrs(path))
        key = (st.st_dev, st.st_ino)
        if not stat.S_ISDIR(st.st_mode) and st.st_nlink > 1:
            if key in self.linked:
                return self.linked[key]
            self.linked[key] = n
        self.nodes.append(n)
        if stat.S_ISREG(st.st_mode):
            content = open(path, "rb").read()
            n["size"] = len(content)
            n["layout"], n["u"], n["after"], n["tail"] = self.file(content)
        elif stat.S_ISLNK(st.st_mode):
            n["tail"] = os.readlink(os.fsencode(path))
            n["size"] = len(n["tail"])
            n["layout"] = 2
            if n["size"] > 2000:
                n["layout"], n["u"], n["tail"] = 0, self.put(n["tail"]), b""
        elif stat.S_ISDIR(st.st_mode):
            p = n if parent is None else parent
            n["names"] = sorted([(b".", n), (b"..", p)] + [(k, self.add(os.path.join(os.fsencode(path), k), n)) for k in sorted(os.listdir(os.fsencode(path)))], key=lambda e: e[0])
            n["blocks"], cur, used = [], [], 0
            for name, k in n["names"]:
                if used + 12 + len(name) > BS:
                    n["blocks"].append(cur)
                    cur, used = [], 0
                cur.append((name, k))
                used += 12 + len(name)
            n["blocks"].append(cur)
            n["size"] = (len(n["blocks"]) - 1) * BS + used
            n["u"] = self.put(b"\0" * BS * len(n["blocks"]))
        elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
            ma, mi = os.major(st.st_rdev), os.minor(st.st_rdev)
            n["u"] = (mi & 0xff) | ma << 8 | (mi & ~0xff) << 12
        return n

    def make(self, src, image):
        self.linked = {}
        root = self.add(src, None)
        extra = None
        prefix_at = 0
        if self.o.prefixes:
            infix = b"long.prefix."
            self.packed += b"\0" * (-len(self.packed) % 4)
            prefix_at = len(self.packed)
            self.packed += struct.pack("<HB", 1 + len(infix), 1) + infix
        if self.o.fragments or self.o.prefixes:
            content = bytes(self.packed) or b"\0"
            extra = dict(path=src, st=os.lstat(src), parent=None, x=b"", size=len(content), mode=0o100000)
            if self.o.packed_plain:
                extra.update(layout=0, u=self.put(content), after=b"", tail=b"")
            else:
                extra["layout"], extra["u"], extra["after"], extra["tail"] = self.file(content, packing=False)
            self.nodes.append(extra)
        meta = bytearray()
        place = {}
        for n in self.nodes:
            at = len(meta) + -len(meta) % 32
            body = 64 + len(n["x"])
            while True:
                # inline data lies in one block
                a = at + body + (-(at + body) % 8 if n["after"] else 0)
                t = a + len(n["after"])
                if not n["tail"] or t // BS == (t + len(n["tail"]) - 1) // BS:
                    break
                at += 32
            n["nid"] = at // 32
            place[id(n)] = (at, a, t)
            meta.extend(b"\0" * (t + len(n["tail"]) - len(meta)))
        for i, n in enumerate(self.nodes):
            at, a, t = place[id(n)]
            st = n["st"]
            icount = (len(n["x"]) - 12) // 4 + 1 if n["x"] else 0
            mode = n.get("mode", st.st_mode)
            # links outside the folder do not count
            meta[at:at + 64] = struct.pack("<HHHHQIIIIqII16x", 1 | n["layout"] << 1, icount, mode, 0, n["size"], n["u"] & 0xffffffff, i + 1,
                st.st_uid, st.st_gid, st.st_mtime_ns // 10**9, st.st_mtime_ns % 10**9, st.st_nlink)
            meta[at + 64:at + 64 + len(n["x"])] = n["x"]
            meta[a:a + len(n["after"])] = n["after"]
            meta[t:t + len(n["tail"])] = n["tail"]
            for k, block in enumerate(n.get("blocks", [])):
                b, names, off = b"", b"", 12 * len(block)
                for name, kid in block:
                    kind = {0o100000: 1, 0o040000: 2, 0o020000: 3, 0o060000: 4, 0o010000: 5, 0o140000: 6, 0o120000: 7}[stat.S_IFMT(kid["st"].st_mode)]
                    b += struct.pack("<QHBB", kid["nid"], off + len(names), kind, 0)
                    names += name
                self.data[n["u"] + k] = (b + names).ljust(BS, b"\0")
        meta_block = self.put(bytes(meta))
        incompat = 1 | 2
        if len(self.methods) > 1:
            incompat |= 8
        if self.o.inline:
            incompat |= 0x10
        if self.o.fragments or self.o.dedupe:
            incompat |= 0x20
        if self.o.prefixes:
            incompat |= 0x40 | 0x20
        algs = 0
        for k in self.methods:
            algs |= 1 << METHODS[k]
        cfg = b""
        for i in range(4):
            if algs >> i & 1:
                c = [struct.pack("<HH10x", 65535, self.o.blocks), struct.pack("<IHxxxxxxxx", 1 << 16, 0), struct.pack("<B5x", 15), struct.pack("<BB4x", 0, 10)][i]
                cfg += struct.pack("<H", len(c)) + c
        sb = struct.pack("<IIIBBHQQIIII16s16sIHHHBBIQ24x", 0xe0f5e1e2, 0, 0, 12, 0, root["nid"], len(self.nodes), 1600000000, 0, len(self.data), meta_block, 0,
            b"0123456789abcdef", b"made", incompat, algs, 0, 0, 0, 1 if self.o.prefixes else 0, prefix_at // 4, extra["nid"] if extra else 0)
        assert len(sb) == 128
        self.data[0] = (b"\0" * 1024 + sb + cfg).ljust(BS, b"\0")
        with open(image, "wb") as f:
            f.write(b"".join(self.data))


p = argparse.ArgumentParser()
p.add_argument("--methods", default="lz4")
p.add_argument("--blocks", type=int, default=1)
for flag in ("compact", "inline", "fragments", "packed-plain", "dedupe", "interlaced", "prefixes"):
    p.add_argument("--" + flag, action="store_true")
p.add_argument("image")
p.add_argument("folder")
options = p.parse_args()
Maker(options).make(options.folder, options.image)
