#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""qcow2map.py OURS THEIRS RAW: compares the map that disktool prints with
`qemu-img map --output=json`: the same layer wherever a layer holds the bytes,
and zeros where qemu knows zeros. Where only we know them (a cluster that is a
hole of the image's file; qemu looks for those where it thinks that the file was
preallocated) RAW, the disk's bytes, has to hold zeros."""
import json, sys

raw = open(sys.argv[3], "rb")
theirs = json.load(open(sys.argv[2]))
ours = []
for line in open(sys.argv[1]):
    off, n, kind, layer = line.split()
    ours.append((int(off), int(n), kind, int(layer)))
assert sum(o[1] for o in ours) == sum(t["length"] for t in theirs), "sizes"
i = checked = 0
for off, n, kind, layer in ours:
    end = off + n
    while i < len(theirs) and theirs[i]["start"] + theirs[i]["length"] <= off:
        i += 1
    k = i
    while k < len(theirs) and theirs[k]["start"] < end:
        t = theirs[k]
        if t["present"] and t["depth"] != layer:
            sys.exit("layer at %d: %d, qemu says %s" % (max(off, t["start"]), layer, t))
        if t["data"] and not t["zero"] and kind != "data":
            raw.seek(max(off, t["start"]))
            if raw.read(min(end, t["start"] + t["length"]) - raw.tell()).strip(b"\0"):
                sys.exit("zeros at %d, qemu says %s" % (max(off, t["start"]), t))
        if t["zero"] and kind == "data":
            sys.exit("data at %d, qemu says %s" % (max(off, t["start"]), t))
        checked += 1
        k += 1
assert checked, "nothing compared"
