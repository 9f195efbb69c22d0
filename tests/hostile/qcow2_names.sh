#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Names in a qcow2 image, or in a raw image that looks like one, lead nowhere:
# strace sees no call that touches them.
. "$(dirname "$0")/../lib.sh"
need qemu-img strace python3
strace -o /dev/null true 2>/dev/null || skip "strace does not work here"
mkdir in; mkdir out; echo secret > out/secret; cp out/secret in/base
n=0
# traced IMAGE NAME OPTIONS...: refused or read as raw, without a look at NAME
traced() {
	local img=$1 name=$2; shift 2
	strace -f -e trace=%file,%network,%process -o trace disktool info "$img" "$@" >out.txt 2>err && rc=0 || rc=$?
	grep -v execve trace | grep -F "$(basename "$name")" > hits || true
	[ ! -s hits ] || fail "$name: $(head -3 hits)"
	! grep -qE 'socket\(|connect\(' trace || fail "$name: network"
	[ "$(grep -c execve trace)" = 1 ] || fail "$name: a program was run"
	n=$((n + 1))
}
for name in /etc/passwd ../out/secret "$T/out/secret" "file:$T/out/secret" 'json:{"driver":"file","filename":"/etc/passwd"}' \
	nbd:localhost:10809 nbd+unix:///x?socket=/tmp/passwd http://localhost/passwd fat:rw:/etc/passwd /proc/self/environ ./../out/secret; do
	for kind in backing data; do
		if [ $kind = backing ]; then
			qemu-img create -q -f qcow2 in/x.qcow2 1M; qemu-img rebase -u -b "$name" -F raw in/x.qcow2 2>/dev/null || continue
		else
			# the external data file's name, as an extension behind the header
			qemu-img create -q -f qcow2 in/x.qcow2 1M
			python3 - "$name" <<'P'
import struct, sys
b = bytearray(open("in/x.qcow2", "rb").read()); n = sys.argv[1].encode()
hl = struct.unpack_from(">I", b, 100)[0]
b[72:80] = struct.pack(">Q", 4)
ext = struct.pack(">II", 0x44415441, len(n)) + n + bytes(-len(n) % 8) + bytes(8)
b[hl:hl + len(ext)] = ext
open("in/x.qcow2", "wb").write(b)
P
		fi
		# nothing allowed; something else allowed; its own folder allowed
		for allow in "" "--allow-backing in/base" "--allow-backing in"; do
			traced in/x.qcow2 "$name" $allow
			[ $rc = 4 ] || fail "$name, $kind, '$allow': exit $rc: $(cat err)"
			grep -q "unsupported.*$kind file" err || fail "$name: message: $(cat err)"
		done
		# said to be raw: it is raw, whatever stands in it
		traced in/x.qcow2 "$name" -f raw
		[ $rc = 0 ] && grep -q '^raw' out.txt || fail "$name: as raw"
	done
done
[ $n -ge 60 ] || fail "only $n"
# (the trace does see what is allowed)
qemu-img rebase -u -b base -F raw in/x.qcow2 2>/dev/null || { qemu-img create -q -f qcow2 -u -b base -F raw in/x.qcow2 1M; }
strace -f -e trace=%file -o trace disktool info --allow-backing in in/x.qcow2 >/dev/null 2>&1
grep -q '"base"' trace || fail "the trace shows nothing"
