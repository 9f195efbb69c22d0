# SPDX-License-Identifier: Apache-2.0
# The nbdkit plugin: what clients of other people read is the disk that was
# imported, by any export name, over several connections at once; holes are
# told; damage is EIO.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/serve.inc"
need_plugin; need_nbdsh; need mke2fs sfdisk qemu-io python3
make_disk a.raw
cp --sparse=always a.raw b.raw
dd if=/dev/urandom of=b.raw bs=4096 seek=20000 count=50 conv=notrunc 2>/dev/null
strata -q init lib; export STRATA_LIBRARY=$PWD/lib
strata -q import a.raw -b main
strata -q import b.raw -b main
strata -q tag v1 main~1
strata -q tag main v1 2>/dev/null || true # a tag of a branch's name
kit() { nbdkit -U - "$PLUGIN" library=lib "$@"; }

# whole disks, by default export and by names
kit main --run 'nbdcopy "$uri" out.raw'; cmp out.raw b.raw
kit main~1 --run 'nbdcopy --connections=4 --requests=32 "$uri" out.raw'; cmp out.raw a.raw
kit main --run 'nbdcopy --synchronous "$uri" - | cmp - b.raw'
kit --run 'for n in main v1 main~1; do nbdcopy "nbd+unix:///$n?socket=$unixsocket" "$n.out" & done; wait'
cmp main.out b.raw; cmp v1.out a.raw; cmp main~1.out a.raw
kit --run 'nbdinfo --list "nbd+unix:///?socket=$unixsocket"' > list.txt 2>&1 || true
grep -q '^export="main"' list.txt && grep -q '^export="v1"' list.txt && grep -q '^export="tags/main"' list.txt ||
	{ cat list.txt; fail "exports are not listed"; }
grep -q 'can_multi_conn: true' list.txt && grep -q 'can_cache: true' list.txt || fail "hints"

# names that are none
kit --run '! nbdinfo "nbd+unix:///nope?socket=$unixsocket" 2>err && ! nbdinfo "nbd+unix:///main:etc?socket=$unixsocket" 2>err &&
	! nbdinfo "nbd+unix:///main%233?socket=$unixsocket" 2>err && ! nbdinfo "nbd+unix:///?socket=$unixsocket" 2>err'
expect_rc 1 nbdkit -U - "$PLUGIN" library=lib nope --run true 2>/dev/null
expect_rc 1 nbdkit -U - "$PLUGIN" library=nowhere main --run true 2>/dev/null
expect_rc 1 nbdkit -U - "$PLUGIN" library=lib main cache=1 --run true 2>/dev/null
kit main~1 name=golden --run 'nbdcopy "nbd+unix:///golden?socket=$unixsocket" - | cmp - a.raw &&
	! nbdinfo "nbd+unix:///main?socket=$unixsocket" 2>/dev/null'

# extents: what is told to be zeros is, and most holes are told
kit main --run 'nbdinfo --map "$uri"' > map.txt
kit main --run 'qemu-img map --output=json -f raw "$uri"' > qmap.json
python3 - <<'PY'
import json
disk = open("b.raw", "rb").read()
total = zero = at = 0
for line in open("map.txt"):
    off, size, kind = (int(x) for x in line.split()[:3])
    assert off == at, "a gap in the map"
    at = off + size
    if kind == 3:
        assert not any(disk[off:off + size]), "zeros that are none at %d" % off
        zero += size
assert at == len(disk)
real = sum(4096 for i in range(0, len(disk), 4096) if not any(disk[i:i + 4096]))
assert zero > 0.95 * real, (zero, real)
for x in json.load(open("qmap.json")):
    if x["zero"]:
        assert not any(disk[x["start"]:x["start"] + x["length"]])
PY
kit main --run 'qemu-img compare -f raw -F raw "$uri" b.raw' | grep -q identical

# many small reads at odd offsets, cache requests between them; a tiny cache
cat > reads.py <<'PY'
import random
import nbd
want = open("b.raw", "rb").read()
hs = []
for i in range(3):
    h = nbd.NBD(); h.connect_uri(URI); hs.append(h)
rnd = random.Random(7)
for i in range(1500):
    h = rnd.choice(hs)
    off = rnd.randrange(len(want) - 1)
    n = min(rnd.choice([1, 7, 512, 4096, 65536, 300000]), len(want) - off)
    if i % 10 == 0:
        h.cache(n, off)
    assert h.pread(n, off) == want[off:off + n], (off, n)
for off in range(0, len(want), 262144): # forwards: read-ahead
    assert h.pread(262144, off) == want[off:off + 262144]
PY
for more in cache=8M cache=64M readahead=0; do kit main $more --run 'nbdsh -c "URI=\"$uri\"" -c "exec(open(\"reads.py\").read())"'; done

# copy on write; what is written is lost at the end
nbdkit -U - --filter=cow "$PLUGIN" library=lib main --run '
	qemu-io -f raw -c "write -P 90 1M 64k" -c "read -P 90 1M 64k" "$uri" >/dev/null && nbdcopy "$uri" cow.raw'
! cmp -s cow.raw b.raw || fail "nothing was written"
kit main --run 'nbdcopy "$uri" - | cmp - b.raw'

# a branch that is deleted while it is served, and one that moves
kit --run 'uri="nbd+unix:///main?socket=$unixsocket"
	nbdsh -u "$uri" -c "
import subprocess, nbd
subprocess.check_call([\"strata\", \"-q\", \"branch\", \"-m\", \"main\", \"gone\"])
assert h.pread(50 * 4096, 20000 * 4096) == open(\"b.raw\", \"rb\").read()[20000 * 4096:20050 * 4096]
h2 = nbd.NBD(); h2.connect_uri(\"$uri\")
assert h2.pread(4096, 0) == h.pread(4096, 0)
"'
strata -q branch -m gone main

# damage is EIO, and never other bytes
damaged bad
nbdkit -U - "$PLUGIN" library=bad main --run 'nbdsh -u "$uri" -c "
want = open(\"b.raw\", \"rb\").read()
bad = good = 0
for off in range(0, len(want), 65536):
    try:
        assert h.pread(65536, off) == want[off:off + 65536], \"wrong bytes at %d\" % off
        good += 1
    except nbd.Error as x:
        assert x.errno == \"EIO\", x.errno
        bad += 1
assert bad and good, (bad, good)
"' 2>/dev/null
# a library that goes away under the server
cp -r lib away
nbdkit -U - "$PLUGIN" library=away main --run 'nbdsh -u "$uri" -c "
import shutil
want = open(\"b.raw\", \"rb\").read()
h.pread(512, 0)
shutil.rmtree(\"away\")
for off in range(0, len(want), 1 << 20):
    try:
        assert h.pread(65536, off) == want[off:off + 65536]
    except nbd.Error as x:
        assert x.errno == \"EIO\", x.errno
"'
