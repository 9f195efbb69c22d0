# SPDX-License-Identifier: Apache-2.0
# XFS with each combination of features that mkfs.xfs can make and the kernel mounts: every entry, its metadata,
# content and attributes as the kernel shows them; free space as xfs_db counts it.
. "$(dirname "$0")/../lib.sh"
need mkfs.xfs xfs_db xfs_io python3; need_root
cleanup_mounts+=("$T/rw")

# compare IMAGE: the reader against the read-only mount
compare() {
	loop_mount "$1" "$T/m" xfs norecovery
	# the kernel shows a list twice: system.posix_acl_* and how XFS keeps it
	treedump.py "$T/m" --xattrs | grep -v ' trusted\.SGI_ACL_' >want
	umount "$T/m"
	fsdump "$1" --xattrs --free >got 2>err || { cat err; fail "fsdump $1"; }
	[ ! -s err ] || { head -5 err; fail "something to say of a sound file system"; }
	same_tree got want
	[ "$(wc -l <want)" -gt "$2" ] || fail "only $(wc -l <want) lines"
	grep -q "uuid $(blkid -p -o value -s UUID "$1") label $(blkid -p -o value -s LABEL "$1") " got || fail "uuid, label"
	# blocks of the tree and of the free lists
	xfs_db -r -c 'freesp -s' "$1" >freesp
	want=$(awk '/total free blocks/ {print $4}' freesp); bs=$(xfs_db -r -c 'sb 0' -c 'p blocksize' "$1" | awk '{print $3}')
	[ "$(awk '/^# free/ {print $3}' got)" = $((want * bs)) ] || fail "free space: $(grep '^# free' got), not $((want * bs))"
}

n=0
while read -r files options; do
	n=$((n + 1))
	rm -f img; truncate -s 600M img
	mkfs.xfs -q -L "label $n" $options img 2>mkfs.err || { cat mkfs.err; skip "mkfs.xfs refuses $options"; }
	mkdir -p rw; mount -o loop img rw 2>mount.err || { echo "not mounted: $options: $(cat mount.err)"; continue; }
	xfs_tree.py rw "$files" 2>refused || { cat refused; umount rw; fail "xfs_tree.py $options"; }
	umount rw
	echo "options: $options"
	compare img $((files + 11000))
	done=$((${done:-0} + 1))
done <<'LIST'
10000 -m rmapbt=1,reflink=1,bigtime=1,inobtcount=1 -i nrext64=1
500 -m rmapbt=0,reflink=0,bigtime=0,inobtcount=0,finobt=0 -i sparse=0
500 -b size=1024 -i size=512 -m rmapbt=1
500 -b size=2048 -n size=8192 -i size=1024
500 -n size=65536 -i size=2048,nrext64=1 -s size=4096
500 -d agcount=7,su=64k,sw=2 -m reflink=0 -l su=64k
LIST
# sizes that nobody hashes: to the last byte that a file can have
rm -f img; truncate -s 400M img; mkfs.xfs -q img; mount -o loop img rw
xfs_io -f -c 'pwrite -q 0 5000' -c 'truncate 9223372036854775807' rw/huge
xfs_io -f -c 'pwrite -q 9223372036854767616 4096' rw/far; xfs_io -f -c 'truncate 1' rw/one
umount rw; loop_mount img m xfs norecovery; treedump.py m --no-content >want; umount m
fsdump img --no-content >got; same_tree got want; grep -q 9223372036854775807 got || fail "no huge file"

# inode numbers of more than 32 bits, in short directories too
rm -f img; truncate -s 7T img 2>/dev/null || { echo "no 7 TiB file here"; truncate -s 1T img; }
mkfs.xfs -q -l size=64m img; mount -o loop img rw
for i in $(seq 40); do mkdir "rw/d$i" "rw/d$i/s"; echo "$i" >"rw/d$i/f"; ln -s f "rw/d$i/l"; done
umount rw; loop_mount img m xfs norecovery; treedump.py m >want; umount m; fsdump img >got; same_tree got want

[ "${done:-0}" -ge 4 ] || fail "only ${done:-0} combinations could be mounted"
