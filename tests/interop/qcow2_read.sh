#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The qcow2 reader against qemu-img: every kind of image that qemu makes gives
# the same bytes and the same map.
. "$(dirname "$0")/../lib.sh"
need qemu-img qemu-io python3
python3 - <<'P'
import random
r = random.Random(7)
with open("disk.raw", "wb") as f:
    f.truncate(24 << 20)
    for i in range(60):
        off = r.randrange(0, (24 << 20) - 300000, 512)
        f.seek(off)
        kind = r.randrange(3)
        n = r.randrange(1, 200000)
        f.write(r.randbytes(n) if kind == 0 else bytes([i + 1]) * n if kind == 1 else bytes(n))
P
# same IMAGE [disktool options]: bytes and map as qemu sees them
same() {
	local img=$1; shift
	qemu-img convert -O raw "$img" want.raw
	disktool cmp "$@" "$img" want.raw || fail "$img: bytes differ"
	disktool map "$@" "$img" > ours.map
	qemu-img map --output=json "$img" > theirs.map
	qcow2map.py ours.map theirs.map want.raw || fail "$img: maps differ"
}
n=0
for opts in compat=0.10 compat=1.1 cluster_size=512 cluster_size=4k cluster_size=2M \
	extended_l2=on,cluster_size=16k extended_l2=on compression_type=zstd \
	preallocation=metadata refcount_bits=1 lazy_refcounts=on; do
	for c in "" -c; do
		case "$c$opts" in -cpreallocation*) continue ;; esac
		qemu-img convert $c -f raw -O qcow2 -o "$opts" disk.raw i.qcow2
		same i.qcow2
		n=$((n + 1))
		# and once changed in place: zeroed, discarded, written in part
		case $opts in compat=0.10) z="write 700k 1M" ;; *) z="write -z 700k 1M" ;; esac
		qemu-io -c "$z" -c "write -P 9 5M 3k" -c "discard 9M 2M" -c "write -P 3 0 512" i.qcow2 >/dev/null
		same i.qcow2
	done
done
[ $n -ge 20 ] || fail "only $n images"

# a chain of three, the middle one smaller than the top, a raw bottom
qemu-img create -q -f qcow2 -b disk.raw -F raw mid.qcow2 16M
qemu-io -c "write -P 5 1M 2M" -c "write -z 4M 1M" -c "write -P 6 16380k 4k" mid.qcow2 >/dev/null
qemu-img create -q -f qcow2 -o extended_l2=on -b mid.qcow2 -F qcow2 top.qcow2 32M
qemu-io -c "write -P 8 1500k 6k" -c "write -P 8 20M 100k" -c "discard 2M 256k" top.qcow2 >/dev/null
same top.qcow2 --allow-backing .
# without a recorded format, and by absolute name
qemu-img rebase -u -b "$T/mid.qcow2" -F qcow2 top.qcow2
same top.qcow2 --allow-backing mid.qcow2 --allow-backing disk.raw
# not allowed: refused, with the file and the option named
expect_rc 4 disktool info top.qcow2 2>err
grep -q "mid.qcow2.*--allow-backing" err || fail "message: $(cat err)"
expect_rc 4 disktool info top.qcow2 --allow-backing mid.qcow2 2>err
grep -q "disk.raw.*--allow-backing" err || fail "message: $(cat err)"
# a link in an allowed folder leads nowhere
mkdir d; ln -s ../disk.raw d/disk.raw; cp mid.qcow2 d/mid.qcow2
qemu-img create -q -f qcow2 -u -b d/mid.qcow2 -F qcow2 link.qcow2 16M
expect_rc 7 disktool info link.qcow2 --allow-backing d 2>err
# a chain that bites its tail ends
cp mid.qcow2 loop.qcow2; qemu-img rebase -u -b loop.qcow2 -F qcow2 loop.qcow2
expect_rc 4 disktool info loop.qcow2 --allow-backing . 2>err
grep -q "limit" err || fail "loop: $(cat err)"

