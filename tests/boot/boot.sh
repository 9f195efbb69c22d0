#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Debian that went through import and each export format boots, under qemu, to
# the login prompt on its serial console; also without its free space.
# FLEET=dir: with base.raw of bench/mkfleet; else that image is made (root, network).
# FORMATS="raw qcow2": only those. Needs no KVM: about a minute each. Not part of
# "make check"; "make check-boot" starts it.
. "$(dirname "$0")/../lib.sh"
formats=${FORMATS:-raw discard qcow2 vmdk vmdk-stream vhd vhdx vdi ova}
p=0 f=0
finish() { echo "$p passed, $f failed, ${1:-0} skipped"; }
trap - EXIT; trap 'rm -rf "$T"' EXIT
none() { echo "skip  boot: $*"; finish 1; exit 77; }
command -v qemu-system-x86_64 >/dev/null || none "qemu-system-x86_64 is not installed (tools/setup boot)"
if [ -z "${FLEET:-}" ]; then
	FLEET=$BUILD/fleet
	if [ ! -e "$FLEET/base.raw" ]; then
		[ "$(id -u)" = 0 ] && command -v mmdebstrap >/dev/null || none "no FLEET, and none can be made (root, mmdebstrap)"
		ONLY=base "$TOP/bench/mkfleet" "$FLEET" || none "bench/mkfleet failed (network?)"
	fi
fi
[ -r "$FLEET/base.raw" ] || none "no $FLEET/base.raw"

# boots FILE FORMAT: to the prompt, within BOOT_TIMEOUT seconds of a slow machine
boots() {
	local pid n=0 rc=1
	timeout "${BOOT_TIMEOUT:-400}" qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 1024 -display none -monitor none -no-reboot -snapshot \
		-serial "file:$T/console" -net none -drive "file=$1,format=$2,if=virtio" >"$T/qemu.log" 2>&1 &
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		if grep -qa 'login:' "$T/console" 2>/dev/null; then rc=0; break; fi
		if grep -qaE 'Kernel panic|emergency mode|\(initramfs\)' "$T/console" 2>/dev/null; then break; fi
		sleep 1
	done
	kill $pid 2>/dev/null || true; wait $pid 2>/dev/null || true
	return $rc
}
# the disk of an appliance
unpacked() {
	[ "$x" = ova ] || return 0
	tar -xOf disk disk-disk1.vmdk >member && mv member disk
}
strata init lib >/dev/null; export STRATA_LIBRARY=$T/lib
strata import "$FLEET/base.raw" -b base -q
case " $formats " in *" discard "*) strata import "$FLEET/base.raw" -b discard --free-space discard ;; esac
for x in $formats; do
	start=$SECONDS rev=base format=$x qemu=$x
	case $x in
	discard) rev=discard format=raw qemu=raw ;;
	vmdk-stream | ova) qemu=vmdk ;;
	vhd) qemu=vpc ;;
	esac
	rm -f disk console
	if strata export "$rev" -o disk --format "$format" && unpacked && boots "$T/disk" "$qemu"; then
		p=$((p + 1)); echo "ok    boot/$x ($((SECONDS - start)) s)"
	else
		f=$((f + 1)); echo "FAIL  boot/$x"; { tail -5 qemu.log; tail -c 2000 console; } 2>/dev/null | tr -d '\r\033' | sed 's/^/    | /'
	fi
done
finish
[ $f = 0 ]
