#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fstorture.py ext|xfs|btrfs [--seed N] [--rounds N] [--ops N]: file systems with random features, filled with random
operations through the kernel; after each part the image is captured, after an unmount and while mounted, and what
strata makes of it is compared with what the kernel's own mount shows. Works in the current folder; an image that
fails is left there. Prints the seed of each round: --seed that --rounds 1 repeats it."""
import argparse, base64, json, os, random, re, shutil, subprocess, sys, time
from fstorture_ops import Ops

TOOLS = os.path.dirname(os.path.abspath(__file__))
MiB = 1 << 20
os.environ.update(TEST_DIR="x", TEST_DEV="x", QA_CHECK_FS="1")  # mkfs.xfs then makes small ones
MEMORY = 200  # MiB; sanitizers take more
failures = []


class Fail(Exception):
    pass


def run(*cmd, ok=(0,), **kw):
    p = subprocess.run([str(c) for c in cmd], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)
    if ok is not None and p.returncode not in ok:
        raise Fail("%s: exit %d: %s" % (" ".join(map(str, cmd)), p.returncode, (p.stdout + p.stderr)[-1500:].decode("utf-8", "replace")))
    return p


def bounded(*cmd, ok=(0,), seconds=120):
    """a program of ours: its exit code, memory and time (of the processor: others may be at work) are judged too"""
    t, peak = time.time(), 0
    with open("out", "wb") as out, open("err", "wb") as err:
        p = subprocess.Popen([str(c) for c in cmd], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            while True:
                # what wait4 says counts what this program had before the exec, too
                try:
                    for l in open("/proc/%d/status" % p.pid):
                        if l.startswith("VmHWM") and os.readlink("/proc/%d/exe" % p.pid) != os.readlink("/proc/self/exe"):
                            peak = int(l.split()[1])
                except OSError:
                    pass
                pid, status, ru = os.wait4(p.pid, os.WNOHANG)
                if pid:
                    break
                if time.time() - t > 15 * seconds:
                    p.kill()
                    os.waitpid(p.pid, 0)
                    raise Fail("%s: more than %d s" % (cmd, 15 * seconds))
                time.sleep(0.003)
        finally:
            p.returncode = 0
    rc = os.waitstatus_to_exitcode(status)
    out, err = open("out", "rb").read(), open("err", "rb").read()
    if rc not in ok:
        raise Fail("%s: exit %d: %s" % (" ".join(map(str, cmd)), rc, (out + err)[-3000:].decode("utf-8", "replace")))
    if ru.ru_utime + ru.ru_stime > seconds:
        raise Fail("%s: %d s of the processor" % (cmd, ru.ru_utime + ru.ru_stime))
    if peak / 1024 > MEMORY:
        raise Fail("%s: %d MiB" % (cmd, peak / 1024))
    return out, err.decode("utf-8", "replace"), rc


class Volume:
    """image files, mounted through loop devices"""

    def __init__(self, images, fs):
        self.images, self.fs, self.loops, self.mnt = images, fs, [], None

    def mount(self, opts="", where="m"):
        os.makedirs(where, exist_ok=True)
        self.loops = [run("losetup", "-f", "--show", i).stdout.decode().strip() for i in self.images]
        try:
            if self.fs == "btrfs":
                run("btrfs", "device", "scan", *self.loops)
            run("mount", "-t", self.fs, *(["-o", opts] if opts else []), self.loops[0], where)
        except Fail:
            self.detach()
            raise
        self.mnt = where
        return where

    def detach(self):
        if self.fs == "btrfs" and self.loops:  # only these: others may be about to mount theirs
            run("btrfs", "device", "scan", "--forget", *self.loops, ok=None)
        for l in self.loops:
            run("losetup", "-d", l, ok=None)
        self.loops = []

    def umount(self):
        if self.mnt:
            for n in range(20):
                if run("umount", self.mnt, ok=None).returncode == 0:
                    break
                time.sleep(0.1)
            else:
                run("umount", "-l", self.mnt, ok=None)
        self.mnt = None
        self.detach()

    def copy(self, name):
        """as it is at this moment: nothing may be written meanwhile"""
        out = ["%s.%d" % (name, i) for i in range(len(self.images))]
        for _ in range(5):
            for i, o in zip(self.images, out):
                run("cp", "--sparse=always", i, o)
            if all(run("cmp", "-s", i, o, ok=(0, 1)).returncode == 0 for i, o in zip(self.images, out)):
                return Volume(out, self.fs)
            time.sleep(0.3)
        raise Fail("%s does not come to rest" % i)

    def remove(self):
        for i in self.images:
            if os.path.exists(i):
                os.unlink(i)


def fresh(name, size):
    if os.path.exists(name):
        os.unlink(name)
    with open(name, "wb") as f:
        f.truncate(size)
    return name


# --- file systems of all kinds ---

def uuid(r):
    h = "%032x" % r.getrandbits(128)
    return "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))


def toggles(r, p, *features):
    return [r.choice(("", "^")) + f for f in features if r.random() < p]


def make_ext(r, name="img.0"):
    kind = r.choice(("ext2", "ext3", "ext4", "ext4", "ext4"))
    bs = r.choice((1024, 2048, 4096))
    inode = r.choice([i for i in (128, 256, 256, 512, 1024, 2048, 4096) if i <= bs])
    size = r.choice((20, 48, 64, 120, 200)) * MiB + r.choice((0, 0, 1024 * 37))
    o = toggles(r, 0.3, "dir_index", "filetype", "sparse_super", "large_file", "resize_inode", "ext_attr")
    if kind == "ext4":
        o += toggles(r, 0.3, "has_journal", "64bit", "flex_bg", "uninit_bg", "huge_file", "dir_nlink", "extra_isize")
        o += [f for f in ("inline_data", "ea_inode", "large_dir", "metadata_csum_seed", "quota", "project", "orphan_file",
                          "mmp", "stable_inodes", "encrypt", "verity") if r.random() < 0.2]
        o += r.choices((["^metadata_csum"], ["metadata_csum"]), (1, 3))[0]
        o += r.choice(([], [], [], ["^extent"], ["bigalloc"], ["sparse_super2", "^resize_inode"], ["meta_bg", "^resize_inode"], ["fast_commit"]))
    args = ["-t", kind, "-b", bs, "-I", inode, "-U", uuid(r), "-m", r.choice((0, 5)), "-E",
            "lazy_itable_init=%d,lazy_journal_init=1,hash_seed=%s,nodiscard" % (r.randrange(2), uuid(r)), "-O", ",".join(o) or "none"]
    if "none" == args[-1]:
        args = args[:-2]
    if "bigalloc" in o:
        args += ["-C", bs << r.randrange(1, 6)]
    if r.random() < 0.3:
        args += ["-g", r.choice((bs, bs * 2, bs * 4))]
    if r.random() < 0.2:
        args += ["-G", r.choice((1, 2, 8, 64))]
    if r.random() < 0.5:
        args += ["-N", r.choice((3000, 20000))]
    if r.random() < 0.3 and "^has_journal" not in o and kind != "ext2":
        args += ["-J", "size=%d" % r.choice((1, 4) if bs == 1024 else (4, 8))]
    v = Volume([fresh(name, size)], kind)
    run("mkfs.ext4", "-q", "-F", *args, v.images[0])
    mo = [x for x in (["nodelalloc"], ["discard"], ["commit=300"], ["nobarrier"]) if r.random() < 0.3]
    mo = [y for x in mo for y in x]
    if kind != "ext2" and "^has_journal" not in o:
        mo += r.choice(([], ["data=journal"], ["data=writeback"], ["data=ordered"]))
        if kind == "ext4" and "fast_commit" not in o:
            mo += r.choice(([], [], ["journal_checksum"], ["journal_async_commit"] if "data=ordered" not in mo and mo[-1:] != ["data=journal"] else []))
    return v, args, ",".join(mo)


def make_xfs(r, name="img.0"):
    bs = r.choice((1024, 2048, 4096, 4096))
    size = r.choice((64, 100, 200, 320)) * MiB
    m = {k: r.randrange(2) for k in ("rmapbt", "reflink", "bigtime", "inobtcount", "finobt") if r.random() < 0.6}
    if m.get("finobt") == 0:
        m.pop("inobtcount", None)
        m["inobtcount"] = 0
    args = ["-b", "size=%d" % bs, "-m", ",".join("%s=%d" % x for x in m.items()) + (m and "," or "") + "uuid=" + uuid(r),
            "-n", "size=%d" % r.choice([n for n in (bs, 4096, 8192, 16384, 65536) if n >= bs]),
            "-i", "size=%d,sparse=%d,nrext64=%d" % (r.choice([i for i in (512, 1024, 2048) if i * 2 <= bs]), r.randrange(2), r.randrange(2)),
            "-d", r.choice(("agcount=1", "agcount=2", "agcount=4", "agcount=5")) + r.choice(("", "", ",su=64k,sw=2")),
            "-l", r.choice(("size=%d" % (16 * MiB), "version=2", "su=32k" if bs <= 4096 else "version=2"))]
    if r.random() < 0.3:
        args += ["-s", "size=4096"] if bs == 4096 else []
    v = Volume([fresh(name, size)], "xfs")
    run("mkfs.xfs", "-q", "-f", "-K", *args, v.images[0])
    mo = r.choice(([], ["inode32"], ["wsync"], ["allocsize=64k"], ["discard"], ["largeio"], ["filestreams"]))
    return v, args, ",".join(mo)


def convert_btrfs(r, name):
    """what btrfs-convert makes of an ext4"""
    v = Volume([fresh(name, 320 * MiB)], "ext4")
    args = ["-b", 4096, "-I", 256, "-O", r.choice(("^has_journal", "^extent,^64bit", "64bit", "^resize_inode"))]
    run("mkfs.ext4", "-q", "-F", *args, v.images[0])
    v.mount()
    ops = Ops(v.mnt, "ext", r, 0.3)
    ops.run(400)
    ops.close()
    run("find", v.mnt, "-type", "l", "-size", "+4000c", "-delete")  # become what the kernel cannot read
    v.umount()
    run("e2fsck", "-fy", v.images[0], ok=None)
    run("btrfs-convert", *r.choice(([], ["-n"], ["-d"], ["-N", "4096"])), v.images[0])
    return Volume(v.images, "btrfs"), ["btrfs-convert"] + args, r.choice(("compress=zstd", "noatime"))


def make_btrfs(r, name="img"):
    if r.random() < 0.12:
        return convert_btrfs(r, name + ".0")
    n = r.choice((1, 1, 1, 1, 2, 3, 4))
    node = r.choice((4096, 16384, 16384, 32768, 65536))
    args = ["-n", node, "--csum", r.choice(("crc32c", "crc32c", "xxhash", "sha256", "blake2")), "-U", uuid(r)]
    one, two, three, four = ["single", "dup"], ["raid0", "raid1"], ["raid5", "raid1c3"], ["raid6", "raid10", "raid1c4"]
    profiles = one + (two if n > 1 else []) + (three if n > 2 else []) + (four if n > 3 else [])
    if n == 1 and r.random() < 0.15:
        args = ["--mixed", "-n", 4096] + args[2:]
    else:
        args += ["-m", r.choice(profiles), "-d", r.choice(profiles)]
    if r.random() < 0.3:
        args += ["-O", ",".join(r.sample(("^no-holes", "^skinny-metadata", "^extref"), r.randrange(1, 4)))]
    if r.random() < 0.4:
        args += ["-R", r.choice(("quota", "^free-space-tree"))]
    v = Volume([fresh("%s.%d" % (name, i), r.choice((200, 260, 300)) * MiB) for i in range(n)], "btrfs")
    run("mkfs.btrfs", "-q", "-f", "-K", *args, *v.images)
    mo = ["user_subvol_rm_allowed"]
    mo += r.choice(([], ["compress=zstd"], ["compress=lzo"], ["compress-force=zlib"], ["compress-force=zstd:15"], ["compress-force=lzo"],
                    ["nodatacow"], ["nodatasum"]))
    mo += [x for x in ("autodefrag", "max_inline=%d" % r.choice((0, 500, 4095)), "ssd", "discard=async", "flushoncommit", "notreelog", "thread_pool=1")
           if r.random() < 0.15]
    return v, args, ",".join(mo)


# --- captures and what is judged about them ---

def escape(b):
    return b"".join(bytes([c]) if 0x20 < c < 0x7f and c != 0x5c else b"\\x%02x" % c for c in b)


def unescape(p):
    return re.sub(rb"\\x(..)", lambda m: bytes([int(m.group(1), 16)]), p)


def want_tree(v, opts, damaged=False):
    """what the kernel's read-only mount shows"""
    m = v.mount(opts)
    try:
        st = os.statvfs(m)
        out = run(sys.executable, TOOLS + "/treedump.py", m, "--xattrs", *(["--damaged"] if damaged else [])).stdout
        stubs = set()
        if v.fs == "btrfs":
            stubs = {escape(x[len(m):]) for x in run("find", m, "-inum", "2", "-type", "d", "-print0").stdout.split(b"\0")}
    finally:
        v.umount()
    lines = [l for l in out.split(b"\n") if l and b" trusted.SGI_ACL_" not in l]
    return lines, st.f_bfree * st.f_bsize if v.fs.startswith("ext") else None, stubs


