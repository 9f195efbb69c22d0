#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every command that prints data: its --json is one object with the fields and types that are promised (tests/tools/jsoncheck.py has
# them), exact, valid whatever names the image has; of a call that fails nothing is printed.
. "$(dirname "$0")/../lib.sh"
need python3 mke2fs qemu-img sfdisk debugfs patch
export STRATA_LIBRARY=$T/lib TMPDIR=$T
j() { local want=$1; shift; strata --json "$@" >j.out || fail "$*: exit $?"; jsoncheck.py "$want" <j.out || fail "$*"; python3 -m json.tool j.out >/dev/null; }
py() { python3 -c "import json; d = json.load(open('j.out')); assert $1, $1" || fail "$1 in $(head -c 3000 j.out)"; }
mkdir -p tree/etc tree/var/lib/dpkg tree/many
python3 - <<'END'
import os
for n in (b"latin1-\xe9", b"new\nline", b"quote\"back\\slash", b"control-\x01\x1b[31m\x7f", b"\xff\xfe", b"utf8-\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa7", b"surrogate-\xed\xa0\x80", b"overlong-\xc0\xaf", b"-dash", b" blank ", b"tab\t"):
    open(b"tree/" + n, "wb").write(n)
os.symlink(b"to-\xff", b"tree/link-\xfe")
os.mkfifo("tree/fifo")
for i in range(300):
    open("tree/many/%d" % i, "w").write(str(i))
