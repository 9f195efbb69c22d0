#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of edit, run, bisect, commit and of the server, at any time: the library is whole, overlays are what they
# were, and the next command or gc removes what was left in the folders for temporary files.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/instance.inc"
need_plugin; need mke2fs sfdisk python3 qemu-io qemu-img
export XDG_RUNTIME_DIR=$PWD/run TMPDIR=$PWD/tmp STRATA_LIBRARY=$PWD/lib STRATA_ACCEL=tcg; mkdir run tmp
make_disk a.raw
strata -q init lib; strata -q import a.raw -b web; strata -q export web -o base.raw
tip() { cat lib/refs/heads/$1; }
base=$(tip web)
left() { find run tmp -mindepth 1 -maxdepth 1; }
# after WHAT: a gc finds the library whole and leaves nothing
swept() {
	local i
	strata -q verify || fail "$1: the library is damaged"
	for i in $(seq 60); do # what the killed one had started ends a moment later
		strata -q gc --grace now; [ -n "$(left)$(ls lib/pins lib/writers 2>/dev/null | grep -v :)" ] || return 0; sleep 0.1
	done
	fail "$1: left over: $(left; ls lib/pins lib/writers)"
}
# killed T COMMAND...: its own process only, as the kernel's OOM killer does
killed() {
	local t=$1 p; shift
	"$@" >/dev/null 2>&1 & p=$!
	sleep "$t"; kill -9 $p 2>/dev/null || true; wait $p 2>/dev/null || true
}

# edit: before the command, while it runs, while it commits
cat > change.sh <<'X'
qemu-io -f qcow2 -c "write -P 5 70M 8M" "$1" && touch ran && exec sleep "${2:-0}"
X
for t in 0.002 0.005 0.01 0.015 0.02 0.03 0.04 0.06 0.08 0.1 0.13 0.16 0.2 0.3; do
	killed $t strata -q edit web -b e$t -- sh change.sh {}
	swept "edit killed after $t s"
	if [ -e lib/refs/heads/e$t ]; then
		strata -q export e$t -o x.raw; cmp -n 73400320 x.raw a.raw
		python3 -c 'f = open("x.raw", "rb"); f.seek(70 << 20); assert f.read(8 << 20) == b"\5" * (8 << 20)'
	fi
done
[ "$(tip web)" = "$base" ] || fail "the branch moved"
# the command outlives edit: its overlay stays as long as it works on it
rm -f ran; strata -q edit web -b late -- sh -c 'touch ran; sleep 1.5; [ -e "$1" ] && touch still' sh {} >/dev/null 2>&1 & p=$!
for i in $(seq 200); do [ -e ran ] && break; sleep 0.02; done
kill -9 $p; wait $p 2>/dev/null || true
strata -q gc --grace now; [ -n "$(ls tmp)" ] || fail "an overlay was removed while a program uses it"
sleep 1.8; [ -e still ] || fail "the overlay was gone"
swept "edit with a command that goes on"
# the next edit sweeps, too; --local; what is kept is kept, what others made is theirs
rm -f ran; strata -q edit web -b loc --local -- sh change.sh {} 60 >/dev/null 2>&1 & p=$!
for i in $(seq 300); do [ -e ran ] && break; sleep 0.02; done
c=$(pgrep -x -P $p sleep); kill -9 $p $c; wait $p 2>/dev/null || true
[ "$(find tmp -name base.raw | wc -l)" = 1 ] || fail "nothing was left to sweep"
mkdir tmp/strata-scratch-mine_1 tmp/strata-other1; echo x > tmp/strata-scratch-mine_1/disk.qcow2
strata edit web -b z --keep -- true 2>err; kept=$(sed -n 's/^strata: kept: //p' err)
[ "$(find tmp -name base.raw | wc -l)" = 0 ] || fail "the next edit left it"
touch -d '1 hour ago' tmp/strata-scratch-mine_1 tmp/strata-other1 "$kept"; strata -q gc --grace now
[ -e tmp/strata-scratch-mine_1/disk.qcow2 ] && [ -d tmp/strata-other1 ] && [ -e "$kept/disk.qcow2" ] || fail "too much was removed"
rm -r tmp/*

# the server of an instance: the overlay goes on with the next one
strata instance create web inst --json > inst.json
eval "$(get inst.json '["server"]') --pidfile pid -q" > uri; io inst.qcow2 'write -P 9 30M 1M'
qemu-io -f qcow2 -c 'read 8M 32M' -c 'read -P 9 30M 1M' inst.qcow2 >/dev/null & q=$!
kill -9 "$(cat pid)"; wait $q 2>/dev/null || true
qemu-img check -q inst.qcow2 || true # its backing does not answer
eval "$(get inst.json '["server"]') --pidfile pid -q" > uri
qemu-img check -q inst.qcow2; qemu-io -f qcow2 -c 'read -P 9 30M 1M' inst.qcow2 | grep -q '^read' || fail "the overlay lost what was written"
strata -q commit inst -b inst; same_commit inst inst.qcow2
kill "$(cat pid)"; strata -q instance rm inst
# servers, in the foreground and not
for t in 0.002 0.006 0.01 0.02 0.05; do killed $t strata -q nbd web; killed $t strata -q nbd web -w x; done
strata -q nbd web --fork --pidfile pid >/dev/null; kill -9 "$(cat pid)"; sleep 0.1
swept "servers"

# commit: the overlay is untouched, and another try goes through
overlay o.qcow2 base.raw; io o.qcow2 'write -P 3 20M 30M' 'write -z 60M 1M'; sum=$(sha256sum < o.qcow2)
for t in 0.003 0.008 0.012 0.02 0.03 0.05; do killed $t strata -q commit o.qcow2 -b c$t; swept "commit killed after $t s"; done
[ "$(sha256sum < o.qcow2)" = "$sum" ] || fail "the overlay was written to"
strata -q commit o.qcow2 -b done; same_commit done o.qcow2

# run: qemu goes with it
if command -v qemu-system-x86_64 >/dev/null; then
	for t in 0.02 0.1 0.3; do killed $t strata -q run web --expect nothing; done
	swept "run"
	[ -z "$(pgrep -f "qemu-system.*$PWD/tmp" || true)" ] || fail "qemu goes on"
fi
# bisect over mounts: they end
strata -q edit web -b web -- sh change.sh {} >/dev/null; strata -q edit web -b web -- qemu-io -f qcow2 -c 'write -P 6 70M 1M' {} >/dev/null
if [ "$(id -u)" = 0 ] && [ -w /dev/fuse ]; then
	rm -f ran; strata -q bisect "$base" web --mount -- sh -c 'touch ran; sleep 0.7' sh {} >/dev/null 2>&1 & p=$!
	for i in $(seq 200); do [ -e ran ] && break; sleep 0.02; done
	grep -q "$PWD/tmp" /proc/mounts || fail "no mount"
	kill -9 $p; wait $p 2>/dev/null || true; sleep 1
	swept "bisect"; ! grep -q "$PWD/tmp" /proc/mounts || fail "a mount is left"
fi
