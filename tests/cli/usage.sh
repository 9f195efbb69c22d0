#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What strata(1) says of every command: options anywhere, names of revisions, dates, the form of messages, exit codes,
# closed and full outputs, signals, odd libraries and environments.
. "$(dirname "$0")/../lib.sh"
export STRATA_LIBRARY=$T/lib
strata -q init lib
commits=() day=1793448000 # 2026-10-31 12:00 UTC, a Saturday
for i in 0 1 2 3; do
	head -c 100000 /dev/urandom >d.raw
	SOURCE_DATE_EPOCH=$((day + i * 86400)) strata -q import d.raw -b m -m "number $i"
	commits+=("$(strata log --oneline -1 m | cut -d' ' -f1)")
done
subject() { strata log --oneline -1 "$@" | sed 's/.* number/number/'; }
is() { local got; got=$(subject "$2") || fail "$2: exit $?"; [ "$got" = "$1" ] || fail "$2 is '$got', not '$1'"; }

# --- options, before and behind ---
n=$(strata branch)
for call in "-L $T/lib branch" "branch -L $T/lib" "branch --library=$T/lib" "branch --library $T/lib" "--lib=$T/lib branch" "branch --lib $T/lib --"; do
	[ "$(env -u STRATA_LIBRARY strata $call)" = "$n" ] || fail "$call"