def no_stub_times(lines, stubs):
    # the folder that stands for a nested subvolume in a snapshot has the time of the look at it
    out = []
    for l in lines:
        f = l.split(b" ")
        if f[0] == b"d" and f[9] in stubs:
            f[5] = b"-"
        out.append(b" ".join(f))
    return out


def same_lines(what, want, have, only_want=False):
    w, h = set(want), set(have)
    if w - h or (h - w and not only_want):
        raise Fail("%s: %d lines differ of %d; only the kernel:\n%s\nonly strata:\n%s" % (
            what, len(w ^ h), len(w), b"\n".join(sorted(w - h, key=lambda l: l.split(b" ")[-1])[:12]).decode("utf-8", "replace")[:4000],
            b"\n".join(sorted(h - w, key=lambda l: l.split(b" ")[-1])[:12]).decode("utf-8", "replace")[:4000]))
    if len(want) != len(have) and not only_want:
        raise Fail("%s: %d lines, not %d" % (what, len(have), len(want)))


def judge_list(what, v, want, free, stubs, allowed=()):
    out, err, _ = bounded("fsdump", "--xattrs", "--free", *v.images)
    have = [l for l in out.split(b"\n") if l and l[:1] != b"#"]
    bad = [l for l in err.split("\n") if l and not any(a in l for a in allowed)]
    if bad:
        raise Fail("%s: findings: %s" % (what, "\n".join(bad[:10])))
    same_lines(what, no_stub_times(want, stubs), no_stub_times(have, stubs))
    if free is not None and "FREE:" not in err:
        got = int([l for l in out.split(b"\n") if l.startswith(b"# free ")][0].split()[2])
        if got != free:
            raise Fail("%s: free space is %d, not %d" % (what, free, got))


