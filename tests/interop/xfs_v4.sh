# SPDX-License-Identifier: Apache-2.0
# XFS version 4, which newer kernels do not mount: filled by mkfs.xfs from a prototype, compared with the folder it was
# made from; attributes set and listed by xfs_db.
. "$(dirname "$0")/../lib.sh"
need mkfs.xfs xfs_db python3; need_root

umask 022; mkdir -p src/empty src/few src/some src/more src/many src/sub/deeper/still
for i in 1 2 3; do echo "file $i" >"src/few/f$i"; done
for i in $(seq 30); do echo "$i" >"src/some/a-name-that-is-longer-than-most-$i"; done
for i in $(seq 250); do : >"src/more/entry-with-a-long-name-so-that-blocks-fill-$i-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"; done
python3 - <<'PY'
import os
for i in range(2500):
    open("src/many/%04d-%s" % (i, "m" * (i % 150)), "w").close()
for n in (1, 20, 59, 100, 150, 156, 157, 400, 410, 500, 511, 512, 513, 900, 1023):
    os.symlink(("t" * 100 + "/") * 11 and (("t" * 100 + "/") * 11)[:n], "src/sub/s%d" % n)
for i, n in enumerate((0, 1, 255, 511, 512, 513, 4095, 4096, 4097, 100000, 3000000)):
    open("src/sub/deeper/size%d" % n, "wb").write(bytes((i + k * 7) % 251 for k in range(min(n, 1000))) * (n // 1000 + 1))
    os.truncate("src/sub/deeper/size%d" % n, n)
PY
mknod src/sub/null c 1 3; mknod src/sub/disk b 8 17; mkfifo src/sub/fifo
chmod 4755 src/few/f1; chmod 2711 src/few/f2; chown 1000:100 src/few/f3; chown 70000:2000000000 src/sub/fifo
xfs_proto.py src >proto
# all but the times, which mkfs sets
plain() { sed -E '/^#/d; s/^(. .... [0-9]+ [0-9]+ [0-9]+) [-0-9.]+ /\1 /' | sort; }
treedump.py src | plain >want
[ "$(wc -l <want)" -gt 2800 ] || fail "the fixture is too small"

while read -r options; do
	echo "options: $options"
	rm -f img; truncate -s 400M img
	mkfs.xfs -q -m crc=0 -p proto $options img 2>mkfs.err || { cat mkfs.err; skip "mkfs.xfs refuses $options"; }
	fsdump img --free >got 2>err || { cat err; fail "fsdump"; }
	[ ! -s err ] || { head -5 err; fail "something to say of a sound file system"; }
	plain <got >got.plain
	cmp -s got.plain want || { diff got.plain want | cut -c1-200 | head; fail "$options"; }
	xfs_db -r -c 'freesp -s' img >freesp
	blocks=$(awk '/total free blocks/ {print $4}' freesp); bs=$(xfs_db -r -c 'sb 0' -c 'p blocksize' img | awk '{print $3}')
	[ "$(awk '/^# free/ {print $3}' got)" = $((blocks * bs)) ] || fail "free space: $(grep '^# free' got), not $((blocks * bs))"
done <<'LIST'
-n ftype=0
-n ftype=1 -i size=512,projid32bit=0
-b size=512 -i size=256 -l version=1
-b size=1024 -n size=16384 -i attr=1
-b size=4096 -i size=2048 -s size=4096 -d agcount=5
-n version=ci -b size=2048 -l lazy-count=0
LIST

# attributes: short, leaf, node, remote
rm -f img; truncate -s 400M img; mkfs.xfs -q -m crc=0 -p proto img 2>/dev/null
ino() { xfs_db -r -c "path /few/$1" -c inode img 2>/dev/null | awk '/inode number/ {print $NF}'; }
for f in f1 f2 f3; do i=$(ino $f); [ -n "$i" ] || fail "inode of $f"; eval "i_$f=$i"; done
{ echo "inode $i_f1"; for s in -u -r -s; do echo "attr_set $s -v 5 key$s"; done
  echo "inode $i_f2"; for n in $(seq 700); do echo "attr_set -n -u -v $((n % 40 + 1)) name-$n-xxxxxxxxxxxxxxxxxxxx"; done
  echo "inode $i_f3"; for n in 300 4096 4097 65536; do echo "attr_set -u -v $n remote$n"; done; } >cmds
xfs_db -x img <cmds >db.out 2>&1 || { tail -5 db.out; fail "xfs_db"; }
fsdump img --xattrs --no-content >got 2>err || { cat err; fail "fsdump"; }
[ ! -s err ] || { head -5 err; fail "something to say of a sound file system"; }
# xfs_db fills values with the letter v
python3 - >want <<'PY'
for s in (("u", "user"), ("r", "trusted"), ("s", "security")):
    print("x /few/f1 %s.key-%s %s" % (s[1], s[0], "76" * 5))
for n in range(1, 701):
    print("x /few/f2 user.name-%d-xxxxxxxxxxxxxxxxxxxx %s" % (n, "76" * (n % 40 + 1)))
for n in (300, 4096, 4097, 65536):
    print("x /few/f3 user.remote%d %s" % (n, "76" * n))
PY
grep '^x ' got | sort >got.x; sort want >want.x
cmp -s got.x want.x || { diff got.x want.x | cut -c1-200 | head; fail "attributes"; }
