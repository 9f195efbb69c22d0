# SPDX-License-Identifier: Apache-2.0
"""Corrupt-by-field tables: valid bytes, then a row a field, each given to fsdump.

table(image, rows): a row is (name, changes, wanted) with changes a list of
(offset, bytes) and wanted regular expressions that must all be found in what
fsdump prints ("!RE": must not be found); every row must also keep fsdump from
crashing, hanging, or breaking a promise of readers.
sweep(image, offsets): single-byte changes, which must only keep the latter."""
import os, random, re, subprocess, sys

failed = 0


def run(path, args=()):
    try:
        p = subprocess.run(["fsdump", *args, path], capture_output=True, timeout=60)
    except subprocess.TimeoutExpired:
        return "TIMEOUT", ""
    return p.returncode, (p.stderr + p.stdout).decode("utf-8", "replace")


def complain(name, what, out):
    global failed
    failed += 1
    print("FAIL: %s: %s\n%s" % (name, what, out[-1500:]), file=sys.stderr)


def apply(path, image, changes, size=None):
    b = bytearray(image)
    for off, new in changes:
        if off < 0:
            off += len(b)
        assert 0 <= off and off + len(new) <= len(b), off
        b[off:off + len(new)] = new
    with open(path, "wb") as f:
        f.write(b if size is None else b[:size])


def table(image, rows, args=()):
    rc, good = run_image(image, [], args)
    if rc != 0 and not any("." == r[0] for r in rows):
        complain("untouched image", "exit %s" % rc, good)
    for name, changes, *wanted in rows:
        size = None
        if changes and changes[0][0] == "cut":
            size, changes = changes[0][1], changes[1:]
        rc, out = run_image(image, changes, args, size)
        if rc not in (0, 4):
            complain(name, "exit %s" % rc, out)
        for w in wanted:
            if w.startswith("!"):
                if re.search(w[1:], out, re.M):
                    complain(name, "found %s" % w[1:], out)
            elif not re.search(w, out, re.M):
                complain(name, "no %s" % w, out)
    return len(rows)


def run_image(image, changes, args=(), size=None):
    path = "corrupt.%d.img" % os.getpid()
    apply(path, image, changes, size)
    r = run(path, args)
    os.unlink(path)
    return r


def sweep(image, offsets, n=300, seed=1, args=()):
    """n single-byte changes at random places of the list of offsets"""
    rnd = random.Random(seed)
    offsets = list(offsets)
    for _ in range(n):
        off = rnd.choice(offsets)
        new = rnd.choice([0, 1, 0x7f, 0x80, 0xff, image[off] ^ (1 << rnd.randrange(8))])
        rc, out = run_image(image, [(off, bytes([new]))], args)
        if rc not in (0, 4):
            complain("byte %d = %#x" % (off, new), "exit %s" % rc, out)
    return n


def metadata(image):
    """offsets of all bytes in 64-byte lines that are not constant"""
    r = []
    for at in range(0, len(image), 64):
        if len(set(image[at:at + 64])) > 1:
            r += range(at, at + 64)
    return [o for o in r if o < len(image)]


def done(what):
    print(what)
    sys.exit(1 if failed else 0)
