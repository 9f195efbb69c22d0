#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A guest's disk while the library goes read-only, runs full, loses a pack, or while there is no room for what the guest
# writes: it reads the right bytes or is told EIO, writes or is told ENOSPC; nothing else.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/instance.inc"
need_root; need_plugin; need_nbdsh; need mke2fs sfdisk python3 qemu-io qemu-img unshare
make_disk a.raw
export XDG_RUNTIME_DIR=$PWD/run; mkdir run
# The library is on a file system that can be full, and goes read-only at an error; writes of guests go to another.
mkdir small big
truncate -s 72M small.ext4; mke2fs -q -t ext4 small.ext4
loop=$(losetup -f --show small.ext4 2>/dev/null) || skip "no loop device"
mount -o errors=remount-ro "$loop" small || { losetup -d "$loop"; skip "cannot mount"; }
losetup -d "$loop"; cleanup_mounts+=("$PWD/small") # it goes with the mount
mount -t tmpfs -o size=6m tmpfs big; cleanup_mounts+=("$PWD/big")
export STRATA_LIBRARY=$PWD/small/lib
strata -q init small/lib; strata -q import a.raw -b web

cat > read.py <<'P'
import os, sys, time, nbd
want = open("a.raw", "rb").read()
h = nbd.NBD(); h.connect_uri(sys.argv[1])
for step in ("begin",) + tuple(sys.argv[2:]):
    while not os.path.exists(step): time.sleep(0.02)
    for off in range(0, len(want), 1 << 18):
        assert h.pread(1 << 18, off) == want[off:off + (1 << 18)], (step, off)
    open(step + ".done", "w").close()
P
touch begin
strata -q nbd web --cache 8M --socket s.sock --fork --pidfile pid > uri
/usr/bin/python3 read.py "$(cat uri)" full ro & r=$!
step() { touch "$1"; for i in $(seq 200); do [ -e "$1.done" ] && return; kill -0 $r 2>/dev/null || break; sleep 0.05; done; fail "$1: the reader stopped"; }
step begin
head -c 72m /dev/zero > small/fill 2>/dev/null || true; step full
strata nbd web -- nbdcopy {} - | cmp - a.raw
rc=0; strata -q edit web -b no -- qemu-io -f qcow2 -c 'write -P 1 1M 8M' {} >/dev/null 2>err || rc=$?; [ $rc = 7 ] || fail "edit: exit $rc"
[ ! -e small/lib/refs/heads/no ] || fail "a branch without room"
rm small/fill; strata -q verify --read-data
# read-only, under the server and from the start
trigger=/sys/fs/ext4/${loop##*/}/trigger_fs_error
if [ -w "$trigger" ]; then
	echo test > "$trigger"; ! touch small/x 2>/dev/null || fail "the file system is not read-only"
	step ro
	strata nbd web -- nbdcopy {} - | cmp - a.raw
	! strata instance create web x 2>err || fail "an instance in a library that cannot be written"
	[ ! -e x.qcow2 ] || fail "half an instance"
	expect_rc 7 strata edit web -b no -- qemu-io -f qcow2 -c 'write -P 1 1M 1M' {} >/dev/null 2>&1
	strata verify >/dev/null; strata stats >/dev/null
	if [ -w /dev/fuse ]; then mkdir m; strata mount web m; cmp m/big.txt tree/big.txt; diff -r m/dir tree/dir; strata umount m; fi
	wait $r || fail "the reader got other bytes"
	kill "$(cat pid)"; while kill -0 "$(cat pid)" 2>/dev/null; do sleep 0.05; done
	for i in $(seq 50); do umount small 2>/dev/null && break; sleep 0.1; done
	e2fsck -fp small.ext4 >/dev/null 2>&1 || [ $? -le 1 ] || fail "e2fsck"
	mount -o loop small.ext4 small
else
	touch ro; wait $r; kill "$(cat pid)"
fi
[ -z "$(ls run)" ] || fail "something is left: $(ls run)"
strata -q gc --grace now; strata -q verify --read-data

# no room for what is written to a copy-on-write export: ENOSPC to the client, the rest reads on
TMPDIR=$PWD/big strata -q nbd web -w scratch --socket w.sock --fork --pidfile pid > uri
/usr/bin/python3 - "$(cat uri)" <<'P'
import sys, nbd
want = bytearray(open("a.raw", "rb").read())
h = nbd.NBD(); h.connect_uri(sys.argv[1])
failed = 0
for i in range(0, 40):
    off, data = (20 << 20) + i * (1 << 20), bytes([i + 1]) * (1 << 20)
    try:
        h.pwrite(data, off)
        want[off:off + (1 << 20)] = data
    except nbd.Error as x:
        assert x.errno in ("ENOSPC", "EIO"), x.errno
        failed += 1
        want[off:off + (1 << 20)] = b"\0" * (1 << 20)
assert failed, "nothing failed"
good = 0
for off in range(0, len(want), 1 << 20):
    n = min(1 << 20, len(want) - off)
    if off < (20 << 20) or off >= (60 << 20) or any(want[off:off + n]):
        assert h.pread(n, off) == bytes(want[off:off + n]), off
        good += 1
assert good > 50
P
kill "$(cat pid)"
strata nbd web -- nbdcopy {} - | cmp - a.raw
# an overlay in a full file system: the guest is told, and what was written before commits
strata -q instance create web inst --path big/inst.qcow2 --socket i.sock --json > inst.json
eval "$(get inst.json '["server"]') --pidfile pid -q" >/dev/null
for i in $(seq 8); do qemu-io -f qcow2 -c "write -P $i $((20 + i))M 1M" big/inst.qcow2; done > io.log 2>&1 || true
grep -q "No space left" io.log && grep -q "^wrote" io.log || fail "$(cat io.log)"
strata -q commit inst -b inst; same_commit inst big/inst.qcow2
kill "$(cat pid)"; while kill -0 "$(cat pid)" 2>/dev/null; do sleep 0.05; done

# packs that are cut short or gone: EIO, or the right bytes
cp -r small/lib lost; export STRATA_LIBRARY=$PWD/lost
strata -q nbd web --cache 8M --socket l.sock --fork --pidfile pid > uri
/usr/bin/python3 - "$(cat uri)" <<'P'
import glob, os, sys, nbd
want = open("a.raw", "rb").read()
h = nbd.NBD(); h.connect_uri(sys.argv[1]); h.pread(4096, 8 << 20)
packs = sorted(glob.glob("lost/packs/*"), key=os.path.getsize)
os.truncate(packs[-1], os.path.getsize(packs[-1]) // 2)
bad = 0
def sweep():
    global bad
    for off in range(0, len(want), 1 << 17):
        try:
            assert h.pread(1 << 17, off) == want[off:off + (1 << 17)], off
        except nbd.Error as x:
            assert x.errno == "EIO", x.errno
            bad += 1
sweep()
assert bad
P
kill "$(cat pid)"
