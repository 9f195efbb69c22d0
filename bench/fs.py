#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fs.py [--dir DIR] [--files N] [--runs N] [--only FS,...] [--json FILE]

The same files in images of each file system: how long listing all of them takes (whole process, warm), how fast an
image is imported relative to ext4, and how much of the files' bytes a second image with another file system finds
known. Ratios count, seconds do not: machines differ. Needs root (loop mounts fill XFS, btrfs, NTFS and exFAT)."""
import argparse, json, os, shutil, subprocess
import common
from common import env, goal, report, run, top, turns

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


def images_of(size):
    """Name, compressed, how it is made."""
    return [
        ("ext4", False, lambda i: sh("truncate -s %d %s && mkfs.ext4 -q -N %d -d tree %s" % (size, i, args.files + 20000, i))),
        ("xfs", False, lambda i: mounted(i, "mkfs.xfs -q %s" % i, "mount %s mnt", size)),
        ("btrfs", False, lambda i: mounted(i, "mkfs.btrfs -q %s" % i, "mount %s mnt", size)),
        ("btrfs-zstd", True, lambda i: mounted(i, "mkfs.btrfs -q %s" % i, "mount -o compress-force=zstd %s mnt", size)),
        ("ntfs", False, lambda i: mounted(i, "mkntfs -qfF %s" % i, "ntfs-3g %s mnt", size)),
        ("exfat", False, lambda i: mounted(i, "mkfs.exfat -c 4K %s" % i, "mount.exfat-fuse %s mnt", size)),
        ("vfat", False, lambda i: sh("truncate -s %d %s && mkfs.fat -F 32 -s 8 %s && mcopy -smQ -i %s tree/d* ::" % (size, i, i, i))),
        ("iso9660", False, lambda i: sh("xorriso -as mkisofs -quiet -R -J -o %s tree" % i)),
        ("udf", False, lambda i: sh("genisoimage -quiet -udf -allow-lowercase -l -o %s tree" % i)),
        ("squashfs", True, lambda i: sh("mksquashfs tree %s -quiet -no-progress -comp zstd" % i)),
        ("erofs", False, lambda i: sh("mkfs.erofs %s tree" % i)),
        ("erofs-lz4", True, lambda i: sh("mkfs.erofs -zlz4hc %s tree" % i)),
    ]


def make_images():
    size = (int(sh("du -s --block-size=1 tree").split()[0]) * 2 + (512 << 20)) >> 20 << 20
    out = []
    for name, packed, fn in images_of(size):
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
        out.append((name, img, packed))
    return out


def fresh():
    sh("rm -rf lib && %s -q init lib; sync -f ." % S)


def imported(img, branch):
    return json.loads(sh("%s -L lib import --json %s -b %s" % (S, img, branch)))


def measured(prepare, cmd):
    """For each image medians of seconds, MiB, processor seconds; the images in turn, so that what else the machine does
    meets all of them."""
    return turns(args.runs, *[(prepare, lambda img=img: run(cmd(img), cwd=D)) for _, img, _ in images])


make_tree()
file_bytes = sum(os.lstat(os.path.join(d, f)).st_size for d, _, fs in os.walk(os.path.join(D, "tree")) for f in fs)
images = make_images()
for _, img, _ in images:
    sh("cat %s >/dev/null" % img)

print("\n== listing %d files of an image file" % args.files)
for (name, _, _), (s, m, cpu) in zip(images, measured(None, lambda img: [DUMP, "--list", img])):
    report("list", name, s, m, cpu=cpu)
    goal("listing, %s" % name, s * 100000 / args.files, 0.2 if name == "ext4" else 0.6, "s for 100,000")

print("\n== import of the same files; throughput is bytes of files, as they read, for each second: of those that are kept\n"
      "   compressed (*) less is on the disk, but all of it is unpacked and hashed")
base = None
for (name, _, packed), (s, m, cpu) in zip(images, measured(fresh, lambda img: [S, "-q", "-L", "lib", "import", img, "-b", "x"])):
    base = base or (s, cpu)
    report("import", name + "*" * packed, s, m, "%.0f MB/s of files, %.2f of ext4's time, %.2f of its processor time" %
           (file_bytes / 1e6 / s, s / base[0], cpu / base[1]), cpu=cpu)
    if name != "ext4":
        goal("import, %s / ext4" % name, s / base[0], 1.2)
    goal("peak memory, %s" % name, m, 200, "MiB")

print("\n== a second image with another file system, the same files")
fresh()
first = imported(images[0][1], "ext4")
total = first["disks"][0]["volumes"][0]["file_bytes"]
for name, img, _ in images[1:]:
    r = imported(img, name)
    # What differs, by content: added and modified files of the second one against the first.
    d = json.loads(sh("%s -L lib diff --json ext4:/ %s:/ || true" % (S, name)))
    unknown = sum((e.get("new") or {}).get("size", 0) for e in d["entries"]
                  if e["status"] in "AM" and (not e.get("changed") or "content" in e["changed"]))
    report("second import", name, note="%.1f MB new in the store of %.1f MB of files" % (r["new_bytes"] / 1e6, total / 1e6))
    goal("file bytes found known, %s" % name, 1 - unknown / total, 0.95, "", True)

common.finish(args.json or os.path.join(args.dir, "fs.json"))
sh("rm -rf lib mnt")
