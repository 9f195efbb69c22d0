#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ISO 9660: images by xorriso and genisoimage, compared with what they were made
# from, and with blkid.
# many small files: in memory, where it can be
[ ! -w /dev/shm ] || export TMPDIR=${TMPDIR:-/dev/shm}
. "$(dirname "$0")/../lib.sh"
need xorriso genisoimage blkid python3 jq mkfs.vfat mcopy
need_root

mkdir src
python3 - <<'END'
import os, random
r = random.Random(4)
os.chdir("src")
for d in range(40):
    p = "dir%02d" % d
    os.mkdir(p)
    for f in range(500):
        with open(p + "/file with spaces %d.%s" % (f, "txt" if f % 3 else "c"), "wb") as o:
            o.write(r.randbytes(r.choice([0, 1, 13, 100, 2047, 2048, 2049])))
deep = "."
for i in range(14):
    deep += "/level%d" % i
    os.mkdir(deep)
open(deep + "/bottom", "w").write("deep\n")
os.mkdir("empty")
os.mkdir("names")
for n in [b"UPPER", b"lower", b"\xc3\xbcml\xc3\xa4ut", b"a;1", b"semi;colon", b"new\nline", b"back\\slash", b".hidden", b"trailing.", b"x" * 240, b"bad\xff\xfeutf", b"-dash", b"a" * 30 + b".b"]:
    open(b"names/" + n, "wb").write(n)
os.symlink("target", "names/sl")
os.symlink("/abs/../path/./to", "names/sl-abs")
os.symlink("../../up", "names/sl-up")
os.symlink("/", "names/sl-root")
os.symlink("c/" * 200 + "x" * 200 + "/" + "y" * 255 + "/end", "names/sl-long")
os.mkfifo("names/fifo")
os.mknod("names/char", 0o20640, os.makedev(4, 65))
os.mknod("names/block", 0o60600, os.makedev(253, 17))
os.mknod("names/minor", 0o60600, os.makedev(8, 65535))
open("names/mode", "w").write("m")
os.chmod("names/mode", 0o6751)
os.chown("names/mode", 1234, 567890)
os.mkdir("names/sticky")
os.chmod("names/sticky", 0o1777)
open("big", "wb").write(r.randbytes(3000000))
for i, t in enumerate([0, 1, 86400 * 365 * 20, 1000000000, 1700000000, 1 << 31]):
    p = "names/time%d" % i
    open(p, "w").close()
    os.utime(p, (t, t))
END
# what the image cannot have: times below a second, nlink (the files here have one name)
treedump.py src | sed -E 's/^(. [0-9]+ [0-9]+ [0-9]+ [0-9]+ -?[0-9]+)\.[0-9]+/\1.000000000/' > src.dump
dump() { fsdump --free "$1" >"$2" 2>"$2.err" || fail "fsdump $1: $(grep -v FINDING "$2.err" | head)"; ! grep -qvE '^FINDING: boot-entry' "$2.err" || fail "$1: $(head "$2.err")"; }
info() { # IMAGE DUMP
	local want got
	want="# $(blkid -p -s TYPE -o value "$1") uuid $(blkid -p -s UUID -o value "$1") label $(blkid -p -s LABEL -o value "$1")"
	got=$(sed -n '1s/ size [0-9]*$//p' "$2")
	[ "$want" = "$got" ] || fail "$1: blkid '$want', strata '$got'"
}

# --- Rock Ridge: xorriso (deep folders as they are) and genisoimage (relocated) ---
xorriso -outdev rr.iso -volid 'XORRISO TEST' -map src / -commit >xorriso.log 2>&1 || fail "$(tail xorriso.log)"
dump rr.iso rr.dump
info rr.iso rr.dump
same_tree src.dump rr.dump
[ "$(wc -l < rr.dump)" -ge 20000 ] || fail "too few files"