def strata(*a, ok=(0,), seconds=120):
    return bounded("strata", "-q", "-L", "lib", *a, ok=ok, seconds=seconds)


def judge_store(what, v, branch):
    """in and out again, and in again"""
    got = json.loads(strata("import", *v.images, "-b", branch, "--json")[0])
    for i, img in enumerate(v.images):
        strata("export", branch, "-o", "back", "--disk", i)
        if run("cmp", img, "back", ok=(0, 1)).returncode:
            raise Fail("%s: disk %d comes back changed" % (what, i))
        os.unlink("back")
    again = json.loads(strata("import", *v.images, "-b", branch + "-again", "--json")[0])
    if again["new_blobs"] or again["stored_bytes"] > 20000 or again["image"] != got["image"]:
        raise Fail("%s: the second import stores %d blobs, %d bytes" % (what, again["new_blobs"], again["stored_bytes"]))
    return got


CHECKERS = {"xfs": ("xfs_repair", "-n", "-o", "force_geometry"), "btrfs": ("btrfs", "check", "--readonly")}


def judge_discard(what, v, want, stubs, opts):
    strata("import", *v.images, "-b", "discarded", "--free-space", "discard")
    back = Volume(["back.%d" % i for i in range(len(v.images))], v.fs)
    try:
        for i, b in enumerate(back.images):
            strata("export", "discarded", "-o", b, "--disk", i)
        if len(back.images) == 1:
            check = CHECKERS.get(v.fs, ("e2fsck", "-fn"))
            p = run(*check, back.images[0], ok=None)
            if p.returncode and run(*check, v.images[0], ok=None).returncode == 0:
                raise Fail("%s, discarded: %s" % (what, (p.stdout + p.stderr)[-1500:].decode("utf-8", "replace")))
        lines, _, _ = want_tree(back, opts)
        same_lines(what + ", discarded", no_stub_times(want, stubs), no_stub_times(lines, stubs))
    finally:
        back.remove()


