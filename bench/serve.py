#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""serve.py [--dir DIR] [--fleet DIR] [--image NAME] [--runs N] [--only NAME,...] [--json FILE]

Disks that are used out of the library: commits of overlays, NBD and FUSE beside nbdkit's file plugin and a loop mount,
and (--only boot, or --boot: it takes minutes) a boot over NBD beside one from the raw file. Ratios count, seconds do
not: machines differ. Needs root (loop mounts) and /dev/fuse."""
import argparse, json, os, random, re, shutil, signal, statistics, subprocess, sys, time
import common
from common import env, goal, report, run, top, turns

ap = argparse.ArgumentParser()
ap.add_argument("--dir", default="/var/tmp/strata-bench")
ap.add_argument("--fleet", default=os.environ.get("FLEET"))
ap.add_argument("--runs", type=int, default=5)
ap.add_argument("--only", default="")
ap.add_argument("--boot", action="store_true")
ap.add_argument("--image", default="base", help="the disk of the fleet that is served")
ap.add_argument("--json", default=None)
ap.add_argument("--strata", default=os.path.join(top, "build", "strata"))
args = ap.parse_args()
D = os.path.join(args.dir, "serve")
FLEET = args.fleet or os.path.join(args.dir, "fleet")
RAW, S = os.path.join(FLEET, args.image + ".raw"), args.strata
os.makedirs(D, exist_ok=True)
LIB, EXPORT = os.path.join(D, "lib"), os.path.join(D, "base.raw")
L = [S, "-q", "-L", LIB]
MIB = 1 << 20


def path(name):
    return os.path.join(D, name)


def clean(*names):
    for n in names:
        p = path(n)
        if os.path.isdir(p):
            shutil.rmtree(p)
        elif os.path.lexists(p):
            os.remove(p)


def settle():
    run(["sync", "-f", D])


def text(cmd):
    return subprocess.run(cmd, env=env, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def forget(*files):
    """Drops files from the page cache."""
    for f in files:
        fd = os.open(f, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def cpu_of(pid):
    """Processor seconds of a process so far."""
    f = open("/proc/%d/stat" % pid).read().rpartition(")")[2].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def root_extent():
    """Offset and length of the root file system's partition."""
    p = max(json.loads(text(["sfdisk", "-J", RAW]))["partitiontable"]["partitions"], key=lambda p: p["size"])
    return p["start"] * 512, p["size"] * 512


def loop_mount(f, where, ro=True):
    off, size = root_extent()
    os.makedirs(where, exist_ok=True)
    run(["mount", "-o", "loop,%soffset=%d,sizelimit=%d" % ("ro," if ro else "", off, size), f, where])


# --- commit

def change(overlay, mib):
    """As a guest does it: files are written to the root file system, a third of the bytes over existing ones."""
    disk, mnt = path("qsd.raw"), path("mnt")
    clean("qsd.raw", "qsd.pid")
    open(disk, "w").close()
    q = subprocess.Popen(["qemu-storage-daemon", "--blockdev", "driver=qcow2,node-name=d,file.driver=file,file.filename=" + overlay,
                          "--export", "type=fuse,id=e,node-name=d,mountpoint=%s,writable=on" % disk, "--pidfile", path("qsd.pid")])
    while not os.path.exists(path("qsd.pid")):
        time.sleep(0.02)
        if q.poll() is not None:
            sys.exit("bench: qemu-storage-daemon")
    loop_mount(disk, mnt, ro=False)
    rnd, left = random.Random(mib), mib * MIB
    os.makedirs(mnt + "/var/lib/bench", exist_ok=True)
    i = 0
    while left > 0:
        n = min(left, rnd.choice([4096, 20000, 100000, MIB, 3 * MIB]))
        with open("%s/var/lib/bench/f%d" % (mnt, i), "wb") as f:
            f.write(rnd.randbytes(n))
        left -= n
        i += 1
    run(["umount", mnt])
    q.terminate()
    q.wait()
    clean("qsd.raw")


