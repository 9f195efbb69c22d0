#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ext in shapes that not every kernel mounts: blocks of 64 KiB and casefolded
# folders (made by mke2fs -d, compared with the folder they were made from),
# encrypted names (compared with what the kernel shows without the key).
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/interop/ext.inc"

mkdir src
mktree.py src --no-special --files 1500 --links 500
mkdir src/special; mknod src/special/c c 4095 70000; mknod src/special/b b 8 1; mkfifo src/special/p
rm -rf src/times "src/sparse/keep size" "src/sparse/keep size 2" src/xattrs/v60000 src/xattrs/v3[09]00 src/xattrs/sym src/xattrs/many
find src -exec touch -h -d '2024-05-06 07:08:09' {} +
treedump.py src --xattrs | grep -v ' /$' >want
for args in "-b 65536 -O ^resize_inode" "-b 32768" "-b 8192 -O bigalloc -C 65536" "-b 65536 -O ^extents,^64bit,^metadata_csum,^resize_inode" \
	"-O casefold -E encoding=utf8" "-b 4096 -O inline_data,large_dir,ea_inode"; do
	echo "== mke2fs -d: $args"
	truncate -s 600M img
	mkfs.ext4 -q -F $args -d src img >log 2>&1 </dev/null || { tail -3 log; fail "mke2fs $args"; }
	case $args in *casefold*) debugfs -w -R "sif /medium flags 0x40080000" img >/dev/null 2>&1 ;; esac
	fsdump img --xattrs --free 2>err | grep -v -e '/lost+found$' -e ' /$' >have
	[ ! -s err ] || { head err; fail "findings"; }
	case $args in *inline_data*) sed -i '/ .sparse.[a-z]/d' want have ;; esac # mke2fs 1.47.0 gets the sizes of holes wrong there
	same_tree want have
	free=$(dumpe2fs -h img 2>/dev/null | awk '/^Free blocks/ {n = $3} /^Block size/ {s = $3} END {print n * s}')
	[ "$free" = "$(sed -n 's/^# free //p' have)" ] || fail "free: $free, $(grep '# free' have)"
	rm img
done

echo "== encrypted"
[ -e /sys/fs/ext4/features/test_dummy_encryption_v2 ] || skip "all but encryption: this kernel lacks it"
truncate -s 64M img; mkfs.ext4 -q -F -O encrypt,stable_inodes img; mkdir -p m
mount -o loop,test_dummy_encryption img m || skip "all but encryption: cannot mount with a test key"
cleanup_mounts+=("$PWD/m")
mkdir -p m/secret/deeper
for i in $(seq 1 300); do echo "$i" >"m/secret/name $i $(printf 'n%.0s' $(seq 1 $((i % 90))))"; done
head -c 100000 /dev/urandom >m/secret/deeper/big; ln -s target m/secret/deeper/link; ln -s "$(printf 't%.0s' {1..90})" m/secret/slow
umount m
loop_mount img m
treedump.py m --no-content >want; umount m
fsdump img >have 2>err
grep -q "FINDING: file-encrypted" err || { cat err; fail "no finding"; }
grep -v file-encrypted err && fail "other findings"
python3 - <<'PY'
import base64
def load(f):
    out = []
    for l in open(f):
        if l[0] == "#": continue
        p = l.split(" -> ")[0].split()
        out.append((p[:4] + ([] if p[0] == "l" else p[4:5]) + p[5:8], [x for x in p[9].split("/") if x]))
    return out
dec = lambda s: base64.urlsafe_b64decode(s + "=" * (-len(s) % 4))
# the kernel's form: a hash of 8 bytes, then the encrypted name
want = sorted((str(a), [b[0].encode()] + [dec(x)[8:] for x in b[1:]] if b else []) for a, b in load("want"))
have = sorted((str(a), [b[0].encode()] + [dec(x) for x in b[1:]] if b else []) for a, b in load("have"))
assert len(want) > 300
assert want == have, [(x, y) for x, y in zip(want, have) if x != y][:3]
PY
