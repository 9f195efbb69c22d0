# SPDX-License-Identifier: Apache-2.0
# Single bytes of small images of every kind are changed: each import succeeds, gives the disk back bit for bit, and
# every file whose content it knows reads as that. STRATA_TEST_FULL=1: many times over.
. "$(dirname "$0")/../lib.sh"
need python3
n=${FLIPS:-12}; [ -z "${STRATA_TEST_FULL:-}" ] || n=2000
lib=$(mktemp -d /dev/shm/strata-flips.XXXXXX 2>/dev/null || mktemp -d "$T/flips.XXXXXX")
trap 'rm -rf "$lib"; cleanup' EXIT
seed=${SEED:-1}
flips() { # NAME, of ./image
	flipimport -n "$n" -s "$seed" "$lib/l" image >out 2>err || { tail -c 2000 err; fail "$1"; }
	echo "$1: $(cat out)"
	mib=$(sed 's/.* \([0-9]*\) MiB/\1/' out)
	case $BUILD in *asan*) ;; *) [ "$mib" -le 200 ] || fail "$1: $mib MiB" ;; esac
	seed=$((seed + 1))
}
for kind in ext fat exfat xfs btrfs ntfs iso9660 squashfs erofs udf volume part; do
	for f in "$TOP"/fuzz/corpus/$kind/*; do
		if [ "$(head -c 5 "$f")" = SIMG1 ]; then simg.py unpack "$f" image; else cp "$f" image; fi
		[ "$(stat -c %s image)" -le $((1 << 40)) ] || continue
		flips "$kind/${f##*/}"
	done
done
# a live ISO, whose squashfs is a volume too, and an ext4 in a squashfs
need mksquashfs xorriso mkfs.ext4
mkdir -p root/etc iso/live sq/LiveOS iso/LiveOS; seq 20000 >root/etc/numbers; head -c 90000 /dev/urandom >root/noise; : >root/etc/os-release
mksquashfs root iso/live/filesystem.squashfs -quiet -no-progress >/dev/null
truncate -s 2M sq/LiveOS/rootfs.img; mkfs.ext4 -q -O ^has_journal -d root sq/LiveOS/rootfs.img
mksquashfs sq iso/LiveOS/squashfs.img -quiet -no-progress >/dev/null
xorriso -as mkisofs -quiet -R -o image iso 2>/dev/null
n=$((n * 4)); flips live
grep -qE " [1-9][0-9]* files read" out || fail "no files read"
