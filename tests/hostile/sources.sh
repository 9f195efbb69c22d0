# SPDX-License-Identifier: Apache-2.0
# Where a disk comes from: a block device, standard input, a file with holes (which are never read), a disk with a bad
# sector (exit 7 with the offset, the library as before), and Ctrl-C in the middle.
. "$(dirname "$0")/../lib.sh"
need mkfs.ext4 strace python3
export STRATA_LIBRARY=$T/lib
strata init lib >/dev/null
mkdir root; for i in $(seq 40); do seq $((i * 1500)) >root/f$i; done
truncate -s 64M d.raw; mkfs.ext4 -q -d root d.raw
strata import d.raw -b file >/dev/null
sum_of() { strata show --json "$1" | grep -o '"digest": *"[^"]*"' | head -1; }
want=$(sum_of file); [ -n "$want" ] || fail "no digest"

strata import - -b stdin <d.raw >/dev/null; [ "$(sum_of stdin)" = "$want" ] || fail "stdin gives another disk"
cat d.raw | strata import - -b pipe >/dev/null; [ "$(sum_of pipe)" = "$want" ] || fail "a pipe gives another disk"
head -c 5000001 d.raw >odd.raw; strata import - -b odd <odd.raw >/dev/null; strata export odd -o b.raw >/dev/null; cmp odd.raw b.raw
if [ "$(id -u)" = 0 ] && dev=$(losetup -r -f --show d.raw 2>/dev/null); then
	strata import "$dev" -b loop >/dev/null || { losetup -d "$dev"; fail "import of a block device"; }
	losetup -d "$dev"
	[ "$(sum_of loop)" = "$want" ] || fail "a block device gives another disk"
else
	echo "no loop devices here"
fi

# No hole is read: every read of the image lies in what the file system says is data.
truncate -s 4G holes.raw; mkfs.ext4 -q -d root holes.raw
ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=pread64,read,openat,mmap -o trace strata import holes.raw -b holes >/dev/null
python3 - <<'P'
import os, re
fd = os.open("holes.raw", os.O_RDONLY)
size, data, at = os.fstat(fd).st_size, [], 0
while at < size:
    try: a = os.lseek(fd, at, os.SEEK_DATA)
    except OSError: break
    at = os.lseek(fd, a, os.SEEK_HOLE)
    data.append((a, at))
mine, n, total = None, 0, 0
for l in open("trace"):
    m = re.search(r'openat\(.*"holes\.raw", .*\) = (\d+)', l)
    if m: mine = m.group(1)
    m = re.search(r'pread64\((\d+), .*, (\d+), (\d+)\) = (-?\d+)', l)
    if not m or m.group(1) != mine: continue
    off, got = int(m.group(3)), int(m.group(4))
    n += 1; total += got
    # the first and the last bytes, where tables and magic are, may be looked at whatever they are
    if got > 0 and off >= 1 << 20 and off + got < size - (64 << 10) and not any(a <= off and off + got <= b + 4096 for a, b in data):
        if not any(a < off + got and off < b for a, b in data):
            raise SystemExit("FAIL: a read of %d bytes at %d is in a hole" % (got, off))
assert n > 20, "only %d reads seen" % n
assert total < 3 * sum(b - a for a, b in data) + (8 << 20), "%d bytes read" % total
P

# A sector that cannot be read, in many places.
for off in 0 512 1024 4096 1048576 8912896 20971520 33554432; do
	python3 - $off <<'P'
import os, sys
off = int(sys.argv[1]); fd = os.open("d.raw", os.O_RDONLY)
try: a = os.lseek(fd, off, os.SEEK_DATA)
except OSError: a = 0
open("where", "w").write(str(a))
P
	flipimport -b "$(cat where)" "$T/flib" d.raw >out 2>&1 || { cat out; fail "read error at $(cat where)"; }
done
grep -q "offset [0-9]" out || fail "no offset told"
if command -v nbdkit >/dev/null && command -v nbdfuse >/dev/null && [ -e /dev/fuse ] && [ "$(id -u)" = 0 ]; then
	mkdir nbd; echo 1 >errors
	nbdkit -U "$T/sock" -P pid --filter=error file d.raw error-pread=EIO error-pread-rate=100% error-file="$T/bad" &&
		nbdfuse --pidfile fpid nbd/d.raw --unix "$T/sock" & sleep 1; for _ in 1 2 3 4 5 6 7 8; do [ -s fpid ] && break; sleep 0.3; done
	if [ -s fpid ]; then
		: >bad; rc=0; before=$(strata log --json file | md5sum)
		strata import nbd/d.raw -b bad >out 2>err || rc=$?
		rm -f bad; fusermount3 -u nbd/d.raw 2>/dev/null || fusermount -u nbd/d.raw 2>/dev/null || umount nbd 2>/dev/null || true
		kill "$(cat pid)" 2>/dev/null || true
		[ $rc = 7 ] || { cat err; fail "exit $rc for a disk that cannot be read, wanted 7"; }
		grep -qE "byte|offset|at [0-9]" err || { cat err; fail "no offset in the message"; }
		[ "$(strata log --json file | md5sum)" = "$before" ] || fail "the library changed"
	fi
fi

# Ctrl-C: exit by the signal's code, no branch, nothing but what gc takes.
head -c 300M /dev/urandom >big.raw
for t in 0.05 0.2 0.5; do
	rc=0; timeout --preserve-status -s INT $t strata import big.raw -b big$t >/dev/null 2>err || rc=$?
	[ $rc != 0 ] || continue # it was done before
	! strata log big$t >/dev/null 2>&1 || fail "a branch of an import that was stopped"
	[ $rc = 130 ] || { cat err; fail "exit $rc after Ctrl-C"; }
done
strata verify --read-data >/dev/null || fail "verify after Ctrl-C"