RO = {"xfs": "ro,norecovery", "btrfs": "ro,subvolid=5,rescue=nologreplay"}


def changed_paths(a, b):
    """of two lists of lines: the paths that are in one of them only, or differ"""
    def by_path(lines):
        d = {}
        for l in lines:
            f = l.split(b" ")
            d.setdefault(f[9] if f[0] != b"x" else f[1], []).append(l)
        return {k: sorted(x) for k, x in d.items()}
    x, y = by_path(a), by_path(b)
    return {k for k in set(x) | set(y) if x.get(k) != y.get(k)}


def judge_diff(what, a, b, x, y):
    out = json.loads(strata("diff", a, b, "--no-renames", "--json")[0])["entries"]
    got = set()
    for e in out:
        p = e["path"]
        p = base64.b64decode(p["bytes"]) if isinstance(p, dict) else p.encode()
        if e["changed"] != ["links"]:
            got.add(b"/" + (b"" if p == b"." else p))
    want = {unescape(p) for p in changed_paths([l for l in x], [l for l in y])}
    # a count of links alone, and which names are one file, are not in both alike
    if got - want or {p for p in want - got if p not in links_only(x, y)}:
        raise Fail("%s: diff: not told %s, told %s" % (what, sorted(want - got)[:5], sorted(got - want)[:5]))


