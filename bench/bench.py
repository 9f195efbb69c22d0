#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench.py [--dir DIR] [--fleet DIR] [--runs N] [--only NAME,...] [--json FILE]

Runs strata and its peers on the same disks, in turn, warm, several times each, and prints medians, ratios and
whether each goal is reached, as a table and as JSON. Ratios count, seconds do not: machines differ."""
import argparse, os, shutil, statistics, subprocess, sys, time
import common
from common import env, goal, report, run, top, turns

ap = argparse.ArgumentParser()
ap.add_argument("--dir", default="/var/tmp/strata-bench")
ap.add_argument("--fleet", default=os.environ.get("FLEET"))
ap.add_argument("--runs", type=int, default=3)
ap.add_argument("--only", default="")
ap.add_argument("--json", default=None)
ap.add_argument("--strata", default=os.path.join(top, "build", "strata"))
args = ap.parse_args()
D = args.dir
os.makedirs(D, exist_ok=True)
FLEET = args.fleet or os.path.join(D, "fleet")
FIVE = ["base", "web", "db", "py", "java"]
env.update(BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes", BORG_RELOCATED_REPO_ACCESS_IS_OK="yes",
           BORG_BASE_DIR=D + "/borg-home", RESTIC_PASSWORD="x", RESTIC_CACHE_DIR=D + "/restic-cache")
S = args.strata


def img(n):
    return os.path.join(FLEET, n + ".raw")


def median(prepare, cmd, runs=None, cwd=None):
    ts, ms = [], []
    for _ in range(runs or args.runs):
        if prepare:
            prepare()
        s, m, _ = run(cmd, cwd=cwd)
        ts.append(s)
        ms.append(m)
    return statistics.median(ts), max(ms)


def clean(*paths):
    for p in paths:
        p = os.path.join(D, p)
        if os.path.isdir(p):
            shutil.rmtree(p)
        elif os.path.exists(p):
            os.remove(p)


def settle():
    """Writes of the run before must not fall into the next one's time."""
    run(["sync", "-f", D])


def du(path):
    return int(subprocess.check_output(["du", "-s", "--apparent-size", "-B1", path]).split()[0])


def wanted(name):
    return not args.only or name in args.only.split(",")


def lib(name):
    return os.path.join(D, name)


def fresh_lib(name):
    clean(name)
    run([S, "-q", "init", lib(name)])
    settle()


def data_of(src, dst):
    """The data of a sparse file, without its holes."""
    with open(src, "rb") as f, open(dst, "wb") as o:
        at, end = 0, os.fstat(f.fileno()).st_size
        while at < end:
            try:
                a = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            b = os.lseek(f.fileno(), a, os.SEEK_HOLE)
            f.seek(a)
            n = b - a
            while n:
                d = f.read(min(n, 1 << 22))
                o.write(d)
                n -= len(d)
            at = b


def warm():
    for n in FIVE + ["web2"]:
        run("cat %s > /dev/null" % img(n))


