# SPDX-License-Identifier: Apache-2.0
# strata nbd: starts nbdkit, says how to use it, ends it and leaves nothing.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/serve.inc"
need_plugin; need_nbdsh; need mke2fs sfdisk python3 qemu-io
export XDG_RUNTIME_DIR=$PWD/run; mkdir run
make_library

# a command with the URI; its exit code
strata nbd web -- nbdcopy {} out.raw; cmp out.raw a.raw
strata nbd web -- sh -c 'nbdinfo --size "$uri"' | grep -qx 100663296
expect_rc 9 strata nbd web -- sh -c 'exit 9'
strata nbd -- sh -c 'nbdinfo --list "$uri"' | grep -q 'export="web"'
[ -z "$(ls run)" ] || fail "something is left: $(ls run)"

# --writable
strata nbd web -w scratch -- sh -c 'qemu-io -f raw -c "write -P 5 0 64k" -c "read -P 5 0 64k" "$uri"' >/dev/null
strata nbd web -- nbdcopy {} - | cmp - a.raw

# in the foreground, until it is told to stop; JSON
strata nbd web --socket s.sock --json > info.json & pid=$!
for i in $(seq 100); do [ -s info.json ] && break; sleep 0.1; done
uri=$(python3 -c 'import json; d = json.load(open("info.json")); assert d["schema"] == "strata/nbd/1" and d["read_only"] and d["pid"]; print(d["uri"])')
nbdcopy "$uri" - | cmp - a.raw
qemu-img compare -q -f raw -F raw "$uri" a.raw
expect_rc 5 strata nbd web --socket s.sock 2>err; grep -q "listens there" err
kill -TERM $pid; wait $pid || fail "exit $?"
[ ! -e s.sock ] || fail "the socket is left"

# killed: the server goes too, and a socket left behind is taken over
strata nbd web --socket s.sock >out.txt & pid=$!
for i in $(seq 100); do [ -s out.txt ] && break; sleep 0.1; done
grep -q '^libvirt: *<disk type=' out.txt; grep -q '^virt-install:' out.txt; grep -q '^qemu: .*snapshot=on' out.txt
kill -9 $pid; wait $pid || true
for i in $(seq 50); do nbdinfo "nbd+unix:///web?socket=$PWD/s.sock" >/dev/null 2>&1 || break; sleep 0.1; done
strata -q nbd web --socket s.sock --fork --pidfile pid > uri.txt
nbdcopy "$(cat uri.txt)" - | cmp - a.raw
kill "$(cat pid)"

# a boot set: recorded where a client reads like a start, used the next time
cat > boot.py <<'PY'
import nbd, time
h = nbd.NBD(); h.connect_uri(URI)
for i in range(40):
    h.pread(65536, i * 512 * 1024 + 8 * 1024 * 1024)
    time.sleep(0.03)
h.shutdown()
PY
strata nbd web -- sh -c 'nbdsh -c "URI=\"$uri\"" -c "exec(open(\"boot.py\").read())"'
ls lib/cache/boot/* | grep -q . || fail "no boot set was recorded"
head -1 lib/cache/boot/* | grep -qx 'strata boot set 1'
for text in "" "strata boot set 1
1 99999999999" "rubbish"; do
	strata nbd web -- nbdcopy {} - | cmp - a.raw
	for f in lib/cache/boot/*; do printf '%s' "$text" > "$f"; done
done
rm -rf lib/cache; chmod -w lib; strata nbd web -- nbdcopy {} - | cmp - a.raw; chmod +w lib

# what is refused
expect_rc 3 strata nbd nope 2>/dev/null
expect_rc 3 strata nbd 'web#1' 2>/dev/null
expect_rc 2 strata nbd web:/etc 2>/dev/null
expect_rc 2 strata nbd web --port 99999 2>/dev/null
expect_rc 2 strata nbd web --socket x --port 10809 2>/dev/null
expect_rc 2 strata nbd -w x 2>/dev/null
expect_rc 2 strata nbd web --tls maybe 2>/dev/null
expect_rc 2 strata nbd web --socket "$(printf 'x%.0s' $(seq 200))" 2>err; grep -q "path of a socket" err
STRATA_NBDKIT_PLUGIN=/nowhere/x.so expect_rc 7 strata nbd web 2>/dev/null
[ "$(ls run | wc -l)" -le 1 ] || fail "something is left: $(ls run)"
