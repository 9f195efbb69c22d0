# SPDX-License-Identifier: Apache-2.0
# Damaged disks: cut short, with partitions outside of the disk or in a loop, with superblocks and directories that
# make no sense. Each is imported with findings and comes back bit for bit, in bounded time and memory.
. "$(dirname "$0")/../lib.sh"
need sfdisk mkfs.ext4 mkfs.vfat mkfs.xfs mkfs.btrfs mkntfs mkfs.exfat mksquashfs mkfs.erofs xorriso mcopy debugfs python3
export STRATA_LIBRARY=$T/lib
strata init lib >/dev/null
n=0 worst=0
# whole IMAGE NAME [FINDING]: imports within bounds; exits 0 and gives the same bytes back
whole() {
	local rc=0 mib
	n=$((n + 1))
	/usr/bin/time -o time -f '%M %e' timeout ${bound:-60} strata import "$1" -b "t$n" --json >out.json 2>err || rc=$?
	[ $rc = 0 ] || { cat err; fail "$2: exit $rc"; }
	mib=$(tail -1 time | awk '{print int($1 / 1024)}')
	[ "$mib" -le $worst ] || worst=$mib
	case $BUILD in *asan*) ;; *) [ "$mib" -le 200 ] || fail "$2: $mib MiB" ;; esac
	[ -z "${3:-}" ] || grep -q "\"$3\"" out.json || { cat out.json; fail "$2: no finding $3"; }
	timeout 60 strata export "t$n" -o back.raw >/dev/null || fail "$2: export"
	cmp "$1" back.raw || fail "$2: another disk came back"
	rm -f back.raw
}

# --- a GPT disk with an ESP and an ext4, cut short at many points ---
mkdir -p root/d/e; for i in 1 2 3 4 5 6 7 8; do seq $((i * 3000)) >root/d/e/f$i; done
truncate -s 40M gpt.raw
sfdisk -q gpt.raw <<'L'
label: gpt
start=2048, size=8192, type=U
start=10240, size=69000, type=L
L
truncate -s 4M esp; mkfs.vfat esp >/dev/null; mcopy -s -i esp root/d ::
truncate -s $((69000 * 512)) ext4; mkfs.ext4 -q -d root ext4
dd if=esp of=gpt.raw bs=512 seek=2048 conv=notrunc status=none
dd if=ext4 of=gpt.raw bs=512 seek=10240 conv=notrunc,sparse status=none
whole gpt.raw "the whole one"
for at in 0 1 511 512 513 1024 1536 16896 17408 1048575 1048576 1048577 1050000 1060000 5242879 5242880 5243904 5244000 \
	5246976 5251072 5300000 6000000 9000000 13000000 20000000 30000000 40570000 41943039; do
	head -c $at gpt.raw >cut.raw
	whole cut.raw "cut at $at"
done

# --- partition tables ---
cat >tables.py <<'P'
import struct, sys, zlib
d0 = bytearray(open("gpt.raw", "rb").read())
def gpt(name, edit):
    """Both headers with right sums around the changed entries."""
    d = bytearray(d0)
    e = bytearray(d[1024:1024 + 128 * 128])
    h = bytearray(d[512:604])
    edit(e, h)
    struct.pack_into("<I", h, 88, zlib.crc32(bytes(e)))
    struct.pack_into("<I", h, 16, 0)
    struct.pack_into("<I", h, 16, zlib.crc32(bytes(h)))
    d[512:604] = h
    d[1024:1024 + len(e)] = e
    d[-512:-420] = bytes(92)
    open("gpt-%s.raw" % name, "wb").write(d)
def lba(i, first, last):
    def f(e, h): struct.pack_into("<QQ", e, 128 * i + 32, first, last)
    return f
gpt("overflow", lba(1, 1 << 53, (1 << 54) - 1))
gpt("backwards", lba(1, 20000, 10240))
gpt("huge", lba(1, 10240, (1 << 64) - 1))
gpt("zero", lba(1, 0, 0))
gpt("overlap", lba(1, 2048, 40000))
def head(off, fmt, v):
    def f(e, h): struct.pack_into(fmt, h, off, v)
    return f
gpt("entries", head(80, "<I", 0xffffffff))
gpt("size0", head(84, "<I", 0))
gpt("size1", head(84, "<I", 0xffffff80))
gpt("where", head(72, "<Q", (1 << 64) - 1))
gpt("first", head(40, "<QQ"[0:2], (1 << 63)))
# MBR: an extended partition whose chain leads back, one that leads outside, one of thousands of links
def mbr(name, links, types=0x05):
    d = bytearray(20 << 20)
    def entry(at, k, t, start, n):
        struct.pack_into("<BBBBBBBBII", d, at + 446 + 16 * k, 0, 0, 0, 0, t, 0, 0, 0, start, n)
        d[at + 510:at + 512] = b"\x55\xaa"
    entry(0, 0, types, 2048, 30000)
    for at, first, nxt in links:
        entry(2048 * 512 + at * 512, 0, 0x83, first, 8)
        if nxt is not None:
            entry(2048 * 512 + at * 512, 1, 0x05, nxt, 100)
    open("mbr-%s.raw" % name, "wb").write(d)