# what an overlay itself holds, without its backing file there
qemu-img create -q -f qcow2 -b disk.raw -F raw o.qcow2
qemu-io -c "write -P 1 64k 64k" -c "write -P 1 1M 192k" -c "write -z 3M 128k" -c "discard 5M 1M" o.qcow2 >/dev/null
mv disk.raw away.raw
disktool ranges o.qcow2 > ours.map
printf '%s\n' "65536 65536 data" "1048576 196608 data" "3145728 131072 zero" "5242880 1048576 zero" > want.map
cmp want.map ours.map || fail "ranges: $(cat ours.map)"
mv away.raw disk.raw

# internal snapshots, one of another size, by name and by id
qemu-img convert -f raw -O qcow2 disk.raw s.qcow2
qemu-img snapshot -c first s.qcow2
qemu-io -c "write -P 77 0 8M" s.qcow2 >/dev/null
qemu-img snapshot -c second s.qcow2
qemu-img resize -q s.qcow2 40M
qemu-io -c "write -P 78 2M 8M" s.qcow2 >/dev/null
same s.qcow2
qemu-img convert -l snapshot.name=first -O raw s.qcow2 first.raw
qemu-img convert -l snapshot.id=2 -O raw s.qcow2 second.raw
disktool cmp --snapshot first s.qcow2 disk.raw || fail "snapshot first"
disktool cmp --snapshot 1 s.qcow2 disk.raw || fail "snapshot 1"
truncate -s 24M second.raw
disktool cmp --snapshot second s.qcow2 second.raw || fail "snapshot second"
expect_rc 7 disktool info --snapshot third s.qcow2 2>err
grep -q "third" err || fail "message"
[ "$(disktool snapshots s.qcow2 | cut -d' ' -f1-2 | tr '\n' ,)" = "1 first,2 second," ] || fail "list of snapshots"

# external data files
for raw in off on; do
	rm -f data.bin; qemu-img create -q -f qcow2 -o data_file=data.bin,data_file_raw=$raw e.qcow2 24M
	qemu-io -c "write -P 5 0 1M" -c "write -P 6 7M 1M" -c "write -z 512k 64k" e.qcow2 >/dev/null
	expect_rc 4 disktool info e.qcow2 2>err
	grep -q "data file 'data.bin'.*--allow-backing" err || fail "message: $(cat err)"
	[ $raw = on ] || same e.qcow2 --allow-backing data.bin
	# (a raw data file is all data to qemu; we tell its holes)
	qemu-img convert -O raw e.qcow2 want.raw
	disktool cmp --allow-backing . e.qcow2 want.raw || fail "data file, raw $raw"
done

# dirty and corrupt images are read, and it is told
qemu-img create -q -f qcow2 -o lazy_refcounts=on dirty.qcow2 4M
qemu-io -c "write -P 5 0 1M" -c "abort" dirty.qcow2 >/dev/null 2>&1 || true
disktool info dirty.qcow2 2>err >/dev/null; grep -q disk-dirty err || fail "dirty"
printf '\002' | dd of=dirty.qcow2 bs=1 seek=79 conv=notrunc status=none
disktool info dirty.qcow2 2>err >/dev/null; grep -q disk-damaged err || fail "corrupt bit"

# encrypted: refused clearly
# (crypt_method set by hand: making a real key slot measures the processor)
qemu-img create -q -f qcow2 luks.qcow2 4M; printf '\002' | dd of=luks.qcow2 bs=1 seek=35 conv=notrunc status=none
expect_rc 4 disktool info luks.qcow2 2>err
grep -q "unsupported.*encrypted (LUKS)" err || fail "message: $(cat err)"

# bitmaps are ignored
qemu-img convert -f raw -O qcow2 disk.raw b.qcow2
qemu-img bitmap --add b.qcow2 b0
same b.qcow2

# 10 TiB, data at both ends: bounded memory
qemu-img create -q -f qcow2 big.qcow2 10T
qemu-io -c "write -P 1 0 64k" -c "write -P 2 5T 64k" -c "write -P 3 10995116212224 64k" big.qcow2 >/dev/null
disktool map big.qcow2 > ours.map
[ "$(grep -c data ours.map)" = 3 ] || fail "10 TiB: $(cat ours.map)"
