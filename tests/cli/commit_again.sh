# SPDX-License-Identifier: Apache-2.0
# Which overlay is it? One that was committed, deleted and made again, in the same place and on the same inode, goes on
# from its base and not from what the other one became; one that was only written to, renamed or copied does as before.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/instance.inc"
need mke2fs sfdisk python3 qemu-io qemu-img
make_library; strata -q export web -o base.raw
parent() { strata log "$1" -n 1 --json | get /dev/stdin '["commits"][0]["parents"]' | tr -d "[]'"; }
tip() { cat "lib/refs/heads/$1"; }
base=$(tip web)
# again FILE: deletes it and makes another with the same inode
again() {
	local ino i; ino=$(stat -c %i "$1"); rm "$1"
	for i in $(seq 300); do
		"${@:2}"; [ "$(stat -c %i "$1")" != "$ino" ] || return 0
		mv "$1" "away.$i"
	done
	"${@:2}"
	echo "this file system does not give inodes out again"; return 1
}
make() { overlay o.qcow2 base.raw; io o.qcow2 "write -P $1 30M 1M"; }

make 1; strata -q commit o.qcow2 -b one; one=$(tip one); [ "$(parent one)" = "$base" ]
io o.qcow2 'write -P 2 31M 1M'; strata -q commit o.qcow2; [ "$(parent one)" = "$one" ] || fail "the same overlay does not go on"
tip one > before
if again o.qcow2 make 3; then
	rm -f away.*
	# a branch of its own, from the base; by default not on top of what the other one became
	strata -q commit o.qcow2 -b two; [ "$(parent two)" = "$base" ] || fail "the parent is $(parent two)"
	same_commit two o.qcow2
	io o.qcow2 'write -P 4 32M 1M'; expect_rc 5 strata commit o.qcow2 -b one 2>err; grep -q "another branch" err
	two=$(tip two); strata -q commit o.qcow2; [ "$(parent two)" = "$two" ] && same_commit two o.qcow2
	tip one | cmp - before
	# an export that was replaced by another file of the same size and time
	strata -q export web -o x.raw; overlay x.qcow2 x.raw; touch -r x.raw time
	remake() { cp --sparse=always a.raw x.raw; printf changed | dd of=x.raw bs=1 seek=40000000 conv=notrunc status=none; touch -r time x.raw; }
	if again x.raw remake; then
		expect_rc 4 strata commit x.qcow2 -b x 2>err; grep -q "another file" err || fail "$(cat err)"
	fi
	rm -f away.*
	# an instance, thrown away and made by hand under its name
	strata -q instance create web inst --full; io inst.qcow2 'write -P 5 33M 1M'; strata -q commit inst -b inst
	mk() { overlay inst.qcow2 inst.base.raw; io inst.qcow2 'write -P 6 34M 1M'; }
	if again inst.qcow2 mk; then
		expect_rc 5 strata commit inst -b inst 2>err; strata -q commit inst -b inst2
		[ "$(parent inst2)" = "$base" ] || fail "instance: the parent is $(parent inst2)"; same_commit inst2 inst.qcow2
	fi
fi
rm -f away.*
# renamed: the same one; copied: another, with the same base
mv o.qcow2 p.qcow2; io p.qcow2 'write -P 7 35M 1M'
cp p.qcow2 q.qcow2
strata -q commit q.qcow2 -b q; [ "$(parent q)" = "$base" ]; same_commit q q.qcow2
strata -q commit p.qcow2 -b p; same_commit p p.qcow2
strata -q verify
