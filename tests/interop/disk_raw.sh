#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The raw writer: same bytes to a file and to a pipe, holes kept and made.
. "$(dirname "$0")/../lib.sh"
need python3 cmp
python3 - <<'P'
import random
r = random.Random(1)
with open("a.raw", "wb") as f:
    f.truncate(40 * 1048576 + 1234)
    for off, n in ((0, 1), (512 * 1024 - 1, 2), (1048576 + 4095, 2), (5 * 1048576, 3 * 1048576), (40 * 1048576 + 1233, 1)):
        f.seek(off); f.write(r.randbytes(n))
    f.seek(20 * 1048576); f.write(bytes(10 * 1048576))   # zeros that are not a hole
P
disktool convert a.raw b.raw
cmp a.raw b.raw || fail "file differs"
[ "$(stat -c %b b.raw)" -le 6400 ] || fail "not sparse: $(stat -c %b b.raw) blocks"
disktool convert a.raw - | cmp a.raw - || fail "stream differs"
: > empty.raw
disktool convert empty.raw empty2.raw
[ "$(stat -c %s empty2.raw)" = 0 ] || fail "empty disk"
truncate -s 1T huge.raw
disktool convert huge.raw huge2.raw
[ "$(stat -c %s,%b huge2.raw)" = "$(stat -c %s huge.raw),0" ] || fail "huge hole"
# a device keeps its old content where nothing is written
if [ "$(id -u)" = 0 ] && dev=$(truncate -s 41M dev.img && tr '\0' x <dev.img | dd of=dev.img conv=notrunc status=none && losetup -f --show dev.img); then
	rc=0; disktool convert a.raw "$dev" || rc=$?
	cmp -n $((40 * 1048576 + 1234)) a.raw "$dev" || rc=1
	truncate -s 50M big.raw; disktool convert big.raw "$dev" 2>/dev/null && rc=1
	losetup -d "$dev"
	[ $rc = 0 ] || fail "device"
fi
