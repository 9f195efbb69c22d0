#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gc removes what no ref needs and nothing else; repack changes no id; both
# leave running writers what they rest on.
. "$(dirname "$0")/../fault/lib.inc"
export STRATA_LIBRARY=$T/lib
json() { python3 -c "import json,sys; d=json.load(sys.stdin); print($1)"; }
image a.img 1; image b.img 2; image c.img 3
strata -q init lib
a=$(strata import a.img -b main --json | json "d['commit']")
strata -q import b.img -b main; strata -q import c.img -b side
exports() { # every branch gives its disk
	strata -q export main -o x.raw; cmp x.raw b.img
	strata -q export main~1 -o x.raw; cmp x.raw a.img
}
# nothing to do
[ "$(strata gc --grace now --json | json "d['removed_objects']")" = 0 ] || fail "gc of a library that is all needed"
strata verify --read-data; exports
# a branch goes, its objects stay for the time of grace, then go
strata branch -d side
[ "$(strata gc --json | json "d['removed_objects']")" = 0 ] || fail "grace"
n=$(strata gc --dry-run --grace now --json | json "d['removed_objects']")
[ "$n" -gt 2 ] || fail "dry run: $n"
strata verify --json | json "d['unreachable']" | grep -qx "$n" || fail "verify counts otherwise"
before=$(strata stats --json | json "d['stored_bytes']")
[ "$(strata gc --grace now --json | json "d['removed_objects']")" = "$n" ] || fail "gc removes what the dry run told"
[ "$(strata stats --json | json "d['stored_bytes']")" -lt "$before" ] || fail "nothing was freed"
strata verify --read-data --json | json "(d['unreachable'], d['ok'])" | grep -qx "(0, True)" || fail "verify after gc"
[ -z "$(ls lib/condemned lib/tmp lib/writers lib/pending 2>/dev/null | grep -v :)" ] || fail "something was left behind"
exports
# what was removed can come back
strata -q import c.img -b side; strata verify --read-data
strata -q export side -o x.raw; cmp x.raw c.img
# the log of a ref keeps what it was
strata branch -f main "$a" 2>/dev/null || strata branch -m main old
[ "$(strata gc --grace now --json | json "d['removed_objects']")" = 0 ] || fail "the log keeps it"

# repack
ids() { strata log "$1" --json; strata ls -R "$1:/" -l --json; }
ids side >before.txt
strata repack --json --level 12 --frame 256K >r.json
[ "$(json "d['packs']" <r.json)" = 1 ] || fail "repack: $(cat r.json)"
strata verify --read-data
ids side >after.txt; cmp before.txt after.txt
strata -q export side -o x.raw; cmp x.raw c.img
# gc after it keeps its frames as they are
s1=$(strata stats --json | json "d['stored_bytes']"); strata gc --grace now >/dev/null
[ "$(strata stats --json | json "d['stored_bytes']")" = "$s1" ] || fail "gc after repack"

# two at once: the second is told so
exec 8>lib/locks/gc; flock 8
expect_rc 5 strata gc 2>err.txt; grep -q "another gc" err.txt || fail "busy: $(cat err.txt)"
flock -u 8; exec 8>&-

# a writer that is at work: what may go waits until it has ended
strata branch -d side
w=lib/writers/00112233445566778899aabbccddeeff; mkdir -p lib/writers; exec 8>$w; flock 8
[ "$(strata gc --grace now --json | json "(d['deferred'], d['waiting_for'], d['removed_objects'])")" = "(True, 1, 0)" ] || fail "not deferred"
[ "$(ls lib/condemned | wc -l)" = 1 ] || fail "no list"
strata verify --read-data
strata repack --level 3 --grace now; strata verify --read-data
[ "$(strata verify --json | json "d['unreachable']")" -gt 2 ] || fail "repack took what waits"
# one that begins now takes them as unknown
cp $T/c.img d.img
[ "$(strata import d.img -b late --json | json "d['new_blobs']")" -gt 0 ] || fail "condemned objects were taken as known"
[ "$(strata gc --grace now --json | json "d['deferred']")" = True ] || fail "still held"
flock -u 8; exec 8>&-
strata gc --grace now --json >g.json
[ "$(json "d['deferred']" <g.json)" = False ] || fail "deferred for nobody"
strata verify --read-data; strata -q export late -o x.raw; cmp x.raw c.img
[ -z "$(ls lib/condemned)" ] || fail "a list was left"
# a damaged list is as if everything were condemned
strata branch -d late; exec 8>$w; flock 8
strata gc --grace now >/dev/null
f=lib/condemned/$(ls lib/condemned); printf X | dd of=$f bs=1 seek=60 conv=notrunc status=none
strata -q import d.img -b late
flock -u 8; exec 8>&-
strata gc --grace now >/dev/null; strata gc --grace now >/dev/null
strata verify --read-data; strata -q export late -o x.raw; cmp x.raw c.img

# files of killed processes
echo x >lib/tmp/dead; touch -d '1 minute ago' lib/tmp/dead; echo y >lib/packs/0123456789abcdef0123456789abcdef.pack
strata gc >/dev/null; [ ! -e lib/tmp/dead ] || fail "tmp"
[ -e lib/packs/0123456789abcdef0123456789abcdef.pack ] || fail "a young pack without an index went"
strata gc --grace now >/dev/null; [ ! -e lib/packs/0123456789abcdef0123456789abcdef.pack ] || fail "orphan"
# many small packs become one
for i in $(seq 12); do printf "$i" | dd of=d.img bs=1 seek=$((7000000 + i * 8192)) conv=notrunc status=none; strata -q import d.img -b late; done
[ "$(strata stats --json | json "d['packs']")" -gt 10 ] || fail "packs"
strata gc --grace now >/dev/null
[ "$(strata stats --json | json "d['packs']")" -le 2 ] || fail "packs were not joined"
strata verify --read-data; strata -q export late -o x.raw; cmp x.raw d.img
# gc does not touch a library that lacks something
p=$(ls lib/packs | head -1); i=$(ls lib/index | head -1); mv lib/index/$i .
expect_rc 6 strata gc --grace now 2>err.txt; [ -e lib/packs/$p ] || fail "gc removed a pack whose index is lost"
mv $i lib/index/
expect_rc 2 strata gc --grace soon 2>/dev/null
strata verify --read-data
