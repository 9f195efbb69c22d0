#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is installed is enough to build and run the examples, and the library
# gives away no name but strata_*.
. "$(dirname "$0")/../lib.sh"
need meson ninja pkg-config gcc nm sfdisk mkfs.ext4 mkfs.vfat mcopy
grep -q fsanitize "$BUILD/build.ninja" && skip "not for a build with sanitizers"
so=$BUILD/src/api/libstrata.so
[ -e "$so" ] || fail "no shared library"
# (the logs of a real install stay, for "make uninstall")
mkdir -p real fake/meson-logs; for f in install-log install-completion; do mv "$BUILD/meson-logs/$f.txt" real/ 2>/dev/null || true; done
DESTDIR=$T/dest meson install -C "$BUILD" --no-rebuild >log 2>&1 || { cat log; fail "meson install"; }
mv "$BUILD"/meson-logs/install-*.txt fake/meson-logs/; mv real/* "$BUILD/meson-logs/" 2>/dev/null || true
pc=$(find dest -name strata.pc); [ -n "$pc" ] || fail "no strata.pc"
prefix=$T/dest$(sed -n 's/^prefix=//p' "$pc")
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$T/dest
lib=$(cd "${pc%/*}/.." && pwd)
# names
nm -D --defined-only "$lib/libstrata.so" | awk '{ print $3 }' >names
! grep -v '^strata_' names || fail "other names are exported"
nm -g --defined-only "$lib/libstrata.a" | awk 'NF == 3 { print $3 }' >names.a
! grep -v '^strata_' names.a || fail "other names are in libstrata.a"
# every function that the header declares, and no other
grep -oE '\bstrata_[a-z_]+\(' "$prefix/include/strata/strata.h" | grep -v '__\|_fn(' | tr -d '(' | sort -u >declared
sort names | diff - declared || fail "header and library differ"
# the header stands alone, also in C++ and strict C11
echo '#include <strata/strata.h>' >h.c
gcc -std=c11 -pedantic -Wall -Wextra -Werror -I"$prefix/include" -c h.c
! command -v g++ >/dev/null || { cp h.c h.cc; g++ -Wall -Werror -I"$prefix/include" -c h.cc; }
# examples, shared and static
"$TOP/tools/mkimage" --small small.raw
for e in list roundtrip; do
	gcc -std=c17 -Wall -Wextra -Werror "$TOP/examples/$e.c" $(pkg-config --cflags --libs strata) -o $e
	ldd $e | grep -q libstrata.so || LD_LIBRARY_PATH=$lib ldd $e | grep -q "$lib/libstrata.so" || fail "$e does not use the shared library"
done
export LD_LIBRARY_PATH=$lib
./roundtrip lib small.raw out.raw >out 2>err || { cat err; fail "roundtrip"; }
cmp small.raw out.raw; grep -q "Imported by an example" out
./list lib example:/etc >out; grep -q ' os-release$' out || fail "list: os-release"
./list lib example:/usr/bin/large >out; grep -q "$(sha256sum <(seq 400000) | cut -c1-12)" out || fail "list: no sha256 of a file"
expect_rc 1 ./list lib example:/none 2>err; grep -q none err
expect_rc 1 ./list nolib x 2>err; grep -q nolib err
head -c 1000000 /dev/urandom >junk; ./roundtrip lib junk junk.out >out 2>/dev/null; cmp junk junk.out
# the installed program sees the same library
"$prefix/bin/strata" -L lib ls example~1:/etc | grep -qx motd || fail "installed strata"
"$prefix/bin/strata" -L lib log example | grep -q "Imported by an example" || fail "installed strata: log"
unset LD_LIBRARY_PATH
# (the libraries under it shared: not all of them come as archives)
gcc "$TOP/examples/list.c" -I"$prefix/include" "$lib/libstrata.a" $(sed -n 's/^Libs.private: *//p' "$pc") \
	$(PKG_CONFIG_SYSROOT_DIR= pkg-config --libs $(sed -n 's/^Requires.private: *//p' "$pc" | tr ', ' '\n\n' | grep -vE '^$|^[<>=]|^[0-9.]+$')) \
	-o list-static || fail "static linking"
! ldd list-static | grep -q libstrata || fail "list-static uses the shared library"
./list-static lib example~1:/etc | grep -q os-release
# without a way into nbdkit's folder the plugin goes below the prefix, and is found there
mkdir users; cp -r "$prefix/bin" users/; mkdir -p users/lib/nbdkit/plugins
if [ -e "$BUILD/src/serve/nbdkit-strata-plugin.so" ]; then
	cp "$BUILD/src/serve/nbdkit-strata-plugin.so" users/lib/nbdkit/plugins/
	LD_LIBRARY_PATH=$lib users/bin/strata -L lib nbd example -- nbdinfo --size '{}' >out || fail "the plugin below the prefix"
fi
# manual pages and completion
[ -e "$prefix/share/man/man1/strata.1" ] || [ -e "$prefix/share/man/man1/strata.1.gz" ] || fail "no manual page"
for f in bash-completion/completions/strata zsh/site-functions/_strata fish/vendor_completions.d/strata.fish; do
	[ -s "$prefix/share/$f" ] || fail "no $f"
done
# and away again
"$TOP/tools/uninstall" fake >/dev/null; left=$(find dest ! -type d); [ -z "$left" ] || fail "left by uninstall: $left"
[ ! -e "$prefix/share/doc/strata" ] || fail "an empty folder is left"
