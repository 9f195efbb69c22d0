#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The qcow2 writer: qemu-img check finds nothing and qemu-img compare finds no
# difference, to a file and to a pipe, plain and compressed, with small
# clusters (many tables and refcount blocks) and with the normal ones.
. "$(dirname "$0")/../lib.sh"
need qemu-img python3 cmp
python3 - <<'P'
import random
r = random.Random(3)
def disk(name, size, parts):
    with open(name, "wb") as f:
        f.truncate(size)
        for off, data in parts:
            f.seek(off); f.write(data)
disk("empty.raw", 0, [])
disk("hole.raw", 5 << 20, [])
disk("odd.raw", (3 << 20) + 777, [((3 << 20) + 700, b"end"), (0, r.randbytes(5))])
mixed = []
for i in range(80):
    off = r.randrange(0, 6000000)
    n = r.randrange(1, 100000)
    mixed.append((off, [r.randbytes(n), bytes([i + 1]) * n, bytes(n), (b"text %d " % i * (n // 6))[:n]][i % 4]))
disk("mixed.raw", 6 << 20, mixed)
disk("dense.raw", 4 << 20, [(0, r.randbytes(4 << 20))])
disk("zeros.raw", 4 << 20, [(0, bytes(4 << 20))])
P
n=0
check() { # IMAGE RAW WHAT
	qemu-img check -q "$1" > log 2>&1 || fail "$3: check: $(cat log)"
	qemu-img check "$1" | grep -q "^No errors" || fail "$3: $(qemu-img check "$1")"
	qemu-img compare -q -f qcow2 -F raw "$1" "$2" || fail "$3: qemu-img compare"
	n=$((n + 1))
}
for d in empty hole odd mixed dense zeros; do
	for bits in 9 10 12 16 21; do
		case $d$bits in mixed* | odd16 | dense10 | zeros12 | zeros16 | empty16 | hole16 | dense16) ;; *) continue ;; esac
		for how in plain zstd zlib; do
			o="--cluster-bits $bits"; [ $how = plain ] || o="$o -c -z $how"
			rm -f ?.qcow2; disktool convert -O qcow2 $o $d.raw f.qcow2
			check f.qcow2 $d.raw "$d $bits $how file"
			[ $d = odd ] || disktool cmp f.qcow2 $d.raw || fail "$d $bits $how: our reader"
			# twice the same bytes
			disktool convert -O qcow2 $o $d.raw g.qcow2
			cmp f.qcow2 g.qcow2 || fail "$d $bits $how: not deterministic"
			disktool convert -O qcow2 $o $d.raw - > p.qcow2
			check p.qcow2 $d.raw "$d $bits $how pipe"
			[ $how = plain ] || cmp f.qcow2 p.qcow2 || fail "$d $bits $how: file and pipe differ"
		done
	done
done
[ $n -ge 70 ] || fail "only $n"

# zeros that are data stay unallocated; holes stay holes
rm f.qcow2; disktool convert -O qcow2 zeros.raw f.qcow2
[ "$(stat -c %b f.qcow2)" -le 1200 ] || fail "zeros take room"
[ "$(qemu-img map --output=json f.qcow2 | grep -c '"data": true')" = 0 ] || fail "zeros are allocated"
# a large disk with little in it
truncate -s 12T huge.raw 2>/dev/null && printf x | dd of=huge.raw bs=1 seek=9000000000000 conv=notrunc status=none && {
	disktool convert -O qcow2 huge.raw f.qcow2
	qemu-img check f.qcow2 | grep -q "^No errors" || fail "12 TiB"
	[ "$(stat -c %b f.qcow2)" -le 2000 ] || fail "12 TiB takes $(stat -c %b f.qcow2) blocks"
	disktool map f.qcow2 | grep -q "^9000000000000 4096 data" || fail "12 TiB: $(disktool map f.qcow2)"
}
# qemu makes more of it: an overlay, a write in place
disktool convert -O qcow2 -c mixed.raw f.qcow2
qemu-io -c "write -P 7 1M 1M" f.qcow2 >/dev/null
qemu-img check f.qcow2 | grep -q "^No errors" || fail "after a write"
