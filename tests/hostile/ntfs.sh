#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# NTFS volumes with one byte changed, sampled: every change is read or refused, in bounded time.
. "$(dirname "$0")/../lib.sh"
need python3 fsdump
for i in files packed; do
	simg.py unpack "$TOP/fuzz/corpus/ntfs/$i" a.img
	python3 - "$TOP/fuzz/corpus/ntfs/$i" <<'PY' || fail "$i"
import random, struct, subprocess, sys
d = open(sys.argv[1], "rb").read()
places, at = [], 16
while at + 12 <= len(d):
    off, n = struct.unpack_from("<QI", d, at)
    places += [off + k for k in range(n) if d[at + 12 + k]]
    at += 12 + n
rnd = random.Random(9)
f = open("a.img", "r+b")
results = {}
for n in range(150):
    at = rnd.choice(places)
    f.seek(at)
    was = f.read(1)
    new = bytes([rnd.choice((was[0] ^ 1 << rnd.randrange(8), rnd.randrange(256), 0, 255))])
    f.seek(at); f.write(new); f.flush()
    r = subprocess.run(["fsdump", "--xattrs", "a.img"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=30)
    if r.returncode not in (0, 4) or b"BROKEN" in r.stderr or b"Sanitizer" in r.stderr and b"LeakSan" not in r.stderr:
        print("byte %d: %r for %r: exit %d\n%s" % (at, new, was, r.returncode, r.stderr.decode(errors="replace")[-2000:]))
        sys.exit(1)
    results[r.returncode] = results.get(r.returncode, 0) + 1
    f.seek(at); f.write(was); f.flush()
print(results)
PY
done
