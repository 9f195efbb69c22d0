# SPDX-License-Identifier: Apache-2.0
# diff -p, --stat, --packages and --blocks, against git, dpkg and cmp.
. "$(dirname "$0")/../lib.sh"
need_root
need mkfs.ext4 python3 git dpkg
truncate -s 48M a.raw; mkfs.ext4 -q -O ^metadata_csum a.raw
mkdir a b ta tb; mount -o loop a.raw a 2>mount.err || skip "cannot mount: $(tail -1 mount.err)"; cleanup_mounts+=(a)
python3 - <<'P'
import os, random
r = random.Random(7)
words = [bytes(r.choices(b"abcdefgh _{};()", k=r.randrange(0, 30))) + b"\n" for _ in range(60)]
for i in range(200):
    t = [r.choice(words) for _ in range(r.randrange(0, 120))]
    u = list(t)
    for _ in range(r.randrange(1, 8)):
        k = r.randrange(len(u) + 1); n = r.randrange(4)
        u[k:k + n] = [r.choice(words) for _ in range(r.randrange(4))]
    x, y = b"".join(t), b"".join(u)
    if i % 10 == 0: x = x[:-1]
    if i % 15 == 0: y = y[:-1]
    open(f"ta/f{i}", "wb").write(x); open(f"tb/f{i}", "wb").write(y)
P
for t in ta tb; do mkdir -p "$t/sub dir" $t/bin; done
seq 50 > ta/mode; seq 50 > tb/mode; chmod 644 ta/mode; chmod 755 tb/mode
seq 200 > ta/both; seq 199 > tb/both; chmod 755 tb/both
seq 9 > ta/gone; seq 9 20 > tb/new; : > tb/empty; ln -s one ta/link; ln -s two tb/link
printf 'bin\0ary' > ta/bin/x; printf 'bin\0arz' > tb/bin/x; printf 'n\0' > tb/bin/new
echo q > "ta/sub dir/a b"; echo r > "tb/sub dir/a b"; printf 'x\n' > "$(printf 'ta/q\303\244"\t')"; printf 'y\n' > "$(printf 'tb/q\303\244"\t')"
seq 1000 2000 > ta/moved; seq 1000 2000 > tb/elsewhere; echo text > ta/typed; ln -s text tb/typed
cp -a ta/. a/; mkdir -p a/var/lib/dpkg
# packages: one that came, one that went, and pairs of versions
vs="1.0 1.0-1 1.0-1+b1 1.0~rc1-1 1:0.1 0:1.0 1.0a 1.0+dfsg 1.10 1.9 1.0-10 1.0-9 1.0.0 01.0 1.0~~ 1.0~ 1.a 1.+ 2:1~beta1-2.1 7.88.1-10+deb12u12 7.88.1-10+deb12u5"
i=0; for v in $vs; do for w in $vs; do i=$((i + 1)); printf 'Package: p%03d\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\n\n' $i "$v" >> st.a; printf 'Package: p%03d\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\n\n' $i "$w" >> st.b
	if [ "$v" = "$w" ]; then continue; fi
	if dpkg --compare-versions "$v" lt "$w"; then s=U; elif dpkg --compare-versions "$v" gt "$w"; then s=W; else s=M; fi
	printf '%s\tp%03d\tamd64\t%s\t%s\n' $s $i "$v" "$w" >> pk.want; done; done
printf 'Package: went\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\nPackage: purged\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n' >> st.a
printf 'Package: came\nStatus: install ok installed\nArchitecture: all\nVersion: 2\n\nPackage: purged\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n' >> st.b
printf 'D\twent\tall\t1\t-\nD\tpurged\tall\t1\t-\nA\tcame\tall\t-\t2\n' >> pk.want
cp st.a a/var/lib/dpkg/status; umount a; cp a.raw b.raw; mount -o loop b.raw b; cleanup_mounts+=(b)
find b -mindepth 1 -maxdepth 1 ! -name var ! -name lost+found -exec rm -r {} +; cp -a tb/. b/; cp st.b b/var/lib/dpkg/status; umount b
strata init lib 2>/dev/null; export STRATA_LIBRARY=$T/lib; strata import -q a.raw; strata import -q b.raw
# Every patch that git takes turns ta into tb.
for pair in "a b" "a.raw b.raw"; do
	strata diff -p $pair > patch
	rm -rf w; cp -a ta w
	python3 - <<'P'
