#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every #include of ours names the module's own layer or one that it may see (doc/architecture.md has the picture).
. "$(dirname "$0")/../lib.sh"
cat >allowed <<'L'
base: base
os: os base
codec: codec base
model: model codec base
disk: disk codec os base
part: part os base
volume: volume os base
fs: fs codec os base
survey: survey fs volume part os base
store: store codec os base
library: library store model codec base
view: view library store model survey fs codec os base
insight: insight view library store model survey fs codec os base
change: change insight view library store model survey fs codec os base
ops: ops insight change view library store model survey fs volume part disk codec os base
serve: serve ops view library store model survey fs disk codec os base
api: api strata serve ops change insight view library store model survey fs disk codec os base
cli: cli serve ops change insight view library store model survey fs disk codec os base
L
bad=0 n=0
while read -r file line; do
	layer=${file#src/}; layer=${layer%%/*}
	seen=${line#*\"}; seen=${seen%%/*}
	n=$((n + 1))
	if ! grep -qE "^$layer:.* $seen( |\$)" allowed; then echo "$file: layer $layer must not see $line"; bad=1; fi
done < <(cd "$TOP" && grep -rnoE '#include "[^"]+"' src --include='*.[ch]' | sed -E 's/^([^:]*):[0-9]+:#include /\1 /')
[ $n -gt 300 ] || fail "only $n includes were looked at"
[ $bad = 0 ] || fail "layers are crossed"
# Nothing private in the installed headers.
! grep -nE '#include "' "$TOP"/include/strata/*.h 2>/dev/null || fail "an installed header includes a private one"
