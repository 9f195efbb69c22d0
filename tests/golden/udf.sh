#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# UDF as Linux 6.1 wrote it (mkudffs 2.3, then tests/tools/udfvm): names, links, devices, holes, fragments, what was
# deleted; what is read is what Linux showed (the .txt). Block sizes 512 and 2048, revisions 1.02, 1.50 (sparable) and 2.01.
. "$(dirname "$0")/../lib.sh"
need python3 xz
n=0
for g in "$TOP"/tests/golden/udf/*.simg.xz; do
	name=$(basename "$g" .simg.xz)
	xz -dc "$g" >simg; simg.py unpack simg image
	fsdump --free image >all 2>err || fail "$name: $(cat err)"
	[ ! -s err ] || fail "$name: findings: $(cat err)"
	# a system's own file, hidden: Linux does not list what is
	grep -v ' /Non-Allocatable\\x20Space$' all | grep -v '^#' | sort >got
	cmp got "$TOP/tests/golden/udf/$name.txt" || { diff got "$TOP/tests/golden/udf/$name.txt" | head; fail "$name reads otherwise"; }
	n=$((n + $(wc -l <got)))
done
[ $n -ge 800 ] || fail "too few: $n"
echo "$n entries"
