#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mkudf.py OUT [KEY=VALUE]...: writes a small UDF image that holds what no tool here writes, and OUT.txt, its entries in the
form of treedump.py.

    bs=2048          512 to 32768
    rev=0x201        revision
    map=physical     or sparable, virtual (the table at the end), meta (metadata partition with mirror)
    ad=long          of file content: short, long, ext
    efe=1            extended file entries (and named streams)
    strategy=4       4096: every file has an older entry that the present one replaces
    damage=NAME      main (the main descriptor sequence), meta (the metadata file's entry), metadata (a block of the
                     metadata partition; the mirror has it)
    few=0            1: fewer files and blocks, for fuzzing
    many=0           a folder of so many more files, a sixth as many hard links, folders 60 deep, a file of 5 GiB of holes
Made from ECMA-167 and UDF 2.60, checked with Linux (tests/tools/udfvm), 7-Zip and GRUB."""
import binascii, datetime, hashlib, random, struct, sys

opt = dict(bs="2048", rev="0x201", map="physical", ad="long", efe="1", strategy="4", damage="", few="0", many="0")
for a in sys.argv[2:]:
    k, v = a.split("=", 1)
    assert k in opt, k
    opt[k] = v
BS, REV, MAP, AD, STRATEGY = int(opt["bs"]), int(opt["rev"], 0), opt["map"], opt["ad"], int(opt["strategy"])
EFE, FEW, MANY = opt["efe"] == "1", opt["few"] == "1", int(opt["many"])
rnd = random.Random(7)


def crc(b):
    return binascii.crc_hqx(b, 0)


def tagged(ident, loc, body):
    t = struct.pack("<HHBBHHHI", ident, 3 if REV >= 0x200 else 2, 0, 0, 1, crc(body), len(body), loc)
    return t[:4] + bytes([sum(t) & 255]) + t[5:] + body


def cs0(s):
    if isinstance(s, bytes):
        return s
    try:
        return b"\x08" + s.encode("latin-1")
    except UnicodeEncodeError:
        return b"\x10" + s.encode("utf-16-be", "surrogatepass")


def dstring(s, n):
    c = cs0(s)
    return c + bytes(n - 1 - len(c)) + bytes([len(c)]) if s else bytes(n)


def regid(name, suffix=b""):
    return b"\0" + name.encode().ljust(23, b"\0") + suffix.ljust(8, b"\0")


domain = regid("*OSTA UDF Compliant", struct.pack("<HB", REV, 0))
charspec = b"\0" + b"OSTA Compressed Unicode".ljust(63, b"\0")
WHEN = datetime.datetime(2020, 2, 29, 12, 34, 56, 654321)


def stamp(t=WHEN, zone=0):
    us = t.microsecond
    return struct.pack("<HhBBBBBBBB", 1 << 12 | zone & 0xfff, t.year, t.month, t.day, t.hour, t.minute, t.second, us // 10000, us // 100 % 100, us % 100)


# --- the volume: blocks by number; partitions over it ---
vol = {}
PACKET = 32
START, LEN = 320, 2048 + MANY * 2
main_ref = 0
meta_ref = 1 if MAP in ("meta", "virtual") else 0
top = 5            # next free block of the physical partition
vat = []           # virtual block -> physical block
META_PIECES = [(100, 64), (300, 192)]  # where the metadata file lies: two extents
MIRROR = [(1000, 256)]
meta_top = 0
remapped = {}      # packet -> block of the volume


def phys(b):
    p = b - b % PACKET
    return remapped[p] + b % PACKET if p in remapped else START + b


def meta_block(b, pieces=META_PIECES):
    for first, n in pieces:
        if b < n:
            return first + b
        b -= n
    raise ValueError


def put(ref, block, data):
    assert len(data) <= BS * (len(data) // BS + 1)
    for i in range(0, max(len(data), 1), BS):
        d = data[i:i + BS].ljust(BS, b"\0")
        b = block + i // BS
        if ref == 0:
            vol[phys(b)] = d
        elif MAP == "meta":
            vol[phys(meta_block(b))] = d
            vol[phys(meta_block(b, MIRROR))] = d
        else:
            vol[phys(vat[b])] = d


def take(n=1):
    """blocks for content, in a row"""
    global top
    if MAP == "meta":
        while any(top < f + k and f < top + n for f, k in META_PIECES + MIRROR):
            top += 1
    b = top
    top += n
    assert top < LEN - 8
    return b


def take_meta(n=1):
    """blocks for metadata, in a row of the metadata partition"""
    global meta_top
    if meta_ref == 0:
        return take(n)
    if MAP == "virtual":
        vat.extend(take() + 0 for _ in range(n))
        return len(vat) - n
    meta_top += n
    return meta_top - n


def long_ad(n, block, ref, use=bytes(6)):
    return struct.pack("<IIH", n, block, ref) + use


def ads_of(extents, form):
    """extents: (kind, bytes, block), blocks in partition 0 (or ref, block)"""
    out = b""
    for kind, n, block in extents:
        ref, block = block if isinstance(block, tuple) else (0, block)
        w = kind << 30 | n
        if form == "short":
            out += struct.pack("<II", w, block)
        elif form == "long":
            out += long_ad(w, block, ref)
        else:
            out += struct.pack("<IIIIHH", w, n, n, block, ref, 0)
    return out


FORMS = dict(short=0, long=1, ext=2, inline=3)
unique = 16


def entry(loc, ftype, size, ads, form, mode=0o644, uid=0, gid=0, links=1, eas=b"", streams=None, time=None, flags=0, ref=None, strategy=None, more_eas=None):
    """writes a file's entry into a block of the metadata partition"""
    global unique
    unique += 1
    ref = meta_ref if ref is None else ref
    strategy = strategy or STRATEGY
    fl = FORMS[form] | flags | (64 if mode & 0o4000 else 0) | (128 if mode & 0o2000 else 0) | (256 if mode & 0o1000 else 0)
    perm = mode & 7 | (mode & 0o70) << 2 | (mode & 0o700) << 4
    icb = struct.pack("<IHHHBBIHH", 0, strategy, 1 if strategy == 4096 else 0, 2 if strategy == 4096 else 1, 0, ftype, 0, 0, fl)
    b = icb + struct.pack("<IIIHBBIQ", uid & 0xffffffff, gid & 0xffffffff, perm, links, 0, 0, 0, size)
    t = time or stamp()
    impl = regid("*strata test")
    if EFE:
        b += struct.pack("<QQ", size, 0) + t * 4 + struct.pack("<II", 1, 0) + (more_eas or bytes(16)) + (streams or bytes(16)) + impl
    else:
        b += struct.pack("<Q", 0) + t * 3 + struct.pack("<I", 1) + (more_eas or bytes(16)) + impl
    b += struct.pack("<QII", unique, len(eas), len(ads)) + eas + ads
    assert len(b) + 16 <= BS, len(b)
    put(ref, loc, tagged(266 if EFE else 261, loc, b))


