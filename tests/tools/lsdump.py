#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lsdump.py: the JSON of 'strata ls -R --json' on stdin in the form of treedump.py (without the
root), and checks on the way that every field has the type that the page of formats promises."""
import base64, calendar, json, re, sys

doc = json.load(sys.stdin)
assert doc["schema"] == "strata/ls/1", doc["schema"]
out = sys.stdout.buffer
letters = {"file": b"f", "directory": b"d", "symlink": b"l", "char": b"c", "block": b"b", "fifo": b"p", "socket": b"s"}


def raw(v):
    return base64.b64decode(v["bytes"]) if isinstance(v, dict) else v.encode()


def esc(b):
    return b"".join(bytes([c]) if 0x20 < c < 0x7f and c != 0x5c else b"\\x%02x" % c for c in b)


for e in doc["entries"]:
    k = letters[e["type"]]
    path = raw(e["path"])
    assert not path.startswith(b"/"), path
    assert re.fullmatch("[0-7]{4}", e["mode"]), e
    m = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{9}))?Z", e["mtime"])
    y, mo, d, h, mi, s = (int(x) for x in re.split("[-T:]", m.group(1)))
    t = calendar.timegm((y, mo, d, h, mi, s))
    assert (e["target"] is not None) == (k == b"l") and (e["rdev"] is not None) == (k in b"cb"), e
    assert (e["size"] is not None) == (k in b"fl") and (k == b"f" or e["sha256"] is None), e
    line = b"%s %s %d %d %d %d.%s %d %s %s %s" % (
        k, e["mode"].encode(), e["uid"], e["gid"], e["size"] or 0, t, (m.group(2) or "0" * 9).encode(),
        1 if k == b"d" else e["nlink"], (e["rdev"] or "0:0").encode(), (e["sha256"] or "-").encode(), esc(b"/" + path))
    if k == b"l":
        line += b" -> " + esc(raw(e["target"]))
    out.write(line + b"\n")
