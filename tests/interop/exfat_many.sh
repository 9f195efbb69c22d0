#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# exFAT with a folder of 20,000 files, odd names, folders 60 deep, one folder empty, files in many pieces, and one of
# 5 GiB of which little was written: as exfat-fuse shows them.
[ ! -w /dev/shm ] || export TMPDIR=${TMPDIR:-/dev/shm}
. "$(dirname "$0")/../lib.sh"
need mkfs.exfat mount.exfat-fuse losetup python3
need_root
[ -e /dev/fuse ] || skip "no /dev/fuse"
export LC_ALL=C.UTF-8
fuse() { # fuse IMAGE OPTIONS
	mkdir -p mnt
	loop=$(losetup -f --show "$1") || skip "no loop device"
	mount.exfat-fuse -o "$2,umask=022,uid=0,gid=0" "$loop" mnt >mount.err 2>&1 || { losetup -d "$loop"; skip "cannot mount exFAT: $(tail -1 mount.err)"; }
	losetup -d "$loop" # goes with the mount
	cleanup_mounts+=("$PWD/mnt")
}
unfuse() { umount mnt; while losetup "$loop" 2>/dev/null | grep -qF "($PWD/"; do sleep 0.1; done; }
truncate -s 6G d
mkfs.exfat -c 4K d >/dev/null 2>&1
fuse d rw
(cd mnt; PYTHONPATH=$TOP/tests/tools python3 -c '
import os
from basetree import base
base()
os.mkdir("odd")
for i, n in enumerate(["ä ö ü", "日本語", "😀", "a.b.c.", " x", "#", "%", "&", "semi;colon", "-dash", "..x", "~tilde", "x" * 255, "ж" * 255, "UPPER", "lower"]):
    open("odd/" + n, "w").write(str(i))
a, b = open("a", "ab"), open("b", "ab")
for i in range(300):
    for o in (a, b):
        o.write(bytes([i & 255]) * 5000); o.flush()
open("huge", "wb").write(b"start" * 20000)
')
find mnt -exec touch -d "2021-03-04 05:06:07" {} +
unfuse
# the file in one piece at the end of the volume, without a chain; most of it was never written and reads as zeros
python3 - <<'E2'
import struct
with open("d", "r+b") as f:
    boot = f.read(512)
    heap, clusters = struct.unpack_from("<II", boot, 88)
    sector, cluster = 1 << boot[108], 1 << boot[108] + boot[109]
    size = 5 * 1024**3
    first = clusters + 2 - size // cluster
    f.seek(heap * sector)
    d = bytearray(f.read(16 << 20))
    name = "huge".encode("utf-16-le").ljust(30, b"\0")
    at = next(i for i in range(0, len(d), 32) if d[i] == 0xc1 and d[i + 2:i + 32] == name) - 64
    assert d[at] == 0x85 and d[at + 32] == 0xc0 and d[at + 1] == 2
    old = struct.unpack_from("<I", d, at + 52)[0]
    f.seek(heap * sector + (old - 2) * cluster)
    data = f.read(100000)
    f.seek(heap * sector + (first - 2) * cluster)
    f.write(data)
    d[at + 33] |= 3
    struct.pack_into("<QII", d, at + 40, 100000, 0, first)
    struct.pack_into("<Q", d, at + 56, size)
    s = 0
    for i in range(96):
        if i not in (2, 3):
            s = ((s << 15 | s >> 1) + d[at + i]) & 0xffff
    struct.pack_into("<H", d, at + 2, s)
    f.seek(heap * sector + at)
    f.write(d[at:at + 96])
E2
fuse d ro
treedump.py mnt >want
unfuse
fsdump d >got 2>err || fail "$(cat err)"
[ ! -s err ] || fail "messages: $(cat err)"
# FUSE makes up a time for the root, and knows full seconds only
for f in got want; do grep -v ' /$' $f | sed -E 's/^((\S+ ){5}[0-9]+)\.[0-9]+/\1/' >$f.f; done
same_tree got.f want.f
[ "$(grep -vc '^#' got)" -ge 20080 ] || fail "too few"
grep -q "^f .* 5368709120 .* /huge$" got || fail "no huge file"
echo "$(wc -l <want) entries"
