# SPDX-License-Identifier: Apache-2.0
# Containers of every kind, damaged at random: imported or refused, in a few seconds each. SEEDS="1 2" repeats some;
# STRATA_FAULT_ALL=1: many times over.
. "$(dirname "$0")/../lib.sh"
need qemu-img qemu-io qemu-nbd python3 gzip xz zstd bzip2 lz4 zip tar
if [ -n "${STRATA_FAULT_ALL:-}" ]; then n=20 seeds="$(seq 1 30)"; else n=1 seeds=1; fi
for seed in ${SEEDS:-$seeds}; do
	mkdir "d$seed"
	(cd "d$seed" && python3 "$TOP/tests/tools/diskdamage.py" "$seed" $n) || fail "seed $seed"
	rm -rf "d$seed"
done
