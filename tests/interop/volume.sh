#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# LVM2 groups as lvm makes them: linear, in pieces, striped, on several members;
# the oracle is lvs and the pieces that it lists, read here one by one.
. "$(dirname "$0")/../lib.sh"
need pvcreate vgcreate lvcreate losetup python3
need_root
export LVM_SUPPRESS_FD_WARNINGS=1
loops=()
drop_loops() { local l; for l in "${loops[@]:-}"; do [ -z "$l" ] || losetup -d "$l" 2>/dev/null || true; done; loops=(); }
trap 'drop_loops; cleanup' EXIT
attach() { # attach FILE...: loop devices that lvm may see, and no others
	local f l
	for f; do l=$(losetup -f --show "$f" 2>/dev/null) || skip "no loop device"; loops+=("$l"); done
	filter=$(printf '"a|^%s$|",' "${loops[@]}")
	config="devices { filter=[$filter\"r|.*|\"] use_devicesfile=0 scan_lvs=0 } backup { backup=0 archive=0 } activation { udev_sync=0 udev_rules=0 monitoring=0 }"
}
lvm() { local c=$1; shift; command "$c" --config "$config" --driverloaded n "$@" 2>lvm.err >lvm.out || { cat lvm.err; fail "$c $*"; }; }
lv() { lvm lvcreate -qq -y -an -Zn -Wn "$@"; }

for i in 1 2 3 4; do truncate -s $((40 + 8 * i))M pv$i; done
attach pv1 pv2 pv3 pv4
declare -A file
for i in 1 2 3 4; do file[${loops[i - 1]}]=pv$i; done
lvm pvcreate -qq "${loops[@]}"
lvm vgcreate -qq -s 1M vg1 "${loops[0]}" "${loops[1]}" "${loops[2]}"
lvm vgcreate -qq -s 4M other "${loops[3]}"
lv -L 10M -n first vg1
lv -L 20M -n second vg1
lv -L 5M -n "with-dash_and.dots" vg1
lvm lvremove -qq -y vg1/first
lv -L 24M -i 3 -I 64k -n striped vg1
lv -L 80M -n over vg1 # in several pieces
lv -L 8M -n x other
lvm lvextend -qq vg1/with-dash_and.dots -L 9M
# fill the members so that every KiB says where it is
for p in pv1 pv2 pv3 pv4; do
	python3 - $p <<-'E'
		import sys
		name = sys.argv[1]
		with open(name, "r+b") as f:
		    f.seek(0, 2); size = f.tell()
		    f.seek(1 << 20)
		    for at in range(1 << 20, size, 1024):
		        f.write(b"%s %012d\n" % (name.encode(), at) * 60)
		        f.seek(at + 1024)
	E