done
[ "$(strata log -1 --oneline m | wc -l)$(strata log m -n1 --oneline | wc -l)$(strata log --max-count 1 m --oneline | wc -l)" = 111 ] || fail "-1, -n1"
strata log -- /nope m >out; [ ! -s out ] || fail "log -- PATH is not a path"
expect_rc 0 strata -- log -1 >out; expect_rc 0 strata show -- m >out
# Options of a command leave those of all as they are (but ls -h, as everybody types it).
for c in $(strata help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
	strata "$c" --help | awk -v c="$c" '/^options:/ { own = 1 } /^common/ { own = 0 } own && /^  -[Lqvz],/ { print c ": " $0; bad = 1 } END { exit bad }' || fail "an option hides a common one"
done

# --- revisions ---
is "number 3" m; is "number 2" m~; is "number 2" m~1; is "number 2" m^; is "number 1" m^^; is "number 1" m~1^1~0; is "number 0" m~3; is "number 3" m^0; is "number 3" 'm^{}'; is "number 3" 'm^{commit}'
is "number 3" 'm@{0}'; is "number 1" 'm@{2}'; is "number 0" 'm@{2}~1'; is "number 1" "${commits[1]}"; is "number 1" "$(strata log --json -1 "${commits[1]}" | sed 's/.*"id":"\([0-9a-f]*\)".*/\1/')"
is "number 1" "${commits[1]^^}"; is "number 2" heads/m~; is "number 3" refs/heads/m
expect_rc 3 strata show m~4 2>err; expect_rc 3 strata show 'm@{4}' 2>err; expect_rc 3 strata show m^2 2>err; expect_rc 2 strata show 'm@{' 2>err; expect_rc 2 strata show 'm^{tree}' 2>err
expect_rc 3 strata show nope 2>err; expect_rc 3 strata show 0000 2>err; expect_rc 2 strata show '' 2>err; expect_rc 2 strata show '@{1}' 2>err; expect_rc 3 strata show 'x@{1}' 2>err
# a tag of a branch's name; names that look like ids
strata tag both m~1; strata branch both m~2
is "number 1" both 2>err; grep -q "warning: both: a branch and a tag" err || fail "$(cat err)"
is "number 1" heads/both 2>err; is "number 2" tags/both 2>>err; [ ! -s err ] || fail "$(cat err)"
full=$(strata log --json -1 m | sed 's/.*"id":"\([0-9a-f]*\)".*/\1/')
strata branch "$full" m~1; is "number 3" "$full"; strata branch "${full:0:6}" m~2; is "number 1" "${full:0:6}"; strata -q branch -D "$full" "${full:0:6}" both

# --- dates: the log of m has an entry at noon of Oct 31 to Nov 3; it is Nov 3, 18:00 ---
export SOURCE_DATE_EPOCH=$((day + 3 * 86400 + 6 * 3600))
while IFS=: read -r want date; do is "number $want" "m@{${date//;/:}}"; done <<'END'
3:now
3:today
3:noon
2:midnight
2:yesterday
2:noon yesterday
1:yesterday 11;59
3:5.minutes.ago
3:one hour ago
2:7 hours ago
2:a day ago
1:2 days ago
0:2 days 7 hours ago
0:last saturday
0:saturday noon
1:last sunday
0:3.days.ago
2:2026-11-02
2:2026-11-02 23;59
1:2026-11-02 11;59;59
2:2026-11-02T12;00;00Z
2:2026-11-02T12;00;00.123Z
2:2026-11-02T13;00;00+01;00
2:2026-11-02 13;00;00 +0100
1:2026-11-02 12;59;59 +0100
2:Mon, 2 Nov 2026 12;00;00 +0000
2:Mon Nov 2 12;00;00 2026 +0000
2:Nov 2 2026
2:2 Nov 2026
2:November 2
1:Nov 2 11am
2:Nov 2nd, 1pm
2:2026/11/02
2:11/02/2026
2:02.11.2026
2:2026.11.02
0:@1793448000
0:1793534399
1:1793534400
3:2030-01-01
END
for date in rubbish '' 'two blue moons' '2026-13-01' '2026-11-32' '25:00' 'Nov Nov Nov x' '99999999999999999999 days ago' '2026-11-02 12:00 +9900'; do
	expect_rc 2 strata show "m@{$date}" 2>err
	grep -q "^strata: [^:]*.*: .*is not a date" err || fail "'$date': $(cat err)"
done
for date in 'last week' 'last year' '3 months ago' never 2020-01-01; do
	is "number 0" "m@{$date}" 2>err; grep -q "warning: the log of m only goes back to 2026-10-31T12:00:00Z" err || fail "$date: $(cat err)"
done
[ "$(strata log --oneline m --since 2026-11-01T12:00:00Z --until '1 day ago' | sed 's/.* number/number/' | tr '\n' ,)" = "number 2,number 1," ] || fail "--since, --until"
[ "$(strata log --oneline m --grep 'r [12]$' --author '^Test' -1 | sed 's/.* number/number/')" = "number 2" ] || fail "--grep"
expect_rc 2 strata log --grep '\(' 2>err; expect_rc 2 strata log --graph --since now 2>err; expect_rc 2 strata log --since rubbish 2>err
unset SOURCE_DATE_EPOCH

# --- messages: one line, "strata: WHAT: WHY" ---
while read -r rc call; do
	expect_rc "$rc" strata $call 2>err >out
	[ ! -s out ] && [ "$(wc -l <err)" = 1 ] && grep -qE '^strata: .+: .' err || fail "$call: $(cat err out)"
done <<'END'
2 nope
2 improt
2 --nope
2 log --nope
2 log --ma
2 log -n
2 log -n x
2 log -n -1
2 log --oneline=yes
2 log --color=never --progress=much
2 import
2 import d.raw -b .x
2 import d.raw --free-space some
2 export
2 show m m
2 branch a/
2 branch -m x
2 cat m
2 completion tcsh
2 help nope
2 nbd m --port 70000
2 gc --grace soon
2 run m --cpus 0
2 edit m
2 bisect m m~
3 log nope
3 show m:/x
3 ls nope:/x
3 import nothere.raw
3 branch -d nope
3 cp m:/x nope/there
3 -L nothere log
3 tag -d nope
3 diff m nope
4 import d.raw --format qcow2
5 branch m m
5 init lib
END
strata improt 2>err || true; grep -q "did you mean 'import'?" err || fail "$(cat err)"
strata log --onlein 2>err || true; grep -q "did you mean '--oneline'?" err || fail "$(cat err)"

# --- where output goes ---
for c in log branch "show m" "ls --json -R .:" stats "log --json" help "--version" "export m -o -" "cat x:/"; do
	case $c in ls*|cat*) continue ;; esac
	expect_rc 7 strata $c >&- 2>err; grep -q '^strata: output: ' err || fail "$c >&-: $(cat err)"
	expect_rc 7 strata $c >/dev/full 2>err; grep -q '^strata: output: .*No space' err || fail "$c >/dev/full: $(cat err)"
