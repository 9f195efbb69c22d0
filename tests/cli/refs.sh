#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# branch and tag: listing, creating, moving, deleting; exit codes; JSON.
. "$(dirname "$0")/../lib.sh"
need jq
export STRATA_LIBRARY=$T/lib
strata init lib 2>/dev/null
head -c 1000000 /dev/urandom > a.raw
strata -q import a.raw
one=$(strata branch --json | jq -r '.branches[] | select(.name=="a").commit')
echo x >> a.raw; truncate -s 1000448 a.raw; strata -q import a.raw
two=$(strata branch --json | jq -r '.branches[0].commit')
[ "$one" != "$two" ] || fail "no second commit"
[ "$(strata branch --json | jq -r .schema)" = strata/branch/1 ] || fail schema
strata branch old a~1; strata branch team/web a
[ "$(strata branch -z | tr '\0' ' ')" = "a old team/web " ] || fail "list: $(strata branch -z | tr '\0' ' ')"
[ "$(strata branch --json | jq -r '.branches[1].commit')" = "$one" ] || fail "start point"
expect_rc 5 strata branch old a 2>err; grep -q exists err
strata branch -f old a; strata branch -f old "${one:0:8}"
strata branch -m old older; expect_rc 5 strata branch -m older a 2>err
strata -q branch -d older team/web; [ "$(strata branch -z | tr '\0' ' ')" = "a " ] || fail delete
expect_rc 3 strata branch -d older 2>err; expect_rc 3 strata branch x nope 2>err
for bad in .x a..b 'a b' a.lock HEAD 'x^' a/ '@{1}'; do expect_rc 2 strata branch "$bad" a 2>err; done
strata tag v1; strata tag v0 "$one"
[ "$(strata tag --json | jq -r '.tags[] | .name + .commit' | tr '\n' ' ')" = "v0$one v1$two " ] || fail "tags"
expect_rc 5 strata tag v0 a 2>err; strata tag -f v0 a; strata -q tag -d v0
expect_rc 3 strata tag -d v0 2>err
strata export v1 -o - | cmp - a.raw
strata branch other; expect_rc 2 strata branch third 2>err
