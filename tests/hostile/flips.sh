# SPDX-License-Identifier: Apache-2.0
# Single bytes of small images of every kind are changed: each import succeeds, gives the disk back bit for bit, and
# every file whose content it knows reads as that. STRATA_TEST_FULL=1: many times over.
. "$(dirname "$0")/../lib.sh"
need python3
n=${FLIPS:-12}; [ -z "${STRATA_TEST_FULL:-}" ] || n=2000
lib=$(mktemp -d /dev/shm/strata-flips.XXXXXX 2>/dev/null || mktemp -d "$T/flips.XXXXXX")
trap 'rm -rf "$lib"; cleanup' EXIT
seed=${SEED:-1}
for kind in ext fat exfat xfs btrfs ntfs iso9660 squashfs erofs volume part; do
	for f in "$TOP"/fuzz/corpus/$kind/*; do
		if [ "$(head -c 5 "$f")" = SIMG1 ]; then simg.py unpack "$f" image; else cp "$f" image; fi
		[ "$(stat -c %s image)" -le $((1 << 40)) ] || continue
		flipimport -n "$n" -s "$seed" "$lib/l" image >out 2>err || { tail -c 2000 err; fail "$kind/${f##*/}"; }
		echo "$kind/${f##*/}: $(cat out)"
		mib=$(sed 's/.* \([0-9]*\) MiB/\1/' out)
		case $BUILD in *asan*) ;; *) [ "$mib" -le 200 ] || fail "$kind/${f##*/}: $mib MiB" ;; esac
		seed=$((seed + 1))
	done
done
