#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# After a repack an export in disk order comes by each frame about once, for
# the newest version and for an old one; what boots read stands together. Frames
# are counted (a frame is one read of a pack), so nothing here depends on time.
. "$(dirname "$0")/../lib.sh"
need mke2fs strace python3 cmp
export STRATA_LIBRARY=$T/lib

# 160 MiB in two versions: more than the cache of frames holds. Names, endings
# and places have nothing to do with each other.
cat > make.py <<'P'
import os, random, sys
r = random.Random(7)
for i in range(2400):
    d = "tree/d%02d" % (i // 60)
    os.makedirs(d, exist_ok=True)
    name = "%s/%s.%s" % (d, r.randbytes(4).hex(), r.choice(["so", "py", "txt", "h", "bin", "conf", "ko"]))
    open(name, "wb").write(r.randbytes(r.randrange(5000, 60000)).hex().encode())
P
python3 make.py
version() { mke2fs -q -q -F -t ext4 -d tree -U 6f1b5c1e-0000-4000-8000-000000000001 -E hash_seed=6f1b5c1e-0000-4000-8000-000000000002 "$1" 320m; }
version a.img
for f in tree/d*/*[05].*; do echo changed | cat - "$f" > f.tmp; mv f.tmp "$f"; done
version b.img
rm -rf tree
strata -q init lib; strata -q import a.img -b main; strata -q import b.img -b main

# frames REV FILE: frames read by an export, and how many different ones
frames() {
	strace -f -qq -y -e trace=pread64 -o trace.txt strata -q export "$1" -o x.raw
	cmp x.raw "$2" || fail "$1 is not $2"
	rm x.raw
	python3 - <<'P'
import re
reads = [m.groups() for m in re.finditer(r"pread64\(\d+<([^>]*/packs/[^>]*)>.*, \d+, (\d+)\) += \d+$", open("trace.txt").read(), re.M)]
print(len(reads), len(set(reads)))
P
}
few() { # REV FILE: each frame is decoded twice at most, on the whole
	local n
	read -r -a n <<< "$(frames "$1" "$2")"
	[ "${n[1]}" -gt 25 ] || fail "too few frames to tell: ${n[*]}"
	[ "${n[0]}" -le $((n[1] * 2)) ] || fail "$3: export of $1 decodes ${n[0]} frames where there are ${n[1]}"
}
few main b.img "as imported"
ids() { for rev in main main~1; do strata show $rev --json; strata ls -R $rev:/ -l --json; done; }
ids > ids.before
strata -q repack --level 1 --grace now
ids > ids.after; cmp ids.before ids.after || fail "an id changed"
strata -q verify --read-data
few main b.img "repacked"
few main~1 a.img "repacked"
# once more: the order rests on what is stored, not on where it was
strata -q repack --level 1 --grace now
few main b.img "repacked twice"

# A boot set: 100 places all over the newest disk. What they hold stands in
# small frames; a damaged or foreign boot set is as good as none.
image=$(strata show main --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["image"])')
mkdir -p lib/cache/boot
python3 - > lib/cache/boot/$image-0 <<'P'
import random
r = random.Random(3)
print("strata boot set 1")
for _ in range(100): print(r.randrange(0, 70000) * 4096, r.choice([4096, 8192, 65536]))
P
cp lib/cache/boot/$image-0 set
printf 'strata boot set 1\n7 99999999999999\n' > lib/cache/boot/$image-1
strata -q repack --level 1 --grace now
strata -q verify --read-data
few main b.img "with a boot set"
few main~1 a.img "with a boot set"
printf 'strata boot set 1\n7 x\n' > lib/cache/boot/$image-0
strata -q repack --level 1 --grace now
few main b.img "with a damaged boot set"
cp set lib/cache/boot/$image-0
strata -q repack --level 1 --grace now

. "$TOP/tests/serve.inc"
[ -e "$PLUGIN" ] && ! grep -q fsanitize "$BUILD/build.ninja" && command -v nbdkit nbdsh >/dev/null || { echo "no nbdkit or nbdsh: boots were not replayed"; exit 0; }
need_nbdsh
# stored bytes that the boot reads of packs; the server's records included
boot_bytes() {
	strata -q nbd main --bootset off --socket s.sock --fork --pidfile p >/dev/null
	python3 - <<'P'
import nbd
pid = open("p").read().strip()
rchar = lambda: int(open("/proc/%s/io" % pid).read().split()[1])
h = nbd.NBD(); h.connect_uri("nbd+unix:///?socket=s.sock")
before = rchar()
for line in open("set").read().splitlines()[1:]:
    off, n = map(int, line.split())
    h.pread(n, off)
print(rchar() - before)
P
	kill "$(cat p)"
}
with=$(boot_bytes)
rm lib/cache/boot/*
strata -q repack --level 1 --grace now
without=$(boot_bytes)
[ $((with * 3)) -lt "$without" ] || fail "a boot reads $with bytes where its set is known, else $without"
