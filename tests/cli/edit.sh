# SPDX-License-Identifier: Apache-2.0
# strata edit, run and bisect: a command on an overlay, a commit if it went well, nothing left over.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/instance.inc"
need_plugin; need mke2fs sfdisk python3 qemu-io qemu-img
export XDG_RUNTIME_DIR=$PWD/run TMPDIR=$PWD/tmp STRATA_LIBRARY=$PWD/lib STRATA_ACCEL=tcg; mkdir run tmp
make_disk a.raw
strata -q init lib; strata -q import a.raw -b web
tip() { strata log "$1" -n 1 --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["commits"][0]["id"])'; }
clean() { [ -z "$(find run tmp -mindepth 1)" ] || fail "left over: $(find run tmp)"; }
b=$(tip web)

# a commit if the command went well
strata edit web -b new -m "one more" -- qemu-io -f qcow2 -c 'write -P 5 90M 1M' {} > out
grep -q '^new .*committed' out; clean
cp a.raw want.raw; python3 -c 'f = open("want.raw", "r+b"); f.seek(90 << 20); f.write(b"\5" * (1 << 20))'
strata -q export new -o new.raw; cmp new.raw want.raw
[ "$(tip web)" = "$b" ]; strata log new -n 1 | grep -q "one more"
strata edit new --local --json --annotate a=b -- sh -c 'echo noise; qemu-io -f qcow2 -c "write -P 6 91M 64k" "$1"' sh {} > e.json 2>/dev/null
[ "$(get e.json '["results"][0]["status"]')" = committed ]; [ "$(get e.json '["results"][0]["changed_bytes"]')" = 65536 ]
strata log new -n 1 --json | grep -q '"a"'; clean
# a disk that grows
strata -q edit new -b grown -- qemu-img resize -q {} 100M; strata -q export grown -o g.raw; [ "$(stat -c %s g.raw)" = $((100 << 20)) ]

# nothing if not
n=$(tip new)
expect_rc 9 strata edit new -- sh -c 'qemu-io -f qcow2 -c "write -P 9 1M 64k" "$1"; exit 9' sh {} >/dev/null; [ "$(tip new)" = "$n" ]; clean
strata edit new -- true | grep -q unchanged; [ "$(tip new)" = "$n" ]; clean
expect_rc 3 strata edit new -- /no/such/program {} 2>/dev/null; clean
expect_rc 5 strata edit web -b new -- true 2>err; grep -q "choose a new branch" err
expect_rc 2 strata edit "$b" -- true 2>err; grep -q -- "-b says" err
expect_rc 2 strata edit web 2>/dev/null
strata edit web -b z --keep -- true 2>err; d=$(sed -n 's/^strata: kept: //p' err); [ -e "$d/disk.qcow2" ]; rm -r "$d"; clean
# interrupted
strata edit new -- sleep 60 & pid=$!; sleep 1; kill $pid; wait $pid || true; sleep 0.2; clean; [ "$(tip new)" = "$n" ]
# the branch moves meanwhile
expect_rc 5 strata edit new -- sh -c 'strata -q import a.raw -b new && qemu-io -f qcow2 -c "write 1M 64k" "$1"' sh {} >/dev/null 2>&1; clean

# many branches
strata -q branch vm/a "$b"; strata -q branch vm/b "$b"; strata -q branch vm/c "$b"
expect_rc 1 strata edit --all 'vm/*' --json -- sh -c 'qemu-io -f qcow2 -c "write -P 1 5M 4k" "$1"; [ ! -e done ] && touch done' sh {} > all.json 2>/dev/null
[ "$(get all.json '["results"][0]["status"]')$(get all.json '["results"][2]["status"]')" = committedfailed ]
strata edit --all 'vm/*' -- qemu-io -f qcow2 -c 'write -P 2 6M 64k' {} | grep -c committed | grep -qx 3
expect_rc 3 strata edit --all 'nothing*' -- true 2>/dev/null; clean

