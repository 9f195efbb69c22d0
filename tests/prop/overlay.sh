# SPDX-License-Identifier: Apache-2.0
# Overlays that qemu wrote at random (every option of theirs, grown, shrunk, compressed, discarded, with snapshots and bitmaps, copied, moved, over
# exports of several formats, over each other) are committed exactly. SEEDS="1 2" repeats some; STRATA_FAULT_ALL=1: many.
. "$(dirname "$0")/../lib.sh"
need qemu-img qemu-io python3 mke2fs sfdisk
if [ -n "${STRATA_FAULT_ALL:-}" ]; then rounds=12 seeds=$(seq 1 30); else rounds=4 seeds=3; fi
export TMPDIR=$PWD STRATA_LIBRARY=$PWD/lib
mkdir tree; seq 30000 >tree/big.txt; head -c 300000 /dev/urandom >tree/noise; dd if=/dev/urandom of=tree/sparse bs=4096 count=3 seek=100 status=none
for i in $(seq 30); do echo "file $i" >"tree/f$i"; done
mke2fs -q -F -t ext4 -d tree fs.ext4 12m; truncate -s 20M a.raw; dd if=fs.ext4 of=a.raw bs=1M seek=1 conv=notrunc,sparse status=none
dd if=/dev/urandom of=a.raw bs=512 seek=10 count=777 conv=notrunc status=none; printf 'label: dos\n2048,,L\n' | sfdisk -q a.raw 2>/dev/null
strata -q init lib; strata -q import a.raw -b web
for s in ${SEEDS:-$seeds}; do python3 "$TOP/tests/tools/overlaywalk.py" "$s" "$rounds" || fail "seed $s"; done
strata -q verify --read-data
