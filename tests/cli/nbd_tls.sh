# SPDX-License-Identifier: Apache-2.0
# strata nbd with TLS, over Unix sockets and TCP, with pre-shared keys and with certificates: clients of other people
# read the disk, also by the lines that it prints; who has no or other credentials does not. Permissions of the socket.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/serve.inc"
need_plugin; need mke2fs sfdisk python3 qemu-img certtool psktool
export XDG_RUNTIME_DIR=$PWD/run; mkdir run
make_library
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
host=localhost; getent hosts localhost >/dev/null || host=127.0.0.1
field() { python3 -c 'import json,sys; print(json.load(open("info.json"))[sys.argv[1]])' "$1"; }
serve() { # OPTIONS: in the foreground, told by info.json
	rm -f info.json; strata nbd web --json "$@" > info.json & pid=$!
	for i in $(seq 100); do [ -s info.json ] && break; kill -0 $pid || fail "it did not start"; sleep 0.05; done
}
stop() { kill $pid; wait $pid || true; }

mkdir psk other "with, comma"
psktool -u alice -p psk/keys.psk >/dev/null 2>&1; psktool -u alice -p other/keys.psk >/dev/null 2>&1
cp psk/keys.psk "with, comma/keys.psk"
(
	mkdir pki && cd pki && for n in ca server client; do certtool --generate-privkey --ecc --outfile $n-key.pem; done
	printf 'cn = Test CA\nca\ncert_signing_key\n' > ca.info
	printf 'cn = localhost\ndns_name = localhost\nip_address = 127.0.0.1\ntls_www_server\nsigning_key\n' > server.info
	printf 'cn = somebody\ntls_www_client\nsigning_key\n' > client.info
	certtool --generate-self-signed --load-privkey ca-key.pem --template ca.info --outfile ca-cert.pem
	for n in server client; do
		certtool --generate-certificate --load-ca-certificate ca-cert.pem --load-ca-privkey ca-key.pem --load-privkey $n-key.pem --template $n.info --outfile $n-cert.pem
	done
) >/dev/null 2>&1 || fail "certtool"
mkdir anon; cp pki/ca-cert.pem anon/

# a command's URI is all that it needs
for m in on require; do
	strata nbd web --tls $m --tls-psk psk/keys.psk -- sh -c 'case "$uri" in nbds+unix://alice@/web?*) nbdinfo "$uri" | grep -q "with TLS" && nbdcopy "$uri" - | cmp - a.raw ;; *) exit 9 ;; esac'
	strata nbd web --tls $m --tls-certificates pki -- sh -c 'nbdinfo "$uri" | grep -q "with TLS" && nbdcopy "$uri" - | cmp - a.raw'
	strata nbd web --port $port --listen $host --tls $m --tls-certificates pki -- nbdcopy {} - | cmp - a.raw
	strata nbd web --port $port --tls $m --tls-psk psk/keys.psk -- nbdcopy {} - | cmp - a.raw
done
strata nbd web --tls require --tls-psk "with, comma/keys.psk" -- nbdcopy {} - | cmp - a.raw
# "on": also in the clear; "require": not
strata nbd web --tls on --tls-psk psk/keys.psk --socket s.sock -- nbdcopy "nbd+unix:///web?socket=$PWD/s.sock" - | cmp - a.raw
expect_rc 1 strata nbd web --tls require --tls-psk psk/keys.psk --socket s.sock -- nbdinfo "nbd+unix:///web?socket=$PWD/s.sock" 2>/dev/null
# another key, no client's certificate where one is wanted
expect_rc 1 strata nbd web --tls require --tls-psk psk/keys.psk --socket s.sock -- nbdinfo "nbds+unix://alice@/web?socket=$PWD/s.sock&tls-psk-file=$PWD/other/keys.psk" 2>/dev/null
strata nbd web --tls require --tls-certificates pki --tls-verify-peer --socket s.sock -- nbdinfo --size "nbds+unix:///web?socket=$PWD/s.sock&tls-certificates=$PWD/pki" | grep -qx 100663296
expect_rc 1 strata nbd web --tls require --tls-certificates pki --tls-verify-peer --socket s.sock -- nbdinfo "nbds+unix:///web?socket=$PWD/s.sock&tls-certificates=$PWD/anon" 2>/dev/null

# qemu by the line for an overlay
for how in "--tls-psk psk/keys.psk" "--tls-certificates pki" "--tls-psk psk/keys.psk --port $port" "--tls-certificates pki --port $port --listen $host"; do
	case $how in *--port*) sock= ;; *) sock="--socket s.sock" ;; esac
	serve --tls require $how $sock
	[ "$(field tls)" = True ]; rm -f overlay.qcow2
	eval "$(field overlay)" >/dev/null || fail "$how: $(field overlay)"
	object=$(field overlay | sed -n "s/.*--object \('[^']*'\|[^ ]*\) .*/\1/p")
	qemu-img compare -q --object "$object" --image-opts driver=qcow2,file.filename=overlay.qcow2 driver=raw,file.filename=a.raw || fail "$how: qemu reads other bytes"
	field qemu | grep -q 'tls-creds' || fail "qemu: $(field qemu)"
	field libvirt | grep -q "tls='yes'" || fail "libvirt: $(field libvirt)"
	stop
done

# what cannot work is said, and nothing is served in the clear instead
expect_rc 3 strata nbd web --tls on --tls-psk nosuch -- true 2>err; grep -q nosuch err
expect_rc 3 strata nbd web --tls require --tls-certificates nosuch -- true 2>err
: > empty.psk; expect_rc 2 strata nbd web --tls on --tls-psk empty.psk -- true 2>err; grep -q "holds no key" err
mkdir nothing; expect_rc 7 strata nbd web --tls on --tls-certificates nothing -- true 2>/dev/null
expect_rc 7 strata nbd web --tls require --tls-certificates nothing -- true 2>/dev/null
expect_rc 2 strata nbd web --tls-psk psk/keys.psk -- true 2>err; grep -q "go with --tls" err
expect_rc 2 strata nbd web --tls on --tls-psk psk/keys.psk --tls-certificates pki -- true 2>/dev/null
[ -z "$(ls run)" ] || fail "something is left: $(ls run)"

# permissions of the socket
mode() { strata nbd web --socket s.sock "$@" -- stat -c %a s.sock; }
[ "$(mode --mode 660)$(mode --mode 0666)$(mode --mode 600)" = 660666600 ] || fail "--mode"
[ $((0$(mode) & 022)) = 0 ] || fail "others may connect: $(mode)"
expect_rc 2 strata nbd web --mode 660 -- true 2>err; grep -q -- --socket err
for bad in 8 1777 "" rw 066; do expect_rc 2 strata nbd web --socket s.sock --mode "$bad" -- true 2>/dev/null; done
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	chmod 755 "$T"
	as_nobody() { setpriv --reuid 65534 --clear-groups nbdinfo --size "nbd+unix:///web?socket=$PWD/s.sock"; }
	export -f as_nobody
	[ "$(strata nbd web --socket s.sock --mode 666 -- bash -c as_nobody)" = 100663296 ] || fail "nobody cannot connect"
	expect_rc 1 strata nbd web --socket s.sock -- bash -c as_nobody 2>/dev/null
fi
