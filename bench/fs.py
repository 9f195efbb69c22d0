#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fs.py [--dir DIR] [--files N] [--runs N] [--only FS,...] [--json FILE]

The same files in images of each file system: how long listing all of them takes (whole process, warm), how fast an
image is imported relative to ext4, and how much of the files' bytes a second image with another file system finds
known. Ratios count, seconds do not: machines differ. Needs root (loop mounts fill XFS, btrfs, NTFS and exFAT)."""
import argparse, json, os, shutil, statistics, subprocess
import common
from common import env, goal, report, run, top

ap = argparse.ArgumentParser()
ap.add_argument("--dir", default="/var/tmp/strata-bench")
ap.add_argument("--files", type=int, default=100000)
ap.add_argument("--runs", type=int, default=3)
ap.add_argument("--only", default="")
ap.add_argument("--json", default=None)
ap.add_argument("--build", default=os.path.join(top, "build"))
args = ap.parse_args()
D = os.path.join(args.dir, "fs")
S, DUMP = os.path.join(args.build, "strata"), os.path.join(args.build, "tests/tools/fsdump")
os.makedirs(D, exist_ok=True)
LIST_GOAL = dict(ext4=0.2, xfs=0.6, btrfs=0.6, ntfs=0.6)


def sh(cmd, **kw):
    return subprocess.run(cmd, shell=True, check=True, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=D, **kw).stdout


def make_tree():
    """Sizes as in a system: most files small, some of a MiB; text and noise."""
    root = os.path.join(D, "tree")
    if os.path.exists(os.path.join(root, ".done-%d" % args.files)):
        return root
    shutil.rmtree(root, ignore_errors=True)
    noise = os.urandom(1 << 20)
    for i in range(args.files):
        d = os.path.join(root, "d%02d" % (i % 97), "e%02d" % (i // 97 % 50))
        os.makedirs(d, exist_ok=True)
        n = (1 << 20) if i % 500 == 0 else (i * 7919) % 8000 + 1
        text = ("file %d " % i).encode() * (n // 16 + 1)
        with open(os.path.join(d, "file%06d.txt" % i), "wb") as f:
            f.write(text[:n] if i % 3 else (b"%d" % i + noise[i % 4096:])[:n])
    open(os.path.join(root, ".done-%d" % args.files), "w").close()
    sh("find tree -exec touch -h -d @1700000000 {} +")
    return root


def mounted(img, mkfs, mount, size):
    """An image filled through a mount (of the kernel or FUSE)."""
    sh("truncate -s %d %s && %s" % (size, img, mkfs))
    os.makedirs(os.path.join(D, "mnt"), exist_ok=True)
    dev = sh("losetup -f --show %s" % img).decode().strip()
    try:
        sh(mount % dev)
        try:
            sh("cp -a --no-preserve=ownership tree/. mnt/")
        finally:
            sh("umount mnt")
    finally:
        sh("losetup -d %s" % dev)


def make_images():
    size = (int(sh("du -s --block-size=1 tree").split()[0]) * 2 + (512 << 20)) >> 20 << 20
    how = dict(
        ext4=lambda i: sh("truncate -s %d %s && mkfs.ext4 -q -N %d -d tree %s" % (size, i, args.files + 20000, i)),
        xfs=lambda i: mounted(i, "mkfs.xfs -q %s" % i, "mount %s mnt", size),
        btrfs=lambda i: mounted(i, "mkfs.btrfs -q %s" % i, "mount %s mnt", size),
        ntfs=lambda i: mounted(i, "mkntfs -qfF %s" % i, "ntfs-3g %s mnt", size),
        exfat=lambda i: mounted(i, "mkfs.exfat -c 4K %s" % i, "mount.exfat-fuse %s mnt", size),
        iso9660=lambda i: sh("xorriso -as mkisofs -quiet -R -J -o %s tree" % i),
        squashfs=lambda i: sh("mksquashfs tree %s -quiet -no-progress -comp zstd" % i),
        erofs=lambda i: sh("mkfs.erofs %s tree" % i),
    )
    out = []
    for name, fn in how.items():
        if args.only and name not in args.only.split(",") and name != "ext4":
            continue
        img = "%s-%d.img" % (name, args.files)
        if not os.path.exists(os.path.join(D, img)):
            try:
                fn(img + ".tmp")
            except subprocess.CalledProcessError as e:
                print("%s: cannot be made here: %s" % (name, e.stderr.decode(errors="replace").strip().splitlines()[-1:]))
                sh("rm -f %s.tmp" % img)
                continue
            os.rename(os.path.join(D, img + ".tmp"), os.path.join(D, img))
        out.append((name, img))
    return out


def fresh():
    sh("rm -rf lib && %s -q init lib; sync" % S)


def imported(img, branch):
    return json.loads(sh("%s -L lib import --json %s -b %s" % (S, img, branch)))


def median(prepare, cmd):
    ts, ms = [], []
    for _ in range(args.runs):
        prepare()
        s, m, _ = run(cmd, cwd=D)
        ts.append(s)
        ms.append(m)
    return statistics.median(ts), max(ms)


make_tree()
images = make_images()
for _, img in images:
    sh("cat %s >/dev/null" % img)

print("\n== listing %d files of an image file" % args.files)
for name, img in images:
    s, m = median(lambda: None, [DUMP, "--list", img])
    report("list", name, s, m)
    if name in LIST_GOAL:
        goal("listing, %s" % name, s * 100000 / args.files, LIST_GOAL[name], "s for 100,000")

print("\n== import of the same files")
base = None
for name, img in images:
    s, m = median(fresh, [S, "-q", "-L", "lib", "import", img, "-b", "x"])
    base = base or s
    report("import", name, s, m, "%.0f MB/s of files" % (int(sh("du -sb tree").split()[0]) / 1e6 / s))
    if name != "ext4":
        goal("import, %s / ext4" % name, s / base, 1.2)
    goal("peak memory, %s" % name, m, 200, "MiB")

print("\n== a second image with another file system, the same files")
fresh()
first = imported(images[0][1], "ext4")
total = first["disks"][0]["volumes"][0]["file_bytes"]
for name, img in images[1:]:
    r = imported(img, name)
    # What differs, by content: added and modified files of the second one against the first.
    d = json.loads(sh("%s -L lib diff --json ext4:/ %s:/ || true" % (S, name)))
    unknown = sum((e.get("new") or {}).get("size", 0) for e in d["entries"]
                  if e["status"] in "AM" and (not e.get("changed") or "content" in e["changed"]))
    report("second import", name, None, None, "%.1f MB new in the store of %.1f MB of files" % (r["new_bytes"] / 1e6, total / 1e6))
    goal("file bytes found known, %s" % name, 1 - unknown / total, 0.95, "", True)

common.finish(args.json or os.path.join(args.dir, "fs.json"))
sh("rm -rf lib mnt")