def bench_import():
    print("\n== import")
    data = os.path.join(D, "base.data")
    data_of(img("base"), data)
    (z, m, _), (s, sm, _) = turns(args.runs,
        (lambda: (clean("z.zst"), settle()), ["zstd", "-q", "-3", "-T2", "-f", data, "-o", D + "/z.zst"]),
        (lambda: fresh_lib("lib"), [S, "-q", "-L", lib("lib"), "import", img("base")]))
    report("first import, base", "zstd -3 -T2", z, m, "%d MB" % (du(D + "/z.zst") / 1e6))
    m = sm
    report("first import, base", "strata", s, m, "%d MB" % (du(lib("lib")) / 1e6))
    goal("first import / zstd -3 -T2", s / z, 1.3)
    goal("peak memory of an import", m, 200, "MiB")

    def borg_init():
        clean("borg", "borg-home")
        run(["borg", "init", "-e", "none", D + "/borg"])
        settle()
    b, bm = median(borg_init, ["borg", "create", D + "/borg::base", img("base")], runs=max(1, args.runs - 1))
    report("first import, base", "borg", b, bm)
    goal("borg / first import", b / s, 5, at_least=True)

    def restic_init():
        clean("restic", "restic-cache")
        run(["restic", "init", "-q", "-r", D + "/restic"])
        settle()
    r, rm = median(restic_init, ["restic", "backup", "-q", "-r", D + "/restic", img("base")], runs=max(1, args.runs - 1))
    report("first import, base", "restic", r, rm)
    goal("restic / first import", r / s, 8, at_least=True)
    c, cm = median(lambda: (clean("casync.store", "base.caibx"), settle()),
                   ["casync", "make", "--store=" + D + "/casync.store", D + "/base.caibx", img("base")], runs=1)
    report("first import, base", "casync", c, cm)
    q, qm = median(lambda: (clean("q.qcow2"), settle()),
                   ["qemu-img", "convert", "-O", "qcow2", "-c", "-o", "compression_type=zstd", img("base"), D + "/q.qcow2"], runs=1)
    report("first import, base", "qemu-img -c zstd", q, qm)
    clean("z.zst", "base.data", "q.qcow2")

    def before_next():
        fresh_lib("lib2")
        for n in ("base", "web"):
            run([S, "-q", "-L", lib("lib2"), "import", img(n)])
        settle()
    (cp, _, _), (s2, m2, _) = turns(args.runs,
        (lambda: (clean("cp.raw"), settle()), ["cp", "--sparse=always", img("web2"), D + "/cp.raw"]),
        (before_next, [S, "-q", "-L", lib("lib2"), "import", img("web2")]))
    report("next version, web2 after web", "cp --sparse=always", cp)
    clean("cp.raw")
    report("next version, web2 after web", "strata", s2, m2)
    goal("next version / cp", s2 / cp, 1.5)
    clean("lib2")


def bench_store():
    print("\n== five images")
    fresh_lib("five")
    clean("borg", "borg-home", "restic", "restic-cache", "casync.store")
    run(["borg", "init", "-e", "none", D + "/borg"])
    run(["restic", "init", "-q", "-r", D + "/restic"])
    for n in FIVE:
        s, m, _ = run([S, "-q", "-L", lib("five"), "import", img(n)])
        report("import " + n, "strata", s, m)
        b, _, _ = run(["borg", "create", D + "/borg::" + n, img(n)])
        report("import " + n, "borg", b)
        r, _, _ = run(["restic", "backup", "-q", "-r", D + "/restic", img(n)])
        report("import " + n, "restic", r)
        c, _, _ = run(["casync", "make", "--store=" + D + "/casync.store", D + "/%s.caibx" % n, img(n)])
        report("import " + n, "casync", c)
    sizes = {"strata": du(lib("five")), "borg": du(D + "/borg"), "restic": du(D + "/restic"), "casync": du(D + "/casync.store")}
    for k, v in sizes.items():
        report("store after five", k, note="%d MB" % (v / 1e6))
    best = min(sizes["borg"], sizes["restic"], sizes["casync"])
    goal("store / smallest of borg, restic, casync", sizes["strata"] / best, 0.85)

    print("\n== export")
    # In turn, so that what the machine does to memory meets all of them.
    files = ("cp.raw", "out.raw", "q.qcow2", "out.qcow2")
    (cp, _, _), (s, m, _), (q, _, _), (sq, sqm, _) = turns(args.runs, *[
        (lambda: (clean(*files), settle()), c) for c in (
            ["cp", "--sparse=always", img("java"), D + "/cp.raw"],
            [S, "-q", "-L", lib("five"), "export", "java", "-o", D + "/out.raw"],
            ["qemu-img", "convert", "-O", "qcow2", img("java"), D + "/q.qcow2"],
            [S, "-q", "-L", lib("five"), "export", "java", "-o", D + "/out.qcow2"])])
    report("export raw, java", "cp --sparse=always", cp)
    report("export raw, java", "strata", s, m)
    exported = s
    clean(*files)
    run([S, "-q", "-L", lib("five"), "export", "java", "-o", D + "/out.raw"])
    if subprocess.call(["cmp", img("java"), D + "/out.raw"]):
        sys.exit("bench: the export is not identical")
    clean("out.raw")
    goal("export raw / cp", s / cp, 1.5)
    goal("peak memory of an export", m, 200, "MiB")
    report("to qcow2, java", "qemu-img convert", q)
    report("to qcow2, java", "strata", sq, sqm)
    goal("export qcow2 / export raw", sq / s, 1.2)
    goal("qemu-img convert / export qcow2", q / sq, 1.5, at_least=True)
    x = os.path.join(D, "x")

    def room():
        clean("x")
        os.makedirs(x)
        settle()
    peers = {}
    peers["borg"], _ = median(room, ["borg", "extract", "--sparse", D + "/borg::java"], runs=1, cwd=x)
    peers["restic"], _ = median(room, ["restic", "restore", "latest", "-q", "-r", D + "/restic", "--target", x], runs=1)
    peers["casync"], _ = median(room, ["casync", "extract", "--store=" + D + "/casync.store", D + "/java.caibx", x + "/java.raw"], runs=1)
    for k, v in peers.items():
        report("export raw, java", k, v)
    goal("smallest of the peers / export", min(peers.values()) / s, 4, at_least=True)
    clean("x")

    t, m, _ = run([S, "-q", "-L", lib("five"), "repack"])
    after = du(lib("five"))
    report("repack", "strata", t, m, "%d MB" % (after / 1e6))
    goal("store after repack / smallest", after / best, 0.75)
    goal("peak memory of a repack", m, 200, "MiB")
    s, m = median(lambda: (clean("out.raw"), settle()), [S, "-q", "-L", lib("five"), "export", "java", "-o", D + "/out.raw"])
    report("export raw, java, after repack", "strata", s, m)
    goal("export raw after / before repack", s / exported, 1.3)
    goal("peak memory of an export after repack", m, 200, "MiB")
    clean("out.raw", "borg", "borg-home", "restic", "restic-cache", "casync.store")