# a label that is cut at 16 characters in Joliet, and in capitals with '_' beside it
mkdir lab; echo x > lab/x; genisoimage -quiet -J -V "Naive and very long_label" -o lab.iso lab 2>/dev/null
python3 - lab.iso <<'END'
import sys
d = bytearray(open(sys.argv[1], "rb").read())
d[16 * 2048 + 40:16 * 2048 + 72] = b"NA_VE_AND_VERY_LOOOOOOOONG_LABEL"
svd = next(s for s in range(17, 20) if d[s * 2048] == 2)
d[svd * 2048 + 40:svd * 2048 + 72] = "Na\u00efve and very l".encode("utf-16-be")
open(sys.argv[1], "wb").write(d)
END
fsdump lab.iso > lab.dump; grep -q 'label Naïve and very lOOOOOOOONG_LABEL size' lab.dump || fail "long label: $(head -1 lab.dump)"

# (genisoimage hangs over many names that are one in 8.3: others for it)
mkdir gen
python3 - <<'END'
import os
os.chdir("gen")
for i in range(300):
    open("f%03d.dat" % i, "w").write("content %d" % i)
deep = "."
for i in range(14):
    deep += "/level%d" % i
    os.mkdir(deep)
    open(deep + "/in%d" % i, "w").write("at %d" % i)
os.mkdir("level0/level1/level2/level3/level4/level5/level6/other")
open("a name that is long and has spaces.text", "w").write("n")
os.symlink("f000.dat", "link")
os.symlink("/x/../y/" + "/".join("z" * 8 for _ in range(9)), "longlink")
os.mkfifo("fifo")
os.mknod("tty", 0o20666, os.makedev(5, 0))
os.chmod("f001.dat", 0o4751)
os.chown("f001.dat", 77, 70000)
END
treedump.py gen | sed -E 's/^(. [0-9]+ [0-9]+ [0-9]+ [0-9]+ -?[0-9]+)\.[0-9]+/\1.000000000/' > gen.src
genisoimage -quiet -R -D -V GENISO -o deep.iso gen 2>/dev/null
dump deep.iso deep.dump; info deep.iso deep.dump
same_tree gen.src deep.dump
genisoimage -quiet -R -J -joliet-long -V 'Both_Kinds' -o both.iso gen 2>/dev/null
dump both.iso both.dump; info both.iso both.dump
# CL, PL, RE: the tree is whole again, beside the (then empty) rr_moved
grep -q ' /rr_moved$' both.dump || fail "nothing was relocated"
grep -v ' /rr_moved$' both.dump > both.main; same_tree gen.src both.main

# --- Joliet alone ---
mkdir jol; cp -a src/dir00 src/empty jol/; printf x > 'jol/Größe und so – 日本'; printf y > jol/a.b.c
for n in two..dots ..lead 'sp  ace .txt' '#hash' per%cent "quote'" ä.ö UPPER.TXT "$(printf 'ж%.0s' {1..64})" "$(printf 'x%.0s' {1..100})"; do printf %s "$n" >"jol/$n"; done
genisoimage -quiet -input-charset utf-8 -J -joliet-long -V 'Joliet Label 12' -o jol.iso jol 2>/dev/null
dump jol.iso jol.dump; info jol.iso jol.dump
flat() { grep -v '^#' "$1" | awk '{ print $1, $5, $9, $10 }' | sort; }
treedump.py jol > jol.src
flat jol.src | sed 's/ \\x2f$//' > a; flat jol.dump > b; cmp a b || { diff a b | head; fail joliet; }
grep -q '^f 0555 0 0' jol.dump || fail "modes without Rock Ridge"

# --- plain names: upper case 8.3, shown as Linux does ---
mkdir plain; printf 1 > plain/Abc.Txt; printf 22 > plain/noext; mkdir plain/SubDir; printf 333 > plain/SubDir/deep.c
genisoimage -quiet -V PLAIN -o plain.iso plain 2>/dev/null
dump plain.iso plain.dump; info plain.iso plain.dump
flat plain.dump | awk '{ print $4, $2 }' > b
printf '%s\n' '/ 0' '/abc.txt 1' '/noext 2' '/subdir 0' '/subdir/deep.c 3' | sort > a
sort b | cmp - a || { cat b; fail "plain names"; }

