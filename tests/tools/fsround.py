#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fsround.py KIND SEED: one round in the current folder: a file system of that kind with options and contents that
the seed chooses, compared with the kernel's mount or the format's own tool, then imported, exported, imported again, and
imported without its free space. Exit 1 and a few lines where something is wrong, 77 where a tool or a driver is missing.

Kinds: squashfs erofs iso (trees of random operations, packed by the tools; the kernel, or what was packed, is the truth), ntfs
exfat (operations through ntfs-3g, exfat-fuse), fat (mtools). Operations: fsops.py. What the kernel's own drivers write (vfat,
exfat, udf) is compared in a guest that has them: tests/tools/udfvm."""
import os, random, re, resource, shutil, subprocess, sys, tempfile, time

kind, seed = sys.argv[1], int(sys.argv[2])
r = random.Random("%s %d" % (kind, seed))
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import fsops

env = dict(os.environ, LC_ALL="C.UTF-8", TZ="UTC", MTOOLS_SKIP_CHECK="1")
said = []
LIMIT_MIB = 200 if "asan" not in os.environ.get("BUILD", "") else 4000
peak = 0


class Wrong(Exception):
    pass


def skip(why):
    print("skip: " + " ".join(why.split()))
    sys.exit(77)


def run(*a, ok=(0,), inp=None):
    p = subprocess.run(a, stdout=subprocess.PIPE, stderr=subprocess.PIPE, input=inp, env=env)
    if p.returncode not in ok:
        raise Wrong("exit %d: %s: %s" % (p.returncode, " ".join(map(os.fsdecode, a))[:300], (p.stderr + p.stdout)[-400:].decode(errors="replace")))
    return p


def strata(*a):
    global peak
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        p = subprocess.Popen(("strata", "-L", "lib") + a, stdout=out, stderr=err, env=env)
        _, st, use = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(st)
        out.seek(0), err.seek(0)
        o, e = out.read(), err.read()
    peak = max(peak, use.ru_maxrss // 1024)
    if p.returncode:
        raise Wrong("strata %s: exit %d: %s" % (" ".join(a), p.returncode, e.decode(errors="replace")[-600:]))
    return o


def mount(img, where, fs, opts="ro"):
    os.makedirs(where, exist_ok=True)
    p = subprocess.run(["mount", "-t", fs, "-o", "loop," + opts, img, where], stderr=subprocess.PIPE)
    return None if not p.returncode else p.stderr.decode(errors="replace").strip()[-200:]


def umount(where):
    for _ in range(50):
        if not subprocess.run(["umount", where], stderr=subprocess.PIPE).returncode:
            return
        time.sleep(.05)
    subprocess.run(["umount", "-l", where])


def dump(where, *a):
    return run(sys.executable, HERE + "/treedump.py", where, *a).stdout.decode("latin-1").splitlines()


def grow(top, count, **o):
    """a tree by random operations"""
    os.makedirs(top, exist_ok=True)
    x = fsops.Ops(top, seed, **{k: str(v) for k, v in o.items()})
    x.run(count)
    return x


ALL = "link,symlink,mode,owner,dev,fifo,sock,xattr,sparse,time"


# --- each gives: image, lines that are wanted (or None), a filter of lines, checker's command ---

def squashfs():
    grow("src", r.choice([60, 250, 600]), can=ALL, cluster=4096, xmax=900, max=r.choice([20000, 400000]), times="0:2000000000")
    comp = r.choice(["gzip", "lzo", "lz4", "xz", "zstd"])
    bs = r.choice([4096, 8192, 65536, 131072, 262144, 1048576])
    how = r.choice(["mksquashfs"] * 4 + ["gensquashfs", "tar2sqfs"])
    if how != "mksquashfs" and not shutil.which(how):
        how = "mksquashfs"
    if how == "mksquashfs":
        a = [how, "src", "img", "-comp", comp, "-b", str(bs), "-noappend", "-quiet", "-no-progress"]
        for o, p in (("-no-fragments", .2), ("-always-use-fragments", .3), ("-no-duplicates", .3), ("-no-exports", .3), ("-no-sparse", .2), ("-noI", .2),
                     ("-noD", .2), ("-noF", .2), ("-noX", .2), ("-no-xattrs", .1), ("-nopad", .3), ("-all-root", .1)):
            if r.random() < p:
                a.append(o)
        if r.random() < .3:
            a += ["-p", "made b 640 7 8 259 70000", "-p", "pipe i 600 1 2 f", "-p", "folder d 711 3 4", "-p", "out f 644 5 6 seq 5000"]
        if comp == "xz" and r.random() < .5:
            a += ["-Xbcj", r.choice(["x86", "arm,x86", "powerpc"])]
        if comp == "lz4" and r.random() < .5:
            a += ["-Xhc"]
        if comp == "gzip" and r.random() < .4:
            a += ["-Xlevel", str(r.choice([1, 9])), "-Xwindow-size", str(r.choice([8, 15]))] + (["-Xstrategy", "filtered,huffman_only"] if r.random() < .5 else [])
    elif how == "gensquashfs":
        a = [how, "-D", "src", "-c", comp, "-b", str(bs), "-q", "-f", "-k"] + (["-x"] if r.random() < .6 else []) + (["-e"] if r.random() < .5 else []) + ["img"]
    else:
        run("sh", "-c", "tar -C src --xattrs --xattrs-include='*' -cf t.tar . 2>/dev/null; true")
        a = [how, "-c", comp, "-b", str(bs), "-q", "-f", "img"] + (["-x"] if r.random() < .5 else []) + (["-e"] if r.random() < .5 else [])
    said.append(" ".join(a))
    with open("t.tar" if how == "tar2sqfs" else os.devnull, "rb") as f:
        p = subprocess.run(a, stdin=f, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    if p.returncode:
        skip("%s: %s" % (how, p.stdout[-200:].decode(errors="replace")))
    why = mount("img", "m", "squashfs")
    if why:
        return "img", None, why
    want = dump("m", "--xattrs")
    umount("m")
    return "img", want, None


def erofs():
    grow("src", r.choice([60, 250, 600]), can=ALL, cluster=4096, xmax=900, max=r.choice([20000, 400000]), times="0:2000000000", name=90)
    a = ["mkfs.erofs"]
    k = r.random()
    if k < .5:
        a += ["-z" + r.choice(["lz4", "lz4hc", "lz4hc,%d" % r.randrange(1, 13)])]
        if r.random() < .5:
            a += ["-C%d" % r.choice([4096, 8192, 16384, 65536, 1048576])]
        if r.random() < .3:
            a += ["--max-extent-bytes=%d" % r.choice([4096, 8192, 65536])]
        if r.random() < .3 and any(x.startswith("-C") for x in a):
            open("hints", "w").write("4096 [0-9a-m]\n16384 [A-Z]\n")
            a += ["--compress-hints=hints"]
        e = [x for x in ("legacy-compress", "ztailpacking", "noinline_data") if r.random() < .35]
        if r.random() < .4 and "legacy-compress" not in e:
            e.append("fragments" if r.random() < .6 else "dedupe")
    elif k < .75:
        a += ["--chunksize=%d" % r.choice([4096, 8192, 65536, 1 << 20])]
        e = [x for x in ("force-chunk-indexes",) if r.random() < .5]
        if r.random() < .4:
            a += ["--blobdev=blob"]
    else:
        e = [x for x in ("noinline_data",) if r.random() < .4]
    if r.random() < .3:
        e.append("force-inode-extended")
    elif r.random() < .2:
        e.append("force-inode-compact")
        a += ["--all-root"]
    if e:
        a += ["-E" + ",".join(e)]
    a += ["-x%d" % r.choice([-1, 0, 1, 2, 5])] + (["-T%d" % r.randrange(1 << 31)] if r.random() < .3 else []) + (["--ignore-mtime"] if r.random() < .1 else [])
    if r.random() < .1:
        a += ["--force-uid=77", "--force-gid=88"]
    said.append(" ".join(a))
    p = subprocess.run(a + ["img", "src"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    if p.returncode:
        skip("mkfs.erofs: %s" % p.stdout[-200:].decode(errors="replace"))
    loop = run("losetup", "-f", "--show", "blob").stdout.decode().strip() if os.path.exists("blob") else None
    why = mount("img", "m", "erofs", "ro" + (",device=" + loop if loop else ""))
    if loop:
        run("losetup", "-d", loop)
    if why:
        return "img", None, why
    want = dump("m", "--xattrs")
    umount("m")
    return "img", want, None


def iso():
    """the truth is what was packed, less what the format has no place for"""
    grow("src", r.choice([60, 250, 500]), can="symlink,mode,owner,dev,fifo,time", cluster=2048, max=r.choice([20000, 400000]), times="315532800:2000000000", name=200, crowd=100)
    how = r.choice(["xorriso", "xorriso", "mkisofs", "genisoimage"])
    if how == "xorriso":
        a = ["xorriso"] + r.choice([[], ["-compliance", "deep_paths_off"], ["-joliet", "on"], ["-hfsplus", "on"], ["-zisofs", "default"]]) + ["-outdev", "img"] + ["-map", "src", "/"]
        if r.random() < .3:
            a += ["-set_filter_r", "--zisofs", "/", "--"]
        a += ["-commit"]
    elif how == "mkisofs":
        a = ["xorriso", "-as", "mkisofs", "-R", "-o", "img"] + r.choice([[], ["-J"], ["-iso-level", "3"], ["-hfsplus"], ["--hardlinks"], ["-J", "-joliet-long"]]) + ["src"]
    else:
        if not shutil.which("genisoimage"):
            skip("genisoimage is not installed")
        a = ["genisoimage", "-quiet", "-R", "-o", "img"] + r.choice([["-D"], ["-D", "-J", "-joliet-long"], ["-D", "-iso-level", "3"]]) + ["src"]
    said.append(" ".join(a))
    try:
        p = subprocess.run(a, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, timeout=60)
    except subprocess.TimeoutExpired:
        skip(how + " hangs (over many names that are one in 8.3)")
    if p.returncode or not os.path.exists("img"):
        skip("%s: %s" % (how, p.stdout[-200:].decode(errors="replace")))
    return "img", dump("src"), None


def ntfs3g(img, opts):
    os.makedirs("m", exist_ok=True)
    p = subprocess.Popen(["ntfs-3g", "-o", "no_detach,noatime,streams_interface=xattr" + opts, img, "m"], stdout=open("ntfs-3g.log", "wb"), stderr=subprocess.STDOUT, env=env)
    for _ in range(200):
        if os.path.ismount("m"):
            return p
        if p.poll() is not None:
            return None
        time.sleep(.03)
    p.kill()
    return None


def ntfs():
    sec = r.choice([512, 512, 512, 1024, 2048, 4096])
    cl = max(sec, r.choice([512, 1024, 2048, 4096, 4096, 8192, 16384, 65536, 131072, 1 << 20, 2 << 20]))
    size = (r.choice([12, 40, 70]) if cl < 100000 else 130) << 20
    comp = r.random() < .3
    a = ["mkntfs", "-Q", "-q", "-F", "-s", str(sec), "-c", str(cl), "-L", "V %d ä" % seed] + (["-C"] if comp else []) + ["img"]
    with open("img", "wb") as f:
        f.truncate(size)
    said.append(" ".join(a))
    p = subprocess.run(a, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    if p.returncode:
        skip("mkntfs: " + p.stdout.decode(errors="replace")[-200:])
    opt = ",compression" if comp else r.choice(["", ",windows_names", ",compression"])
    opt += r.choice(["", ",special_files=wsl"]) + r.choice(["", "", ",permissions"])
    said.append(opt)
    p = ntfs3g("img", opt)
    if not p:
        skip("ntfs-3g cannot mount")
    try:
        grow("m", r.choice([80, 300, 700]), name=255, units=2, cluster=min(cl, 65536), crowd=r.choice([100, 600]), chars="win" if "windows" in opt else "any", can=ALL,
             times="0:4000000000", xmax=r.choice([3000, 70000]))
    finally:
        umount("m")
        p.wait()
    p = ntfs3g("img", ",ro")
    if not p:
        raise Wrong("ntfs-3g cannot mount what it wrote")
    try:
        want = dump("m")
        want += run(sys.executable, HERE + "/ntfstree.py", "dump", "m", "--streams").stdout.decode("latin-1").splitlines()
    finally:
        umount("m")
        p.wait()
    return "img", want, None


def exfat():
    cl = r.choice([512, 1024, 4096, 8192, 32768, 131072, 1 << 20])
    with open("img", "wb") as f:
        f.truncate(r.choice([4, 16, 40]) << 20)
    a = ["mkfs.exfat", "-c", str(cl), "-L", r.choice(["Label", "Äö 日"])] + (["--pack-bitmap"] if r.random() < .3 else []) + ["img"]
    said.append(" ".join(a))
    p = subprocess.run(a, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    if p.returncode:
        skip("mkfs.exfat: " + p.stdout.decode(errors="replace")[-200:])

    def fuse(opts):
        loop = run("losetup", "-f", "--show", "img").stdout.decode().strip()
        os.makedirs("m", exist_ok=True)
        p = subprocess.run(["mount.exfat-fuse", "-o", opts + ",umask=022,uid=0,gid=0", loop, "m"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
        run("losetup", "-d", loop)
        if p.returncode:
            skip("exfat-fuse: " + p.stdout.decode(errors="replace")[-200:])

    def unfuse():
        umount("m")
        for _ in range(200):
            if not run("losetup", "-j", "img").stdout:
                return
            time.sleep(.02)

    fuse("rw")
    try:
        # exfat-fuse keeps what lies behind written data as zeros: no holes
        grow("m", r.choice([60, 200, 500]), name=255, units=2, chars="win", case=0, cluster=min(cl, 65536), crowd=r.choice([50, 300]), can="sparse,time", times="400000000:2000000000",
             max=100000)
    finally:
        unfuse()
    fuse("ro")
    try:
        want = dump("m")
    finally:
        unfuse()
    return "img", want, None


def fat():
    bits = r.choice([12, 16, 32])
    while True:
        sec = 512 if bits == 32 else r.choice([512, 512, 512, 1024, 2048, 4096])
        s = r.choice([1, 2, 4, 8, 16, 32, 64])
        size = r.choice([1 << 20, 4 << 20, 9 << 20, 33 << 20, 66 << 20])
        # mtools goes by the number of clusters alone
        n = size // (sec * s)
        if (n < 4000) != (bits == 12) or (n > 66000) != (bits == 32) or 62000 < n < 70000:
            continue
        with open("img", "wb") as f:
            f.truncate(0)
            f.truncate(size)
        a = ["mkfs.fat", "-F", str(bits), "-S", str(sec), "-s", str(s), "-f", r.choice("122"), "-n", r.choice(["LABEL", "two words"])]
        if r.random() < .4 and bits < 32:
            # mtools wants whole sectors of them
            a += ["-r", str(-(-r.choice([16, 112, 240, 512]) * 32 // sec) * sec // 32)]
        if r.random() < .3:
            a += ["-a"]
        if not subprocess.run(a + ["img"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env).returncode:
            break
    said.append(" ".join(a))
    env["MTOOLSRC"] = os.path.abspath("mtoolsrc")
    open("mtoolsrc", "w").write("default_codepage=437\n")
    for gen in range(r.choice([1, 2, 3])):
        top = "src%d" % gen
        x = grow(top, r.choice([80, 250]), name=120, units=2, chars="win", case=0, bmp=1, cluster=min(sec * s, 16384), crowd=60, crowds=1, can="time", times="400000000:2000000000", max=size // 60)
        # one at a time: it ends at the first that it cannot write
        for n in sorted(os.listdir(top)):
            subprocess.run(["mcopy", "-s", "-m", "-Q", "-n", "-D", "s", "-i", "img", os.path.join(top, n), "::"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, env=env)
        names = [p for p in x.files if not re.search(r"[*?\[\]\\]", p)]
        r.shuffle(names)
        for p in names[:len(names) // 3]:
            subprocess.run(["mdel", "-i", "img", "::" + p], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    os.makedirs("out")
    subprocess.run(["mcopy", "-s", "-m", "-n", "-Q", "-i", "img", "::*", "out/"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    return "img", dump("out"), None


def plain(lines, mine):
    """lines in the form in which both sides can be compared"""
    out = []
    for l in lines:
        if l.startswith("#") or l.startswith("x / system.ntfs_acl"):
            continue
        p = l.split(" ", 9)
        if p[0] == "x" or (p[0] == "s" and p[1][0] == "/"):
            # the kernel lists what strata does not ask for
            out.append(l)
            continue
        if kind == "ntfs" and p[0] in "bcps":
            p[1] = "-"  # ntfs-3g gives WSL's special files none
        if kind == "iso":
            p[5] = p[5].split(".")[0]
            p[6] = "1"
            if p[9] == "/":
                p[1] = p[2] = p[3] = p[5] = "-"
        elif kind in ("exfat", "fat"):
            p[1] = p[2] = p[3] = p[6] = "-"
            if p[0] == "d":
                p[5] = "-"
            elif kind == "fat":
                p[5] = str(int(float(p[5])) // 2)
            if kind == "fat":
                # mtools does not make letters beyond ASCII small where an entry says so
                p[9] = re.sub(rb"\\x(..)", lambda m: bytes([int(m[1], 16)]), p[9].encode("latin-1")).decode("utf-8", "replace").lower()
        out.append(" ".join(p))
    return sorted(out)


def look(img, *more):
    a = ["fsdump", "--free", img] + list(more)
    if kind in ("squashfs", "erofs"):
        a.insert(1, "--xattrs")
    p = run(*a, ok=(0, 1, 4))
    err = p.stderr.decode("latin-1")
    bad = [l for l in err.splitlines() if re.match("BROKEN|READDIR|EXTENTS|UNREADABLE|STREAMS|XATTRS|FREE|LOOP", l)]
    if p.returncode or bad:
        raise Wrong("fsdump %s: exit %d: %s" % (img, p.returncode, "\n".join(bad[:3]) or err[:300]))
    return p.stdout.decode("latin-1").splitlines()


def differ(what, a, b):
    if a == b:
        return
    x, y = set(a), set(b)
    raise Wrong("%s: %d lines wanted are not there, %d are there that should not\n%s" % (
        what, len(x - y), len(y - x), "\n".join(["  want " + l[:240] for l in sorted(x - y)[:3]] + ["  got  " + l[:240] for l in sorted(y - x)[:3]])))


def same(a, b):
    return not subprocess.run(["cmp", "-s", a, b]).returncode


def main():
    img, want, why = globals()[kind]()
    more = ["blob"] if os.path.exists("blob") and os.path.getsize("blob") else []
    if want is None:
        print("the kernel does not mount it: " + why)
    got = plain(look(img, *more), True)
    if want is not None:
        differ("listing", plain(want, False), got)
    shutil.rmtree("lib", ignore_errors=True)
    strata("init")
    strata("import", "-q", img, *more, "-b", "first", "--verify")
    if more:
        strata("import", "-q", img, "-b", "alone", "--verify")
        strata("export", "-q", "alone", "-o", "back")
    else:
        strata("export", "-q", "first", "-o", "back")
    if not same(img, "back"):
        raise Wrong("the export is another disk")
    import json
    again = json.loads(strata("import", img, *more, "-b", "again", "--json"))
    if again["new_blobs"]:
        raise Wrong("%d blobs of the second import are new" % again["new_blobs"])
    if kind in ("ntfs", "exfat", "fat"):
        strata("import", "-q", img, "-b", "small", "--free-space", "discard")
        strata("export", "-q", "small", "-o", "small.img")
        differ("listing without free space", got, plain(look("small.img"), True))
        check = {"ntfs": ["ntfsfix", "-n", "small.img"], "exfat": ["fsck.exfat", "-n", "small.img"], "fat": ["fsck.fat", "-n", "small.img"]}[kind]
        before = subprocess.run(check[:-1] + [img], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
        after = subprocess.run(check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
        if after.returncode != before.returncode:
            raise Wrong("%s: exit %d without free space, %d with it: %s" % (check[0], after.returncode, before.returncode, after.stdout[-300:].decode(errors="replace")))
    if peak > LIMIT_MIB:
        raise Wrong("%d MiB" % peak)
    print("%s %d: %d lines, %d MiB, %s" % (kind, seed, len(got), peak, "; ".join(said)))


try:
    main()
except Wrong as x:
    print("WRONG %s %d: %s\n%s" % (kind, seed, "; ".join(said), x))
    sys.exit(1)
