#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every command of the table has a manual page, which names each of its options;
# no page has a fault; --help works for each; completion loads and knows them.
. "$(dirname "$0")/../lib.sh"
need mandoc col
man=$TOP/doc/man
strata help >overview
commands=$(sed -n 's/^  \([a-z-]*\)  .*/\1/p' overview)
[ "$(echo "$commands" | wc -l)" -ge 15 ] || fail "the list of commands is short"
missing=
for c in $commands; do
	strata "$c" --help >help || fail "$c --help: exit $?"
	head -1 help | grep -q "^usage: strata $c" || fail "$c --help shows no usage"
	[ -e "$man/strata-$c.1" ] || { missing="$missing $c"; continue; }
	page=$man/strata-$c.1
	# a page that stands for two commands
	! grep -q '^\.so ' "$page" || page=$man/$(sed -n 's|^\.so man1/||p' "$page")
	mandoc -Tascii "$page" | col -b >page
	grep -q "strata-$c" page || fail "strata-$c.1 is of another command"
	for o in $(sed -n '/^options:/,/^common options:/s/^  .*\(--[a-z0-9-]*\).*/\1/p' help); do
		grep -q -e "$o\b" page || fail "strata-$c.1 does not name $o"
	done
done
[ -z "$missing" ] || fail "no manual page:$missing"
# common options, in the page of them all
mandoc -Tascii "$man/strata.1" | col -b >page
for o in $(sed -n '/^common options:/,$s/^  .*\(--[a-z0-9-]*\).*/\1/p' help); do
	grep -q -e "$o\b" page || fail "strata.1 does not name $o"
done
for p in "$man"/*.[1-9]; do
	! grep -q '^\.so ' "$p" || continue
	# References to pages outside of here are not checked.
	mandoc -Tlint -Wwarning "$p" >lint || { cat lint; fail "$p"; }
done
# every page that is named is there
for x in $(grep -hoE '^\.Xr strata[a-z-]* [0-9]' "$man"/*.[1-9] | awk '{ print $2 "." $3 }' | sort -u); do
	[ -e "$man/$x" ] || fail "a page refers to $x"
done
# completion
strata completion bash >c.bash; bash -n c.bash
bash -c '. ./c.bash; COMP_WORDS=(strata imp); COMP_CWORD=1; _strata; [ "${COMPREPLY[*]}" = import ]' || fail "bash: imp"
bash -c '. ./c.bash; COMP_WORDS=(strata import --allow); COMP_CWORD=2; _strata; [ "${COMPREPLY[*]}" = --allow-backing ]' || fail "bash: --allow"
strata completion zsh >c.zsh; ! command -v zsh >/dev/null || zsh -n c.zsh
strata completion fish >c.fish; ! command -v fish >/dev/null || fish -n c.fish
for c in $commands; do
	for f in c.bash c.zsh c.fish; do grep -q -e "$c" $f || fail "$f does not know $c"; done
done
expect_rc 2 strata completion tcsh 2>/dev/null
# what it completes: options' values, names and files of the library that -L names; none is expanded by the shell
export STRATA_LIBRARY=$T/lib; strata -q init lib; "$TOP/tools/mkimage" --small d.raw 2>/dev/null; strata -q import d.raw -b web; strata branch '$(touch${IFS}pwned)' web; strata tag v1 web
mkdir other; strata -q init other/lib; strata -q -L other/lib import d.raw -b else
complete() { # WORD...: as readline calls it, ':' and '=' being words
	bash -c '. ./c.bash; COMP_LINE="$*"; COMP_LINE=${COMP_LINE// : /:}; COMP_LINE=${COMP_LINE// : /:}; COMP_POINT=${#COMP_LINE}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _strata; echo "${COMPREPLY[@]}"' sh "$@"
}
completes() { local want=$1 got; shift; got=$(complete "$@"); [ "$got" = "$want" ] || fail "$*: '$got', not '$want'"; }
completes web strata log w; completes v1 strata tag -d ''; completes '\$\(touch\$\{IFS\}pwned\)' strata branch -d '$'; [ ! -e pwned ] || fail "a branch's name was run"
completes /etc/ strata ls web : /e; completes /etc/motd strata cat web : /etc/mo; completes /EFI/BOOT/ strata ls web : p1 : /EFI/; completes else strata -L other/lib log e; completes else strata -L other/lib show e
completes "keep discard" strata import --free-space ''; completes json strata --progress = j; completes always strata log --color al; completes rm strata instance r; completes --oneline strata log --on; completes import strata -q imp
strata ls -p web:/ | grep -qx etc/ || fail "ls -p"
if command -v fish >/dev/null; then
	export HOME=$T
	for l in "strata log w=web" "strata ls web:/et=web:/etc/" "strata import --free-space di=discard" "strata instance cr=create" "strata log --onel=--oneline"; do
		fish -c "source c.fish; complete -C '${l%=*}'" | cut -f1 >got; grep -qxF -e "${l##*=}" got || fail "fish: $l: $(cat got)"
	done
fi