END
truncate -s 70000001 tree/sparse; ln tree/-dash tree/hard; touch -d '1912-02-03 04:05:06.5 UTC' tree/-dash
printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian"\n' >tree/etc/os-release; echo host >tree/etc/hostname; echo 'root:x:0:0:root:/root:/bin/sh' >tree/etc/passwd
printf 'Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2\n\n' >tree/var/lib/dpkg/status
mke2fs -q -F -t ext4 -d tree p1.img 24m
printf 'mknod dev b 8 3\nsif many/7 uid 4294967294\nsif many/8 mtime @4000000000\n' | debugfs -w -f - p1.img >/dev/null 2>&1
truncate -s 32M a.raw; dd if=p1.img of=a.raw bs=1M seek=4 conv=notrunc,sparse status=none; printf 'label: dos\nstart=8192\n' | sfdisk -q a.raw
j init init lib
j import import a.raw -b web -m $'one\n\n"two" \xe9' --annotate k=v --annotate $'q"=\xff' --sha256
printf 'rm many/1\nrm hard\nsif many/2 mode 0100640\n' | debugfs -w -f - p1.img >/dev/null 2>&1; printf 'Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.3\n\n' >status
printf 'rm var/lib/dpkg/status\nwrite status var/lib/dpkg/status\nmknod pipe2 p\n' | debugfs -w -f - p1.img >/dev/null 2>&1
dd if=p1.img of=a.raw bs=1M seek=4 conv=notrunc status=none
STRATA_AUTHOR=$'J\xf6rg <j@x>' j import import a.raw -b web --free-space discard
j version version; j log log; py 'len(d["commits"]) == 2 and "bytes" in d["commits"][0]["author"] and d["commits"][1]["annotations"]["k"] == "v"'
j log log --graph -- many/2; j log log -n0; py 'd["commits"] == []'
j show show web; j show show web:/-dash; py 'd["mtime"] == "1912-02-03T04:05:06.500000000Z" or d["mtime"] == "1912-02-03T04:05:06Z"'; j show show a.raw:/etc
j ls ls -R web:; py 'sum("bytes" in str(e["path"]) and type(e["path"]) is dict for e in d["entries"]) >= 5'
py '{e["path"]: e for e in d["entries"] if type(e["path"]) is str}["sparse"]["size"] == 70000001'
py '[e for e in d["entries"] if e["path"] == "dev"][0]["rdev"] == "8:3" and [e for e in d["entries"] if e["path"] == "many/7"][0]["uid"] == 4294967294'
py '[e for e in d["entries"] if e["path"] == "many/8"][0]["mtime"].startswith("2096-10-02T07:06:40")'
j ls ls web:/many/7; j ls ls -d web:/; j ls ls a.raw:/many
j inspect inspect web; j inspect inspect a.raw; j packages packages web
j diff diff web~1 web; py '{e["path"]: e["status"] for e in d["entries"]}["many/1"] == "D"'; j diff diff web~1 a.raw; j diff diff web~1 web --packages; py 'd["packages"][0]["new"]["version"] == "5.3"'; j diff diff web~1 web --blocks
j branch branch side web~1; j branch branch; j branch branch -m side other; j branch branch -d other; j tag tag v1; j tag tag; j tag tag -d v1; j reflog reflog
j gc gc --dry-run; j gc gc; j repack repack --level 1; j verify verify; j verify verify --read-data; j verify verify --repair; j stats stats
# 64-bit numbers, exactly
qemu-img create -q -f qcow2 -o cluster_size=2M big.qcow2 9007199254741504; j import import big.qcow2; py 'd["disks"][0]["size"] == 9007199254741504'; j show show big; py 'd["disks"][0]["size"] == 9007199254741504'
j stats stats; py 'd["logical_bytes"] == 9007199254741504 + 2 * (32 << 20)'; strata -q branch -d big
# instances, edits, bisects
j instance-create instance create web one --full; qemu-img create -q -f qcow2 -F raw -b one.base.raw x.qcow2 2>/dev/null || true
j instance instance list; py 'd["instances"][0]["name"] == "one"'; j commit commit one; strata -q instance rm one
j edit edit web --local -- sh -c 'echo noise; qemu-io -f qcow2 -c "write -P 1 1M 64k" "$1"' sh {}
j bisect bisect web~2 web --file -- sh -c 'echo noise; ! cmp -s -n 65536 -i 1048576:0 "$1" /dev/zero || exit 0; exit 1' sh {}
# two files by their names; A..B
[ "$(strata diff web:/many/3 web:/many/4 --name-status)" = "M	many/4" ] && [ "$(strata diff web:/many web:/etc --name-only -- no)" = "" ] || fail "diff of two files"
strata diff -p web:/many/3 web:/many/4 >p; grep -qx 'diff --git a/many/3 b/many/4' p && grep -qx -- '--- a/many/3' p && grep -qx '+++ b/many/4' p || fail "$(cat p)"
mkdir apply; (cd apply; mkdir many; echo -n 3 >many/3; sed 's|many/4|many/3|' ../p | patch -s -p1; [ "$(cat many/3)" = 4 ]) || fail "the patch of a file"
strata diff web~2..web >r1; strata diff web~2 web >r2; cmp r1 r2; expect_rc 2 strata diff web~2.. 2>err; expect_rc 3 strata diff web..nope 2>err
# a call that fails prints nothing, also where it is late: a file of the library is damaged
for c in "log nope" "ls web:/nope" "show nope" "diff web nope" "import nope" "inspect nope" "edit nope --local -- true" "bisect web web -- true" "branch -d nope"; do
	! strata --json $c >j.out 2>err || fail "$c passes"; [ ! -s j.out ] || fail "$c printed $(cat j.out)"
done
expect_rc 2 strata cat web:/etc/hostname --json 2>err
strata -q --json edit web --local -- false >j.out && fail "edit of false" || jsoncheck.py edit <j.out
python3 - <<'END'
import glob
for f in glob.glob("lib/packs/*"):
    d = bytearray(open(f, "rb").read())
    for i in range(len(d) // 3, len(d), 500): d[i] ^= 1
    open(f, "wb").write(d)
END
strata ls -R web: --json >j.out 2>err && fail "a damaged library is listed" || [ $? = 6 ] || fail "$(cat err)"
[ ! -s j.out ] || fail "half an object: $(head -c 200 j.out)"
strata verify --read-data --json >j.out && fail "verify finds nothing" || jsoncheck.py verify <j.out; py 'not d["ok"] and d["damaged_total"] > 0'
