# SPDX-License-Identifier: Apache-2.0
# A member of an MD mirror whose superblock stands at its end looks like the
# file system that the array holds: it is the array that is read, not the member.
. "$(dirname "$0")/../lib.sh"
need mdadm mkfs.ext4 python3
cat > member.py <<'E2'
"""member.py FILE: makes it the first of two members of a mirror, version 1.0"""
import struct, sys
name = sys.argv[1]
d = bytearray(open(name, "rb").read())
sectors = len(d) // 512
off = ((sectors - 16) & ~7) * 512
sb = bytearray(4096)
struct.pack_into("<IIII16s32s", sb, 0, 0xa92b4efc, 1, 0, 0, bytes(range(16)), b"host:0")
struct.pack_into("<QiIQIIi", sb, 64, 1600000000, 1, 0, off // 512, 0, 2, 0)
struct.pack_into("<QQQQI", sb, 128, 0, off // 512, off // 512, 0, 0)
sb[168:184] = bytes([1]) * 16
struct.pack_into("<QQQII", sb, 192, 1600000001, 17, 0xffffffffffffffff, 0, 2)
struct.pack_into("<HH", sb, 256, 0, 1)
s = sum(struct.unpack_from("<65I", sb))
struct.pack_into("<I", sb, 216, (s + (s >> 32)) & 0xffffffff)
d[off:off + 4096] = sb
open(name, "wb").write(d)
E2
mkdir t; echo hello > t/hello; seq 90000 > t/numbers
truncate -s 16M m.raw; mkfs.ext4 -q -F -d t m.raw 15M
cp m.raw plain.raw
python3 member.py m.raw
mdadm --examine m.raw > ex 2>&1 || { cat ex; fail "mdadm does not know it"; }
grep -q "Checksum : .* - correct" ex || { cat ex; fail "checksum"; }
strata init lib >/dev/null; export STRATA_LIBRARY=$PWD/lib
volumes() { python3 -c 'import json,sys
for v in json.load(sys.stdin)["disks"][0]["volumes"]: print(v["name"], v["fs"], v["files"])'; }
strata -q import plain.raw --json | volumes > got
[ "$(cat got)" = "disk ext4 2" ] || { cat got; fail "without MD"; }
strata -q import m.raw --json | volumes > got
printf 'disk linux_raid_member 0\nmd0 ext4 2\n' | cmp - got || { cat got; fail "as a member"; }
strata -q export m -o out.raw; cmp m.raw out.raw
[ "$(strata cat m:md0:/hello)" = hello ]
# an old label of LVM in the boot area of a file system is not believed
python3 - <<'E2'
d = bytearray(open("plain.raw", "rb").read())
d[512:544] = b"LABELONE" + (1).to_bytes(8, "little") + bytes(8) + b"LVM2 001"
open("stale.raw", "wb").write(d)
E2
strata -q import stale.raw --json 2>err | volumes > got
[ "$(cat got)" = "disk ext4 2" ] || { cat got; fail "with an old label"; }

# LVM on MD, where the loop devices for lvm are to be had
command -v pvcreate losetup >/dev/null && [ "$(id -u)" = 0 ] || { echo "LVM on MD left out"; exit 0; }
export LVM_SUPPRESS_FD_WARNINGS=1
truncate -s 32M lm.raw
dev=$(losetup -f --show --sizelimit $((31 << 20)) lm.raw 2>/dev/null) || { echo "no loop device: LVM on MD left out"; exit 0; }
trap 'losetup -d "$dev" 2>/dev/null || true; cleanup' EXIT
config="devices { filter=[\"a|^$dev\$|\",\"r|.*|\"] use_devicesfile=0 scan_lvs=0 } backup { backup=0 archive=0 } activation { udev_sync=0 udev_rules=0 monitoring=0 }"
lvm() { local c=$1; shift; "$c" -qq --config "$config" --driverloaded n "$@" >lvm.err 2>&1 || { cat lvm.err; fail "$c $*"; }; }
lvm pvcreate "$dev"; lvm vgcreate -s 1M vgmd "$dev"; lvm lvcreate -y -an -Zn -Wn -n root -l 16 vgmd
sync "$dev"; losetup -d "$dev"
dd if=plain.raw of=lm.raw bs=1M seek=1 count=16 conv=notrunc status=none
python3 member.py lm.raw
strata -q import lm.raw --json | volumes > got
printf 'disk linux_raid_member 0\nmd0 LVM2_member 0\nvgmd/root ext4 2\n' | cmp - got || { cat got; fail "LVM on MD"; }
[ "$(strata cat lm:vgmd/root:/hello)" = hello ]
strata -q export lm -o out.raw; cmp lm.raw out.raw
