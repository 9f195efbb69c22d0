#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fstorture_damage.py ext|xfs|btrfs [--seed N] [--rounds N] [--damages N]: file systems made as by fstorture.py, whose
metadata blocks are then swapped, zeroed, doubled, mixed with those of an older version, or cut off. An import must
take them (exit 0) or refuse them (4), in bounded time and memory, and give back every byte; what the kernel still
shows of them, strata shows too (--kernel)."""
import argparse, os, random, re, shutil, sys
import fstorture as torture
from fstorture import Fail, Volume, bounded, run
from fstorture_ops import Ops

BLOCK = 4096


def lists(img, older):
    """blocks that look like metadata, others with content, and those that the older version has otherwise"""
    meta, used, changed = [], [], []
    with open(img, "rb") as f, open(older, "rb") as o:
        at = 0
        while True:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA) & ~(BLOCK - 1)
            except OSError:
                break
            f.seek(at)
            o.seek(at)
            b, c = f.read(BLOCK), o.read(BLOCK)
            if len(b) < BLOCK:
                break
            if b.strip(b"\0"):
                used.append(at)
                # noise and text are content; what is half zeros and not periodic is not
                if 400 < b.count(0) < 4090 and b[:64] != b[256:320]:
                    meta.append(at)
                if b != c:
                    changed.append(at)
            at += BLOCK
    return meta or used, used, changed or used


def damage(r, kind, args, img, older, meta, used, changed):
    """changes the file; says what it did"""
    size, done = os.path.getsize(img), []
    with open(img, "r+b") as f, open(older, "rb") as o:
        def get(at, n=BLOCK, src=f):
            src.seek(at)
            return src.read(n)

        fix = r.random() < 0.6

        def put(at, b):
            f.seek(at)
            f.write(b)
            if fix:
                mend(kind, args, f, at, len(b))
        for _ in range(r.choice((1, 1, 1, 2, 4, 20))):
            k, a, b = r.randrange(9), r.choice(meta), r.choice(meta)
            unit = r.choice((BLOCK, BLOCK, 1024, 512))
            a, b = a + r.randrange(BLOCK // unit) * unit, b + r.randrange(BLOCK // unit) * unit
            if k == 0:
                x, y = get(a, unit), get(b, unit)
                put(a, y), put(b, x)
            elif k == 1:
                put(a, bytes(unit))
            elif k == 2:
                put(b, get(a, unit))
            elif k == 3:
                c = r.choice(changed)
                put(c, get(c, BLOCK, o))
            elif k == 4:
                put(a, r.randbytes(unit))
            elif k == 5:
                x = bytearray(get(a, unit))
                for _ in range(r.choice((1, 4, 30))):
                    at = r.randrange(len(x))
                    x[at] = r.choice((0, 0xff, x[at] ^ 1 << r.randrange(8), x[at] + 1 & 255, r.randrange(256)))
                put(a, x)
            elif k == 6:
                x = bytearray(get(a, unit))
                at, n = r.randrange(len(x)) & ~3, r.choice((2, 4, 8))
                x[at:at + n] = r.choice((b"\xff" * 8, b"\x7f" + b"\xff" * 7, bytes(8), b"\0\0\0\1\0\0\0\0", x[at - 8:at] or b"\1"))[:n]
                put(a, x[:unit])
            elif k == 7:  # halves of two versions
                for c in changed:
                    if (c < size // 2) == (a < size // 2) or r.random() < 0.5:
                        put(c, get(c, BLOCK, o))
            elif r.random() < 0.3:
                size = r.choice((r.randrange(size), r.choice(used), r.choice(used) + r.randrange(BLOCK)))
                os.truncate(img, max(size, 1))
                used = [u for u in used if u + BLOCK <= size] or [0]
                meta, changed = [m for m in meta if m + BLOCK <= size] or [0], [c for c in changed if c + BLOCK <= size] or [0]
            done.append("%d@%d" % (k, a))
    return " ".join(done)


def crc32c(b, table=[]):
    if not table:
        for i in range(256):
            for _ in range(8):
                i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
            table.append(i)
    c = 0xFFFFFFFF
    for x in b:
        c = c >> 8 ^ table[(c ^ x) & 255]
    return c ^ 0xFFFFFFFF


# where the checksums of XFS's structures are, by magic and where that is
XFS_SUMS = {b"IN": (0, 100), b"XDB3": (0, 4), b"XDD3": (0, 4), b"XDF3": (0, 4), b"XSLM": (0, 12), b"XARM": (0, 12), b"BMA3": (0, 64),
            b"AB3B": (0, 52), b"AB3C": (0, 52), b"IAB3": (0, 52), b"FIB3": (0, 52), b"RMB3": (0, 52), b"R3FC": (0, 52),
            b"XAGF": (0, 216), b"XAGI": (0, 312), b"XAFL": (0, 32), b"\x3e\xbe": (8, 12), b"\x3b\xee": (8, 12),
            b"\x3d\xf1": (8, 12), b"\x3d\xff": (8, 12)}


def mend(kind, args, f, at, size):
    """the checksum of the block that holds byte at made right, so that readers and kernel look behind it"""
    def opt(name, default):
        m = re.search(name, " ".join(map(str, args)))
        return int(m.group(1)) if m else default
    if kind == "btrfs":
        n = opt(r"-n (\d+)", 16384)
        if opt("--csum (?:crc32c)()", 1) == 1 and "--csum crc32c" not in " ".join(map(str, args)):
            return
        at -= at % n
        f.seek(at)
        b = f.read(n)
        if len(b) == n and at != 65536:
            f.seek(at)
            f.write(crc32c(b[32:]).to_bytes(4, "little"))
    elif kind == "xfs":
        inode, block, sector = opt(r"-i size=(\d+)", 512), opt(r"-b size=(\d+)", 4096), opt(r"-s size=(\d+)", 512)
        for size in (inode, sector, block, opt(r"-n size=(\d+)", block)):
            start = at - at % size
            f.seek(start)
            b = f.read(size)
            for magic, (where, sum_at) in XFS_SUMS.items():
                if b[where:where + len(magic)] != magic or (magic == b"IN") != (size == inode and b[:2] == b"IN"):
                    continue
                if magic[:3] in (b"XAG", b"XAF") and size != sector:
                    continue
                f.seek(start + sum_at)
                f.write(crc32c(b[:sum_at] + bytes(4) + b[sum_at + 4:]).to_bytes(4, "little"))
                return


def no_time(l, fs):
    f = l.split(b" ")
    if f[0] == b"x":
        return l
    return b" ".join(f[:5] + f[6:8] + f[9:] if fs == "btrfs" else f[:5] + f[6:])


def judge(fs, n, img, what, seconds, kernel, r):
    out, err, rc = torture.strata("import", img, "-b", "d%d" % n, ok=(0, 4), seconds=seconds)
    if rc == 0:
        torture.strata("export", "d%d" % n, "-o", "back")
        if run("cmp", img, "back", ok=(0, 1)).returncode:
            raise Fail("comes back changed")
        os.unlink("back")
    v = Volume([img], fs)
    out, err, frc = bounded("fsdump", "--xattrs", *(["--free"] if r.random() < 0.5 else []), img, ok=(0, 1, 4), seconds=seconds)
    # what the damaged maps call free may be a file's: an import keeps that
    if frc == 1 and any(l.startswith("BROKEN") and " holds data " not in l for l in err.split("\n")):
        raise Fail("fsdump: " + err[-2000:])
    have = {l for l in out.split(b"\n") if l and l[:1] != b"#"}
    if not kernel:
        return None
    opts = {"xfs": "ro,norecovery", "btrfs": "ro,subvolid=5,rescue=nologreplay"}.get(fs, "ro")
    if fs.startswith("ext"):
        opts = r.choice(("ro,noload", "ro")) if False else "ro"
        shutil.copy(img, "kernel.img")
        v = Volume(["kernel.img"], fs)
    try:
        want, _, stubs = torture.want_tree(v, opts, True)
    except Fail:
        return None
    if fs.startswith("ext") and "dirty" in err:
        return None
    have = set(torture.no_stub_times(have, stubs))
    want = set(torture.no_stub_times(want, stubs))
    # the kernel gives the time of the mount to what it truncates then, and reads btrfs' data from the copy that is sound
    # where what is listed here is the first one (an import says that it does not match its checksum)
    timeless = {no_time(l, fs) for l in have}
    gone = [l for l in want - have if b" unreadable " not in l and not l.endswith(b" -> unreadable") and l[:2] != b"? " and
            no_time(l, fs) not in timeless]
    return gone, want, err


def one_round(fs, seed, nops, n, seconds, kernel):
    r = random.Random("damage %s %d" % (fs, seed))
    for _ in range(60):
        try:
            v, args, opts = dict(ext=torture.make_ext, xfs=torture.make_xfs, btrfs=torture.make_btrfs)[fs](r)
            if len(v.images) > 1 or os.path.getsize(v.images[0]) > 310 * torture.MiB:
                v.remove()
                continue
            v.mount(opts)
            break
        except Fail:
            pass
    else:
        raise Fail("nothing can be mounted")
    print("%s seed %d: %s; %s" % (v.fs, seed, " ".join(map(str, args)), opts), flush=True)
    ops = Ops(v.mnt, fs, r, 0.3)
    ops.run(nops // 2)
    run("sync", "-f", v.mnt)
    old = v.copy("older")
    ops.run(nops // 2)
    if r.random() < 0.5:
        run("sync", "-f", v.mnt)
        new = v.copy("newer")
        ops.close()
        v.umount()
    else:
        ops.close()
        v.umount()
        new = v.copy("newer")
    bad = shown = 0
    meta, used, changed = lists(new.images[0], old.images[0])
    for i in range(n):
        if i % 20 == 0:
            shutil.rmtree("lib", ignore_errors=True)
            run("strata", "-q", "init", "lib")
        rr = random.Random("%s %d %d" % (fs, seed, i))
        run("cp", "--sparse=always", new.images[0], "damaged")
        what = damage(rr, v.fs, args, "damaged", old.images[0], meta, used, changed)
        try:
            got = judge(v.fs, i, "damaged", what, seconds, kernel, rr)
            if got:
                shown += 1
                if got[0]:
                    raise Fail("the kernel shows %d lines of %d that strata does not:\n%s\nfindings:\n%s" % (
                        len(got[0]), len(got[1]), "\n".join(map(repr, sorted(got[0])[:6]))[:3000], "\n".join(got[2].split("\n")[:6])))
        except Fail as e:
            bad += 1
            shutil.copy("damaged", "fail.%s.%d.%d" % (fs, seed, i))
            print("FAIL: %s seed %d damage %d (%s): %s" % (fs, seed, i, what, str(e)[:5000]), flush=True)
            if os.path.exists("back"):
                os.unlink("back")
    for x in (v, old, new):
        x.remove()
    print("  %d damages, %d mounted, %d failed" % (n, shown, bad), flush=True)
    return bad


def main():
    a = argparse.ArgumentParser()
    a.add_argument("fs")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--rounds", type=int, default=1)
    a.add_argument("--ops", type=int, default=600)
    a.add_argument("--damages", type=int, default=100)
    a.add_argument("--kernel", action="store_true")
    a.add_argument("--seconds", type=int, default=20)
    a.add_argument("--memory", type=int, default=200)
    a = a.parse_args()
    torture.MEMORY = a.memory
    return 1 if sum(one_round(a.fs, s, a.ops, a.damages, a.seconds, a.kernel) for s in range(a.seed, a.seed + a.rounds)) else 0


if __name__ == "__main__":
    sys.exit(main())
