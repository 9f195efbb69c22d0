# SPDX-License-Identifier: Apache-2.0
# File systems that are files of another one: a live ISO's squashfs, an ext4 in a squashfs, erofs on a stick. Their
# files can be listed, read and compared with an installed system's, and the disk comes back as it was.
. "$(dirname "$0")/../lib.sh"
need mksquashfs xorriso mkfs.ext4 mkfs.vfat mcopy mkfs.erofs jq
root=$T/root
mkdir -p "$root"/{etc,usr/bin,usr/lib,usr/share/doc,var}
printf 'NAME="Live"\nID=debian\nVERSION_ID=12\n' >"$root/etc/os-release"
echo live >"$root/etc/hostname"
for i in $(seq 200); do seq $i $((i + 300 * (i % 9 + 1))) >"$root/usr/share/doc/f$i"; done
cp -a "$BUILD/strata" "$root/usr/bin/strata"
head -c 3000000 /dev/urandom >"$root/usr/lib/blob"
ln -s ../usr/bin/strata "$root/etc/link"; : >"$root/var/empty"
find "$root" -exec touch -h -d @1700000000 {} +

mkdir -p iso/live iso/boot; echo hello >iso/README
mksquashfs root iso/live/filesystem.squashfs -quiet -no-progress -comp zstd >/dev/null
head -c 100000 /dev/urandom >iso/boot/initrd.img
xorriso -as mkisofs -quiet -R -J -V LIVE -o live.iso iso 2>/dev/null
strata init lib >/dev/null
export STRATA_LIBRARY=$T/lib
strata import live.iso -b live >/dev/null
strata show --json live >show.json
jq -e '[.. | objects | select(.name? == "live/filesystem.squashfs")] | length == 1' show.json >/dev/null ||
	fail "the squashfs is no volume"
[ "$(strata cat live:/etc/hostname)" = live ] || fail "the nested root is not /"
[ "$(strata cat live:disk:/README)" = hello ] || fail "the ISO itself"
strata cat live:live/filesystem.squashfs:/usr/lib/blob | cmp - root/usr/lib/blob
strata cat live:/usr/bin/strata | cmp - root/usr/bin/strata
strata diff ./live.iso live >diff; [ ! -s diff ] || { cat diff; fail "an image file and its import differ"; }
strata ls live:/usr/share/doc >ls; [ "$(wc -l <ls)" = 200 ] || fail "ls"
strata export live -o back.iso >/dev/null; cmp live.iso back.iso

# The same files, installed: nothing differs.
truncate -s 40M ext4.raw; mkfs.ext4 -q -O ^has_journal -E root_owner=0:0 -d root ext4.raw
strata import ext4.raw -b installed >/dev/null
strata diff live:/usr installed:/usr >diff; [ ! -s diff ] || { cat diff; fail "the same files differ"; }
# and the medium of an installed system is known but for its compressed form
strata init lib2 >/dev/null
strata -L lib2 import ext4.raw -b installed >/dev/null; strata -L lib2 import live.iso -b live >/dev/null
strata -L lib2 show --json live | jq -r '.. | objects | select(.name? == "live/filesystem.squashfs") | .tree' >/dev/null
strata -L lib2 cat live:/usr/lib/blob | cmp - root/usr/lib/blob
strata -L lib2 verify --read-data >/dev/null
strata verify --read-data >/dev/null

# How much of the medium's system was known: every byte of its files, and none of it is stored again.
known() { # A B: file bytes of A, and those of them whose content B has
	strata ls -R --json "$1" >a.json; strata ls -R --json "$2" >b.json
	jq -n --slurpfile a a.json --slurpfile b b.json '([$b[0].entries[] | select(.sha256) | {(.sha256): 1}] | add) as $have
		| [$a[0].entries[] | select(.type == "file")] | [(map(.size) | add), (map(select($have[.sha256]) | .size) | add)] | @tsv' -r
}
read -r all same < <(known live:/ installed:/)
[ "$all" -gt 3000000 ] && [ "$same" = "$all" ] || fail "$same of $all bytes are known"
strata init lib4 >/dev/null; strata -L lib4 import ext4.raw -b installed >/dev/null; strata -L lib4 import --json live.iso -b live >import.json
jq -e --argjson size "$(stat -c %s live.iso)" '.new_bytes <= $size and .new_blobs < 100' import.json >/dev/null || fail "nested files are stored again: $(jq -c '[.new_bytes, .new_blobs]' import.json)"

