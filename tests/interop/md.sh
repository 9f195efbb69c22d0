#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# MD arrays of every superblock version, written here from the format, as the
# kernel may have no MD driver; mdadm --examine and blkid vouch for them.
. "$(dirname "$0")/../lib.sh"
need mdadm blkid python3
cat > mkmd.py <<'E'
"""mkmd.py VERSION LEVEL FILES...: members of one array, their data patterned"""
import struct, sys
version, level, files = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
uuid = bytes(range(0x10, 0x20))
size = 4 << 20
for i, name in enumerate(files):
    size_i = size + (1 << 20) * (i if level == -1 else 0)
    d = bytearray(size_i)
    for at in range(0, size_i, 512):
        d[at:at + 512] = (b"%s %06d|" % ((b"data" if level == 1 else name.encode()), at)).ljust(32, b".") * 16
    if version == "0.90":
        off = (size_i & ~65535) - 65536
        w = [0] * 1024
        w[0:12] = [0xa92b4efc, 0, 90, 0, 0, *struct.unpack("<I", uuid[:4]), 1600000000, level & 0xffffffff, off // 1024 if level != -1 else 0,
                   len(files), len(files), 3]
        w[13:16] = struct.unpack("<3I", uuid[4:])
        w[32] = 1600000001; w[33] = 1; w[34] = w[35] = len(files); w[39] = 17
        if level == -1: w[65] = 65536
        for k in range(len(files)): w[128 + 32 * k:128 + 32 * k + 5] = [k, 7, k, k, 6]
        w[992:997] = [i, 7, i, i, 6]
        w[38] = 0
        s = sum(w)
        w[38] = (s + (s >> 32)) & 0xffffffff
        d[off:off + 4096] = struct.pack("<1024I", *w)
        data = 0, off
    else:
        sectors = size_i // 512
        off = {"1.0": ((sectors - 16) & ~7) * 512, "1.1": 0, "1.2": 4096}[version]
        start = 0 if version == "1.0" else 2048
        length = (off // 512 if version == "1.0" else sectors) - start
        length -= length % 128
        sb = bytearray(4096)
        struct.pack_into("<IIII16s32s", sb, 0, 0xa92b4efc, 1, 0, 0, uuid, b"host:name")
        struct.pack_into("<QiIQIIi", sb, 64, 1600000000, level, 0, length if level == 1 else 0, 128 if level != 1 else 0, len(files), 0)
        struct.pack_into("<QQQQ", sb, 128, start, length, off // 512, 0)
        struct.pack_into("<I", sb, 160, i)
        sb[168:184] = bytes([i + 1]) * 16
        struct.pack_into("<QQQII", sb, 192, 1600000001, 17, 0xffffffffffffffff, 0, len(files))
        for k in range(len(files)): struct.pack_into("<H", sb, 256 + 2 * k, k)
        n = 256 + 2 * len(files)
        s = sum(struct.unpack_from("<%dI" % (n // 4), sb)) + (struct.unpack_from("<H", sb, n - 2)[0] if n % 4 else 0)
        struct.pack_into("<I", sb, 216, (s + (s >> 32)) & 0xffffffff)
        d[off:off + 4096] = sb
        data = start * 512, length * 512
    open(name, "wb").write(d)
    if level == -1 or i == 0:
        a, n = data
        if level == -1: n -= n % 65536
        open("plain", "wb" if i == 0 else "ab").write(d[a:a + n])
E
for v in 0.90 1.0 1.1 1.2; do
	for level in 1 -1; do
		kind=$([ $level = 1 ] && echo raid1 || echo linear)
		name=$([ $v = 0.90 ] && echo md3 || echo md/name)
		python3 mkmd.py $v $level a b c
		for f in a b c; do
			mdadm --examine $f > ex 2>&1 || fail "mdadm does not know $v: $(cat ex)"
			grep -q "Checksum : .* - correct" ex || fail "$v: checksum: $(grep Checksum ex)"
			grep -q "Raid Level : $kind" ex || fail "$v: $(cat ex)"
			[ "$(blkid -p -o value -s TYPE $f)" = linux_raid_member ] || fail "$v: blkid"
		done
		volumedump a b c > got 2> findings
		[ ! -s findings ] || { cat findings; fail "$v $kind: findings"; }
		grep -q "^# b linux_raid_member $(blkid -p -o value -s UUID b)$" got || fail "$v: uuid: $(cat got)"
		grep -q "^$name $kind $(stat -c %s plain) readable" got || fail "$v $kind: $(cat got)"
		volumedump c b a --copy $name | cmp - plain || fail "$v $kind: bytes"
		# without a member
		volumedump b c > got 2> findings
		grep -q "FINDING: volume-incomplete: $name" findings || fail "$v $kind: nothing missing"
		grep -q "^$name $kind .* $([ $level = 1 ] && echo readable || echo kept)" got || fail "$v $kind without a: $(cat got)"
	done
	for level in 0 4 5 6 10; do
		python3 mkmd.py $v $level a b c 2>/dev/null
		volumedump a b c > got 2> findings
		grep -q "^$name raid$level .* kept " got || fail "$v raid$level: $(cat got)"
		grep -q "volume-kept: $name: raid$level" findings || fail "$v raid$level: no finding"
	done
	# a wrong checksum
	python3 mkmd.py $v 1 a b
	off=$(python3 -c "d=open('a','rb').read(); print(d.index(b'\xfc\x4e\x2b\xa9'))")
	printf '\x77' | dd of=a bs=1 seek=$((off + 26)) conv=notrunc status=none
	volumedump a > got 2> findings
	grep -q "volume-damaged: a: MD superblock: the checksum" findings || fail "$v: checksum"
done
echo "MD arrays as mdadm examines them"