def bench_commit():
    print("\n== commit of an overlay of a disk of 4 GiB")
    seconds = {}
    for mib in (1, 10, 100):
        o, copy = path("o%d.qcow2" % mib), path("lib.copy")
        clean("o%d.qcow2" % mib)
        text(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", EXPORT, o])
        change(o, mib)

        def fresh():
            clean("lib.copy")
            shutil.copytree(LIB, copy)
            settle()
        cmd = [S, "-q", "-L", copy, "commit", o, "-b", "new"]
        (s, m, cpu), = turns(args.runs, (fresh, cmd))
        seconds[mib] = s
        fresh()
        trace = path("trace.txt")
        run(["strace", "-f", "-qq", "-y", "-e", "trace=read,pread64,preadv,readv,open,openat,openat2", "-o", trace] + cmd)
        overlay = packs = 0
        base = False
        for line in open(trace, errors="replace"):
            base |= EXPORT in line and re.match(r"\d+ +open", line) is not None
            x = re.search(r"(?:read|pread64|preadv|readv)\(\d+<([^>]*)>.* = (\d+)$", line)
            if x and x[1] == o:
                overlay += int(x[2])
            elif x and "/packs/" in x[1]:
                packs += int(x[2])
        size = os.stat(o).st_blocks * 512
        report("commit, %d MiB changed" % mib, "strata", s, m, "overlay %.1f MiB, read %.1f MiB of it and %.1f MiB of packs" % (
            size / MIB, overlay / MIB, packs / MIB), cpu)
        goal("commit, %d MiB: bytes read of the overlay / its size" % mib, overlay / size, 1.2)
        goal("commit, %d MiB: the base's file is opened" % mib, int(base), 0, "")
        run([S, "-q", "-L", copy, "export", "new", "-o", path("new.raw")])
        run(["qemu-img", "convert", "-O", "raw", o, path("want.raw")])
        run(["cmp", path("new.raw"), path("want.raw")])
        clean("new.raw", "want.raw", "lib.copy", "o%d.qcow2" % mib, "trace.txt")
    goal("commit, 10 MiB changed", seconds[10], 0.25, "s")
    goal("commit, 100 MiB / 10 MiB changed", seconds[100] / seconds[10], 12)


# --- NBD

def serve():
    """A server of the library; its process and its URI's socket. To be ended with stop()."""
    sock = path("serve.sock")
    clean("serve.sock")
    p = subprocess.Popen(L + ["nbd", "base", "--socket", sock, "--json"], stdout=subprocess.PIPE, text=True, env=env)
    line = ""
    while '"pid"' not in line:
        line += p.stdout.readline()
    return p, int(re.search(r'"pid": *(\d+)', line)[1]), "nbd+unix:///base?socket=" + sock


def stop(p):
    p.send_signal(signal.SIGTERM)
    p.wait()


def bench_nbd():
    print("\n== NBD")
    p, _, uri = serve()
    run(["nbdcopy", uri, path("out.raw")])
    a, g = turns(args.runs, (lambda: (clean("out.raw"), settle()), L + ["export", "base", "-o", path("out.raw")]),
                 (lambda: (clean("out.raw"), settle()), ["nbdcopy", uri, path("out.raw")]))
    stop(p)
    report("to a raw file", "strata export", a[0], cpu=a[2])
    report("to a raw file, served before", "strata nbd, nbdcopy", g[0])
    goal("speed of nbdcopy / of export, a server that has its cache", a[0] / g[0], 0.8, at_least=True)
    a, b, f = turns(args.runs, (lambda: (clean("out.raw"), settle()), L + ["export", "base", "-o", path("out.raw")]),
                    (lambda: (clean("out.raw"), settle()), L + ["nbd", "base", "--", "nbdcopy", "{}", path("out.raw")]),
                    (lambda: (clean("out.raw"), settle()), ["nbdkit", "-U", "-", "-r", "file", RAW, "--run", "nbdcopy \"$uri\" " + path("out.raw")]))
    report("to a raw file", "strata export", a[0], cpu=a[2])
    report("to a raw file", "strata nbd, nbdcopy", b[0], cpu=b[2])
    report("to a raw file", "nbdkit file, nbdcopy", f[0], cpu=f[2])
    goal("speed of nbdcopy / of export, a new server", a[0] / b[0], 0.8, at_least=True)
    clean("out.raw")
    run(L + ["nbd", "base", "--", "nbdcopy", "{}", path("out.raw")])
    run(["cmp", RAW, path("out.raw")])
    clean("out.raw")

    client = path("nbdrand")
    run("cc -O2 -o %s %s $(pkg-config --cflags --libs libnbd)" % (client, os.path.join(top, "bench", "nbdrand.c")))

    def rate(cmd):
        """Requests a second, warm: the second time that the same ones are read; the server's processor time for each, in us."""
        clean("rand.sock", "rand.pid")
        p = subprocess.Popen(cmd, env=env, stdout=subprocess.DEVNULL)
        while not os.path.exists(path("rand.pid")):
            time.sleep(0.01)
        pid = int(open(path("rand.pid")).read())
        words = [client, "nbd+unix:///?socket=" + path("rand.sock"), "100000", "16", "4096"]
        text(words)
        before = cpu_of(pid)
        n = float(text(words))
        us = (cpu_of(pid) - before) * 1e6 / 100000
        p.terminate()
        p.wait()
        return n, us
    where = path("rand.sock"), "--pidfile", path("rand.pid")
    m, x = turns(args.runs, (None, lambda: rate(L + ["nbd", "base", "--socket", *where])),
                 (None, lambda: rate(["nbdkit", "-f", "-r", "-U", *where, "file", RAW])))
    report("4 KiB random reads, 16 in flight, warm", "strata nbd", note="%.0f a second, %.1f us of the server's cores for each" % m)
    report("4 KiB random reads, 16 in flight, warm", "nbdkit file", note="%.0f a second, %.1f us of the server's cores for each" % x)
    goal("random reads / of nbdkit's file plugin", m[0] / x[0], 0.5, at_least=True)


# --- FUSE

def bench_fuse():
    print("\n== files of a mount")
    a, b = path("fuse"), path("loop")
    os.makedirs(a, exist_ok=True)

    def fuse_fresh():
        subprocess.run([S, "umount", a], stderr=subprocess.DEVNULL)
        run(L + ["mount", "base", a])

    def loop_fresh():
        subprocess.run(["umount", b], stderr=subprocess.DEVNULL)
        loop_mount(RAW, b)

    def server():
        """The process that serves the mount."""
        for p in os.listdir("/proc"):
            try:
                words = open("/proc/%s/cmdline" % p, "rb").read().split(b"\0") if p.isdigit() else []
            except OSError:
                continue
            if words and os.path.basename(words[0]) == b"strata" and a.encode() in words and b"mount" in words:
                return int(p)

    def served(cmd):
        pid = server()
        before = cpu_of(pid)
        s, m, cpu = run(cmd)
        return s, m, cpu + cpu_of(pid) - before
    run("cat %s > /dev/null" % RAW)
    try:
        t = []
        for _ in range(2 * args.runs):
            subprocess.run([S, "umount", a], stderr=subprocess.DEVNULL)
            t.append(run(L + ["mount", "base", a])[0])
        report("mount", "strata", statistics.median(t))
        goal("mount is ready", 1000 * statistics.median(t), 50, "ms")
        for what, cmd in (("tar -cf /dev/null (names only)", "tar -C %s -cf /dev/null ."), ("tar -cf - | cat (with data)", "tar -C %s -cf - . | cat > /dev/null")):
            for how, prepare in (("fresh mount", (fuse_fresh, loop_fresh)), ("again", (None, None))):
                if not prepare[0]:
                    run(cmd % a), run(cmd % b)
                x, y = turns(args.runs, (prepare[0], lambda: served(cmd % a)), (prepare[1], cmd % b))
                report("%s, %s" % (what, how), "strata mount", x[0], cpu=x[2])
                report("%s, %s" % (what, how), "loop mount", y[0], cpu=y[2])
                goal("%s, %s: speed / loop mount's" % (what, how), y[0] / x[0], 0.5, at_least=True)
        run("diff -rq --no-dereference %s/usr %s/usr" % (a, b))
    finally:
        subprocess.run([S, "umount", "-l", a], stderr=subprocess.DEVNULL)
        subprocess.run(["umount", b], stderr=subprocess.DEVNULL)


# --- boot

def boot(drive):
    """Seconds to the login prompt on the serial console."""
    t = time.perf_counter()
    q = subprocess.Popen(["qemu-system-x86_64", "-nodefaults", "-accel", env.get("STRATA_ACCEL", "tcg"), "-m", "1G", "-drive",
                          "file=%s,format=raw,if=virtio,snapshot=on,cache=writeback" % drive, "-device", "virtio-rng-pci", "-display", "none",
                          "-serial", "stdio", "-no-reboot"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    seen = b""
    try:
        while b"login:" not in seen:
            d = os.read(q.stdout.fileno(), 65536)
            if not d or time.perf_counter() - t > 600:
                sys.exit("bench: no login prompt: " + seen.decode(errors="replace")[-300:])
            seen = (seen + d)[-20000:]
        return time.perf_counter() - t
    finally:
        q.kill()
        q.wait()


def bench_boot():
    print("\n== boot to the login prompt, cold")
    results, share = dict(raw=[], first=[], set=[], repacked=[]), {}
    runs = max(1, args.runs // 2)
    for i in range(2 * runs):
        # first everything as imported, then repacked with the boot set known
        if i == runs:
            run(L + ["repack", "--grace", "now"])
        packs = [os.path.join(LIB, "packs", n) for n in os.listdir(os.path.join(LIB, "packs"))]
        stored = sum(os.path.getsize(p) for p in packs)
        if i < runs:
            forget(RAW)
            results["raw"].append(boot(RAW))
            clean("lib/cache")
        for kind in ("first", "set") if i < runs else ("repacked",):
            forget(*packs)
            p, pid, uri = serve()
            results[kind].append(boot(uri))
            time.sleep(1)
            read = int(re.search(r"rchar: (\d+)", open("/proc/%d/io" % pid).read())[1])
            share[kind] = read / stored
            stop(p)
    m = {k: statistics.median(v) for k, v in results.items()}
    report("boot to login", "raw file", m["raw"])
    report("boot to login, no boot set", "strata nbd", m["first"], note="%.1f %% of the stored bytes read" % (100 * share["first"]))
    report("boot to login, boot set known", "strata nbd", m["set"], note="%.1f %% of the stored bytes read" % (100 * share["set"]))
    report("boot to login, repacked", "strata nbd", m["repacked"], note="%.1f %% of the stored bytes read" % (100 * share["repacked"]))
    for k, n in (("first", "no boot set"), ("set", "boot set known"), ("repacked", "repacked")):
        goal("boot over NBD / raw file, " + n, m[k] / m["raw"], 1.1)
        goal("stored bytes that a boot reads, " + n, 100 * share[k], 15, "%")


def main():
    if not os.path.exists(RAW):
        subprocess.check_call([os.path.join(top, "bench", "mkfleet"), FLEET])
    clean("lib", "base.raw")
    run([S, "-q", "init", LIB])
    run(L + ["import", RAW, "-b", "base"])
    run(L + ["export", "base", "-o", EXPORT])
    only = [n for n in args.only.split(",") if n]
    for name, fn in (("commit", bench_commit), ("nbd", bench_nbd), ("fuse", bench_fuse), ("boot", bench_boot)):
        if name in only or (not only and (name != "boot" or args.boot)):
            fn()
    clean("lib", "base.raw", "nbdrand")
    common.finish(args.json or os.path.join(args.dir, "serve.json"))


main()
