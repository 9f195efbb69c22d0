#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Dirty journals: a copy of the image of a mounted file system must read as the
# kernel has it after its own recovery; the image itself is not touched.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/interop/ext.inc"

# churn DIR SEED: changes of all kinds, so that blocks are logged, freed, revoked, used again
churn() {
	python3 - "$1" "$2" <<'PY'
import os, random, sys
d, rnd = os.fsencode(sys.argv[1]), random.Random(int(sys.argv[2]))
p = os.path.join(d, b"work")
os.makedirs(p, exist_ok=True)
for i in range(400):
    q = os.path.join(p, b"%d" % rnd.randrange(300))
    k = rnd.randrange(8)
    try:
        if k < 3:
            with open(q, "wb") as f:
                f.write((b"\xc0\x3b\x39\x98" if k else b"plain") + rnd.randbytes(rnd.randrange(9000)))
        elif k == 3:
            os.unlink(q)
        elif k == 4:
            os.rename(q, q + b"r")
        elif k == 5:
            os.makedirs(q + b"d/sub", exist_ok=True)
            for n in range(rnd.randrange(120)):
                open(q + b"d/sub/%d" % n, "w").close()
        elif k == 6:
            os.system(b"rm -rf " + q + b"d")
        else:
            os.setxattr(q, b"user.x", rnd.randbytes(rnd.randrange(200)))
    except OSError:
        pass
    if i % 50 == 0:
        os.system(b"sync -f " + d)
PY
}

# case NAME SIZE MOUNT-OPTIONS -- MKFS-ARGS
case_() {
	local name=$1 size=$2 opts=$3; shift 4
	echo "== $name"
	truncate -s "$size" img; mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$@" img; mkdir -p m
	mount -o "loop$opts" img m || fail "$name: mount"
	cleanup_mounts+=("$PWD/m")
	churn m 1; churn m 2
	sync -f m; cp --sparse=always img dirty
	umount m
	sum=$(sha256sum <dirty); cp dirty recovered
	fsdump dirty --xattrs --free >have 2>err || { cat err; fail "$name: fsdump"; }
	grep -q "FINDING: fs-journal" err || { cat err; fail "$name: nothing was replayed"; }
	grep -v fs-journal err && fail "$name: findings"
	[ "$sum" = "$(sha256sum <dirty)" ] || fail "$name: the image was changed"
	mount -o loop recovered m; umount m
	loop_mount recovered m; treedump.py m --xattrs >want; free=$(stat -f -c '%f*%S' m); umount m
	[ "$(wc -l <want)" -gt 100 ] || fail "$name: the fixture is empty"
	same_tree want have
	[ $((free)) = "$(sed -n 's/^# free //p' have)" ] || fail "$name: free space is $((free)), not $(grep '# free' have)"
	rm -f img dirty recovered
}
case_ default 64M "" --
case_ wrap 32M "" -- -b 1024 -J size=1
case_ data-journal 64M ,data=journal -- -J size=4
case_ data-journal-old 64M ,data=journal -- -O ^metadata_csum,^64bit -b 1024 -J size=4
case_ ext3 64M "" -- -t ext3 -b 1024 -I 128
case_ checksum-v1 64M ,journal_checksum -- -O ^metadata_csum
case_ async-commit 64M ,data=writeback,journal_async_commit -- -O ^metadata_csum
case_ blockmap 64M ,data=journal -- -O ^extents,^64bit -b 2048 -J size=8

# debugfs writes journals of the versions that the kernel no longer makes
for v in 1 2 3; do
	echo "== debugfs checksum version $v"
	truncate -s 32M img; mkfs.ext4 -q -F -b 1024 -O metadata_csum img
	head -c 3000 /dev/urandom >f; debugfs -w -R "write f f" img >/dev/null 2>&1
	blk=$(debugfs -R "bmap f 1" img 2>/dev/null)
	head -c 1024 /dev/urandom >new; printf '\xc0\x3b\x39\x98' | dd of=new conv=notrunc status=none
	head -c 1024 /dev/urandom >new2
	printf 'jo -c -v %d\njw -b %d new\njc\njo -c -v %d\njw -b %d,%d new2\njw -r %d\njc\n' $v "$blk" $v $((blk + 1)) $((blk + 1)) $((blk + 1)) >cmds
	debugfs -w -f cmds img >log 2>&1 || true
	cp img recovered; e2fsck -fy -E journal_only recovered >/dev/null 2>&1 || true
	loop_mount recovered m; treedump.py m --xattrs >want; umount m
	fsdump img --xattrs >have 2>err || { cat err; fail "fsdump"; }
	grep -q fs-journal err || { cat log err; fail "nothing was replayed"; }
	same_tree want have
	cmp -s f <(dd if=img bs=1024 skip="$blk" count=1 status=none) && fail "the fixture is not dirty"
	rm -f img recovered
done

echo "== an external journal is named"
truncate -s 8M log; mkfs.ext4 -q -F -O journal_dev -b 1024 log
expect_rc 4 fsdump log 2>err; grep -q external err || { cat err; fail "jbd"; }
