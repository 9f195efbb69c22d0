#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# log against git: the same history, made of random merges, in both; order,
# simplification by path, ranges, limits. Then what is our own: JSON, graphs.
. "$(dirname "$0")/../lib.sh"
need git python3 jq
export STRATA_LIBRARY=$T/lib GIT_DIR=$T/git GIT_AUTHOR_NAME=T GIT_AUTHOR_EMAIL=t@e GIT_COMMITTER_NAME=T GIT_COMMITTER_EMAIL=t@e
strata init lib 2>/dev/null; git init -q --bare git
cat > make.py <<'EOF2'
import random, subprocess, sys
rnd = random.Random(int(sys.argv[1]))
names, trees, out = [], {}, open("script", "w")
git = lambda *a, inp=b"", env=None: subprocess.run(["git", *a], input=inp, env=env, check=True, capture_output=True).stdout.decode().strip()
import os
ids = {}
for i in range(60):
    n = f"c{i}"
    k = 0 if not names or rnd.random() < 0.05 else 1 if rnd.random() < 0.7 else 2 if rnd.random() < 0.9 else 3
    parents = rnd.sample(names[-6:], min(k, len(names[-6:])))
    t = dict(trees[parents[0]]) if parents else {}
    for p in parents[1:]:
        for f in trees[p]:
            if rnd.random() < 0.5:
                t[f] = trees[p][f]
    if rnd.random() < 0.8:
        t[rnd.choice(["a", "b", "d/x", "d/y"])] = str(rnd.randrange(3))
    trees[n] = t
    names.append(n)
    # some clocks are wrong
    date = 1000000 + i * 10 + (rnd.randrange(-200, 200) if rnd.random() < 0.2 else 0)
    date = date * 100 + i
    out.write("\t".join(["commit", n, str(date), *parents]) + "\n")
    for f in sorted(f for f in t if "/" not in f):
        out.write(f"file\t{f}\t{t[f]}\n")
    d = sorted(f for f in t if "/" in f)
    if d:
        out.write("dir\td\n" + "".join(f"file\t{f[2:]}\t{t[f]}\n" for f in d) + "up\n")
    out.write("end\n")
    blob = lambda s: git("hash-object", "-w", "--stdin", inp=s.encode())
    lines = "".join(f"100644 blob {blob(t[f])}\t{f}\n" for f in t if "/" not in f)
    if d:
        sub = git("mktree", inp="".join(f"100644 blob {blob(t[f])}\t{f[2:]}\n" for f in d).encode())
        lines += f"040000 tree {sub}\td\n"
    tree = git("mktree", inp=lines.encode())
    env = dict(os.environ, GIT_AUTHOR_DATE=f"@{date} +0000", GIT_COMMITTER_DATE=f"@{date} +0000")
    a = []
    for p in parents:
        a += ["-p", ids[p]]
    ids[n] = git("commit-tree", tree, "-m", n, *a, env=env)
    git("update-ref", "refs/heads/" + n, ids[n])
EOF2
ours() { strata log --json "$@" | jq -r '.commits[].message'; }
theirs() { git log --format=%s "$@"; }
for seed in 1 2; do
	rm -rf lib git; strata init lib 2>/dev/null; git init -q --bare git
	python3 make.py $seed
	mkcommit lib < script > made
	while read -r n id; do strata branch "$n" "$id"; done < made
	ours > have; theirs --date-order --branches > want; cmp have want || fail "all branches, seed $seed"
	for tip in c59 c40 c7; do
		ours $tip > have; theirs --date-order $tip > want; cmp have want || fail "$tip, seed $seed"
		ours -n 5 $tip > have; theirs --date-order -n 5 $tip > want; cmp have want || fail "-n, $tip, seed $seed"
		ours --graph $tip > have; theirs --topo-order $tip > want
		cmp <(sort have) <(sort want) || fail "--graph shows other commits, $tip, seed $seed"
		for path in a b d d/x nope; do
			ours $tip --path /$path > have; theirs --date-order $tip -- $path > want
			cmp have want || { diff have want; fail "--path $path, $tip, seed $seed"; }
			ours $tip:/$path > have; cmp have want || fail "REV:PATH"
		done
	done
	ours c30..c59 > have; theirs --date-order c30..c59 > want; cmp have want || fail "range, seed $seed"
	ours ^c30 c59 c50 > have; theirs --date-order ^c30 c59 c50 > want; cmp have want || fail "^REV, seed $seed"
	# every line of the graph leads from a commit to its parents
	strata log --graph --oneline c59 c50 > graph
	[ "$(grep -c '\*' graph)" = "$(ours c59 c50 | wc -l)" ] || fail "graph has other commits"
done
# a graph as it is drawn: rows were checked by eye against git's own
printf 'commit\tr\t1\nfile\tf\t0\nend\ncommit\tl\t2\tr\nfile\tf\t1\nend\ncommit\tm\t3\tr\nfile\tf\t2\nend\ncommit\tt\t4\tl\tm\nfile\tf\t3\nend\n' > script
rm -rf lib; strata init lib 2>/dev/null; mkcommit lib < script > made
strata branch t "$(awk '$1=="t" {print $2}' made)"
strata log t --graph --oneline --decorate | sed 's/[0-9a-f]\{12\}/ID/' > have
cat > want <<'END'
* ID (t) t
|\
| * ID m
* | ID l
|/
* ID r
END
diff want have || fail "drawn graph"
strata log --decorate t | head -8 | sed 's/[0-9a-f]\{64\}/ID/; s/[0-9a-f]\{12\}/SHORT/g' > have
cat > want <<'END'
commit ID (t)
Merge: SHORT SHORT
Author: Test <test@example.org>
Date:   Thu Jan  1 00:00:04 1970 +0000

    t

commit ID
END
diff want have || fail "text"
strata log --json t | jq -e '.schema == "strata/log/1" and (.commits | length) == 4 and (.commits[0] | .parents | length) == 2
	and .commits[3].date == "1970-01-01T00:00:01Z" and .commits[0].annotations == {}' >/dev/null || fail JSON
expect_rc 3 strata log nope 2>err; expect_rc 2 strata log -n x 2>err
strata log t^2 --oneline | grep -q ' m$' || fail "second parent"