# --- a file of several extents (each at most 4 GiB - 2 KiB): two files made one by the flag ---
mkdir parts; seq 700 > parts/p1; seq 701 5000 > parts/p2; seq 9 > parts/p3
xorriso -outdev parts.iso -map parts / -commit >/dev/null 2>&1
python3 - <<'END'
b = bytearray(open("parts.iso", "rb").read())
off = int.from_bytes(b[32768 + 158:32768 + 162], "little") * 2048
while b.find(b"NM\x07\x01\0p1", off, off + b[off]) < 0:
    off += b[off]
b[off + 25] |= 0x80
open("parts.iso", "wb").write(b)
END
dump parts.iso parts.dump
grep -q " $(cat parts/p1 parts/p2 | sha256sum | cut -d' ' -f1) /p1$" parts.dump && ! grep -q ' /p2$' parts.dump && grep -q ' /p3$' parts.dump ||
	fail "content of a multi-extent file: $(cat parts.dump)"
# the same with sizes that nobody hashes; xorriso's own, which reads and writes 4 GiB, when there is time
python3 - <<'END'
import os, struct
with open("parts.iso", "r+b") as f:
    b = f.read()
    off = struct.unpack_from("<I", b, 32768 + 158)[0] * 2048
    for name, size in ((b"p1", 0xfffff800), (b"p2", 318769155)):
        at = off
        while b.find(b"NM\x07\x01\0" + name, at, at + b[at]) < 0:
            at += b[at]
        lba = struct.unpack_from("<I", b, at + 2)[0] if name == b"p1" else lba + 0xfffff800 // 2048
        f.seek(at + 2); f.write(struct.pack("<I", lba) + struct.pack(">I", lba) + struct.pack("<I", size) + struct.pack(">I", size))
    f.truncate(5 << 30)
END
fsdump --list parts.iso 2>&1 | grep -q " $((4400 * 1048576 + 3)) .* /p1$" || fail "size of a multi-extent file"
if [ -n "${STRATA_TEST_FULL:-}" ]; then
	mkdir large; truncate -s 4400M large/huge; printf end >> large/huge; printf mid | dd of=large/huge bs=1 seek=4294965247 conv=notrunc status=none
	xorriso -as mkisofs -quiet -iso-level 3 -R large 2>/dev/null | dd of=large.iso bs=1M iflag=fullblock conv=sparse status=none
	fsdump --list large.iso 2>&1 | grep -q " $((4400 * 1048576 + 3)) .* /huge$" || fail "size of a multi-extent file"
	rm -rf large large.iso
fi

# --- zisofs ---
mkdir z
python3 - <<'END'
import random
r = random.Random(1)
open("z/text", "wb").write(b"".join(b"line %d of a text that packs well\n" % i for i in range(40000)))
open("z/zeros", "wb").write(bytes(500000) + b"x" + bytes(300000))
open("z/noise", "wb").write(r.randbytes(200000))
open("z/empty", "wb")
open("z/tiny", "wb").write(b"t")
END
treedump.py z | sed -E 's/^(. [0-9]+ [0-9]+ [0-9]+ [0-9]+ -?[0-9]+)\.[0-9]+/\1.000000000/' > z.src
for opt in "version_2=off" "version_2=on:block_size_v2=256k"; do
	rm -f z.iso
	xorriso -outdev z.iso -zisofs level=9:$opt -map z / -set_filter_r --zisofs / -- -commit >xorriso.log 2>&1 || fail "$(tail xorriso.log)"
	dump z.iso z.dump
	same_tree z.src z.dump
	[ "$(stat -c %s z.iso)" -lt 1300000 ] || fail "nothing was compressed"
done