# Fedora's: an ext4 in a squashfs in an ISO; its bytes are nowhere on the disk as such.
mkdir -p sq/LiveOS iso2/LiveOS; cp --sparse=always ext4.raw sq/LiveOS/rootfs.img
mksquashfs sq iso2/LiveOS/squashfs.img -quiet -no-progress -comp xz >/dev/null
xorriso -as mkisofs -quiet -R -V FED -o fed.iso iso2 2>/dev/null
strata import fed.iso -b fed >/dev/null
[ "$(strata cat fed:/etc/hostname)" = live ] || fail "two levels down"
strata diff fed:/ installed:/ >diff; [ ! -s diff ] || { cat diff; fail "the same files differ (two levels down)"; }
strata init lib3 >/dev/null; strata -L lib3 import fed.iso -b fed >/dev/null
strata -L lib3 cat fed:LiveOS/squashfs.img/LiveOS/rootfs.img:/usr/lib/blob | cmp - root/usr/lib/blob
strata -L lib3 export fed -o back.iso >/dev/null; cmp fed.iso back.iso
strata -L lib3 verify --read-data >/dev/null

# A stick: vfat with an erofs, in a partition; an installed system with an image beside keeps its own root.
mkfs.erofs root.erofs root >/dev/null 2>&1
truncate -s 48M part; mkfs.vfat -F 32 part >/dev/null; mmd -i part ::live; mcopy -i part root.erofs ::live/root.erofs
truncate -s 64M stick.raw; echo '2048,98304,c' | sfdisk -q stick.raw
dd if=part of=stick.raw bs=1M seek=1 conv=notrunc,sparse status=none
strata import stick.raw -b stick >/dev/null
strata cat stick:live/root.erofs:/usr/lib/blob | cmp - root/usr/lib/blob
strata export stick -o back.raw >/dev/null; cmp stick.raw back.raw
mkdir root/boot; mksquashfs iso root/boot/rescue.img -quiet -no-progress >/dev/null; cp iso/live/filesystem.squashfs root/boot/other.squashfs
echo installed >root/etc/hostname
truncate -s 60M two.raw; mkfs.ext4 -q -d root two.raw
strata import two.raw -b two >/dev/null
[ "$(strata cat two:/etc/hostname)" = installed ] || fail "a nested root hides the installed one"
[ "$(strata cat two:boot/other.squashfs:/etc/hostname)" = live ] || fail "nested beside an installed system"
strata import --free-space discard two.raw -b thin >/dev/null 2>&1
strata cat thin:/boot/other.squashfs | cmp - root/boot/other.squashfs
strata diff live:/ two:/ >diff; grep -q etc/hostname diff || fail "what differs is not told"

# EROFS in an ext4, with compressions that only its newer tools write.
mkdir -p outer/boot outer/live; head -c 70000 /dev/urandom >outer/boot/noise
mkerofs.py --methods zstd,lzma --blocks 16 --inline --fragments --compact outer/live/root.erofs root
truncate -s 40M outer.raw; mkfs.ext4 -q -d outer outer.raw
strata import outer.raw -b outer >/dev/null
strata cat outer:live/root.erofs:/usr/bin/strata | cmp - root/usr/bin/strata
read -r all same < <(known outer:live/root.erofs:/usr two:/usr)
[ "$all" -gt 3000000 ] && [ "$same" = "$all" ] || fail "EROFS in ext4: $same of $all bytes are known"
strata export outer -o back.raw >/dev/null; cmp outer.raw back.raw

# Damaged in the middle: findings, and the same bytes.
python3 - live.iso <<'P'
import sys
d = bytearray(open(sys.argv[1], "rb").read())
o = d.find(b"hsqs")
for k in (o + 40, o + 64, o + 4096, len(d) - 700000):
    x = bytearray(d)
    x[k:k + 64] = bytes((b ^ 0xa5) for b in x[k:k + 64])
    open("bad%d.iso" % k, "wb").write(x)
P
for f in bad*.iso; do
	strata import "$f" -b bad >/dev/null 2>&1 || fail "import of $f"
	strata export bad -o back.iso >/dev/null; cmp "$f" back.iso
	rm back.iso
done
