#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Dirty logs of XFS: the image of a mounted file system, or of one that was shut down, must read as the kernel has it
# after its own recovery, whatever the log's shape, also where its last records were not written whole; the image itself
# comes back bit for bit. What cannot be replayed is shown as it is on the disk.
. "$(dirname "$0")/../lib.sh"
need mkfs.xfs xfs_db xfs_io xfs_growfs python3; need_root
export TEST_DIR=. TEST_DEV=. QA_CHECK_FS=1 PYTHONPATH=$TOP/tests/tools # mkfs.xfs then makes small ones
cleanup_mounts+=("$T/m"); mkdir m
# both on memory: the loop devices of a busy disk are slow
mkdir ram; mount -t tmpfs -o size=1g none ram; cleanup_mounts+=("$T/ram"); cd ram

# make SIZE OPTIONS: a fresh one, mounted at m
make() { rm -f img; truncate -s "$1" img; shift; mkfs.xfs -q "$@" img; mount -o loop img ../m; }
# churn SEED N: random operations of every kind
churn() {
	python3 - ../m "$1" "$2" <<'PY'
import random, sys
from fstorture_ops import Ops
o = Ops(sys.argv[1], "xfs", random.Random(int(sys.argv[2])), 0.3)
o.run(int(sys.argv[3]))
PY
}
# crash HOW: leaves the image "dirty"
crash() {
	case $1 in
	flush) xfs_io -x -c 'shutdown -f' ../m; umount ../m; mv img dirty ;; # the log is written, then nothing any more
	stop) sync -f ../m; churn 99 30; xfs_io -x -c shutdown ../m; umount ../m; mv img dirty ;; # what is in memory is lost
	copy) sync -f ../m; cp --sparse=always img dirty; umount ../m ;;
	esac
}
# want IMAGE: what the kernel shows after recovery; fails where it refuses
want() {
	cp --sparse=always "$1" rec; mount -o loop rec ../m 2>mount.err || return 1
	umount ../m; mount -o loop,ro,norecovery rec ../m; treedump.py ../m --xattrs | grep -v ' trusted\.SGI_ACL_' >want; umount ../m; rm rec
}
have() { fsdump "$1" --xattrs --free >have 2>err || { cat err; fail "fsdump"; }; }
# replayed IMAGE: and as the kernel does it
replayed() {
	have "$1"; want "$1" || { cat mount.err; fail "the kernel does not mount it"; }
	grep -q '^FINDING: fs-journal: log: [0-9]* items of [0-9]* transactions' err || { cat err; fail "nothing was replayed"; }
	! grep -v '^FINDING: fs-journal: \|^FREE: .*log is not clean' err || fail "more to say"
	same_tree want have
}

n=0
while read -r size how options; do
	n=$((n + 1)); echo "== $size $how $options"
	make "$size" $options; churn $n 350; sync -f ../m; churn $((n + 50)) 250; crash "$how"
	sum=$(sha256sum <dirty); replayed dirty; [ "$sum" = "$(sha256sum <dirty)" ] || fail "the image was changed"
	[ "$(wc -l <want)" -gt 100 ] || fail "the fixture is empty"
done <<'LIST'
300M flush -m rmapbt=1,reflink=1,bigtime=1,inobtcount=1 -i nrext64=1,sparse=1
200M copy -m rmapbt=0,reflink=0,bigtime=0,finobt=0,inobtcount=0 -i sparse=0,nrext64=0
64M copy -b size=1024 -n size=8192 -i size=512 -d agcount=2
100M stop -b size=1024 -l su=256k -d agcount=2 -m rmapbt=1
200M flush -n size=65536 -i size=2048,nrext64=1 -s size=4096 -l su=32k
100M copy -b size=2048 -i size=1024 -m reflink=1 -d agcount=4
LIST

echo "== in and out, and the finding"
strata -q init lib; strata -q -L lib import dirty -b b --free-space discard --json >import.json; strata -q -L lib export b -o back; cmp dirty back || fail "it comes back changed"
grep -q '"fs-journal"' import.json || { cat import.json; fail "import does not tell"; }
strata -L lib ls -R b >ls.out; f=$(awk '/^f/ && $5 > 1000 {print $10; exit}' want)
[ "$(strata -L lib cat "b:$f" | sha256sum | cut -c1-64)" = "$(awk -v f="$f" '$10 == f {print $9}' want)" ] || fail "the content of $f"
rm -rf lib back

