#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Many commits on 50 branches: index files are merged, so that the library
# stays as quick to open as it was. (System calls are counted, not seconds.)
. "$(dirname "$0")/lib.inc"
need strace
export STRATA_LIBRARY=$T/lib
n=${STRATA_FAULT_ALL:+1000}; n=${n:-150}
strata -q init lib
truncate -s 4M x.img
opens() { strace -f -qq -e trace=openat,pread64,mmap -o trace.txt "$@" >/dev/null; wc -l <trace.txt; }
for i in $(seq $n); do
	printf '%08d' $i | dd of=x.img bs=1 seek=$((i % 900 * 4096)) conv=notrunc status=none
	if [ $i = 60 ]; then
		first=$(opens strata -q import x.img -b b$((i % 50))); open1=$(opens strata log -n 1 b1)
	else
		strata -q import x.img -b b$((i % 50))
	fi
done
[ "$(strata verify --json | grep -o '"commits":[0-9]*' | head -1)" = "\"commits\":$n" ] || fail "not all commits are there"
last=$(opens strata -q import x.img -b b1)
[ "$(ls lib/index | wc -l)" -le 9 ] || fail "$(ls lib/index | wc -l) index files"
# as much work at the end as in the beginning, a fifth more at most
[ $((last * 5)) -le $((first * 6 + 200)) ] || fail "$last calls for the last import, $first for an early one"
open2=$(opens strata log -n 1 b1)
[ $((open2 * 5)) -le $((open1 * 6 + 50)) ] || fail "opening takes $open2 calls, early on $open1"
strata verify
strata gc --grace now
[ "$(ls lib/packs | wc -l)" -le 3 ] || fail "packs were not joined"
strata verify --read-data