def links_only(x, y):
    def strip(lines):
        return [b" ".join(l.split(b" ")[:6] + [b"-"] + l.split(b" ")[7:]) if l[:1] != b"x" else l for l in lines]
    return {unescape(p) for p in changed_paths(x, y) - changed_paths(strip(x), strip(y))}


def capture_clean(v, what, thorough, last, branch):
    want, free, stubs = want_tree(v, RO.get(v.fs, "ro"))
    judge_list(what, v, want, free, stubs)
    if thorough:
        judge_store(what, v, branch)
        if last and v.fs != "btrfs":
            judge_diff(what, last[0], branch, last[1], want)
        judge_discard(what, v, want, stubs, RO.get(v.fs, "ro"))
        strata("verify", "--all", "--read-data")
    return branch, want


def can_crash(v):
    head = run("dumpe2fs", "-h", v.images[0]).stdout.decode()
    return "has_journal" in head and "fast_commit" not in head


def capture_live(v, how):
    """how: sync, freeze, crash (nothing more is written), or as it is"""
    if how == "crash":
        run("xfs_io", "-x", "-c", "shutdown", v.mnt)
    elif how == "sync":
        run("sync", "-f", v.mnt)
    elif how == "freeze":
        run("fsfreeze", "-f", v.mnt)
    try:
        c = v.copy("live")
    finally:
        if how == "freeze":
            run("fsfreeze", "-u", v.mnt)
    return c


def judge_replayed(what, c, want, stubs, opts):
    """what was free is gone, and the kernel recovers the same files"""
    strata("import", *c.images, "-b", "discarded", "--free-space", "discard")
    back = Volume(["back.%d" % i for i in range(len(c.images))], c.fs)
    try:
        for i, b in enumerate(back.images):
            strata("export", "discarded", "-o", b, "--disk", i)
        back.mount()
        back.umount()
        lines, _, _ = want_tree(back, opts)
        same_lines(what + ", discarded", no_stub_times(want, stubs), no_stub_times(lines, stubs))
    finally:
        back.remove()


def judge_live(c, what, how):
    allowed = ["fs-journal", "FREE:", "fs-dirty"]
    if c.fs.startswith("ext"):
        if how == "" and "has_journal" not in run("dumpe2fs", "-h", c.images[0]).stdout.decode():
            return judge_store(what, c, "live")
        out, err, _ = bounded("fsdump", "--xattrs", "--free", *c.images)
        if "fast commits" in err:  # tests/interop/ext_fast.sh; the kernel may stumble over them
            return judge_store(what, c, "live")
        rec = c.copy("recovered")
        try:
            rec.mount()  # replays, and drops what was unlinked and open
            rec.umount()
            try:
                want, free, stubs = want_tree(rec, "ro")
            except Fail as e:  # seen with data=journal and inline_data
                print("  the kernel cannot read what it recovered:", str(e)[-150:])
                return judge_store(what, c, "live")
            judge_list(what, c, want, None, stubs, allowed)
            judge_replayed(what, c, want, stubs, "ro")
        finally:
            rec.remove()
    elif c.fs == "xfs":
        rec = c.copy("recovered")
        try:
            rec.mount()  # replays, and drops what was unlinked and open
            rec.umount()
            want, _, stubs = want_tree(rec, RO["xfs"])
        finally:
            rec.remove()
        try:
            judge_list(what, c, want, None, stubs, ["fs-journal", "FREE:"])
        except Fail as e:
            if "are not finished" not in str(e):
                raise
            print("  " + str(e)[-150:])
        judge_replayed(what, c, want, stubs, RO["xfs"])
    else:
        want, _, stubs = want_tree(c, RO["btrfs"])
        judge_list(what, c, want, None, stubs, allowed + ["log"])
        rec = c.copy("recovered")
        try:
            rec.mount("subvolid=5")
            rec.umount()
            want, _, stubs = want_tree(rec, "ro,subvolid=5")
            judge_replayed(what, c, want, stubs, "ro,subvolid=5")
        finally:
            rec.remove()
    judge_store(what, c, "live")


