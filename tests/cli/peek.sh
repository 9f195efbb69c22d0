#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ls, cat, cp and show of an image file that is not imported say what they say of the same image in a library.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/cli/files.inc"
need qemu-img jq
make_disk
strata init lib 2>/dev/null; strata -q -L lib import disk.raw -b m
qemu-img convert -O qcow2 -c disk.raw disk.qcow2; gzip -k disk.raw
export STRATA_LIBRARY=$T/none # none of what follows needs one
for img in disk.raw ./disk.qcow2 "$T/disk.raw.gz"; do
	case $img in *.raw) paths="/ /odd /home/user p2:/odd" ;; *.qcow2) paths=/ ;; *) paths= ;; esac
	for path in $paths; do
		for o in -R -lR -dl; do
			strata -L lib ls $o m:$path >want; strata ls $o "$img:$path" >have
			cmp want have || { diff want have | head; fail "ls $o $img:$path"; }
		done
		strata -L lib ls -R --json m:$path | jq -S '.commit = null | .entries[].sha256 = null' >want
		strata ls -R --json "$img:$path" | jq -S . >have; cmp want have || fail "ls --json $img:$path"
	done
	strata -L lib ls m >want; strata ls "$img" | cmp - want || fail "the root of $img"
	[ "$(strata cat "$img:/home/user/greeting")" = hello ] || fail "cat $img"
	strata -L lib show --json m:/home/user/greeting | jq -S '.commit = null' >want
	strata show --json "$img:/home/user/greeting" | jq -S . | cmp - want || fail "show $img"
	case $img in *.gz) continue ;; esac
	rm -rf a b; strata -q -L lib cp m:/odd a; strata -q cp "$img:/odd" b
	treedump.py a >want; treedump.py b >have; same_tree want have
done
# the library comes first, but for what can only be a path
mkdir d; cd d; export STRATA_LIBRARY=$T/lib
truncate -s 1M m; [ "$(strata cat m:/home/user/greeting)" = hello ] || fail "a file of the host hides a branch"
expect_rc 3 strata ls ./m:/ 2>err; grep -q "no volume" err || fail "$(cat err)"
expect_rc 3 strata ls ./none:/ 2>err; grep -q "no such file" err || fail "$(cat err)"
expect_rc 3 strata ls none:/ 2>err; grep -q "no branch" err || fail "$(cat err)"
expect_rc 3 strata ls ../disk.raw:/none 2>err; expect_rc 3 strata ls ../disk.raw:p9:/ 2>err
expect_rc 2 strata cat ../disk.raw 2>err
expect_rc 2 strata cat ../disk.raw:/odd 2>err
# what an image names is not opened
qemu-img create -q -f qcow2 -F raw -b ../disk.raw o.qcow2
expect_rc 4 strata ls ./o.qcow2:/ 2>err; grep -q allow err || fail "$(cat err)"