def bench_containers():
    print("\n== containers")
    raw = img("base")
    made = {"qcow2": ["-O", "qcow2"], "qcow2-zlib": ["-O", "qcow2", "-c"], "vmdk": ["-O", "vmdk"], "vhd": ["-O", "vpc"], "vdi": ["-O", "vdi"]}
    base, m = median(lambda: fresh_lib("lib"), [S, "-q", "-L", lib("lib"), "import", raw])
    report("import", "raw", base, m)
    for k, o in made.items():
        f = os.path.join(D, "c." + k)
        run(["qemu-img", "convert"] + o + [raw, f])
        s, m = median(lambda: fresh_lib("lib"), [S, "-q", "-L", lib("lib"), "import", f])
        report("import", k, s, m)
        if k == "qcow2":
            goal("import qcow2 / raw", s / base, 1.15)
        elif k == "qcow2-zlib":
            q, _ = median(lambda: (clean("q.raw"), settle()), ["qemu-img", "convert", "-O", "raw", f, D + "/q.raw"])
            report("qemu-img convert to raw", k, q)
            goal("import zlib qcow2 / qemu-img convert to raw", s / q, 1.0)
        else:
            goal("import %s / raw" % k, s / base, 1.5)
        clean("c." + k, "q.raw")
    # out, from a library that holds it
    fresh_lib("lib")
    run([S, "-q", "-L", lib("lib"), "import", raw])
    peak, t = 0, {}
    for k in ("raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "vmdk-stream", "ova"):
        f = os.path.join(D, "e." + k)
        s, m = median(lambda: (clean("e." + k), settle()), [S, "-q", "-L", lib("lib"), "export", "base", "-o", f, "--format", k])
        report("export", k, s, m)
        t[k], peak = s, max(peak, m)
        clean("e." + k)
    q, _ = median(lambda: (clean("q.qcow2"), settle()), ["qemu-img", "convert", "-O", "qcow2", raw, D + "/q.qcow2"])
    report("qemu-img convert from raw", "qcow2", q)
    clean("q.qcow2")
    goal("export qcow2 / export raw", t["qcow2"] / t["raw"], 1.2)
    goal("qemu-img convert -O qcow2 / export qcow2", q / t["qcow2"], 1.5, at_least=True)
    goal("peak memory of exports", peak, 200, "MiB")


def quick(cmd, n=30):
    ts = []
    for _ in range(n):
        t = time.perf_counter()
        subprocess.run(cmd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
        ts.append(time.perf_counter() - t)
    return statistics.median(ts)


def bench_latency():
    print("\n== whole processes, library of 100 commits")
    fresh_lib("hundred")
    for i in range(50):
        for n in ("web", "web2"):
            run([S, "-q", "-L", lib("hundred"), "import", img(n), "-b", "web"])
    L = [S, "-L", lib("hundred")]
    floor = quick([S, "--version"])
    report("start of a process", "strata --version", floor)
    for name, cmd in (("log", ["log", "web"]), ("ls", ["ls", "web:/etc"]), ("ls -R --json /usr/share", ["ls", "-R", "--json", "web:/usr/share/doc"]),
                      ("cat", ["cat", "web:/etc/fstab"]), ("diff", ["diff", "web~1", "web"]), ("branch", ["branch"])):
        s = quick(L + cmd)
        report(name, "strata", s)
        goal(name, s * 1000, 10, "ms")
    clean("hundred")


def bench_large():
    print("\n== large and sparse disks")
    p = os.path.join(D, "tib.raw")
    clean("tib.raw")
    os.truncate(os.open(p, os.O_CREAT | os.O_RDWR), 1 << 40)
    fresh_lib("lib")
    s, m, _ = run([S, "-q", "-L", lib("lib"), "import", p])
    report("import, empty 1 TiB", "strata", s, m)
    goal("import of an empty 1 TiB disk", s, 1, "s")
    s, m2, _ = run([S, "-q", "-L", lib("lib"), "export", "tib", "-o", D + "/out.raw"])
    report("export, empty 1 TiB", "strata", s, m2)
    clean("tib.raw", "out.raw")
    p = os.path.join(D, "big.raw")
    clean("big.raw")
    # A 50 GiB file in ext4: 2 GiB of it data that does not repeat, the rest a hole.
    run("truncate -s 60G %s && mkfs.ext4 -q -F -E lazy_itable_init=1 %s && mkdir -p %s/m && mount -o loop %s %s/m && "
        "(openssl enc -aes-128-ctr -pass pass:x -nosalt < /dev/zero 2>/dev/null | head -c 2G > %s/m/big; true) && "
        "truncate -s 50G %s/m/big; umount %s/m" % (p, p, D, p, D, D, D, D))
    s, m3, _ = run([S, "-q", "-L", lib("lib"), "import", p])
    report("import, a 50 GiB file", "strata", s, m3)
    s, m4, _ = run([S, "-q", "-L", lib("lib"), "export", "big", "-o", D + "/out.raw"])
    report("export, a 50 GiB file", "strata", s, m4)
    if subprocess.call(["cmp", p, D + "/out.raw"]):
        sys.exit("bench: the export is not identical")
    goal("peak memory, large disks", max(m, m2, m3, m4), 200, "MiB")
    clean("big.raw", "out.raw")


def bench_commits():
    print("\n== 1,000 commits on 50 branches")
    p = os.path.join(D, "small.raw")
    clean("small.raw")
    run("truncate -s 64M %s && mkfs.ext4 -q -F %s" % (p, p))

    # One of 100 files is another each time: every disk holds as much as the one before.
    def change(i):
        with open(D + "/payload", "wb") as f:
            f.write(os.urandom(60000))
        subprocess.run(["debugfs", "-w", "-f", "-", p], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       input=b"rm f%d\nwrite %s/payload f%d\n" % (i % 100, D.encode(), i % 100))
    for i in range(100):
        change(i)
    fresh_lib("many")
    first, last = [], []
    for i in range(1000):
        change(i)
        s, _, _ = run([S, "-q", "-L", lib("many"), "import", p, "-b", "b%d" % (i % 50)])
        (first if i < 20 else last if i >= 980 else []).append(s)
    a, b = statistics.median(first), statistics.median(last)
    report("import of one of the first 20", "strata", a)
    report("import of one of the last 20", "strata", b)
    goal("last / first import of 1,000", b / a, 1.2)
    s = quick([S, "-L", lib("many"), "branch"])
    goal("opening the library", s * 1000, 10, "ms")
    clean("many", "small.raw", "payload")


if not all(os.path.exists(img(n)) for n in FIVE + ["web2"]):
    subprocess.check_call([os.path.join(top, "bench", "mkfleet"), FLEET])
warm()
for name, fn in (("import", bench_import), ("store", bench_store), ("containers", bench_containers), ("latency", bench_latency),
                 ("large", bench_large), ("commits", bench_commits)):
    if wanted(name):
        fn()
common.finish(args.json or os.path.join(D, "bench.json"))
