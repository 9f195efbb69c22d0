#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""treediff.py A B: what is different between two mounted trees, as lines
STATUS<TAB>PATH<TAB>CHANGED,...  (renames as D and A); an oracle for diff."""
import hashlib, os, stat, sys

def load(top):
    top = os.fsencode(top)
    seen, first = {}, {}
    todo = [b""]
    while todo:
        p = todo.pop()
        full = os.path.join(top, p) if p else top
        st = os.lstat(full)
        kind = stat.S_IFMT(st.st_mode)
        f = {"mode": stat.S_IMODE(st.st_mode), "owner": (st.st_uid, st.st_gid), "mtime": st.st_mtime_ns,
             "xattrs": sorted((n, os.getxattr(full, n, follow_symlinks=False))
                              for n in os.listxattr(full, follow_symlinks=False))}
        if kind == stat.S_IFREG:
            f["size"] = st.st_size
            f["content"] = hashlib.sha256(open(full, "rb").read()).digest()
        if kind == stat.S_IFLNK:
            f["target"] = os.readlink(full)
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            f["device"] = st.st_rdev
        if kind == stat.S_IFDIR:
            todo += [p + b"/" + n if p else n for n in os.listdir(full)]
        elif st.st_nlink > 1:
            first.setdefault(st.st_ino, []).append(p)
            f["links"] = (st.st_nlink, st.st_ino)
        seen[p] = (kind, f)
    for kind, f in seen.values():
        if "links" in f:
            f["links"] = (f["links"][0], min(first[f["links"][1]], key=lambda q: q.split(b"/")))
    return seen

ORDER = ["content", "size", "target", "device", "mode", "owner", "mtime", "xattrs", "links"]
a, b = load(sys.argv[1]), load(sys.argv[2])
for p in sorted(set(a) | set(b), key=lambda q: q.split(b"/") if q else []):
    x, y = a.get(p), b.get(p)
    if not x or not y:
        status, changed = "A" if y else "D", []
    elif x[0] != y[0]:
        status, changed = "T", []
    else:
        status, changed = "M", [k for k in ORDER if x[1].get(k) != y[1].get(k)]
        if not changed:
            continue
    sys.stdout.buffer.write(b"\t".join([status.encode(), p or b".", ",".join(changed).encode()]) + b"\n")
