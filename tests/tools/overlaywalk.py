#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""overlaywalk.py SEED ROUNDS: overlays of a stored disk as qemu leaves them after random work (sizes of clusters, subclusters, compressed,
zero and discarded clusters, bitmaps, snapshots, grown, shrunk, copied, moved, over another overlay, over an export in
another format), each committed and compared with what qemu-img makes of it. $STRATA_LIBRARY has the disk on branch web."""
import os, random, subprocess, sys

seed, rounds = int(sys.argv[1]), int(sys.argv[2])
r = random.Random(seed)
MiB = 1 << 20


def run(*a, **k):
    p = subprocess.run(a, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **k)
    if p.returncode:
        sys.exit("seed %d: %s: exit %d: %s" % (seed, " ".join(a), p.returncode, (p.stderr + p.stdout).decode(errors="replace")[-600:]))
    return p.stdout.decode(errors="replace")


def size_of(f):
    import json
    return json.loads(run("qemu-img", "info", "-U", "--output=json", f))["virtual-size"]


def place(size):
    n = r.choice((512, 1024, 4096, 12288, 65536, 65536 * 3, 300 * 512, MiB, 2 * MiB))
    unit = r.choice((512, 4096, 65536))
    n = min(n, size)
    return r.randrange(0, max(1, (size - n) // unit + 1)) * unit, n


def write(f, n, cluster):
    size, cmds, dirty = size_of(f), [], 0
    for _ in range(n):
        off, k = place(size)
        if off + k > size:
            k = (size - off) // 512 * 512
        if not k:
            continue
        what = r.choice("wwwwzzudDc")
        if what == "w":
            cmds.append("write -P %d %d %d" % (r.randrange(256), off, k))
        elif what == "z":
            cmds.append("write -z %d %d" % (off, k))
        elif what == "u":
            cmds.append("write -z -u %d %d" % (off, k))
        elif what == "d":
            cmds.append("discard %d %d" % (off, k))
        elif what == "D":
            cmds.append("write -s noise %d %d" % (off, min(k, MiB)))
        elif cluster <= MiB and off // cluster * cluster + cluster <= size:
            cmds.append("write -c -s text %d %d" % (off // cluster * cluster, cluster))
    # What qemu refuses (compressed over there, unmap in version 2) is refused; the rest counts.
    subprocess.run(["qemu-io", "-f", "qcow2", "-d", "unmap", f], input="\n".join(cmds).encode() + b"\n", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make(f, base, fmt):
    cluster = r.choice((512, 4096, 65536, 65536, 65536, 2 * MiB))
    o = ["cluster_size=%d" % cluster]
    if r.random() < 0.15:
        o.append("compat=0.10")
    else:
        if cluster >= 16384 and r.random() < 0.3:
            o.append("extended_l2=on")
        if r.random() < 0.2:
            o.append("lazy_refcounts=on")
        if r.random() < 0.3:
            o.append("compression_type=zstd")
        elif r.random() < 0.2:
            o.append("refcount_bits=%d" % r.choice((1, 2, 8, 64)))
    size = []
    if r.random() < 0.25:
        size = [str(max(512, size_of(base) + r.choice((-1, 1)) * r.randrange(1, 8 * 2048) * 512))]
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", fmt, "-b", r.choice((os.path.abspath(base), os.path.relpath(base, os.path.dirname(f) or "."))), "-o", ",".join(o), f, *size)
    return cluster, not any("refcount_bits=1" == x for x in o), "compat=0.10" not in o


def work(f, cluster, snapshots, v3):
    write(f, r.randrange(1, 30), cluster)
    for _ in range(r.randrange(3)):
        what = r.choice(("snapshot", "bitmap", "resize", "nothing"))
        # (qemu has its limits for these)
        if what == "snapshot" and snapshots:
            subprocess.run(["qemu-img", "snapshot", "-c", "s%d" % r.randrange(10**6), f], stderr=subprocess.DEVNULL)
        elif what == "bitmap" and v3:
            subprocess.run(["qemu-img", "bitmap", "--add", "--enable", f, "b%d" % r.randrange(10**6)], stderr=subprocess.DEVNULL)
        elif what == "resize":
            n = max(MiB, size_of(f) + r.choice((-1, 1)) * r.randrange(1, 6 * 2048) * 512)
            # (refused with some snapshots and bitmaps)
            subprocess.run(["qemu-img", "resize", "-q", "--shrink", f, str(n)], stderr=subprocess.DEVNULL)
        write(f, r.randrange(12), cluster)


def check(rev, f):
    run("strata", "-q", "export", rev, "-o", "commit.raw")
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", f, "qemu.raw")
    if subprocess.call(["cmp", "commit.raw", "qemu.raw"]):
        sys.exit("seed %d: %s is not %s: %s" % (seed, rev, f, run("qemu-img", "info", "--backing-chain", f)))


with open("noise", "wb") as h:
    h.write(r.randbytes(MiB))
with open("text", "w") as h:
    h.write("".join("line %d\n" % i for i in range(200000))[:MiB])
for i in range(rounds):
    d = "r%d" % i
    os.makedirs(d + "/vm/deep")
    fmt = r.choice(("raw", "raw", "qcow2", "vmdk", "vdi", "vhdx"))
    base = d + "/vm/base." + fmt
    run("strata", "-q", "export", "web", "-o", base)
    if r.random() < 0.3:
        os.rename(base, d + "/vm/moved")
        base = d + "/vm/moved"
    f = d + r.choice(("/o.qcow2", "/vm/o.qcow2", "/vm/deep/o.qcow2"))
    kind = make(f, base, fmt)
    work(f, *kind)
    branch = "s%dr%d" % (seed, i)
    run("strata", "-q", "commit", f, "-b", branch)
    check(branch, f)
    if r.random() < 0.4:  # it goes on
        work(f, *kind)
        run("strata", "-q", "commit", f, "-b", branch)
        check(branch, f)
    if r.random() < 0.3:  # a copy, which goes its own way
        c = os.path.dirname(f) + "/copy.qcow2"
        run("cp", f, c)
        work(c, *kind)
        run("strata", "-q", "commit", c, "-b", branch + "c")
        check(branch + "c", c)
    if r.random() < 0.4:  # an overlay over the overlay, whose base is a commit's disk, too, or has to be read whole
        t = os.path.dirname(f) + "/top.qcow2"
        kind = make(t, f, "qcow2")
        work(t, *kind)
        p = subprocess.run(["strata", "-q", "commit", t, "-b", branch + "t"], stderr=subprocess.PIPE)
        if p.returncode == 4:  # it says how
            if b"--allow-backing" not in p.stderr and b"import" not in p.stderr and b"--base" not in p.stderr:
                sys.exit("seed %d: refused without a way: %s" % (seed, p.stderr))
            run("strata", "-q", "import", t, "-b", branch + "t", "--allow-backing", os.path.abspath(d))
        elif p.returncode:
            sys.exit("seed %d: commit of %s: %s" % (seed, t, p.stderr))
        check(branch + "t", t)
    subprocess.call(["rm", "-rf", d])
