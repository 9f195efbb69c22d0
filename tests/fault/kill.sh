#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 before every call that opens, reads, locks or changes a file, in an import, a gc and a
# repack: the library stays whole, everything that was reported is there, and
# the same command succeeds afterwards. 60 of the points in make check;
# STRATA_FAULT_ALL=1: all of them, in all commands.
. "$(dirname "$0")/lib.inc"
so=$BUILD/tests/tools/libfaults.so; [ -e "$so" ] || skip "libfaults.so is not built"
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
image a.img 1; image b.img 2; image c.img 3 8 1500000; image d.img 4
L=$T/work
strata -q init lib0
strata -q -L lib0 import c.img -b gone # its pack is half needed by the others
strata -q -L lib0 import a.img -b main; strata -q -L lib0 import b.img -b main; strata -q -L lib0 branch -d gone
main=$(cat lib0/refs/heads/main)
fresh() { rm -rf $L; cp -r lib0 $L; }
op() {
	case $1 in
	import) strata -q -L $L import d.img -b new ;;
	again) strata -q -L $L import d.img -b main ;;
	gc) strata -q -L $L gc --grace now ;;
	repack) strata -q -L $L repack --level 3 --frame 64K --grace now ;;
	esac
}
whole() { # WHEN
	strata -q -L $L verify --read-data >verify.txt 2>&1 || { cat verify.txt; fail "$1: verify"; }
	[ "$main" = "$(cat $L/refs/heads/main)" ] || [ "${2:-}" = again ] || fail "$1: the branch is not what it was"
}
points=0
for what in import again gc repack; do
	rm -f count; fresh; LD_PRELOAD=$so FAULTS=every:$T/count op $what >/dev/null 2>&1
	n=$(sort -n count | tail -1)
	[ "$n" -gt 100 ] || fail "$what: only $n calls"
	if [ -n "${STRATA_FAULT_ALL:-}" ]; then step=1; else step=$((n / 15 + 1)); fi
	for i in $(seq $((1 + RANDOM % step)) $step "$n"); do
		fresh; rc=0
		(LD_PRELOAD=$so FAULTS=killany:$i op $what) >/dev/null 2>&1 || rc=$?
		points=$((points + 1))
		whole "$what killed at $i (exit $rc)" $what
		# what gc was about to remove is brought anew
		strata -q -L $L import c.img -b back; whole "$what killed at $i, then an import" $what
		op $what; whole "$what killed at $i, then done" $what
		strata -q -L $L gc --grace now; whole "$what killed at $i, then a gc" $what
		[ -z "$(find $L/tmp $L/writers $L/condemned $L/pending -type f 2>/dev/null -newermt '3 seconds ago' -size 0 -prune -o -type f -print 2>/dev/null)" ] || { ls -lR $L; fail "$what killed at $i: something is left"; }
		[ "$(strata -L $L verify --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["orphan_packs"])')" = 0 ] || fail "$what killed at $i: orphans"
	done
	echo "$what: $n calls"
done
echo "$points points"
