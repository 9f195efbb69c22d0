#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Failing writes, fsyncs and renames, a full disk, a source that cannot be read:
# the command says so (exit 7), the library is as before, and works on.
. "$(dirname "$0")/lib.inc"
so=$BUILD/tests/tools/libfaults.so; [ -e "$so" ] || skip "libfaults.so is not built"
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
image a.img 1; image b.img 2; image c.img 3 8 1500000
L=$T/work
strata -q init lib0; strata -q -L lib0 import c.img -b gone; strata -q -L lib0 import a.img -b main; strata -q -L lib0 branch -d gone
main=$(cat lib0/refs/heads/main)
fresh() { rm -rf $L; cp -r lib0 $L; }
op() {
	case $1 in
	import) strata -q -L $L import b.img -b new ;;
	gc) strata -q -L $L gc --grace now ;;
	repack) strata -q -L $L repack --level 3 --frame 64K --grace now ;;
	esac
}
whole() {
	strata -q -L $L verify --read-data >verify.txt 2>&1 || { cat verify.txt; fail "$1: verify"; }
	[ "$main" = "$(cat $L/refs/heads/main)" ] || fail "$1: the branch is not what it was"
}
failed=0
for what in import gc repack; do
	rm -f count; fresh; LD_PRELOAD=$so FAULTS=count:$T/count op $what; n=$(sort -n count | tail -1)
	for fault in fail:%:5 fail:%:28 full:%; do # EIO, ENOSPC
		if [ -n "${STRATA_FAULT_ALL:-}" ]; then step=1; else step=$((n / 7 + 1)); fi
		for i in $(seq $((1 + RANDOM % step)) $step "$n"); do
			fresh; rc=0
			(LD_PRELOAD=$so FAULTS=${fault/\%/$i} op $what) >out.txt 2>&1 || rc=$?
			case $rc in 0) ;; 7) failed=$((failed + 1)) ;; *) cat out.txt; fail "$what ${fault/\%/$i}: exit $rc" ;; esac
			whole "$what ${fault/\%/$i} (exit $rc)"
			[ $rc != 0 ] || [ $what != import ] || strata -L $L export new -o x.raw || fail "$what ${fault/\%/$i}: reported, but not there"
			op $what; whole "$what after ${fault/\%/$i}"
		done
	done
done
[ $failed -gt 20 ] || fail "only $failed failures"
echo "$failed failures"

# the source
for i in 1 2 3; do
	fresh; expect_rc 7 env LD_PRELOAD=$so FAULTS=read:$i:$T/b.img strata -q -L $L import b.img -b new 2>err.txt
	grep -q b.img err.txt || { cat err.txt; fail "the message does not name the image"; }
	[ ! -e $L/refs/heads/new ] || fail "a branch of an import that failed"
	whole "read error $i"; op import; whole "after read error"
done

# a disk that is really full
if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=6m tmpfs small 2>/dev/null; then
	cleanup_mounts+=("$T/small")
	L=$T/small/lib; cp -r lib0 $L
	head -c 40000000 /dev/urandom >big.img
	expect_rc 7 strata -q -L $L import big.img -b big 2>err.txt
	grep -qi "no space" err.txt || { cat err.txt; fail "the message does not say why"; }
	whole "a full disk"
	[ -z "$(ls $L/tmp)" ] || fail "the failed import left its files"
	strata -q -L $L gc --grace now; whole "gc on a full disk"
fi

# import --verify over a pack that is damaged: what is known already would not come back, and the branch stays away
L=$T/work; fresh
for p in $L/packs/*.pack; do
	for at in $(seq 1000 20000 "$(stat -c %s "$p")"); do printf '\xff\xee' | dd of="$p" bs=1 seek=$at conv=notrunc status=none; done
done
strata -q -L $L import a.img -b unseen || fail "an import does not read what is known"
expect_rc 6 strata -q -L $L import a.img -b seen --verify 2>err.txt
[ ! -e $L/refs/heads/seen ] || fail "a branch that --verify did not agree to"

# an index that is cut while it is in use: the command ends with a message, not by a signal
L=$T/work; fresh; head -c 30M /dev/urandom >large.img; strata -q -L $L import large.img -b large
python3 - "$L" <<'P'
import glob, os, subprocess, sys
p = subprocess.Popen(["strata", "-q", "-L", sys.argv[1], "export", "large", "-o", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
p.stdout.read(1)
for f in glob.glob(sys.argv[1] + "/index/*"):
    os.truncate(f, 0)
p.stdout.read()
err = p.stderr.read().decode()
assert p.wait() in (6, 7) and "index" in err, (p.returncode, err)
P
