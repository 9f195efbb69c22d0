#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Random trees on file systems with random options, by other people's tools, compared with the kernel's mount or the format's
# own tool; imported, exported, imported again, without free space (tests/tools/fsround.py). ROUNDS="iso:7 ntfs:3" repeats
# some; STRATA_FAULT_ALL=1: SEEDS (40) rounds of each kind, from SEED on.
[ ! -w /dev/shm ] || export TMPDIR=${TMPDIR:-/dev/shm}
. "$(dirname "$0")/../lib.sh"
need python3
need_root
kinds="erofs squashfs iso fat exfat ntfs"
if [ -n "${STRATA_FAULT_ALL:-}" ] && [ -z "${ROUNDS:-}" ]; then
	first=${SEED:-1}
	for k in $kinds; do for s in $(seq "$first" $((first + ${SEEDS:-40} - 1))); do ROUNDS="${ROUNDS:-} $k:$s"; done; done
fi
done=0 why=
for x in ${ROUNDS:-erofs:11 erofs:16 squashfs:12 squashfs:27 iso:10 iso:14 fat:1 exfat:201 ntfs:203}; do
	mkdir round; rc=0
	(cd round; exec python3 "$TOP/tests/tools/fsround.py" "${x%:*}" "${x#*:}") >log 2>&1 || rc=$?
	case $rc in
	0) done=$((done + 1)) ;;
	77) why=$(tail -1 log) ;;
	*) cat log; fail "$x" ;;
	esac
	tail -1 log
	rm -rf --one-file-system round
done
[ $done -gt 0 ] || { echo "${why:-skip: no tools}"; exit 77; }
echo "$done rounds"
