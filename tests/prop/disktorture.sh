# SPDX-License-Identifier: Apache-2.0
# Random containers by qemu's hands, with random options and operations, packed at random: the same bytes come back, and
# qemu agrees with every format that is written. SEEDS="1 2" repeats some; STRATA_FAULT_ALL=1: many, and large ones.
. "$(dirname "$0")/../lib.sh"
need qemu-img qemu-io python3 gzip xz zstd bzip2
if [ -n "${STRATA_FAULT_ALL:-}" ]; then rounds=30 seeds="$(seq 1 40)"; else rounds=8 seeds=6; export TORTURE_SMALL=1; fi
for seed in ${SEEDS:-$seeds}; do
	mkdir "d$seed"
	(cd "d$seed" && python3 "$TOP/tests/tools/disktorture.py" "$seed" $rounds) || fail "seed $seed"
	rm -rf "d$seed"
done
