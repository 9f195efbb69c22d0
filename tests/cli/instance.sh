# SPDX-License-Identifier: Apache-2.0
# Instances: an overlay over the library, its base safe, its record; what is refused.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/instance.inc"
need_plugin; need mke2fs sfdisk python3 qemu-io qemu-img
make_library


# create: an overlay that qemu takes, over the library's server
strata instance create web one --json > one.json
[ "$(get one.json '["schema"]')" = strata/instance-create/1 ]
[ "$(qemu-img info --output=json -U one.qcow2 | python3 -c 'import json,sys; print(json.load(sys.stdin)["virtual-size"])')" = 100663296 ]
eval "$(get one.json '["server"]') --pidfile pid -q" > uri
qemu-img check -q one.qcow2
qemu-img compare -q -f qcow2 -F raw one.qcow2 a.raw
qemu-io -f qcow2 -c 'write -P 7 1M 64k' -c 'read -P 7 1M 64k' one.qcow2 >/dev/null
strata instance list --json > list.json
[ "$(get list.json '["instances"][0]["state"]')" = changed ]
[ "$(get list.json '["instances"][0]["branch"]')" = web ]
strata instance list | grep -q '^one .* changed .*/one.qcow2$'
kill "$(cat pid)"

# the branch may go: the instance keeps its base
strata -q branch copy web; tip=$(get one.json '["commit"]')
strata -q branch -d web
[ "$(get list.json '["instances"][0]["commit"]')" = "$tip" ]
strata -q branch web copy

# --full: a raw file beside it, no server
strata -q instance create web 'team/two' --full --path two.qcow2
cmp two.base.raw a.raw; qemu-img compare -q -f qcow2 -F raw two.qcow2 a.raw
[ "$(du -k two.base.raw | cut -f1)" -lt 60000 ] || fail "the base is not sparse"

# what is refused
expect_rc 5 strata instance create web one 2>err; grep -q "exists already" err
expect_rc 5 strata instance create web three --path one.qcow2 2>err; grep -q "there already" err
expect_rc 3 strata instance create nope four 2>/dev/null
expect_rc 2 strata instance create web '../x' 2>/dev/null
expect_rc 2 strata instance create web:/etc five 2>/dev/null
expect_rc 2 strata instance create web 2>/dev/null
expect_rc 3 strata instance create 'web#1' six 2>/dev/null
expect_rc 3 strata instance create web seven --path /nowhere/x.qcow2 2>/dev/null
[ "$(strata instance list -z | tr '\0' ' ')" = "one team/two " ]
long=$(printf 'x%.0s' $(seq 120))
expect_rc 2 strata instance create web long --path "$long.qcow2" 2>err; grep -q -- --socket err
strata -q instance create web long --path "$long.qcow2" --socket s.sock

# rm: not what holds changes, not what is in use
expect_rc 5 strata instance rm one 2>err; grep -q "not committed" err
strata -q instance rm team/two; [ ! -e two.qcow2 ] && [ ! -e two.base.raw ] || fail "files are left"
qemu-storage-daemon --blockdev driver=qcow2,node-name=d,file.driver=file,file.filename="$long.qcow2",backing= --nbd-server addr.type=unix,addr.path=q.sock \
	--export type=nbd,id=e,node-name=d,writable=on --pidfile qpid & q=$!
for i in $(seq 50); do [ -s qpid ] && break; sleep 0.1; done
expect_rc 5 strata instance rm -f long 2>err; grep -q "writes to it" err
kill $q; wait $q || true
strata -q instance rm -f long one; [ ! -e one.qcow2 ] || fail "the overlay is left"
[ -z "$(strata instance list)" ] || fail "something is listed"
[ -z "$(find lib/instances lib/refs/instances -type f)" ] || fail "something is left in the library"
expect_rc 3 strata instance rm one 2>/dev/null

# a record that is damaged or gone: the rest works, rm cleans up
strata -q instance create web b1 --full; strata -q instance create web b2 --full
printf x >> lib/instances/b1; rm lib/instances/b2
strata instance list | grep -c broken | grep -qx 2
strata -q instance rm b1 b2
[ -z "$(strata instance list)" ] || fail "something is listed"
strata -q verify