def offline(r, v):
    """what an administrator does to an unmounted one; failing is fine, damage is not"""
    img = v.images[0]
    if v.fs.startswith("ext"):
        cmd = r.choice((["e2fsck", "-fyD", img], ["tune2fs", "-O", "^has_journal", img], ["tune2fs", "-j", img],
                        ["tune2fs", "-U", uuid(r), img], ["resize2fs", "-f", img, "%dK" % (os.path.getsize(img) // 1024 * 9 // 10)],
                        ["resize2fs", "-f", "-M", img], ["tune2fs", "-O", "metadata_csum", img], ["tune2fs", "-O", "^metadata_csum", img],
                        ["resize2fs", "-f", "-b", img], ["resize2fs", "-f", "-s", img], ["tune2fs", "-I", "512", img],
                        ["tune2fs", "-O", "^dir_index", img], ["tune2fs", "-O", "dir_index", img], ["tune2fs", "-Q", "usrquota,prjquota", img],
                        ["e2fsck", "-fy", "-E", "bmap2extents", img], ["e2fsck", "-fy", "-E", "optimize_extents", img],
                        ["tune2fs", "-O", "quota,project", img], ["tune2fs", "-O", "orphan_file", img], ["tune2fs", "-O", "metadata_csum_seed", img]))
        if cmd[0] != "e2fsck":
            run("e2fsck", "-fy", img, ok=None)
    elif v.fs == "xfs":
        cmd = r.choice((["xfs_admin", "-U", "generate", img], ["xfs_repair", img], ["xfs_repair", "-c", "lazycount=1", img],
                        ["xfs_admin", "-O", "bigtime=1", img], ["xfs_admin", "-O", "inobtcount=1", img], ["xfs_admin", "-O", "nrext64=1", img],
                        ["xfs_admin", "-L", "label%d" % r.randrange(99), img]))
    else:
        cmd = r.choice((["btrfs", "check", img], ["btrfstune", "-f", "-u", img], ["btrfstune", "-f", "-m", img],
                        ["btrfs", "rescue", "zero-log", img], ["btrfs", "check", "--force", "--clear-space-cache", "v2", img]))
        if len(v.images) > 1:
            return "none"
    p = run(*cmd, ok=None)
    if p.returncode and v.fs.startswith("ext"):  # what gave up half way says so in the superblock
        run("e2fsck", "-fy", img, ok=None)
    return " ".join(cmd[:-1]) + " (%d)" % p.returncode


def grow(r, v):
    """a mounted one grows, or changes its devices"""
    if v.fs == "btrfs":
        k = r.randrange(3)
        if k == 0:
            return "resize %d" % run("btrfs", "filesystem", "resize", r.choice(("1:-8M", "1:-30M", "1:max")), v.mnt, ok=None).returncode
        new = r.choice(("single", "dup", "raid1", "raid0", "raid1c3", "raid5"))
        which = r.choice(("-d", "-m"))
        if k == 1:
            return "convert %s %s %d" % (which, new, run("btrfs", "balance", "start", "-f", "%sconvert=%s" % (which, new), v.mnt, ok=None).returncode)
        name = next(n for n in ("img.%d" % i for i in range(99)) if n not in v.images)
        loop = run("losetup", "-f", "--show", fresh(name, 260 * MiB)).stdout.decode().strip()
        v.images.append(name)
        v.loops.append(loop)
        if r.random() < 0.5:
            rc = run("btrfs", "device", "add", "-f", loop, v.mnt, ok=None).returncode
            if not rc and r.random() < 0.5:
                rc = run("btrfs", "device", "remove", r.choice(v.loops), v.mnt, ok=None).returncode
        else:
            rc = run("btrfs", "replace", "start", "-B", "-f", r.choice(v.loops[:-1]), loop, v.mnt, ok=None).returncode
        members = run("btrfs", "filesystem", "show", v.mnt).stdout.decode()
        for l in list(v.loops):
            if not any(x.endswith(" " + l) for x in members.split("\n")):
                i = v.loops.index(l)
                v.loops.pop(i)
                run("losetup", "-d", l, ok=None)
                os.unlink(v.images.pop(i))
        return "devices %d, now %d" % (rc, len(v.images))
    size = os.path.getsize(v.images[0])
    if size > 400 * MiB:
        return "large enough"
    os.truncate(v.images[0], size + r.choice((1, 7, 40)) * MiB)
    run("losetup", "-c", v.loops[0])
    if v.fs == "xfs":
        return "xfs_growfs %d" % run("xfs_growfs", v.mnt, ok=None).returncode
    return "resize2fs %d" % run("resize2fs", v.loops[0], ok=None).returncode


def one_round(fs, seed, nops, parts, thorough):
    r = random.Random("%s %d" % (fs, seed))
    shutil.rmtree("lib", ignore_errors=True)
    run("strata", "-q", "init", "lib")
    for _ in range(20):
        try:
            v, args, opts = dict(ext=make_ext, xfs=make_xfs, btrfs=make_btrfs)[fs](r)
        except Fail as e:
            continue  # this mkfs does not combine them
        try:
            v.mount(opts)
            break
        except Fail as e:
            v.remove()
    else:
        raise Fail("nothing can be mounted")
    print("%s seed %d: %s; %s" % (v.fs, seed, " ".join(map(str, args)), opts), flush=True)
    last = live = None
    step = "start"
    try:
        for part in range(parts):
            ops = Ops(v.mnt, "btrfs" if fs == "btrfs" else fs, r, r.choice((0.3, 1, 1)))
            ops.run(nops // parts)
            if os.environ.get("STATS"):
                print(" done", dict(ops.done), "refused", dict(ops.refused))
            if r.random() < 0.4:
                step = grow(r, v)
                print("  online:", step)
                ops.run(30)
            how = r.choice(("", "sync", "freeze") + (("crash",) if fs == "ext" and can_crash(v) else ()))
            live = None if r.random() < 0.2 else capture_live(v, how)
            ops.close()
            v.umount()
            if live and how == "crash":
                v.mount(opts)
                v.umount()
            if live:
                judge_live(live, "part %d, live %s" % (part, how), how)
                live.remove()
            last = capture_clean(v, "part %d, clean" % part, thorough, last, "part%d" % part)
            if r.random() < 0.4:
                step = offline(r, v)
                print("  offline:", step)
                try:
                    last = capture_clean(v, "part %d, after %s" % (part, step), False, None, "x") and last
                except Fail as e:
                    if "mount" not in str(e)[:6]:
                        raise
                    print("  not mounted any more:", str(e)[-150:])
                    return
            if part + 1 < parts:
                try:
                    v.mount(opts)
                except Fail as e:
                    print("  not mounted again:", str(e)[-150:])
                    return
    except BaseException as e:
        v.umount()
        for x in (live, v):
            for i in (x.images if x else []):
                if os.path.exists(i):
                    shutil.copy(i, "fail.%s.%d.%s" % (fs, seed, i))
        raise
    finally:
        v.umount()
        v.remove()
        if live:
            live.remove()


def main():
    a = argparse.ArgumentParser()
    a.add_argument("fs")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--rounds", type=int, default=1)
    a.add_argument("--ops", type=int, default=2000)
    a.add_argument("--parts", type=int, default=3, help="captures of a round")
    a.add_argument("--list-only", action="store_true", help="compare listings, nothing is stored")
    a.add_argument("--memory", type=int, default=MEMORY)
    a = a.parse_args()
    globals()["MEMORY"] = a.memory
    bad = 0
    for seed in range(a.seed, a.seed + a.rounds):
        try:
            one_round(a.fs, seed, a.ops, a.parts, not a.list_only)
        except Fail as e:
            bad += 1
            print("FAIL: %s seed %d: %s" % (a.fs, seed, e), flush=True)
    print("%s: %d rounds, %d failed" % (a.fs, a.rounds, bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