done
strata log <&- >out; strata log 2>&- >out2; cmp -s out out2 || fail "closed input or messages"
# A file that is opened never takes the place of a closed output.
expect_rc 7 strata import d.raw -b closed >&- 2>err; strata -q verify >out || fail "an import without an output: $(cat out)"
for i in $(seq 60); do strata branch "many/$i" m; done; { strata log --oneline --all; } | head -1 >out || fail "a reader that left"
for i in $(seq 60); do echo "many/$i"; done | xargs strata -q branch -d
strata -q branch -d closed
# colour and pager, on a terminal
tty() { TERM=xterm LESS= script -qec "$1" /dev/null </dev/null | tr -d '\r'; }
esc=$'\033['
[[ $(tty "PAGER=cat strata log --oneline -1") == *"$esc"* ]] || fail "no colour on a terminal"
for how in "NO_COLOR=1 PAGER=cat strata" "TERM=dumb PAGER=cat strata" "PAGER=cat strata --no-color" "PAGER=cat strata --color=never"; do
	[[ $(tty "env $how log --oneline -1") != *"$esc"* ]] || fail "colour: $how"
done
[[ $(tty "NO_COLOR= PAGER= strata log -1") == *"$esc"* ]] || fail "NO_COLOR is empty"
[[ $(strata log -1 --color) == *"$esc"* && $(strata --color=always log -1) == *"$esc"* && $(strata log -1) != *"$esc"* ]] || fail "--color"
[ "$(tty "PAGER='sed s/^/paged:/' strata log -1" | grep -c ^paged:)" -gt 3 ] || fail "PAGER"
[[ $(tty "PAGER='sed s/^/paged:/' strata log -1 --no-pager") != *paged:* && $(PAGER='sed s/^/paged:/' strata log) != *paged:* ]] || fail "no pager"
# what a guest or a peer wrote does not reach the terminal as control characters
printf 'x' >e.raw; strata -q import e.raw -b esc -m $'evil\033[31m\xc2\x9b31m\xff text'
tty "PAGER= strata --no-color log -1 esc" | grep -q 'evil\\x1b\[31m\\xc2\\x9b31m\\xff text' || fail "escapes: $(tty "PAGER= strata --no-color log -1 esc" | cat -v)"
[ "$(strata log --json -1 esc | python3 -c 'import json,sys,base64; print(base64.b64decode(json.load(sys.stdin)["commits"][0]["message"]["bytes"]))')" = "b'evil\\x1b[31m\\xc2\\x9b31m\\xff text'" ] || fail "a message that is not UTF-8"

# --- progress and quiet ---
truncate -s 3G big.raw; for i in $(seq 0 30 2900); do head -c 300000 /dev/urandom | dd of=big.raw bs=1M seek=$i conv=notrunc status=none; done
strata import big.raw --progress json 2>err >out
python3 - err <<'END' || fail "progress: $(cat err)"
import json, sys
for line in open(sys.argv[1]):
    x = json.loads(line)
    assert set(x) == {"phase", "done", "total", "seconds"} and isinstance(x["done"], int) and isinstance(x["total"], int) and x["phase"], x
END
strata -q import big.raw -b q --progress json >out 2>&1; [ ! -s out ] || fail "-q: $(cat out)"

# --- signals: 128 + N, the library as before ---
mkfifo pipe
for s in INT:130 TERM:143 HUP:129; do
	(sleep 30 >pipe & echo $! >writer; wait) & env --default-signal=INT strata -q import - -b sig <pipe 2>err & p=$!
	sleep 0.5; kill -"${s%:*}" $p; rc=0; wait $p || rc=$?; kill "$(cat writer)"; wait
	[ $rc = "${s#*:}" ] && [ "$(cat err)" = "strata: -: interrupted" ] || fail "$s: $rc $(cat err)"
done
expect_rc 3 strata log sig 2>err; strata -q verify

