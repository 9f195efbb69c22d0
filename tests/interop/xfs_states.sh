# SPDX-License-Identifier: Apache-2.0
# XFS that is not as mkfs left it: dirty and external logs, damaged superblocks, a changed UUID, realtime files, a volume
# cut short, features that nobody knows. Each is read as far as it can be, with the finding that says so.
. "$(dirname "$0")/../lib.sh"
need mkfs.xfs xfs_db xfs_io xfs_admin python3; need_root
cleanup_mounts+=("$T/m")

poke() { printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }
fresh() { rm -f img; cp --sparse=always clean img; }
# says FINDING WORDS: the last dump reported it, and nothing else
says() { grep -q "^FINDING: $1: .*$2" err || { cat err; fail "no finding $1 ... $2"; }; ! grep -v "^FINDING: $1:\|^FREE: " err || fail "more than $1"; }
dump() { fsdump "$@" >got 2>err || { cat err; fail "fsdump $*"; }; }

truncate -s 400M clean; mkfs.xfs -q -L clean clean; mkdir -p m; mount -o loop clean m
mkdir m/d m/e; for i in $(seq 300); do echo "$i" >"m/d/file$i"; done; head -c 300000 /dev/urandom >m/e/big; ln -s d/file1 m/link
treedump.py m >want; umount m
dump clean; [ ! -s err ] || { cat err; fail "a clean one has findings"; }; same_tree got want

# a dirty log is replayed in memory, see xfs_log.sh; what is free is not told
dirty() { fresh; mount -o loop img m; sync -f m; for i in $(seq 400); do echo x >"m/d/new$i"; done; sync -f m; xfs_io -x -c 'shutdown -f' m; umount m; }
dirty; xfs_logprint -t img 2>/dev/null | grep -q DIRTY || fail "the fixture's log is not dirty"
dump img --free; says fs-journal '[0-9] items of [0-9]* transactions'; mv got have
grep -q '^FREE: .*log is not clean' err || fail "free space of a dirty file system was told"
# the log replayed by the kernel and unmounted: clean again, also with a log that has wrapped around
mount -o loop img m; treedump.py m >want2; umount m; dump img; [ ! -s err ] || { cat err; fail "findings after replay"; }; same_tree got want2; same_tree have want2
# one that cannot be replayed (a writer of another order of bytes): the disk without it
dirty; log=$(xfs_db -r -c "convert fsblock $(xfs_db -r -c 'sb 0' -c 'p logstart' img | awk '{print $3}') byte" img | sed 's/.*(\([0-9]*\)).*/\1/')
python3 - img "$log" <<'PY'
import sys
f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); b = f.read(8 << 20); at = -1
while (at := b.find(b"\xfe\xed\xba\xbe", at + 1)) >= 0:
    f.seek(int(sys.argv[2]) + at + 303); f.write(b"\3")
PY
dump img --free; says fs-dirty 'was not replayed.*order of bytes'; grep -q '/d/file300$' got || fail "old files are missing"; grep -q '^FREE:' err || fail "free space told"
rm -f small; truncate -s 64M small; TEST_DIR=. TEST_DEV=. QA_CHECK_FS=1 mkfs.xfs -q -d agcount=2 small; mount -o loop small m
for k in $(seq 60); do for i in $(seq 200); do echo >"m/w$i"; done; sync -f m; rm -f m/w*; sync -f m; done; echo left >m/left
umount m; dump small; [ ! -s err ] || { cat err; fail "findings of a wrapped log"; }; grep -q /left got || fail "wrapped"
log=$(xfs_db -r -c "convert fsblock $(xfs_db -r -c 'sb 0' -c 'p logstart' small | awk '{print $3}') byte" small | sed 's/.*(\([0-9]*\)).*/\1/')
[ "$(od -An -tx1 -j $((log + 512 * 400)) -N 4 small | tr -d ' ')" != 00000001 ] || fail "the fixture's log has not wrapped"

# an external log
rm -f ext; truncate -s 400M ext; truncate -s 100M extlog; mkfs.xfs -q -l logdev=extlog ext
dump ext --free; says fs-external-log ''; grep -q '^FREE:' err || fail "free space told"

# the first superblock damaged in each way: magic, checksum, geometry, the whole sector
for at in 0:XXXX 8:ABCDEFGH 56:ABCDEFGH 108:other 120:x 224:abcd; do
	fresh; poke img "${at%%:*}" "${at#*:}"; dump img; same_tree got want; grep -q '^FINDING: fs-backup-super' err || fail "superblock field $at"
