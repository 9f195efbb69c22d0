#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every command of the tour in README.md works as printed, in order, and so does
# what it says of the output: a line "# prints: TEXT" behind a command.
. "$(dirname "$0")/../lib.sh"
need sfdisk mkfs.ext4 mkfs.vfat debugfs mcopy
grep -q sanitize=address "$BUILD/build.ninja" && ulimit -v unlimited
sed -n '/^## A five-minute tour/,/^## /p' "$TOP/README.md" | sed -n '/^```sh$/,/^```$/p' | grep -v '^```' >tour
n=$(grep -cE '^[^#]' tour) || fail "no tour"
[ "$n" -ge 20 ] || fail "the tour has only $n commands"
# The tour begins in the top folder of the source, where it writes nothing but
# into what it makes itself.
mkdir src; ln -s "$TOP/tools" src/tools; ln -s "$BUILD" src/build; cd src
export HOME=$T/home XDG_DATA_HOME= PAGER=cat; mkdir -p "$HOME"; unset XDG_DATA_HOME
while IFS= read -r line; do
	case $line in
	'# prints: '*) grep -qF -- "${line#\# prints: }" "$T/out" || { cat "$T/out"; fail "\"$last\" does not print \"${line#\# prints: }\""; } ;;
	'#'* | '') ;;
	*)
		last=$line rc=0
		# In this shell: the tour exports and changes folders. A read from the
		# terminal would hang.
		eval "$line" >"$T/out" 2>"$T/err" </dev/null || rc=$?
		[ $rc = 0 ] || { cat "$T/out" "$T/err"; fail "exit $rc: $line"; }
		;;
	esac
done <"$T/tour"
echo "$n commands"