# --- libraries and environments ---
ln -s lib link; mkdir "with space"; cp -r lib "with space/l"; cp -r lib newer; sed -i 's/^format 1$/format 9/' newer/strata-library; mkdir empty
for l in lib/ link link/ "with space/l" ./lib/../lib//. "$T/lib"; do [ "$(strata -L "$l" branch)" = "$(strata branch)" ] || fail "-L '$l'"; done
expect_rc 3 strata -L d.raw branch 2>err; expect_rc 3 strata -L empty branch 2>err; expect_rc 3 strata -L nothere branch 2>err; expect_rc 2 strata -L '' branch 2>err
expect_rc 4 strata -L newer branch 2>err; grep -q "newer: has format 9" err || fail "$(cat err)"
strata -q init deep/er/lib; expect_rc 5 strata init deep/er/lib 2>err; expect_rc 5 strata init d.raw 2>err
HOME=$T/home env -u STRATA_LIBRARY strata -q import d.raw; [ -e home/.local/share/strata/library/strata-library ] || fail "the default library"
HOME=$T/home2 env -u STRATA_LIBRARY strata -q init; [ -e home2/.local/share/strata/library/strata-library ] || fail "the default library by init"
XDG_DATA_HOME=$T/xdg env -u STRATA_LIBRARY strata -q import d.raw; [ -e xdg/strata/library/strata-library ] || fail "XDG_DATA_HOME"
expect_rc 3 env -u STRATA_LIBRARY HOME=$T/home3 strata log 2>err
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$T"; mkdir -m 777 open
	nobody() { setpriv --reuid 123456 --regid 123456 --clear-groups "$@"; }
	nobody env -u HOME -u USER -u STRATA_AUTHOR strata log >out
	expect_rc 3 nobody env -u HOME -u STRATA_LIBRARY strata log 2>err; grep -q 'HOME' err || fail "$(cat err)"
	nobody env -u STRATA_AUTHOR -u USER HOME="$T/open" STRATA_LIBRARY= strata -q import d.raw
	expect_rc 7 nobody strata branch y m 2>err; expect_rc 7 nobody strata -q import d.raw 2>err; nobody strata -q export m -o open/x.raw 2>err; cmp d.raw open/x.raw
	if [ -e /dev/fuse ] && command -v fusermount3 >/dev/null && ! grep -qx user_allow_other /etc/fuse.conf; then
		mkdir -m 777 open/m
		expect_rc 7 nobody strata mount m open/m --disk --allow-other 2>err; [ "$(wc -l <err)" = 1 ] && grep -q 'user_allow_other' err || fail "$(cat err)"
	fi
	chmod 0 "with space/l"; expect_rc 7 nobody strata -L "with space/l" log 2>err; chmod 755 "with space/l"
fi
for e in LANG=C LC_ALL=tr_TR.UTF-8 TERM=dumb COLUMNS=1 TMPDIR= TMPDIR=/nope; do env "$e" strata import d.raw -b e >out 2>err && env "$e" strata diff --blocks m e --exit-code || fail "$e: $(cat err)"; done
expect_rc 7 env TMPDIR=/nope strata import - -b e <d.raw 2>err

# --- where an import starts ---
strata -q import d.raw -b fresh --from m~2; [ "$(strata log --oneline fresh | wc -l)" = 3 ] || fail "--from"
strata import d.raw -b fresh --from m >out 2>err; grep -q "warning: fresh: the branch exists" err || fail "$(cat err)"; [ "$(strata log --oneline fresh | wc -l)" = 4 ] || fail "--from of a branch that exists"
expect_rc 3 strata import d.raw -b fresh2 --from nope 2>err

# --- what is given where a file is wanted ---
strata -q import <(cat d.raw) -b pipe; strata diff --blocks m pipe --exit-code
expect_rc 3 strata import '' 2>err; expect_rc 4 strata import /dev/null 2>err; expect_rc 2 strata export m -o '' 2>err; expect_rc 3 strata export m -o nope/x 2>err
ln -s target.raw sym; touch target.raw; strata -q export m -o sym; [ -L sym ] && cmp d.raw target.raw || fail "a symlink as the output"
strata export m -o /dev/stdout | cmp - d.raw; cp d.raw $'a\nb.raw'; strata -q import $'a\nb.raw'; expect_rc 3 strata import $'a\nc' 2>err; [ "$(wc -l <err)" = 1 ] || fail "a message of two lines"
