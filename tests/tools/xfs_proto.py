#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""xfs_proto.py DIR > PROTO: a folder as a prototype file for mkfs.xfs -p, which
fills file systems that this kernel does not mount (version 4)."""
import os, stat, sys

TYPES = {stat.S_IFREG: "-", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFCHR: "c", stat.S_IFBLK: "b",
         stat.S_IFIFO: "p"}


def fields(path):
    st = os.lstat(path)
    m = st.st_mode
    t = TYPES[stat.S_IFMT(m)]
    s = "%s%s%s%03o %d %d" % (t, "u" if m & stat.S_ISUID else "-", "g" if m & stat.S_ISGID else "-", m & 0o777,
                              st.st_uid, st.st_gid)
    if t == "-":
        s += " " + os.path.abspath(path)
    elif t == "l":
        s += " " + os.readlink(path)
    elif t in "cb":
        s += " %d %d" % (os.major(st.st_rdev), os.minor(st.st_rdev))
    return t, s


print("/dev/null\n0 0\n" + fields(sys.argv[1])[1])
todo = [iter(sorted(os.scandir(sys.argv[1]), key=lambda e: e.name))]
while todo:
    e = next(todo[-1], None)
    if e is None:
        print("$")
        todo.pop()
        continue
    t, s = fields(e.path)
    print(e.name, s)
    if t == "d":
        todo.append(iter(sorted(os.scandir(e.path), key=lambda e: e.name)))
