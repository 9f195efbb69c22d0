#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two imports, a gc, a repack and a verify at once, again and again: nothing is
# lost, and verify never sees damage that is not there.
. "$(dirname "$0")/lib.inc"
export STRATA_LIBRARY=$T/lib
strata -q init lib
for i in 1 2 3 4 5 6; do image $i.img $i; done
rounds=${STRATA_FAULT_ALL:+40}; rounds=${rounds:-6}
try() { # what may be told that another is at work
	local rc=0; "$@" >>log 2>&1 || rc=$?
	[ $rc = 0 ] || [ $rc = 5 ] || { echo "$*: exit $rc" >>failed; tail -5 log >>failed; }
}
for r in $(seq $rounds); do
	a=$((r % 6 + 1)); b=$(((r + 3) % 6 + 1))
	try strata -q import $a.img -b one & try strata -q import $b.img -b two$r &
	try strata -q gc --grace now & try strata -q verify --read-data &
	try strata -q repack --level 1 --frame 64K --grace now &
	{ [ ! -e lib/refs/heads/one ] || try strata -q export one -o one.raw; } &
	wait
	[ ! -e failed ] || { cat failed; fail "round $r"; }
	strata -q verify --read-data || fail "round $r: verify"
	strata -q export one -o x.raw; cmp x.raw $a.img
	strata -q export two$r -o x.raw; cmp x.raw $b.img
	strata -q branch -d two$r
done
[ "$(strata log one --json | grep -o '"id"' | wc -l)" = "$rounds" ] || fail "commits were lost"
strata -q gc --grace now; strata verify --read-data
