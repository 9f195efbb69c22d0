# SPDX-License-Identifier: Apache-2.0
# Sourced by every shell test: a scratch folder that goes away, strata on PATH,
# small helpers. A test exits 0 (passed), 77 (skipped: the reason is its last
# line), anything else (failed).
set -eu
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$TOP/build}
export PATH="$BUILD:$BUILD/tests/tools:$TOP/tests/tools:/usr/sbin:/sbin:$PATH"
export LC_ALL=C TZ=UTC STRATA_AUTHOR="Test <test@example.org>"
unset STRATA_LIBRARY XDG_DATA_HOME 2>/dev/null || true
T=$(mktemp -d "${TMPDIR:-/tmp}/strata-test.XXXXXX")
cleanup_mounts=()
cleanup() {
	local rc=$? m
	for m in "${cleanup_mounts[@]:-}"; do [ -z "$m" ] || umount "$m" 2>/dev/null || umount -l "$m" 2>/dev/null || true; done
	rm -rf "$T"
	exit $rc
}
trap cleanup EXIT
cd "$T"

skip() { echo "skip: $*"; exit 77; }
exec {messages}>&2 # also where a test keeps what a command says
fail() { echo "FAIL: $*" >&$messages; exit 1; }
need() { local t; for t; do command -v "$t" >/dev/null || skip "$t is not installed"; done; }
need_root() { [ "$(id -u)" = 0 ] || skip "needs root"; }
# loop_mount IMAGE DIR [TYPE [OPTIONS]]: a read-only loop mount, or skip where the kernel lacks it
loop_mount() {
	mkdir -p "$2"
	mount -o "loop,ro${4:+,$4}" ${3:+-t "$3"} "$1" "$2" 2>mount.err || skip "cannot mount ${3:-image}: $(tail -1 mount.err)"
	cleanup_mounts+=("$2")
}
# expect_rc N COMMAND...: runs it and wants that exit code
expect_rc() {
	local want=$1 rc=0; shift
	"$@" || rc=$?
	[ $rc -eq "$want" ] || fail "exit $rc, wanted $want: $*"
}
# same_tree A B: two dumps hold the same lines (comments aside), in any order
same_tree() {
	grep -v '^#' "$1" | sort > "$1.sorted"; grep -v '^#' "$2" | sort > "$2.sorted"
	cmp -s "$1.sorted" "$2.sorted" || { diff "$1.sorted" "$2.sorted" | head -40; fail "$1 and $2 differ"; }
}
