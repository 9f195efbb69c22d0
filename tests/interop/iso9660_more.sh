#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ISO 9660 beyond plain trees: attributes and ACLs as xorriso keeps them, discs of several sessions, discs that are HFS too.
. "$(dirname "$0")/../lib.sh"
need xorriso genisoimage setfacl mkfs.ext4 python3 isoinfo
need_root

# --- attributes and ACLs of files and folders, compared with what they were made from ---
truncate -s 200M e.img; mkfs.ext4 -q -O ea_inode -I 512 -N 4000 e.img
mkdir e; mount -o loop e.img e 2>mount.err || skip "cannot mount ext4: $(cat mount.err)"
cleanup_mounts+=("$T/e")
mkdir e/src
(cd e/src; python3 -c '
import os, random, subprocess
r = random.Random(3)
for i in range(15):
    d = "d%d" % i; os.mkdir(d)
    for k in range(20):
        p = "%s/f%d" % (d, k); open(p, "w").write(p)
        for x in range(r.choice([0, 0, 1, 2])):
            os.setxattr(p, "user.n%d" % x + "n" * r.choice([0, 20, 200]), r.randbytes(r.choice([0, 1, 100, 253, 254, 255, 256, 900])))
        if r.random() < .1: subprocess.run(["setfacl", "-m", "u:%d:rw,g:%d:r" % (r.choice([1, 255, 256, 70000, 4000000000]), r.choice([5, 65534])), p], check=True)
    if i % 3 == 0: os.setxattr(d, "user.dir", b"of %d" % i)
    if i % 4 == 0: subprocess.run(["setfacl", "-d", "-m", "u:9:rwx", d], check=True)
    if i % 5 == 0: subprocess.run(["setfacl", "-m", "u:9:rwx", d], check=True)
p = "deep"
os.mkdir(p)
for i in range(12):
    p += "/l%d" % i
    os.mkdir(p)
    os.setxattr(p, "user.level", b"%d" % i)
os.setxattr(".", "user.root", b"r")
os.setxattr("d1/f1", "trusted.x", b"t"); os.setxattr("d1/f1", "security.y", b"s")
os.setxattr("d1/f2", "user.large", r.randbytes(40000))
os.symlink("d1", "link"); os.link("d1/f2", "hard")
')
treedump.py e/src --xattrs | grep '^x ' | sort >want
[ "$(wc -l <want)" -gt 250 ] || fail "the fixture is too small: $(wc -l <want)"
for o in "-xattr any -acl on" "-xattr any -acl on -compliance aaip_susp_1_10_off" "-xattr any -acl off" "-xattr any -acl on -zisofs default"; do
	rm -f x.iso; xorriso $o -outdev x.iso -map e/src / -commit >x.log 2>&1 || fail "xorriso $o: $(tail -1 x.log)"
	fsdump --xattrs x.iso >got.all 2>err || fail "$o: $(cat err)"
	[ ! -s err ] || fail "$o: $(cat err)"
	grep '^x ' got.all | sort >got; cmp -s want got || { diff want got | cut -c1-200 | head; fail "$o: other attributes"; }
done
umount e
# each alone, without what was listed before; and through the library
strata init lib >/dev/null; strata -L lib -q import x.iso -b iso --verify
strata -L lib ls -l iso:/deep >ls; grep -qE '^drwxr-xr-x\+ ' ls || fail "ls: $(cat ls)"
mkdir e2; cp e.img f.img; mount -o loop f.img e2; cleanup_mounts+=("$T/e2"); strata -L lib cp iso:/ e2/out >/dev/null; treedump.py e2/out --xattrs | grep '^x ' | sort >got; umount e2
grep -v '^x / ' want | cmp - <(grep -v '^x / ' got) || fail "attributes of what was copied out: $(diff want got | head -5)"
# cut in the middle of an entry: told, the rest is listed
python3 - <<'E'
b = bytearray(open("x.iso", "rb").read())
at = b.index(b"\x03large") - 2
b[at + 1] = 255
open("bad.iso", "wb").write(b)
E
fsdump --xattrs bad.iso >bad 2>err || fail "damaged: $(cat err)"
grep -q 'xattr-damaged: iso9660' err || fail "nothing was said: $(cat err)"
[ "$(grep -c '^x ' bad)" -ge $(($(wc -l <want) - 2)) ] || fail "what is not damaged is not listed"

# --- several sessions: the last one, as isoinfo reads it where it is told which ---
mkdir one two three; seq 3000 >one/a; echo one >one/b; echo two >two/c; echo three >three/d
end() { echo $(($(stat -c %s "$1") / 2048)); }
session() { # DISC PREVIOUS START FOLDER: appends one
	genisoimage -quiet -R -V "$4" -C "$2,$3" -M "$1" -o part "$4" 2>/dev/null
	truncate -s $(($3 * 2048)) "$1"; cat part >>"$1"
}
aligned() { echo $((($(end "$1") + 31) / 32 * 32)); }
for gap in aligned drive; do
	genisoimage -quiet -R -V one -o disc one
	if [ $gap = aligned ]; then s=$(aligned disc); else s=$(($(end disc) + 11400)); fi
	session disc 0 "$s" two
	if [ $gap = aligned ]; then t=$(aligned disc); else t=$(($(end disc) + 6900)); fi
	session disc "$s" "$t" three
	fsdump disc >got 2>err || fail "sessions: $(cat err)"
	grep -q "fs-session: iso9660: the last of 3 sessions, at sector $t" err || fail "sessions: $(cat err)"
	grep -q ' label three ' got || fail "label: $(head -1 got)"
	grep '^f' got | awk '{ print $NF, $5 }' | sort >g
	isoinfo -T "$t" -R -l -i disc 2>/dev/null | awk '/^-/ { print "/" $NF, $5 }' | sort >w
	[ "$(wc -l <w)" = 4 ] && cmp w g || fail "isoinfo: $(cat w); strata: $(cat g)"
done
strata -L lib import disc -b disc --verify >/dev/null 2>&1
[ "$(strata -L lib cat disc:/a | wc -l)" = 3000 ] && [ "$(strata -L lib cat disc:/d)" = three ] || fail "files of a session"
# another image behind this one is none
genisoimage -quiet -R -V one -o disc one; cp disc alone
truncate -s $(($(aligned disc) * 2048)) disc; genisoimage -quiet -R -o other two; cat other >>disc
fsdump disc >got 2>err; [ ! -s err ] && fsdump alone | cmp - got || fail "an image behind another was taken for a session: $(cat err)"

# --- HFS and HFS+ beside it: the ISO 9660 side is whole ---
mkdir h; cp -p one/* h/; printf 'x' >'h/Long name with spaces.txt'; ln -s a h/l
treedump.py h >h.want
flat() { awk '!/^#/ { $2 = $3 = $4 = $6 = "-"; print }' "$1" | sort; }
for how in "genisoimage -quiet -hfs -R" "genisoimage -quiet -hfs -part -R" "xorriso -as mkisofs -quiet -R -hfsplus"; do
	rm -f h.iso; $how -o h.iso h >/dev/null 2>&1 || fail "$how"
	fsdump h.iso >h.dump 2>err || fail "$how: $(cat err)"
	flat h.want >a; flat h.dump >b; cmp -s a b || { diff a b; fail "$how"; }
	strata -L lib import h.iso -b h --verify >/dev/null 2>&1 || fail "$how: import"
	[ "$(strata -L lib cat 'h:/Long name with spaces.txt')" = x ] || fail "$how: cat"
done

# --- High Sierra, which came before ISO 9660: the same files (Linux 6.1 lists what is made here so, too) ---
mkdir -p hs/sub/deep; seq 2000 >hs/a.txt; echo b >hs/noext; : >hs/sub/deep/e; for i in $(seq 80); do echo "$i" >"hs/sub/f$i.bin"; done
genisoimage -quiet -V 'HIGH SIERRA' -o i hs 2>/dev/null
python3 - <<'E'
import struct
b = bytearray(open("i", "rb").read())
old = bytes(b[32768:34816])
def flags(r):
    b[r + 24], b[r + 25] = b[r + 25], 0
todo, seen = [struct.unpack_from("<I", old, 158)[0]], set()
while todo:
    x = todo.pop()
    if x in seen:
        continue
    seen.add(x)
    at, end = x * 2048, x * 2048 + struct.unpack_from("<I", b, x * 2048 + 10)[0]
    while at < end:
        if not b[at]:
            at = (at // 2048 + 1) * 2048
            continue
        if b[at + 25] & 2:
            todo.append(struct.unpack_from("<I", b, at + 2)[0])
        flags(at)
        at += b[at]
new = bytearray(2048)
new[8:15] = b"\1CDROM\1"
new[16:80] = old[8:72]      # system, volume
new[88:96] = old[80:88]     # size
new[128:148] = old[120:140] # set, sequence, block, path table
new[180:214] = old[156:190]
new[204], new[205] = new[205], 0
b[32768:34816] = new
b[34816:36864] = b"\0" * 8 + b"\xffCDROM\1" + bytes(2033)
open("hs.img", "wb").write(b)
E
fsdump i >iso.dump 2>&1; fsdump hs.img >hs.dump 2>err && [ ! -s err ] || fail "High Sierra: $(cat err)"
[ "$(grep -vc '^#' hs.dump)" = 86 ] && same_tree iso.dump hs.dump
[ "$(sed -n '1s/ size.*//p' hs.dump)" = "# iso9660 uuid  label HIGH SIERRA" ] && [ "$(blkid -p -s LABEL -o value hs.img)" = "HIGH SIERRA" ] || fail "High Sierra: $(head -1 hs.dump)"
strata -L lib -q import hs.img -b hs --verify && [ "$(strata -L lib cat hs:/sub/f77.bin)" = 77 ] || fail "High Sierra: cat"
echo "$(wc -l <want) attributes"