echo "== a log whose active part goes around its end"
cat >ring.py <<'PY'
import sys
b = open(sys.argv[1], "rb").read()
g = lambda at, n: int.from_bytes(b[at:at + n], "big")
at, n = ((g(48, 8) >> b[124]) * g(84, 4) + (g(48, 8) & (1 << b[124]) - 1)) * g(4, 4), g(96, 4) * g(4, 4) // 512
last = max((g(o + 16, 8), g(o + 24, 8)) for o in range(at, at + n * 512, 512) if b[o:o + 4] == b"\xfe\xed\xba\xbe")
print(at, n, "around" if last[1] >> 32 < last[0] >> 32 else "-")
PY
make 64M -d agcount=2
for k in $(seq 300); do
	for i in $(seq 200); do echo "$k" >"../m/w$i"; done; [ $((k % 2)) = 0 ] || rm -f ../m/w?*
	sync -f ../m; at=$(python3 ring.py img); [ "${at##* }" != around ] || break
done
[ "${at##* }" = around ] || fail "the fixture's log has not wrapped"
crash copy; replayed dirty; cp --sparse=always dirty around; around=${at% *}

echo "== it was growing, got a label and another owner of the root"
make 100M -d agsize=20m; churn 7 60; truncate -s 190M img; losetup -c "$(losetup -nO NAME -j img)"; xfs_growfs ../m >/dev/null
for i in $(seq 300); do mkdir "../m/g$i"; echo "$i" >"../m/g$i/f"; done; chown 5:6 ../m; chmod 1777 ../m; xfs_io -c 'label -s later' ../m >/dev/null
crash flush; replayed dirty

# records that were not written whole, or are damaged: as the kernel decides. Many small ones, by fsync.
echo "== torn"
make 64M -d agcount=2
python3 - ../m <<'PY'
import os, random, sys
r = random.Random(4)
for i in range(300):
    n = "%s/f%d" % (sys.argv[1], r.randrange(150))
    f = os.open(n, os.O_CREAT | os.O_RDWR)
    os.pwrite(f, b"x%d" % i * r.randrange(2000), r.randrange(5) * 40000)
    os.fsync(f)
    os.close(f)
    if r.random() < 0.2:
        os.rename(n, n + "r")
PY
cp --sparse=always img fsync; umount ../m; fsync=$(python3 ring.py fsync); fsync=${fsync% *}; refused=0 made=0
cat >damage.py <<'PY'
import random, struct, sys
f, r, at, n = open(sys.argv[1], "r+b"), random.Random(int(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4])
f.seek(at)
b = bytearray(f.read(n * 512))
g = lambda at, n: int.from_bytes(b[at:at + n], "big")
recs = sorted((g(o + 16, 8), o // 512, g(o + 12, 4), g(o + 320, 4)) for o in range(0, len(b), 512) if b[o:o + 4] == b"\xfe\xed\xba\xbe")
recs = recs[:1] + [x for x in recs[1:] if x[1]]  # damage in block 0 is "none" for xlog_verify_head
for _ in range(r.choice((1, 1, 1, 2))):
    k, what = r.choice((1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 20, 50)), r.choice(("zeros", "bit", "cycle", "old", "header", "other"))
    _, i, size, iclog = recs[-min(k, len(recs))]
    blocks = max(1, -(-iclog // 32768)) + -(-size // 512)
    first = r.randrange(blocks)
    o = (i + first) % n * 512
    if what == "zeros":
        b[o:o + 512] = bytes(512)
    elif what == "bit":
        b[o + r.randrange(512)] ^= 1 << r.randrange(8)
    elif what == "cycle":
        b[o + r.randrange(4)] ^= 1 << r.randrange(8)
    elif what == "old":  # not written from there on
        for j in range(first or 1, blocks):
            o = (i + j) % n * 512
            struct.pack_into(">I", b, o, g(o, 4) - 1)
    elif what == "header":
        b[i * 512 + r.randrange(48)] ^= 1 << r.randrange(8)
    else:
        b[o:o + 512] = r.randbytes(512)
    print("record %d from the last, block %d of %d: %s" % (k, first, blocks, what))
f.seek(at)
f.write(b)
PY
for seed in $(seq 18); do
	base=fsync at=$fsync; [ $((seed % 3)) != 0 ] || base=around at=$around
	cp --sparse=always $base dirty; echo "$base, $seed:"; python3 damage.py dirty "$seed" $at
	if want dirty; then replayed dirty; made=$((made + 1)); continue; fi
	refused=$((refused + 1)); have dirty
	grep -q '^FINDING: fs-dirty: .*was not replayed' err && ! grep -q fs-journal err || { cat err; fail "the kernel refuses it"; }
	cp --sparse=always dirty rec; mount -o loop,ro,norecovery rec ../m; treedump.py ../m --damaged >raw 2>/dev/null || true; umount ../m
	! grep -v '^#\|^x\| unreadable ' have | grep -vxFf raw | grep -q . || fail "not as on the disk"
done
echo "$made as the kernel recovers them, $refused refused"
[ $made -gt 4 ] && [ $refused -gt 0 ] || fail "the damage is all of one kind"