# bisect: version 4 of 8 broke it
for i in 1 2 3 4 5 6 7 8; do
	strata -q edit "$([ $i = 1 ] && echo "$b" || echo h)" -b h -m "v$i" -- qemu-io -f qcow2 -c "write -P $([ $i -lt 4 ] && echo 1 || echo 2) 1M 4k" -c "write -P $i 2M 4k" {} >/dev/null
done
bad=$(strata log h --json | python3 -c 'import json,sys; print([c["id"] for c in json.load(sys.stdin)["commits"] if c["message"] == "v4"][0])')
strata bisect "$b" h -- sh -c '! qemu-io -f qcow2 -r -c "read -P 2 1M 4k" "$1" | grep -q "^read 4096" || qemu-io -f qcow2 -r -c "read -P 2 1M 4k" "$1" 2>&1 | grep -q "Pattern verification failed"' sh {} > out 2>err
head -1 out | grep -q "^${bad:0:12} is the first bad" || fail "$(cat out err)"; clean
[ "$(grep -c "left" err)" -le 4 ] || fail "too many steps"
strata bisect "$b" h --file --json -- python3 -c 'import sys; f = open(sys.argv[1], "rb"); f.seek(1 << 20); sys.exit(f.read(1) == b"\2")' {} > b.json
[ "$(get b.json '["first_bad"]')" = "$bad" ]; clean
# skips: those around it cannot be told
strata bisect "$b" h --file --json -- python3 -c 'import sys; f = open(sys.argv[1], "rb"); f.seek(2 << 20); v = f.read(1)[0]; sys.exit(125 if v in (3, 4) else v >= 4)' {} > b.json || [ $? = 1 ]
[ "$(get b.json '["candidates"].__len__()')" = 3 ] || fail "$(cat b.json)"
expect_rc 7 strata bisect "$b" h -- sh -c 'kill -9 $$' 2>/dev/null; clean
expect_rc 2 strata bisect h "$b" -- true 2>err; grep -q "no ancestor" err
if [ -e /dev/fuse ] && strata mount "$b" "$PWD/run" 2>/dev/null; then
	umount run
	strata bisect "$b" h --mount -- test -e {}/dir/hello > out 2>/dev/null; grep -q "first bad" out; clean
fi
strata -q verify

# run: qemu with a boot sector that greets over the serial line and stops
command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
python3 - <<'P'
msg = b"hello from the boot sector\r\n"
# cli; xor ax,ax; mov ds,ax; mov dx,3f8h; mov si,msg; l: lodsb; test al,al; jz h; out dx,al; jmp l; h: sti; hlt; jmp h
body = bytes([0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0xba, 0xf8, 0x03, 0xbe, 0x00, 0x7d, 0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8, 0xfb, 0xf4, 0xeb, 0xfd])
s = bytearray(512); s[:len(body)] = body; s[256:256 + len(msg)] = msg; s[510:] = b"\x55\xaa"
d = bytearray(1 << 20); d[:512] = s; open("boot.raw", "wb").write(d)
P
strata -q import boot.raw -b boot
strata run boot --expect 'from the boot' --timeout 60 > out 2>err || fail "$(cat out err)"
grep -q 'hello from the boot' out; grep -q 'found after .*tcg' err; clean
expect_rc 1 strata -q run boot --expect 'something else' --timeout 3 >/dev/null 2>err; grep -q "time is up" err; clean
strata run boot --local --expect 'hello' --timeout 60 --json > r.json 2>/dev/null
[ "$(get r.json '["found"]')" = True ]; [ "$(get r.json '["accel"]')" = tcg ]
expect_rc 1 strata -q run boot --timeout 2 </dev/null >/dev/null 2>&1; clean
expect_rc 5 strata run boot --commit web --expect x 2>/dev/null
STRATA_QEMU=/no/qemu expect_rc 3 strata run boot --expect x 2>/dev/null; clean
strata run boot --expect hello --timeout 60 -- -name test >/dev/null 2>&1
