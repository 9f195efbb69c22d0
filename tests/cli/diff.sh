# SPDX-License-Identifier: Apache-2.0
# diff of stored images and of image files, against a walk of kernel mounts.
. "$(dirname "$0")/../lib.sh"
need_root
need mkfs.ext4 python3 setfattr
json_lines() { python3 -c '
import base64, json, sys
for e in json.load(sys.stdin)["entries"]:
    p = e["path"]
    p = base64.b64decode(p["bytes"]) if isinstance(p, dict) else p.encode()
    if e["status"] == "R":
        o = e["old_path"]
        p = (base64.b64decode(o["bytes"]) if isinstance(o, dict) else o.encode()) + b" > " + p
    sys.stdout.buffer.write(b"\t".join([e["status"].encode(), p, ",".join(e["changed"]).encode()]) + b"\n")'; }
truncate -s 96M a.raw; mkfs.ext4 -q -N 40000 a.raw
mkdir a b; mount -o loop a.raw a 2>mount.err || skip "cannot mount: $(tail -1 mount.err)"; cleanup_mounts+=(a)
mkdir a/odd; mktree.py a/odd
mkdir -p a/etc a/big a/move/deep/er a/gone/x a/empty a/swap a/same
(cd a/big; for i in $(seq 20000); do echo $i > file-number-$i; done)
echo one > a/etc/one; echo two > a/etc/two; echo three > a/etc/three; ln -s one a/etc/link
seq 100 > a/move/deep/er/list; ln -s list a/move/deep/er/l; echo content > a/move/plain; cp a/move/plain a/swap/copy
echo old > a/swap/file-to-dir; mkdir a/swap/dir-to-file; echo in > a/swap/dir-to-file/in; mknod a/swap/node c 1 3
echo linked > a/same/h1; ln a/same/h1 a/same/h2; cp a/same/h1 a/same/h3
: > a/empty/nothing; echo x > a/gone/x/y
umount a; cp a.raw b.raw; mount -o loop b.raw b; cleanup_mounts+=(b)
echo more >> b/etc/one; chmod 600 b/etc/two; chown 5:6 b/etc/three; ln -sfn two b/etc/link
touch -d 2001-02-03 b/big/file-number-777; rm b/big/file-number-1234; echo new > b/big/file-number-777x
printf 'dos\n' > b/big/file-number-9999; setfattr -n user.k -v v b/same/h3
rm b/swap/file-to-dir; mkdir b/swap/file-to-dir; echo y > b/swap/file-to-dir/y; rm -r b/swap/dir-to-file; echo f > b/swap/dir-to-file
rm b/swap/node; mknod b/swap/node c 1 5; rm -r b/gone; rm b/empty/nothing; : > b/empty/other
rm b/same/h2; ln b/same/h3 b/same/h2; printf 'n' > "$(printf 'b/same/\377\n')"
mv b/move b/moved; mv b/swap/copy b/swap/copied
umount b
mount -o loop,ro a.raw a; mount -o loop,ro b.raw b
treediff.py a b > want
[ "$(wc -l < want)" -gt 40 ] || fail "the oracle sees only $(wc -l < want) changes"
strata init lib 2>/dev/null; export STRATA_LIBRARY=$T/lib
strata import -q a.raw; strata import -q b.raw
check() { # WANT COMMAND...
	local want=$1; shift
	"$@" > got || fail "$*"
	cmp -s "$want" got || { diff "$want" got | head -20; fail "$*"; }
}
d() { strata diff --no-renames --json "$@" | json_lines; }
check want d a b
# of files, links are told by their count only
sed 's/,links$//' want > fwant
f() { d "$@" | sed 's/,links$//'; }
check fwant f a.raw b.raw
check fwant f a b.raw
check fwant f ./a.raw b
treediff.py b a > back
check back d b a
# paths
grep -aP '^.\t(etc|swap)(/|\t)' want > part
check part d a b -- etc /swap/
check part d a b /etc swap
treediff.py a/swap b/swap > sub
check sub d a:/swap b:/swap
check sub d a:disk:/swap b.raw:/swap
[ -z "$(strata diff a b -- et odd/nothing)" ] || fail "a prefix of a name is not a path"
# fields to leave out
awk -F'\t' -v OFS='\t' '{ gsub(/,?mtime/, "", $3); sub(/^,/, "", $3); if ($1 != "M" || $3 != "") print }' want > nomtime
check nomtime d a b --ignore-mtime
# renames: every D and A that is one is named once, the rest stays
strata diff a b --json | json_lines > ren
grep -q $'^R\tmove > moved\t' ren && grep -q $'^R\tmove/deep/er/list > moved/deep/er/list\t$' ren &&
	grep -q $'^R\tmove/deep/er/l > moved/deep/er/l\t' ren && grep -q $'^R\tmove/plain > moved/plain\t' ren &&
	grep -q $'^R\tswap/copy > swap/copied\t' ren || { grep ^R ren; fail "renames"; }
! grep -qP '^[DA]\t(move|swap/cop)' ren || fail "what moved is listed twice"
grep -v '^R' ren > rest; grep -vP '^[DA]\t(moved?(/|\t)|swap/cop)' want > rest.want
check rest.want cat rest
strata diff a b > ns; grep -q $'^R100\tmove/plain\tmoved/plain$' ns || fail "name-status"
strata diff a.raw b.raw > ns2; grep -q $'^R100\tmove/plain\tmoved/plain$' ns2 || fail "renames of files"
[ "$(strata diff -z a b | tr -d -c '\0' | wc -c)" -gt 40 ] || fail "-z"
strata diff --name-only a b -- etc | head -2 | tail -1 | grep -qx etc/link || fail "name-only"
# exit codes
expect_rc 0 strata diff a b > /dev/null
expect_rc 1 strata diff --exit-code a b > /dev/null
expect_rc 0 strata diff --exit-code a a > /dev/null
expect_rc 0 strata diff --exit-code a a.raw > /dev/null
expect_rc 1 strata diff --exit-code a b -- etc/one > /dev/null
expect_rc 0 strata diff --exit-code a b -- big/file-number-1 > /dev/null
expect_rc 3 strata diff a nothing 2> /dev/null
expect_rc 3 strata diff a ./nothing.raw 2> /dev/null
expect_rc 3 strata diff a:/nothing b 2> /dev/null
expect_rc 2 strata diff a 2> /dev/null
