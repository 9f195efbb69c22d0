# SPDX-License-Identifier: Apache-2.0
# strata commit: whose base is known, what is read, what becomes of it; what is refused.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/instance.inc"
need_plugin; need mke2fs sfdisk python3 qemu-io qemu-img qemu-storage-daemon debugfs strace
make_library
base=$(strata log web --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["commits"][0]["id"])')

# an instance over the server; the server is not needed for the commit
strata instance create web one --json > one.json
eval "$(get one.json '["server"]') --pidfile pid -q" > uri
seq 5000 > new.txt
in_fs one.qcow2 "write $PWD/new.txt new.txt" "rm dir/f7" "set_inode_field dir/hello mode 0100600"
kill "$(cat pid)"; sleep 0.2
strata commit one -m "first" --annotate ticket=7 --json > c1.json
[ "$(get c1.json '["branch"]')" = web ]; [ "$(get c1.json '["base"]')" = "$base" ]
[ "$(get c1.json '["reused_files"]')" -gt 150 ] || fail "files were read again: $(cat c1.json)"
[ "$(get c1.json '["changed_bytes"]')" -lt 3000000 ] || fail "too much changed"
strata cat web:p1:/new.txt | cmp - new.txt
strata ls -R web:p1:/ | grep -q dir/hello; ! strata ls -R web:p1:/ | grep -q dir/f7$ || fail "f7 is there"
strata log web -n 1 | grep -q first
[ "$(strata log web --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["commits"][0]["parents"])')" = "['$base']" ]
# what is on disk is what a whole import would have made of it
eval "$(get one.json '["server"]') --pidfile pid -q" > uri
same_commit web one.qcow2
qemu-img convert -f qcow2 -O raw one.qcow2 whole.raw
strata -q import whole.raw -b whole --json > w.json
for k in '["disks"][0]["digest"]' '["disks"][0]["volumes"][0]["tree"]'; do
	[ "$(get w.json "$k")" = "$(get c1.json "$k")" ] || fail "the commit differs from an import in $k"
done

# it goes on: the next commit's parent is the first
strata instance list --json > list.json; [ "$(get list.json '["instances"][0]["state"]')" = committed ]
in_fs one.qcow2 "rm dir/f8"
strata -q commit one
same_commit web one.qcow2
[ "$(strata log web --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["commits"][1]["id"])')" = "$(get c1.json '["commit"]')" ]
# the branch has moved: not without -b
strata -q import a.raw -b web
io one.qcow2 'write -P 3 70M 4k'
expect_rc 5 strata commit one 2>err; grep -q "another branch" err
strata -q commit one -b side; same_commit side one.qcow2
[ "$(strata log side --json | python3 -c 'import json,sys; print(len(json.load(sys.stdin)["commits"]))')" = 4 ]
kill "$(cat pid)"

# a hypervisor's overlay over an exported file: relative, absolute, by another path, of another folder
mkdir -p vm/deep
strata -q export web -o vm/base.raw
overlay vm/o1.qcow2 base.raw; io vm/o1.qcow2 'write -P 9 80M 128k' 'write -z 8M 64k'
strace -f -qq -e trace=openat,open,openat2 -o trace.txt strata commit vm/o1.qcow2 -b o1 --json > o1.json
! grep -q 'base\.raw' trace.txt || fail "the base was opened: $(grep base.raw trace.txt)"
[ "$(get o1.json '["changed_bytes"]')" = 196608 ]
same_commit o1 vm/o1.qcow2
ln -s vm link; overlay vm/deep/o2.qcow2 "$PWD/link/base.raw"; io vm/deep/o2.qcow2 'write -P 1 1M 1M'
strata -q commit vm/deep/o2.qcow2 -b o2; same_commit o2 vm/deep/o2.qcow2
overlay vm/deep/o3.qcow2 ../base.raw; strata -q commit vm/deep/o3.qcow2 -b o3; same_commit o3 vm/deep/o3.qcow2
mv vm/base.raw vm/renamed.raw; overlay vm/o4.qcow2 renamed.raw; io vm/o4.qcow2 'write -P 1 2M 512'
strata -q commit vm/o4.qcow2 -b o4; same_commit o4 vm/o4.qcow2
strata -q export web -o vm/base.qcow2; qemu-img create -q -f qcow2 -F qcow2 -b base.qcow2 vm/o5.qcow2; io vm/o5.qcow2 'write -P 2 3M 1M'
strata -q commit vm/o5.qcow2 -b o5; same_commit o5 vm/o5.qcow2
# the branch of the export is the default; the second commit goes on
strata -q commit vm/o5.qcow2; io vm/o5.qcow2 'write -P 3 3M 1M'; expect_rc 5 strata commit vm/o5.qcow2 -b o4 2>/dev/null
strata -q commit vm/o5.qcow2; same_commit o5 vm/o5.qcow2
# an overlay over the server, by its own hand
tip=$(strata log o1 --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["commits"][0]["id"])')
strata nbd o1 --socket s.sock --fork --pidfile pid -q >/dev/null
overlay n1.qcow2 "nbd+unix:///$tip?socket=$PWD/s.sock"; io n1.qcow2 'write -P 4 4M 1M'
strata -q commit n1.qcow2 -b n1; same_commit n1 n1.qcow2
overlay n2.qcow2 "nbd+unix:///o1?socket=$PWD/s.sock"; io n2.qcow2 'write -P 4 4M 1M'
expect_rc 4 strata commit n2.qcow2 2>err; grep -q -- --base err
strata -q commit n2.qcow2 --base o1; same_commit o1 n2.qcow2
kill "$(cat pid)"

