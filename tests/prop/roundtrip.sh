# SPDX-License-Identifier: Apache-2.0
# Random disks and random changes of them come back bit for bit, and the same
# bytes are the same image whatever carried them. SEEDS="1 2" repeats some.
. "$(dirname "$0")/../lib.sh"
need mkfs.ext4 debugfs mkfs.vfat mcopy mkfs.xfs qemu-img qemu-io python3
for seed in ${SEEDS:-5 9}; do
	echo "seed $seed"
	mkdir "d$seed"
	(cd "d$seed" && python3 "$TOP/tests/tools/roundtrip.py" "$seed") || fail "seed $seed"
	rm -rf "d$seed"
done
