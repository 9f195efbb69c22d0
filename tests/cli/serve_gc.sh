# SPDX-License-Identifier: Apache-2.0
# Servers and mounts keep gc from what they serve, and from nothing else: room is freed while they run, and they give
# the right bytes after any gc and repack. What killed ones pinned goes.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/instance.inc"
need_plugin; need_nbdsh; need mke2fs sfdisk python3 qemu-img
make_disk a.raw
for n in b c d; do cp --sparse=always a.raw $n.raw; head -c 20000000 /dev/urandom | dd of=$n.raw bs=1M seek=40 conv=notrunc status=none; done
export STRATA_LIBRARY=$PWD/lib XDG_RUNTIME_DIR=$PWD/run; mkdir run
strata -q init lib
for n in a b c d; do strata -q import $n.raw -b $n; done
stored() { du -sb lib/packs | cut -f1; }
gc() { strata gc --grace now --json > gc.json; [ "$(get gc.json '["deferred"]')" = False ] || fail "gc waits: $(cat gc.json)"; }
open_removed() { # PID: packs that are gone and held open
	ls -l /proc/$1/fd | grep -c 'packs/.*(deleted)' || true
}
size0=$(stored)

# two servers: of b alone, and of everything, with c open; nobody serves d
strata -q nbd b --socket one.sock --fork --pidfile p1 >/dev/null
strata -q nbd --socket all.sock --fork --pidfile p2 >/dev/null
p1=$(cat p1) p2=$(cat p2)
cat > hold.py <<'P'
import nbd, os, time
h = nbd.NBD(); h.connect_uri("nbd+unix:///c?socket=all.sock")
a = nbd.NBD(); a.connect_uri("nbd+unix:///a?socket=all.sock")
assert h.pread(512, 0) == open("c.raw", "rb").read(512)
open("held", "w").close()
while not os.path.exists("go"): time.sleep(0.05)
c = open("c.raw", "rb").read()
for off in range(0, len(c), 1 << 20): assert h.pread(1 << 20, off) == c[off:off + (1 << 20)], off
b = nbd.NBD(); b.connect_uri("nbd+unix:///?socket=one.sock")
w = open("b.raw", "rb").read()
for off in range(0, len(w), 1 << 20): assert b.pread(1 << 20, off) == w[off:off + (1 << 20)], off
try:
    d = nbd.NBD(); d.connect_uri("nbd+unix:///d?socket=all.sock"); raise SystemExit("d is still served")
except nbd.Error: pass
P
python3 hold.py & hold=$!
for i in $(seq 100); do [ -e held ] && break; sleep 0.1; done
[ "$(ls lib/writers 2>/dev/null | wc -l)" = 0 ] || fail "a server holds a writer's lease"
for n in b c d; do strata -q branch -d $n; done
gc; size1=$(stored)
[ $((size0 - size1)) -gt 18000000 ] || fail "d was not freed ($size0, $size1)"
[ $((size0 - size1)) -lt 25000000 ] || fail "more than d was freed ($size0, $size1)"
strata -q repack --level 1 --frame 64K; gc
touch go; wait $hold || fail "a client got other bytes"
# c was closed: it goes, when the server has seen that its client went; b stays as long as its server
for i in $(seq 50); do gc; size2=$(stored); [ $((size1 - size2)) -le 18000000 ] || break; sleep 0.1; done
[ $((size1 - size2)) -gt 18000000 ] || fail "c was not freed ($size1, $size2)"
nbdcopy "nbd+unix:///?socket=$PWD/one.sock" - | cmp - b.raw
for i in $(seq 100); do [ "$(open_removed $p1)$(open_removed $p2)" = 00 ] && break; sleep 0.1; done
[ "$(open_removed $p1)$(open_removed $p2)" = 00 ] || fail "removed packs are held open"
# killed: what it pinned goes with the next gc
kill -9 $p1; sleep 0.3; gc; size3=$(stored); [ $((size2 - size3)) -gt 18000000 ] || fail "b was not freed ($size2, $size3)"
kill $p2; for i in $(seq 50); do kill -0 $p2 2>/dev/null || break; sleep 0.1; done
strata -q gc --grace now; [ -z "$(ls lib/pins)" ] || fail "pins are left: $(ls lib/pins)"
strata verify --read-data >/dev/null

# an edit keeps its base, too
strata -q import b.raw -b b; strata -q branch keep b
strata -q edit keep -b new -- sh -c 'strata -q branch -d b; strata -q branch -d keep; strata -q gc --grace now; qemu-img convert -O raw "$1" now.raw; cmp now.raw b.raw && qemu-io -f qcow2 -c "write -P 3 70M 64k" "$1"' sh {} >/dev/null
strata -q export new -o new.raw; cmp -n 70000000 new.raw b.raw

# mounts: one of a version, one of everything, its folders looked into
[ "$(id -u)" = 0 ] && [ -w /dev/fuse ] || exit 0
strata -q branch -d new; for n in b c d; do strata -q import $n.raw -b $n; done; gc
mkdir m all; strata mount b m; cleanup_mounts+=("$PWD/m"); strata mount --all all; cleanup_mounts+=("$PWD/all")
cmp all/branch/c/big.txt tree/big.txt; cmp all/branch/d/big.txt tree/big.txt; cmp m/big.txt tree/big.txt
exec 7< all/branch/c/dir/deep/noise # what is open stays known to the kernel
size0=$(stored)
strata -q branch -d b; strata -q branch -d c; strata -q branch -d d
echo 2 > /proc/sys/vm/drop_caches 2>/dev/null || true # it forgets the rest
for i in $(seq 60); do gc; [ $((size0 - $(stored))) -gt 18000000 ] && break; sleep 0.2; echo 2 > /proc/sys/vm/drop_caches 2>/dev/null || true; done
[ $((size0 - $(stored))) -gt 18000000 ] || fail "what nobody looks at was not freed"
strata -q repack --level 1 --frame 64K; gc
echo 2 > /proc/sys/vm/drop_caches 2>/dev/null || true
for f in big.txt dir/deep/noise dir/f17; do cmp "m/$f" "tree/$f"; done
cmp /dev/fd/7 tree/dir/deep/noise; exec 7<&-
sleep 1.2; ! ls all/branch/c >/dev/null 2>&1 || fail "a deleted branch is shown" # names are asked for again after a second
strata umount m; strata umount all
sleep 0.3; strata -q gc --grace now; [ -z "$(ls lib/pins)" ] || fail "pins are left: $(ls lib/pins)"
strata verify --read-data >/dev/null