done
volumedump pv1 pv2 pv3 pv4 > got 2> findings || { cat findings; fail "volumedump"; }
[ ! -s findings ] || { cat findings; fail "findings on sound groups"; }
lvm lvs --noheadings --units b --nosuffix --separator ' ' -o vg_name,lv_name,segtype,lv_size,lv_uuid
sed 's/^ *//' lvm.out | awk '{ print $1 "/" $2, $3, $4, "readable", $5 }' | sort -u > want
grep -v '^#' got | sort | diff want - || fail "volumes"
lvm pvs --noheadings -o pv_name,pv_uuid
while read -r dev uuid; do grep -q "^# ${file[$dev]} LVM2_member $uuid$" got || fail "member $dev"; done < lvm.out
check_bytes() { # every volume, against the pieces that lvs lists
	local v
	for v in vg1/second vg1/with-dash_and.dots vg1/over vg1/striped other/x; do
		lvm lvs --noheadings --units b --nosuffix --separator ';' -o seg_start,seg_size,stripe_size,seg_pe_ranges,vg_extent_size "$v"
		for d in "${!file[@]}"; do sed -i "s|$d:|${file[$d]}:|g" lvm.out; done
		python3 - <<-'E' > plain
			import sys
			out = sys.stdout.buffer
			rows = sorted((l.strip().split(";") for l in open("lvm.out") if l.strip()), key=lambda r: int(r[0]))
			for start, size, stripe, ranges, extent in rows:
			    parts = [(r.split(":")[0], int(r.split(":")[1].split("-")[0])) for r in ranges.split()]
			    n, size, extent = len(parts), int(size), int(extent)
			    fs = [open(p, "rb") for p, _ in parts]
			    base = [(1 << 20) + first * extent for _, first in parts]
			    step = int(stripe) if n > 1 else size
			    for at in range(0, size, step * n):
			        for k in range(n):
			            fs[k].seek(base[k] + at // n)
			            out.write(fs[k].read(step))
		E
		volumedump pv1 pv2 pv3 pv4 --copy "$v" 2>/dev/null | cmp - plain || fail "bytes of $v"
		[ -s plain ] || fail "nothing to compare"
	done
}
check_bytes
[ "$(grep -c over got)" = 1 ] && lvm lvs --noheadings -o seg_count vg1/over && [ "$(tr -d ' ' < lvm.out | head -1)" -gt 1 ] || fail "one piece only"

# the ring of metadata goes round: large tags, many versions
truncate -s 20M small; attach small
lvm pvcreate -qq "${loops[4]}"
lvm vgcreate -qq -s 64k ring "${loops[4]}"
lv -l 1 -n one ring
tags=(); for i in $(seq 80); do tags+=(--addtag "t${i}_$(printf 'x%.0s' $(seq 900))"); done
lvm vgchange -qq "${tags[@]}" ring
wrapped=
for i in $(seq 20); do
	lvm vgchange -qq --addtag "v$i" ring
	wrapped=$wrapped$(python3 -c '
import struct
d = open("small", "rb").read(1 << 20)
m = d.index(b" LVM2 x[5A%r0N*>") - 4
start, size, off, n = struct.unpack_from("<QQQQ", d, m + 24)
print("w" if off + n > size else "", end="")')
	volumedump small > got 2> findings
	grep -q "^ring/one linear 65536 readable" got && [ ! -s findings ] || fail "ring: version $i: $(cat got findings)"
done
[ -n "$wrapped" ] || fail "the ring never went round"

# what lvm makes without the kernel of snapshots and RAID is named, not read
# (tests/unit/test_volume.c has the others)
lv -L 1M -n plain ring
command lvcreate --config "$config" --driverloaded n -qq -y -an -Zn -Wn -s -L 1M -n snap ring/plain >/dev/null 2>lvm.err &&
	{ volumedump small 2>/dev/null | grep -q "^ring/snap snapshot .* kept" || fail "snapshot"; }
volumedump small 2>/dev/null | grep -q "^ring/plain linear 1048576 readable" || fail "origin"
truncate -s 20M r1 r2 r3 r4; drop_loops; attach r1 r2 r3 r4
lvm pvcreate -qq "${loops[@]}"; lvm vgcreate -qq -s 64k raid "${loops[@]}"
made=0
for k in "raid1 -m1" "raid5 -i2" "raid10 -m1 -i2" "mirror -m1 --mirrorlog core" "raid0 -i2"; do
	set -- $k
	command lvcreate --config "$config" --driverloaded n -qq -y -an -Zn -Wn -L 1M --type "$@" -n "v_$1" raid >/dev/null 2>lvm.err || continue
	made=$((made + 1))
	volumedump r1 r2 r3 r4 2>findings | grep -q "^raid/v_$1 $1 .* kept " || fail "$1: $(volumedump r1 r2 r3 r4)"
	grep -q "volume-kept: raid/v_$1" findings || fail "no finding for $1"
done
echo "$made kinds of RAID made by lvm"

# --- damage: a member that is not there, one twice, a bad label, bad metadata
volumedump pv1 pv3 > got 2> findings
grep -q '^FINDING: volume-incomplete' findings || fail "missing member"
grep -q '^vg1/striped striped .* kept ' got || fail "striped without a member"
cp pv2 twin
volumedump pv1 pv2 pv3 pv4 twin > got 2> findings
grep -q 'volume-damaged: twin: the same physical volume' findings || fail "twin"
grep -v '^#' got | sort | diff want - || fail "with a twin"
cp pv1 bad1; printf x | dd of=bad1 bs=1 seek=$((512 + 40)) conv=notrunc status=none
volumedump bad1 pv2 pv3 pv4 > got 2> findings
grep -q 'volume-damaged: bad1: the label' findings || fail "label"
# metadata of one member damaged: the others have it
cp pv1 bad1; python3 - <<'E'
d = bytearray(open("bad1", "rb").read(1 << 20))
i = d.index(b"vg1 {"); 
while i >= 0: d[i] ^= 1; i = d.find(b"vg1 {", i)
open("bad1", "r+b").write(d)
E
volumedump bad1 pv2 pv3 pv4 > got 2> findings
grep -q 'volume-damaged: bad1: the checksum of the metadata' findings || fail "metadata"
grep -v '^#' got | sort | diff want - || fail "metadata of another member"
echo "volumes as lvm lists them"