# --- hard links: with serial numbers, and by their extents; equal files are not links ---
mkdir -p hl/d; seq 5000 >hl/a; ln hl/a hl/d/b; ln hl/a hl/d/c; : >hl/e; ln hl/e hl/f; cp -p hl/a hl/same; seq 9 >hl/g; ln hl/g outside
python3 -c 'import os
for i in range(3000): os.link("hl/a", "hl/d/%d" % i)'
links() { (cd "$1" && find . -type f -printf '%p %i\n' | sort | awk '{ if (!($2 in n)) n[$2] = ++k; print $1, n[$2] }'); }
links hl >hl.want
strata init -q hl.lib 2>/dev/null || strata init hl.lib >/dev/null
for how in xorriso serial genisoimage; do
	case $how in
	xorriso) xorriso -as mkisofs -quiet -R -o hl.iso hl 2>/dev/null ;;
	serial) xorriso -as mkisofs -quiet -R --hardlinks -o hl.iso hl 2>/dev/null ;;
	genisoimage) genisoimage -quiet -R -o hl.iso hl ;;
	esac
	strata -L hl.lib import -q hl.iso -b $how; strata -L hl.lib cp $how:/ hl.$how 2>cp.err || fail "hard links: $(cat cp.err)"
	links hl.$how >hl.got
	# empty files have no extent that would tell
	[ $how = serial ] || sed -i '/^.\/[ef] /d' hl.got
	awk '{ if (!($2 in n)) n[$2] = ++k; print $1, n[$2] }' hl.got >hl.g
	if [ $how = serial ]; then cat hl.want; else sed '/^.\/[ef] /d' hl.want; fi | awk '{ if (!($2 in n)) n[$2] = ++k; print $1, n[$2] }' | cmp - hl.g || fail "hard links, $how: $(cat hl.got)"
done

# --- hybrid with El Torito and partition tables ---
mkdir boot; head -c 20000 /dev/zero | tr '\0' B > boot/bios.img; head -c 1500000 /dev/zero | tr '\0' E > boot/efi.img; printf x > boot/file
xorriso -as mkisofs -quiet -R -V HYBRID -b bios.img -c boot.cat -no-emul-boot -boot-load-size 4 -eltorito-alt-boot -e efi.img -no-emul-boot \
	-isohybrid-gpt-basdat -isohybrid-mbr /usr/lib/ISOLINUX/isohdpfx.bin -o hybrid.iso boot >/dev/null 2>&1 ||
	xorriso -as mkisofs -quiet -R -V HYBRID -b bios.img -c boot.cat -no-emul-boot -boot-load-size 4 -eltorito-alt-boot -e efi.img -no-emul-boot -o hybrid.iso boot
dump hybrid.iso hybrid.dump; info hybrid.iso hybrid.dump
grep -q 'boot-entry: El Torito: x86 BIOS, no emulation, bootable, 4 sectors' hybrid.dump.err || fail "BIOS entry: $(cat hybrid.dump.err)"
grep -q 'boot-entry: El Torito: UEFI, no emulation, bootable' hybrid.dump.err || fail "UEFI entry"
grep -q ' /file$' hybrid.dump || fail "files of a hybrid"

# --- as Debian's and Ubuntu's: the file system is a partition too, and the EFI one is appended ---
truncate -s 2M efi.fat; mkfs.vfat efi.fat >/dev/null; mcopy -i efi.fat boot/file ::boot.efi
xorriso -as mkisofs -quiet -R -V APPENDED -b bios.img -c boot.cat -no-emul-boot -boot-load-size 4 -partition_offset 16 -append_partition 2 0xef efi.fat \
	-appended_part_as_gpt -eltorito-alt-boot -e --interval:appended_partition_2:all:: -no-emul-boot -isohybrid-gpt-basdat -o app.iso boot >/dev/null 2>&1
strata -L hl.lib import -q app.iso -b app --json 2>/dev/null >app.json
jq -r '.disks[0].volumes[] | .name + " " + .fs' app.json | head -3 | cmp - <(printf '%s\n' 'disk iso9660' 'p1 iso9660' 'p2 vfat') || fail "volumes: $(cat app.json)"
[ "$(strata -L hl.lib cat app:/file)" = x ] && [ "$(strata -L hl.lib cat app:p1:/file)" = x ] && [ "$(strata -L hl.lib cat app:p2:/boot.efi)" = x ] || fail "files of an appended partition"
strata -L hl.lib export -q app -o app.raw --format raw && cmp app.iso app.raw || fail "export of an image with an appended partition"

# --- the second session of a file replaces the first ---
xorriso -outdev multi.iso -map boot / -commit >/dev/null 2>&1
printf second > two; xorriso -dev multi.iso -map two /two -rm /file -- -commit >/dev/null 2>&1
dump multi.iso multi.dump
grep -q ' /two$' multi.dump && ! grep -q ' /file$' multi.dump || fail "last session"
echo "$(grep -vc '^#' rr.dump) files"