# an exported disk that was written to in place
strata -q export o2 -o own.raw; python3 -c 'f = open("own.raw", "r+b"); f.seek(50 << 20); f.write(b"x" * 5000)'
strata commit own.raw --json > own.json; [ "$(get own.json '["whole"]')" = True ]; [ "$(get own.json '["branch"]')" = o2 ]
strata -q export o2 -o own2.raw; cmp own.raw own2.raw
# ... with what looks like a qcow2 header
printf 'QFI\xfb\0\0\0\3' | dd of=own.raw conv=notrunc 2>/dev/null; strata -q commit own.raw; strata -q export o2 -o own2.raw; cmp own.raw own2.raw

# what is refused
strata -q export web -o vm/alt.raw
overlay vm/a1.qcow2 alt.raw; io vm/a1.qcow2 'write -P 4 4M 1M'
printf x | dd of=vm/alt.raw bs=1 seek=5000000 conv=notrunc 2>/dev/null
expect_rc 4 strata commit vm/a1.qcow2 -b bad 2>err; grep -q "not as it was exported" err
expect_rc 4 strata commit vm/a1.qcow2 -b bad --base web 2>err; grep -q "not as it was exported" err
strata -q import vm/a1.qcow2 --allow-backing vm/alt.raw -b whole2; same_commit whole2 vm/a1.qcow2
cp a.raw vm/foreign.raw; overlay vm/a2.qcow2 foreign.raw
expect_rc 4 strata commit vm/a2.qcow2 2>err; grep -q "not exported from this library" err
overlay vm/a3.qcow2 o1.qcow2 2>/dev/null || qemu-img create -q -f qcow2 -F qcow2 -b o1.qcow2 vm/a3.qcow2
expect_rc 4 strata commit vm/a3.qcow2 2>err
qemu-img create -q -u -f qcow2 -F qcow2 -b renamed.raw vm/a4.qcow2 96M
expect_rc 4 strata commit vm/a4.qcow2 2>err; grep -q "exported as raw" err
expect_rc 4 strata commit vm/o4.qcow2 --base "$base" 2>err; grep -q "not on disk" err
expect_rc 4 strata commit a.raw 2>err; grep -q "no overlay" err
expect_rc 3 strata commit nothing.qcow2 2>/dev/null
expect_rc 3 strata commit vm/o4.qcow2 --base nope 2>/dev/null
qemu-img create -q -u -f qcow2 -F raw -b gone.raw vm/a5.qcow2 96M
expect_rc 4 strata commit vm/a5.qcow2 2>err; grep -q "not there" err
! strata log bad >/dev/null 2>&1 || fail "a branch was made"
# in use
qemu-storage-daemon --blockdev driver=qcow2,node-name=d,file.driver=file,file.filename=vm/o4.qcow2 --nbd-server addr.type=unix,addr.path=q.sock \
	--export type=nbd,id=e,node-name=d,writable=on --pidfile qpid & q=$!
while [ ! -s qpid ]; do sleep 0.1; done
expect_rc 5 strata commit vm/o4.qcow2 2>err; grep -q "writes to it" err
strata -q commit -U vm/o4.qcow2
kill $q; wait $q || true

# the base's branch is deleted: the instance commits all the same, and gc leaves its base alone
strata -q export o3 -o /dev/null 2>/dev/null || true
strata -q instance create o3 keep --full; io keep.qcow2 'write -P 8 9M 64k'
strata -q branch -d o3; strata -q gc >/dev/null 2>&1 || true
strata -q commit keep; same_commit o3 keep.qcow2
strata -q verify

# a library that cannot be written: the export is done, and says what it could not do
if [ "$(id -u)" = 0 ] && mount --bind lib lib; then
	cleanup_mounts+=("$T/lib"); mount -o remount,ro,bind lib
	strata export web -o ro.raw 2>err || fail "$(cat err)"
	umount lib
	grep -q "could not note" err; strata -q export web -o rw.raw; cmp ro.raw rw.raw
	overlay ro.qcow2 ro.raw; expect_rc 4 strata commit ro.qcow2 2>/dev/null; strata -q commit ro.qcow2 --base web -b ro; same_commit ro ro.qcow2
	# its own record does not make a base known that never was
	io ro.qcow2 'write -P 8 9M 64k'; strata -q commit ro.qcow2 --base web -b ro2; same_commit ro2 ro.qcow2
fi