done
fresh; dd if=/dev/urandom of=img bs=512 count=1 conv=notrunc status=none; dump img; same_tree got want; says fs-backup-super 'copy at offset'
# all of them: not usable, or used though the checksum is wrong
fresh; xfs_db -r -c 'sb 0' -c 'p agblocks agcount' img >geo; agsize=$(($(awk '/agblocks/ {print $3}' geo) * 4096))
for ag in 0 1 2 3; do poke img $((ag * agsize + 108)) damaged; done
dump img; same_tree got want; says fs-damaged 'checksum'
for ag in 0 1 2 3; do poke img $((ag * agsize)) DEAD; done
expect_rc 4 fsdump img >got 2>err; grep -q 'no copy was found' err || { cat err; fail "no words for it"; }
# without AG headers as well it is not XFS any more
dd if=/dev/zero of=img bs=4096 count=1 conv=notrunc status=none; expect_rc 4 fsdump img >got 2>err; ! grep -q xfs err || fail "still XFS"

# another UUID than that in the metadata
fresh; xfs_admin -U generate img >/dev/null; dump img --free; [ ! -s err ] || fail "findings after a change of UUID"; same_tree got want
grep -q "uuid $(blkid -p -o value -s UUID img) " got || fail "the old UUID is shown"

# unknown features: incompatible refused, read-only compatible read
fresh; python3 - img <<'PY'
import sys, struct
f = open(sys.argv[1], "r+b")
def crc32c(b):
    c = 0xffffffff
    for x in b:
        c ^= x
        for _ in range(8):
            c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
    return c ^ 0xffffffff
def sb(at, mask, name):
    s = bytearray(f.read(512)) if not f.seek(0) else 0
    v, = struct.unpack_from(">I", s, at)
    struct.pack_into(">I", s, at, v | mask)
    s[224:228] = bytes(4)
    struct.pack_into("<I", s, 224, crc32c(bytes(s)))
    open(name, "wb").write(s)
sb(216, 1 << 20, "s.incompat")
sb(212, 1 << 20, "s.ro")
sb(216, 0x10, "s.repair")
PY
fresh; dd if=s.incompat of=img conv=notrunc status=none; expect_rc 4 fsdump img >got 2>err; grep -q 'unsupported: .*0x100000' err || { cat err; fail "incompatible feature"; }
fresh; dd if=s.ro of=img conv=notrunc status=none; dump img; [ ! -s err ] || { cat err; fail "read-only compatible"; }; same_tree got want
fresh; dd if=s.repair of=img conv=notrunc status=none; dump img --free; same_tree got want
grep -q '^FINDING: fs-damaged: .*xfs_repair' err || fail "needs repair"; grep -q '^FREE:' err || fail "free space told"

# a realtime file: listed, not read
fresh; ino=$(xfs_db -r -c 'path /e/big' -c inode img | awk '/inode number/ {print $NF}')
xfs_db -x -c "inode $ino" -c 'write core.realtime 1' img >/dev/null; dump img --free
grep -q '^f .* 300000 .* /e/big$' got || fail "the realtime file is not listed"; says file-unreadable 'realtime'

# a volume that was cut
fresh; truncate -s 200M img; fsdump img >got 2>err || true; grep -q '^FINDING: fs-truncated' err || { cat err; fail "cut"; }
grep -q '^d .* /$' got || fail "no root"

# a damaged group: nothing of it is told to be free
fresh; poke img $((agsize + 512 + 52)) '\377'; dump img --free; says fs-damaged 'group 1'
fresh; poke img $((512 + 52)) '\377'; dump img --free; says fs-damaged 'group 0'
# checksums: a finding each, content as it is
fresh; off=$(xfs_db -r -c "convert inode $ino byte" img | sed 's/.*(\([0-9]*\)).*/\1/'); poke img $((off + 36)) 'AAAA'
dump img; says file-damaged 'checksum'; same_tree got want
fsb=$(xfs_db -r -c 'path /d' -c 'bmap -d' img | awk '/startblock/ {for (i = 1; i <= NF; i++) if ($i == "startblock") print $(i + 1)}' | head -1)
[ -n "$fsb" ] || fail "no block of the directory"
off=$(xfs_db -r -c "convert fsblock $fsb byte" img | sed 's/.*(\([0-9]*\)).*/\1/')
fresh; poke img $((off + 60)) 'Z'; fsdump img >got 2>err || true; grep -q '^FINDING: dir-damaged: .*checksum' err || { cat err; fail "directory"; }
grep -v '^#' got | sort >a; sort want >b; cmp -s a b || fail "entries are lost"