mbr("self", [(0, 1, 0)])
mbr("loop", [(0, 1, 100), (100, 1, 200), (200, 1, 100)])
mbr("outside", [(0, 1, 0xfffffff0)])
mbr("long", [(i * 2, 1, i * 2 + 2) for i in range(14000)], 0x0f)
mbr("big", [(0, 0xffffffff, None)])
P
python3 tables.py
for f in gpt-*.raw mbr-*.raw; do whole "$f" "$f"; done
whole gpt-overflow.raw "an entry from 2^53" part-entry-bad
whole gpt-backwards.raw "an entry that ends before it starts" part-entry-bad
whole mbr-self.raw "a chain of one link" part-loop
whole mbr-loop.raw "a chain of three links" part-loop

# --- each file system with superblock fields that make no sense ---
truncate -s 16M fs-ext4 fs-vfat fs-exfat fs-ntfs; truncate -s 320M fs-xfs; truncate -s 128M fs-btrfs
mkfs.ext4 -q -O ^metadata_csum -d root fs-ext4; mkfs.vfat fs-vfat >/dev/null; mcopy -s -i fs-vfat root/d ::
mkfs.exfat fs-exfat >/dev/null 2>&1; mkntfs -qfF fs-ntfs >/dev/null 2>&1; mkfs.xfs -q fs-xfs; mkfs.btrfs -q -r root fs-btrfs >/dev/null
mksquashfs root fs-squashfs -quiet -no-progress >/dev/null; mkfs.erofs fs-erofs root >/dev/null 2>&1
xorriso -as mkisofs -quiet -R -o fs-iso9660 root 2>/dev/null
cat >super.py <<'P'
# FS OFFSET LENGTH: 8 bytes of ff, 0, 7f.. over every 8 bytes of the superblock; sums are not mended
import sys
name, off, n, step = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
k = 0
f = open(name, "r+b")
for at in range(off, off + n, step):
    pat = (b"\xff" * step, b"\0" * step, b"\xff" * (step - 1) + b"\x7f", b"\0" * (step - 1) + b"\x40")[k % 4]
    f.seek(at); old = f.read(step)
    f.seek(at); f.write(pat); f.flush()
    print(at, flush=True)
    if not sys.stdin.readline(): break
    f.seek(at); f.write(old); f.flush()
    k += 1
P
absurd() { # FS OFFSET LENGTH STEP
	local at in out
	coproc PY { python3 super.py "$@"; }
	exec {in}<&"${PY[0]}" {out}>&"${PY[1]}"
	while read -r at <&$in; do whole "$1" "$1 with bytes $at.. changed"; echo >&$out; done
	exec {in}<&- {out}>&-
	wait
}
step=${STRATA_TEST_FULL:+4}
absurd fs-ext4 1024 256 ${step:-32}; absurd fs-vfat 3 60 ${step:-12}; absurd fs-exfat 64 64 ${step:-16}
absurd fs-ntfs 3 80 ${step:-16}; absurd fs-squashfs 4 92 ${step:-16}; absurd fs-erofs 1032 100 ${step:-20}
absurd fs-iso9660 $((16 * 2048 + 8)) 200 ${step:-40}; absurd fs-xfs 4 200 ${step:-50}; absurd fs-btrfs 65600 180 ${step:-60}

# --- directories that contain themselves, files of sizes that cannot be ---
cp fs-ext4 loop.ext4
debugfs -w -R "link d d/e/up" loop.ext4 2>/dev/null; debugfs -w -R "link d/e d/e/self" loop.ext4 2>/dev/null
whole loop.ext4 "folders in a loop" dir-loop
cp fs-ext4 size.ext4
debugfs -w -R "sif d/e/f1 size 0xfffffffffff" size.ext4 2>/dev/null; debugfs -w -R "sif d/e/f2 size 0x7fffffffffffffff" size.ext4 2>/dev/null
whole size.ext4 "files of 16 TiB and 8 EiB"
cp fs-ext4 holes.ext4 # each alone would be hashed for a minute: a budget for all of them
big=0xe00000000; [ -n "${STRATA_TEST_FULL:-}" ] || big=0x10000000000
for i in 1 2 3 4 5 6 7 8; do debugfs -w -R "sif d/e/f$i size $big" holes.ext4 2>/dev/null; done
bound=300 whole holes.ext4 "files of many GiB of zeros" file-limit
truncate -s 1T huge.raw; /usr/bin/time -o time -f '%M %e' strata import huge.raw -b huge >/dev/null
echo "$n disks, at most $worst MiB"
