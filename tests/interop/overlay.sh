# SPDX-License-Identifier: Apache-2.0
# Commits of overlays of every shape against what qemu makes of them; kills and full file systems.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/instance.inc"
need mke2fs sfdisk python3 qemu-io qemu-img qemu-storage-daemon debugfs
export TMPDIR=$PWD
make_library; strata -q export web -o base.raw
try() { strata -q commit "$1.qcow2" -b "$1"; same_commit "$1" "$1.qcow2"; }

# clusters of every size, extended L2, version 2, lazy refcounts, compression by zlib and zstd
for o in cluster_size=512 cluster_size=4k cluster_size=2M extended_l2=on,cluster_size=128k compat=0.10 lazy_refcounts=on compression_type=zstd; do
	n=o_${o//[=,.]/_}; overlay $n.qcow2 base.raw -o $o
	io $n.qcow2 'write -P 1 9M 3M' 'write -P 2 10487808 512' 'write -P 3 50M 4k' 'write -z 20M 1M' 'discard 9M 1M' 'write -P 4 100662784 512'
	[ $o = compat=0.10 ] || io $n.qcow2 'write -z -u 40M 2M' 'write -z 100593664 64k'
	try $n
done
for c in zlib zstd; do
	overlay c_$c.qcow2 base.raw -o compression_type=$c
	python3 -c 'print("write -c -P 7 8M 64k"); [print(f"write -c -P {i % 250} {(10 + i) * 131072} 64k") for i in range(200) if i != 54]; print("write -P 9 8M 4k")' > cmds
	qemu-io -f qcow2 c_$c.qcow2 < cmds >/dev/null; try c_$c
done
# bitmaps, internal snapshots, a backing name without a recorded format
overlay bitmap.qcow2 base.raw; qemu-img bitmap --add --enable bitmap.qcow2 dirty; io bitmap.qcow2 'write -P 5 30M 300k'; try bitmap
overlay snap.qcow2 base.raw; io snap.qcow2 'write -P 1 30M 1M'; qemu-img snapshot -c one snap.qcow2; io snap.qcow2 'write -P 2 30M 512k' 'write -P 3 60M 64k'; try snap
qemu-img create -q -u -f qcow2 -F raw -b base.raw nofmt.qcow2 96M; qemu-img rebase -q -u -f qcow2 -b base.raw nofmt.qcow2 2>/dev/null || true; io nofmt.qcow2 'write -P 6 1M 1M' ; try nofmt
# empty; all of it; equal to the base
overlay empty.qcow2 base.raw; try empty; [ "$(strata show empty --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["image"])')" = "$(strata show web --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["image"])')" ] || fail "an empty overlay made another image"
overlay full.qcow2 base.raw; io full.qcow2 'write -P 170 0 96M'; try full
overlay zero.qcow2 base.raw; io zero.qcow2 'write -z 0 96M'; try zero
overlay same.qcow2 base.raw; io same.qcow2 'write -s base.raw 0 2M'; try same
# grown, shrunk; written to behind the old end
overlay grown.qcow2 base.raw; qemu-img resize -q grown.qcow2 160M; io grown.qcow2 'write -P 8 150M 1M' 'write -P 8 100000000 2M'; try grown
overlay grown2.qcow2 base.raw; qemu-img resize -q grown2.qcow2 96.5M; try grown2
overlay shrunk.qcow2 base.raw; io shrunk.qcow2 'write -P 3 70M 1M'; qemu-img resize -q --shrink shrunk.qcow2 75M; try shrunk
qemu-img create -q -u -f qcow2 -F raw -b base.raw cut.qcow2 40000000; io cut.qcow2 'write -P 3 1M 1M'; strata -q commit cut.qcow2 -b cut; same_commit cut cut.qcow2
# what a guest does: files written, removed, truncated, links, a file that grows over old blocks
overlay guest.qcow2 base.raw
seq 60000 > n1; head -c 5000000 /dev/urandom > n2; head -c 100 n1 > n3
in_fs guest.qcow2 "write $PWD/n1 n1" "rm big.txt" "write $PWD/n2 n2" "rm dir/deep/noise" "write $PWD/n3 dir/n3" "ln dir/n3 dir/n4" "symlink l n1" "punch sparse 500 501" "truncate dir/f9" "set_inode_field dir/f10 uid 1000" "ea_set dir/f11 user.x y"
try guest
ents() { strata ls -R "$1:p1:/" --json | python3 -c "import json,sys; [print(x) for x in json.load(sys.stdin)[\"entries\"]]"; }; ents guest > g1.json
qemu-img convert -f qcow2 -O raw guest.qcow2 guest.raw; strata -q import guest.raw -b g2; ents g2 > g2.json; [ -s g2.json ]
cmp g1.json g2.json || fail "the files differ from those of an import"
# random rounds, each commit from the one before
cp base.raw model.raw
overlay walk.qcow2 base.raw
for seed in 1 2 3 4 5; do
	python3 - $seed > cmds <<'P'
import random, sys
r = random.Random(int(sys.argv[1]))
for i in range(40):
    off, n = r.randrange(96 * 2048) * 512, r.choice((512, 4096, 65536, 300 * 512, 1 << 20))
    n = min(n, (96 << 20) - off)
    print(r.choice((f"write -P {r.randrange(256)} {off} {n}", f"write -z {off} {n}", f"discard {off} {n}")))
P
	qemu-io -f qcow2 walk.qcow2 < cmds >/dev/null
	strata -q commit walk.qcow2 -b walk; same_commit walk walk.qcow2
done
strata -q verify

# killed at any time: the library is whole, the overlay untouched
overlay kill.qcow2 base.raw; io kill.qcow2 'write -s n2 8M 4M' 'write -P 3 60M 20M'; sum=$(sha256sum < kill.qcow2)
for t in 0.005 0.01 0.02 0.03 0.05 0.07 0.1 0.15 0.2; do
	timeout -s KILL $t strata -q commit kill.qcow2 -b "k$t" 2>/dev/null || true
	strata -q verify || fail "damaged by a kill after $t s"
done
[ "$(sha256sum < kill.qcow2)" = "$sum" ]; try kill
for b in $(strata branch --json | python3 -c 'import json,sys; [print(b["name"]) for b in json.load(sys.stdin)["branches"] if b["name"].startswith("k0")]'); do same_commit "$b" kill.qcow2; done

# no room: a clear message, nothing half there
[ "$(id -u)" = 0 ] || exit 0
mkdir small; mount -t tmpfs -o size=24m tmpfs small || exit 0
cleanup_mounts+=("$PWD/small")
strata -q init small/l; export STRATA_LIBRARY=$PWD/small/l
strata -q import a.raw -b web; rm base.raw; strata -q export web -o base.raw
overlay room.qcow2 base.raw; head -c 60000000 /dev/urandom > rnd; io room.qcow2 'write -s rnd 8M 56M'
expect_rc 7 strata commit room.qcow2 2>err; grep -q "No space left" err
strata -q verify; [ "$(strata log web --json | python3 -c 'import json,sys; print(len(json.load(sys.stdin)["commits"]))')" = 1 ]
strata -q export web -o b2.raw; cmp b2.raw a.raw
head -c 24m /dev/zero > small/fill 2>/dev/null || true
strata instance create web nospace >out 2>err && fail "made without room: $(cat out; df small)" || [ $? = 7 ] || fail "$(cat err)"; grep -q "No space left" err || fail "$(cat err)"
[ ! -e nospace.qcow2 ] && rm small/fill && [ -z "$(strata instance list)" ] || fail "half an instance: $(strata instance list)"