lines = []


def esc(s):
    return "".join(chr(c) if 0x20 < c < 0x7f and c != 0x5c else "\\x%02x" % c for c in s)


def said(kind, path, mode, uid, gid, size, data, rdev="0:0", links=1, target=None, sec=None, ns=654321000):
    sec = int((WHEN - datetime.datetime(1970, 1, 1)).total_seconds()) if sec is None else sec
    path = path.encode("utf-8", "surrogatepass") if isinstance(path, str) else path
    lines.append("%s %04o %d %d %d %d.%09d %d %s %s %s%s" % (kind, mode, uid, gid, size, sec, ns, links, rdev,
                 hashlib.sha256(data).hexdigest() if data is not None else "-", esc(path), " -> " + esc(target.encode()) if target is not None else ""))


def new_icb():
    """where the entry of a file will be; with strategy 4096 an older one stands before it"""
    if STRATEGY == 4:
        b = take_meta()
        return b, b
    b = take_meta(4)
    old = b"an older version of this"
    entry(b, 5, len(old), old, "inline")
    ind = struct.pack("<IHHHBBIHH", 0, 4096, 1, 2, 0, 3, 0, 0, 0) + long_ad(BS, b + 2, meta_ref)
    put(meta_ref, b + 1, tagged(259, b + 1, ind))
    put(meta_ref, b + 3, tagged(259, b + 3, struct.pack("<IHHHBBIHH", 0, 4096, 1, 2, 0, 3, 0, 0, 0) + long_ad(0, 0, 0)))
    return b, b + 2