# only what git's patches can hold: no binary files, and not dpkg's own
import re
d = open("patch", "rb").read()
parts = re.split(rb"(?m)^(?=diff --git )", d)
open("text.patch", "wb").write(b"".join(p for p in parts if b"\nBinary files " not in p and b"b/var/lib" not in p.split(b"\n")[0]))
assert sum(b"\nBinary files " in p for p in parts) == 2, "binary files"
P
	(cd w && git init -q . && git apply --whitespace=nowarn ../text.patch 2> ../apply.err) || { head -3 apply.err; fail "git apply"; }
	rm -rf w/.git; cp -a tb/bin/. w/bin/; cp -a w wx; diff -r --no-dereference wx tb || fail "the patch gives something else ($pair)"; rm -rf wx
	[ "$(stat -c %a w/mode)$(stat -c %a w/both)$(readlink w/link)$(readlink w/typed)" = 755755twotext ] || fail "modes and links"
	grep -q '^rename from moved$' patch && grep -q '^rename to elsewhere$' patch || fail "rename"
	grep -q '^Binary files a/bin/x and b/bin/x differ$' patch && grep -q '^Binary files /dev/null and b/bin/new differ$' patch || fail "binary"
done
# The same patch as git's where only lines were added at the end or changed in one place
same=0 n=0
for f in both mode gone link "sub dir/a b" $(cd ta; ls -d f*); do
	strata diff -p a b -- "$f" | sed '/^index /d' > ours; (git diff --no-index --no-renames "ta/$f" "tb/$f" 2>/dev/null || true) | sed '/^index /d' | sed '1,4s| a/ta/| a/|;1,4s| b/tb/| b/|' > theirs
	n=$((n + 1)); ! cmp -s ours theirs || same=$((same + 1))
	# never longer than git's by more than its own heuristics cost
	[ "$(grep -ac '^[-+]' ours)" -le $(($(grep -ac '^[-+]' theirs) + 6)) ] || [ "$f" = gone ] || { diff ours theirs | head -20; fail "$f: longer than git's"; }
done
echo "$same of $n patches are git's to the byte"
[ $same -gt $((n / 2)) ] || fail "only $same of $n patches are as git's"
for f in both link "sub dir/a b"; do
	strata diff -p a b -- "$f" | grep -v '^index ' > ours; (git diff --no-index "ta/$f" "tb/$f" || true) | grep -v '^index ' | sed '1,5s| a/ta/| a/|;1,5s| b/tb/| b/|' > theirs
	cmp ours theirs || { diff ours theirs; fail "$f"; }
done
strata diff --stat a b > stat; tail -1 stat | grep -q 'files changed, .* insertions(+), .* deletions(-)$' && grep -q '^ bin/x  *| Bin 7 -> 7 bytes$' stat && grep -q '^ both  *| 1 -$' stat || fail "stat: $(tail -3 stat)"
strata diff --color always -p a b -- both | grep -q $'^\033\[31m-200\033\[0m$' || fail "colour"
# packages
sort pk.want > pk; for p in "a b" "a.raw b"; do strata diff --packages $p | sort > pk.have; cmp -s pk pk.have || { diff pk pk.have | head; fail "packages"; }; done
strata diff --packages a b --json | python3 -c 'import json,sys
p = json.load(sys.stdin)["packages"]; x = [q for q in p if q["name"] == "came"][0]
assert x["status"] == "added" and x["old"] is None and x["new"]["version"] == "2", x
assert {q["status"] for q in p} == {"added", "removed", "upgraded", "downgraded", "changed"}'
[ -z "$(strata diff --packages a a --exit-code)" ] || fail "packages that are the same"
# blocks
cmp -l a.raw b.raw | awk '{ b = int(($1 - 1) / 4096); if (b != last || NR == 1) print b; last = b }' > blocks.want
for p in "a b" "a.raw b.raw" "a b.raw"; do
	strata diff --blocks $p | awk '{ for (i = $2; i < $2 + $3; i += 4096) print i / 4096 }' > blocks.have
	cmp -s blocks.want blocks.have || { diff blocks.want blocks.have | head -5; fail "blocks of $p"; }
done
strata diff --blocks a a --json --exit-code > /dev/null
truncate -s 49M b.raw; strata diff --blocks a b.raw | tail -1 | grep -qx $'0\t50331648\t1048576' || fail "a longer disk"