def fid(name, icb, flags=0, use=b"", loc=0):
    n = cs0(name) if name is not None else b""
    b = struct.pack("<HBB", 1, flags, len(n)) + long_ad(BS, icb, meta_ref) + struct.pack("<H", len(use)) + use + n
    b += bytes(-(len(b) + 16) % 4)
    return tagged(257, loc, b)


def directory(icb, path, items, mode=0o755, inline=False, ftype=4, links=1):
    """items: (name, icb, flags, use); its first entry is the parent"""
    icb0, icb1 = icb
    sizes = [len(fid(n, i, f, u)) for n, i, f, u in items]
    total = sum(sizes)
    if inline:
        at, data = 0, b""
        for n, i, f, u in items:
            data += fid(n, i, f, u, icb1)
        entry(icb1, ftype, total, data, "inline", mode, links=links)
    else:
        need = -(-total // BS)
        # two extents, not in order, where that many blocks are
        first, second = take_meta(need - need // 2), take_meta(need // 2) if need > 1 else 0
        at, data = 0, b""
        cut = (need - need // 2) * BS
        for n, i, f, u in items:
            b = first + at // BS if at < cut else second + (at - cut) // BS
            data += fid(n, i, f, u, b)
            at = len(data)
        put(meta_ref, first, data[:cut])
        ext = [(0, min(cut, total), (meta_ref, first))]
        if data[cut:]:
            put(meta_ref, second, data[cut:])
            ext.append((0, total - cut, (meta_ref, second)))
        # a directory's extents lie where its entry does
        entry(icb1, ftype, total, ads_of(ext, "short" if meta_ref or AD == "short" else AD), "short" if meta_ref or AD == "short" else AD, mode, links=links)
    if path is not None:
        said("d", path, mode, 0, 0, 0, None)
    return icb0


def content(data, pieces=1):
    """blocks with data, in pieces that do not lie in a row"""
    ext, n = [], max(-(-len(data) // BS), 1)
    per = -(-n // pieces)
    for i in range(0, n, per):
        d = data[i * BS:(i + per) * BS]
        b = take(-(-len(d) // BS))
        put(0, b, d)
        if pieces > 1:
            put(0, take(), b"\xee" * BS)
        ext.append((0, len(d), b))
    return ext


def form():
    return "long" if meta_ref and AD == "short" else AD


def regular(path, data, pieces=1, inline=False, mode=0o644, uid=0, gid=0, links=1, ftype=5, time=None, sec=None, streams=None, ns=654321000, tell=True):
    icb = new_icb()
    if inline:
        entry(icb[1], ftype, len(data), data, "inline", mode, uid, gid, links, time=time, streams=streams)
    else:
        entry(icb[1], ftype, len(data), ads_of(content(data, pieces), form()) if data else b"", form(), mode, uid, gid, links, time=time, streams=streams)
    if tell:
        said("f", path, mode, max(uid, 0), max(gid, 0), len(data), data, links=links, sec=sec, ns=ns)
    return icb[0]


def noise(n):
    return bytes([97 + rnd.randrange(26)]) * n if FEW else rnd.randbytes(n)


def chained(path, blocks):
    """allocation extents, each with a few descriptors"""
    data = noise(BS * blocks - 77)
    ext = content(data, blocks)
    icb = new_icb()
    per = 2 if FEW else 5
    groups = [ext[i:i + per] for i in range(0, len(ext), per)]
    where = [take_meta() for _ in groups[1:]]
    f = form()
    out = []
    for i, g in enumerate(groups):
        a = ads_of(g, f)
        if i < len(where):
            a += ads_of([(3, BS, (meta_ref, where[i]))], f)
        out.append(a)
    for i, b in enumerate(where):
        put(meta_ref, b, tagged(258, b, struct.pack("<II", 0, len(out[i + 1])) + out[i + 1]))
    entry(icb[1], 5, len(data), out[0], f)
    said("f", path, 0o644, 0, 0, len(data), data)
    return icb[0]


def holes(path):
    a, b = noise(BS), noise(BS)
    p, q, r = take(), take(2), take()
    put(0, p, a)
    put(0, q, b"\xee" * (2 * BS))
    put(0, r, b)
    icb = new_icb()
    size = 9 * BS + 5
    entry(icb[1], 5, size, ads_of([(0, BS, p), (2, 3 * BS, 0), (1, 2 * BS, q), (0, BS, r), (2, 2 * BS + 5, 0)], form()), form())
    said("f", path, 0o644, 0, 0, size, (a + bytes(5 * BS) + b).ljust(size, b"\0"))
    return icb[0]


def symlink(path, parts, target):
    data = b""
    for kind, name in parts:
        n = cs0(name) if name else b""
        data += struct.pack("<BBH", kind, len(n), 0) + n
    icb = new_icb()
    entry(icb[1], 12, len(data), data, "inline", 0o777)
    said("l", path, 0o777, 0, 0, len(target.encode()), None, target=target)
    return icb[0]


def short_of_end(path):
    """descriptors that end before the file does, in its last block: all of that is the file's"""
    data = noise(3 * BS - 7)
    ext = content(data)
    icb = new_icb()
    entry(icb[1], 5, len(data), ads_of([(0, len(data) - 100, ext[0][2])], form()), form())
    said("f", path, 0o644, 0, 0, len(data), data)
    return icb[0]


def apart(path, ftype, kind, mode, uid, gid, *eas):
    """extended attributes in a file of their own, some that mean nothing first"""
    used = lambda t, n: struct.pack("<IB3xII", t, 1, 48 + n, n) + regid("*strata test") + bytes(n)
    times = struct.pack("<IB3xIII", 5, 1, 32, 12, 1) + stamp()
    a = used(2048, 4) + times + b"".join(eas) + used(65536, 8)
    b, icb = take_meta(), new_icb()
    body = tagged(262, b, struct.pack("<II", 24, 24 + len(a))) + a
    entry(b, 8, len(body), body if BS > 512 else ads_of(content(body), form()), "inline" if BS > 512 else form(), strategy=4)
    data = b"apart" if kind == "f" else b""
    entry(icb[1], ftype, len(data), data, "inline" if data else form(), mode, -1 if kind == "f" else uid, -1 if kind == "f" else gid, more_eas=long_ad(BS, b, meta_ref))
    said(kind, path, mode, uid, gid, len(data), data if kind == "f" else None, rdev="259:70000" if kind != "f" else "0:0")
    return icb[0]


def special(path, ftype, kind, mode, major=None, minor=0):
    eas = b""
    icb = new_icb()
    if major is not None:
        a = struct.pack("<IB3xIIII", 12, 1, 24 + 32, 32, major, minor) + regid("*strata test")
        eas = tagged(262, icb[1], struct.pack("<II", 24, 24 + len(a))) + a
    entry(icb[1], ftype, 0, b"", form(), mode, eas=eas)
    said(kind, path, mode, 0, 0, 0, None, rdev="%d:%d" % (major or 0, minor))
    return icb[0]


def shown(raw, name):
    """a name that cannot be one, as Linux shows it"""
    return name


# --- the tree ---
fsd = take_meta(2)
root = new_icb()
items = [(None, root[0], 10, b"")]
add = lambda name, icb, flags=0, use=b"": items.append((name, icb, flags, use))
add("plain", regular("/plain", noise(2500)))
add("empty", regular("/empty", b""))
add("pieces", regular("/pieces", noise(5 * BS - 3), 5))
add("large", regular("/large", noise((3 if FEW else 40) * BS)))
add("inline", regular("/inline", noise(200), inline=True))
add("holes", holes("/holes"))
add("chained", chained("/chained", 7 if FEW else 23))
add("realtime", regular("/realtime", noise(100), ftype=249))
add("owner", regular("/owner", b"o", mode=0o6751, uid=1234, gid=567890))
add("nobody", regular("/nobody", b"n", uid=-1, gid=-1))
east = datetime.datetime(2021, 7, 1, 14, 0, 0)
add("east", regular("/east", b"e", time=stamp(east, 120), sec=1625140800, ns=0))
add("old", regular("/old", b"e", time=stamp(datetime.datetime(1955, 11, 5, 6, 15)), sec=-446751900, ns=0))
hard = regular("/hard1", noise(3000), links=2)
add("hard1", hard)
lines.append(lines[-1].replace("/hard1", "/hard2"))
add("hard2", hard)
add("hidden", regular("/hidden", b"h"), 1)
add("deleted", regular("/deleted", b"d", tell=False), 4)
add("used", regular("/used", b"u"), 0, regid("*strata test") + b"more")
add("grüße", regular("/grüße", b"8"))
add("日本 ж", regular("/日本 ж", b"16"))
add("emoji 😀", regular("/emoji 😀", b"surrogates"))
add("x" * 254, regular("/" + "x" * 254, b"long"))
add("ж" * 127, regular("/" + "ж" * 127, b"long"))
slash = lambda s: "#%04X" % crc(s)
add("a/b/c.txt", regular("/a_b_c" + slash(b"a/b/c.txt") + ".txt", b"slashes"))
add("//two", regular("/_two" + slash(b"//two"), b"in a row"))
add("nul\0.longer", regular("/nul_.longer" + slash(b"nul\0.longer"), b"NUL"))
add("..", regular("/.." + slash(b".."), b"dots"))
add("link", symlink("/link", [(5, "plain")], "plain"))
add("link-abs", symlink("/link-abs", [(2, ""), (5, "a"), (3, ""), (4, ""), (5, "日本")], "/a/.././日本"))
add("link-root", symlink("/link-root", [(2, "")], "/"))
add("link-up", symlink("/link-up", [(3, ""), (3, ""), (5, "up")], "../../up"))
add("char", special("/char", 7, "c", 0o620, 4, 65))
add("block", special("/block", 6, "b", 0o600, 253, 200))
add("fifo", special("/fifo", 9, "p", 0o640))
add("socket", special("/socket", 10, "s", 0o755))
add("short", short_of_end("/short"))
add("..x", regular("/." + slash(b"..x") + ".x", b"dots"))
add("...x", regular("/.." + slash(b"...x") + ".x", b"dots"))
add("Non-Allocatable Space", regular("/x", b"", tell=False), 1)
add("disk apart", apart("/disk apart", 6, "b", 0o660, 3, 4, struct.pack("<IB3xIIII", 12, 1, 24, 0, 259, 70000)))
add("owner apart", apart("/owner apart", 5, "f", 0o640, 1000, 50, struct.pack("<IB3xIHHH", 3, 1, 18, 1000, 50, 0)))
streams = {}
if EFE:
    sd = take_meta()
    s1, s2 = take_meta(), take_meta()
    entry(s1, 5, 6, b"stream", "inline", flags=1 << 13, strategy=4)
    big = noise(3 * BS)
    entry(s2, 5, len(big), ads_of(content(big), form()), form(), flags=1 << 13, strategy=4)
    keep = STRATEGY
    STRATEGY = 4
    directory((sd, sd), None, [(None, root[0], 10, b""), ("first", s1, 0, b""), ("zweiter ü", s2, 0, b"")], ftype=13, inline=BS >= 1024)
    STRATEGY = keep
    add("streams", regular("/streams", noise(10), streams=long_ad(BS, sd, meta_ref)))
    for n, d in (("first", b"stream"), ("zweiter ü", big)):
        lines.append("s /streams %s %d %s" % (esc(n.encode()), len(d), hashlib.sha256(d).hexdigest()))
sub = new_icb()
many = [(None, root[0], 10, b"")]
for i in range(3 if FEW else 120 if BS < 4096 else 400):
    many.append(("file number %d in a folder" % i, regular("/sub/file number %d in a folder" % i, b"%d" % i, inline=True) if MAP != "virtual" or i < 40 else hard, 0, b""))
    if MAP == "virtual" and i >= 40:
        lines.append(lines[[k for k, l in enumerate(lines) if l.endswith("/hard1")][0]].replace("/hard1", esc(("/sub/" + many[-1][0]).encode())))
deep = new_icb()
many.append(("deep", directory(deep, "/sub/deep", [(None, sub[0], 10, b"")], inline=True), 2, b""))
add("sub", directory(sub, "/sub", many, links=2), 2)
if MANY:
    names = ["file %d", "datei-ä-%d", "ファイル %d", "%d " + "long" * 40]
    full, linked, level, path = new_icb(), new_icb(), [new_icb() for _ in range(60)], "/deep"
    inside = [(None, root[0], 10, b"")]
    for i in range(MANY):
        name = names[i % 4] % i
        inside.append((name, regular("/many/" + name, b"%d" % i * (i % 40), inline=i % 3 > 0), 0, b""))
    add("many", directory(full, "/many", inside), 2)
    one = regular("/links/0", b"one content", links=MANY // 6)
    said_of_it = lines[-1]
    inside = [(None, root[0], 10, b""), ("0", one, 0, b"")]
    for i in range(1, MANY // 6):
        inside.append((str(i), one, 0, b""))
        lines.append(said_of_it.replace("/links/0", "/links/%d" % i))
    add("links", directory(linked, "/links", inside), 2)
    # holes, each as long as one extent can be
    size = (1 << 30) - BS
    icb = new_icb()
    entry(icb[1], 5, 5 * size, ads_of([(2, size, 0)] * 5, form()), form())
    said("f", "/huge", 0o644, 0, 0, 5 * size, None)
    h, zeros = hashlib.sha256(), bytes(BS << 8)
    for i in range(5 * size // BS >> 8):
        h.update(zeros)
    h.update(bytes(5 * size - (5 * size // BS >> 8) * (BS << 8)))
    lines[-1] = lines[-1].replace(" - /huge", " %s /huge" % h.hexdigest())
    add("huge", icb[0])
    paths = ["/deep" + "".join("/%d" % k for k in range(i)) for i in range(60)]
    bottom = regular(paths[-1] + "/bottom", b"deep")
    for i in reversed(range(60)):
        inner = ("bottom", bottom, 0, b"") if i == 59 else (str(i), level[i + 1][0], 2, b"")
        directory(level[i], paths[i], [(None, (root if i == 0 else level[i - 1])[0], 10, b""), inner], inline=True, links=1 if i == 59 else 2)
    add("deep", level[0][0], 2)
directory(root, "/", items, links=3)
body = stamp() + struct.pack("<HHIIII", 3, 3, 1, 1, 0, 0) + charspec + dstring("Volume of a test", 128) + charspec + dstring("files", 32) + bytes(64)
body += long_ad(BS, root[0], meta_ref) + domain + bytes(16) + bytes(16) + bytes(32)
put(meta_ref, fsd, tagged(256, fsd, body))

# --- the partition's own metadata ---
keep, STRATEGY = STRATEGY, 4
end = START + LEN
if MAP == "meta":
    efe, EFE = EFE, True
    entry(0, 250, sum(n for _, n in META_PIECES) * BS, ads_of([(0, n * BS, b) for b, n in META_PIECES], "short"), "short", ref=0)
    entry(1, 251, sum(n for _, n in MIRROR) * BS, ads_of([(0, n * BS, b) for b, n in MIRROR], "short"), "short", ref=0)
    EFE = efe
    assert meta_top <= 256
bits = bytearray(b"\xff" * -(-LEN // 8))
if MAP in ("physical", "sparable"):
    n = -(-(24 + len(bits)) // BS)
    bitmap = LEN - n
    for b in list(range(top)) + list(range(bitmap, LEN)):
        bits[b // 8] &= ~(1 << b % 8)
    put(0, bitmap, tagged(264, bitmap, struct.pack("<II", LEN, len(bits)))[:16] + struct.pack("<II", LEN, len(bits)) + bytes(bits))
    header = bytes(8) + struct.pack("<II", n * BS, bitmap) + bytes(112)
else:
    header = bytes(128)
spare_area = end + 8
if MAP == "sparable":
    # two packets lie elsewhere; what is in their place is not theirs
    for k, p in enumerate((PACKET, 3 * PACKET)):
        for i in range(PACKET):
            vol[spare_area + k * PACKET + i] = vol.get(START + p + i, bytes(BS))
            vol[START + p + i] = b"\xdd" * BS
        remapped[p] = spare_area + k * PACKET
    pairs = sorted(remapped.items()) + [(0xffffffff, spare_area + 2 * PACKET)]
    table = regid("*UDF Sparing Table") + struct.pack("<HHI", len(pairs), 0, 9) + b"".join(struct.pack("<II", *p) for p in pairs)
    for loc in (302, end + 4):
        vol[loc] = tagged(0, loc, table).ljust(BS, b"\0")
    end = spare_area + 3 * PACKET
if MAP == "virtual":
    entries = b"".join(struct.pack("<I", v) for v in vat) + b"\xff" * 4
    if REV < 0x200:
        table = entries + regid("*UDF Virtual Alloc Tbl", struct.pack("<H", REV)) + b"\xff" * 4
        ftype = 0
    else:
        table = struct.pack("<HH", 152, 0) + dstring("Volume of a test", 128) + struct.pack("<IIIHHHH", 0xffffffff, 1, 1, REV, REV, REV, 0) + entries
        ftype = 248
    b = take(-(-len(table) // BS))
    put(0, b, table)
    LEN = top + 300
    entry(LEN - 1, ftype, len(table), ads_of([(0, len(table), b)], "short"), "short", ref=0)
    end = START + LEN

# --- the volume's descriptors ---
maps = struct.pack("<BBHH", 1, 6, 1, 0)
t2 = lambda name, rest: b"\x02\x40\0\0" + regid(name, struct.pack("<H", REV)) + struct.pack("<HH", 1, 0) + rest.ljust(24, b"\0")
if MAP == "sparable":
    maps = t2("*UDF Sparable Partition", struct.pack("<HBBIII", PACKET, 2, 0, 56 + 24, 302, START + 2048 + 4))
elif MAP == "virtual":
    maps += t2("*UDF Virtual Partition", b"")
elif MAP == "meta":
    maps += t2("*UDF Metadata Partition", struct.pack("<IIIIHB", 0, 1, 0xffffffff, 32, 1, 1))
nmaps = 1 if MAP in ("physical", "sparable") else 2
nsr = "+NSR03" if REV >= 0x200 else "+NSR02"


def sequence(at):
    s = iter(range(1, 99))
    out = [(1, struct.pack("<II", next(s), 0) + dstring("volume", 32) + struct.pack("<HHHHII", 1, 1, 2, 3, 1, 1) + dstring("0123456789abcdef of a set", 128) + charspec * 2
            + bytes(16) + regid("*strata test") + stamp() + regid("*strata test") + bytes(64) + bytes(4) + b"\0\0" + bytes(22)),
           (4, struct.pack("<I", next(s)) + regid("*UDF LV Info", struct.pack("<H", REV)) + bytes(460)),
           (5, struct.pack("<IHH", next(s), 1, 0) + regid(nsr) + header + struct.pack("<III", 1 if MAP != "physical" else 4, START, LEN) + regid("*strata test") + bytes(284)),
           (6, struct.pack("<I", next(s)) + charspec + dstring("Volume of a test", 128) + struct.pack("<I", BS) + domain + long_ad(2 * BS, fsd, meta_ref)
            + struct.pack("<II", len(maps), nmaps) + regid("*strata test") + bytes(128) + struct.pack("<II", 2 * BS, 300) + maps),
           (7, struct.pack("<II", next(s), 0)),
           (8, bytes(496))]
    for i, (ident, body) in enumerate(out):
        vol[at + i] = tagged(ident, at + i, body).ljust(BS, b"\0")


sequence(260)
sequence(280)
vol[300] = tagged(9, 300, stamp() + struct.pack("<I", 1) + bytes(8) + struct.pack("<Q", unique + 1) + bytes(24) + struct.pack("<II", nmaps, 46)
                  + struct.pack("<I", 0xffffffff if MAP in ("virtual", "meta") else sum(bin(b).count("1") for b in bits) - (-LEN % 8)) * nmaps + struct.pack("<I", LEN) * nmaps
                  + regid("*strata test") + struct.pack("<IIHHH", 200, 3, min(REV, 0x250), REV, REV)).ljust(BS, b"\0")
anchor = lambda at: tagged(2, at, struct.pack("<IIII", 16 * BS, 260, 16 * BS, 280) + bytes(480)).ljust(BS, b"\0")
vol[256] = anchor(256)
if MAP != "virtual":
    end = end + 300
    for at in (end - 257, end - 1):
        vol[at] = anchor(at)
if opt["damage"] == "main":
    for at in range(260, 266):
        vol[at] = b"\xaa" * BS
if opt["damage"] == "meta":
    vol[START] = b"\xaa" * BS
if opt["damage"] == "metadata":
    vol[START + meta_block(root[1])] = b"\xaa" * BS
image = bytearray(end * BS)
for b, d in vol.items():
    image[b * BS:(b + 1) * BS] = d
step = max(2048, BS)
for i, ident in enumerate((b"BEA01", b"NSR03" if REV >= 0x200 else b"NSR02", b"TEA01")):
    image[32768 + i * step:32768 + i * step + 7] = b"\0" + ident + b"\x01"
open(sys.argv[1], "wb").write(image)
open(sys.argv[1] + ".txt", "w").write("".join(sorted(l + "\n" for l in lines)))
