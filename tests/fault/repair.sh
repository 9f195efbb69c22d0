#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# verify --repair: index files come back from the packs; of a damaged pack what
# is whole stays, and an import of the same disk brings the rest back.
. "$(dirname "$0")/lib.inc"
image a.img 1; image b.img 2; image c.img 3
export STRATA_LIBRARY=$T/lib
strata -q init lib
strata -q import a.img -b main; strata -q import b.img -b main; strata -q import c.img -b side/x
strata verify --read-data >/dev/null
cp -a lib whole

same() { # every disk is there, bit for bit
	for p in main~1:a main:b side/x:c; do
		strata -q export "${p%:*}" -o out.raw; cmp out.raw "${p#*:}.img" || fail "${p%:*} is not what it was"
	done
}

# Nothing to do: it stays as it was
strata verify --repair >out.txt || fail "a whole library: $(cat out.txt)"
grep -q 'every byte is as it was' out.txt || fail "$(cat out.txt)"
same

# Index files damaged, cut, and gone
for how in flip cut gone all; do
	rm -rf lib; cp -a whole lib
	f=$(ls lib/index/* | head -1)
	case $how in
	flip) python3 -c "
import sys; d = bytearray(open(sys.argv[1], 'rb').read()); d[len(d) // 2] ^= 4; open(sys.argv[1], 'wb').write(d)" "$f" ;;
	cut) truncate -s -40 "$f" ;;
	gone) rm "$f" ;;
	all) rm lib/index/* ;;
	esac
	expect_rc 6 strata verify --read-data >/dev/null
	strata verify --repair --json >out.json || fail "$how: $(cat out.json)"
	python3 -c "import json; d = json.load(open('out.json')); assert d['ok'] and d['repair']['packs'] == 3 and d['repair']['lost_bytes'] == 0, d"
	same
done

# A repair that is killed at any of its system calls that change something: the
# library is whole, or says what to do, and the next repair does it.
rm -rf lib; cp -a whole lib; rm "$(ls lib/index/* | head -1)"; cp -a lib hurt
strace -f -qq -o trace -e trace=openat,renameat2,rename,linkat,unlink,unlinkat,fsync strata -q verify --repair >/dev/null
n=$(wc -l <trace); k=0
for i in $(seq 1 $((n / 25 + 1)) "$n"); do
	rm -rf lib; cp -a hurt lib
	for call in rename,renameat2,linkat unlink,unlinkat fsync; do
		strace -f -qq -o /dev/null -e trace=$call -e inject=$call:signal=KILL:when=$((i % 12 + 1)) \
			strata -q verify --repair >/dev/null 2>&1 || k=$((k + 1))
	done 2>/dev/null # the shell tells of each kill
	strata -q verify --repair >/dev/null || fail "after a kill at $i"
	same
done
[ $k -gt 10 ] || fail "only $k repairs were killed"

# While it is not finished, the library is closed, and says why
rm -rf lib; cp -a whole lib; echo x >lib/index/repair-under-way.idx
expect_rc 6 strata log main 2>err.txt; grep -q 'repair' err.txt || fail "$(cat err.txt)"
strata -q verify --repair >/dev/null; same

# Not while somebody imports
python3 - <<'PY'
import fcntl, subprocess
# what an import holds
with open('lib/writers/' + 'ab' * 16, 'w') as f:
    fcntl.flock(f, fcntl.LOCK_EX)
    p = subprocess.run(['strata', 'verify', '--repair'], capture_output=True, text=True)
    assert p.returncode == 5 and 'under way' in p.stderr, p
PY

# A pack that is gone: no pack is damaged, but a list of chunks in another one
# lacks most of them.
rm -rf lib; cp a.img d.img
debugfs -R "dump /usr/big big" a.img 2>/dev/null
python3 -c "
d = bytearray(open('big', 'rb').read()); d[600000:600003] = b'new'; open('big', 'wb').write(d)"
debugfs -w -R "rm /usr/big" d.img 2>/dev/null; debugfs -w -R "write big /usr/big" d.img 2>/dev/null
strata -q init lib; strata -q import a.img -b one
first=$(ls lib/packs); strata -q import d.img -b two
rm "lib/packs/$first"
expect_rc 6 strata verify --repair --json >out.json
python3 -c "
import json; d = json.load(open('out.json'))['repair']; assert d['forgotten'] == 1 and not d['packs_rewritten'], d"
strata -q import d.img -b again; strata -q export again -o out.raw; cmp out.raw d.img || fail "an import did not bring the chunks"

# What fails does not open what an earlier repair left closed
echo x >lib/index/repair-under-way.idx
strace -f -qq -o /dev/null -e trace=pread64 -e inject=pread64:error=EIO:when=3+ strata -q verify --repair >/dev/null 2>&1 && fail "no error"
[ -e lib/index/repair-under-way.idx ] || fail "it was opened"
strata -q verify --repair >/dev/null || true

# Packs: a flipped byte in each frame, a cut, no footer. What is whole is found;
# verify names the rest; the disks that are imported again are whole.
python3 - <<'PY'
import glob, json, os, shutil, subprocess
def run(*a):
    return subprocess.run(('strata',) + a, capture_output=True)
n = mended = 0
for f in sorted(glob.glob('whole/packs/*')):
    data, at, places = open(f, 'rb').read(), 32, []
    while data[at:at + 4] == (0x31724653).to_bytes(4, 'little'):
        stored = int.from_bytes(data[at + 12:at + 16], 'little')
        places += [at + 5, at + 32 + stored // 2]
        at += 32 + stored
    places = places[:8] + places[-8:] + [3, len(data) - 20, -(len(data) * 2 // 3)]
    for p in places:
        shutil.rmtree('lib'); shutil.copytree('whole', 'lib')
        bad = bytearray(data)
        if p < 0:
            bad = bad[:-p]
        else:
            bad[p] ^= 16
        open(f.replace('whole/', 'lib/'), 'wb').write(bad)
        assert run('verify', '--read-data').returncode == 6, (f, p)
        r = run('verify', '--repair', '--json')
        d = json.loads(r.stdout)
        assert r.returncode == (0 if d['ok'] else 6), (f, p, r)
        # of the damage of the folder nothing is left: only what is missing is named
        assert all('missing' in x['what'] for x in d['damaged']), (f, p, d['damaged'])
        n += 1
        for name, branch in (('a', 'main'), ('b', 'main'), ('c', 'side/x')):
            r = run('import', name + '.img', '-b', 'again/' + name)
            assert r.returncode == 0, (f, p, r)
            assert run('export', 'again/' + name, '-o', 'out.raw').returncode == 0, (f, p, name)
            subprocess.run(['cmp', 'out.raw', name + '.img'], check=True)
        r = run('verify', '--read-data', '--json')
        left = json.loads(r.stdout)['damaged']
        # commits are written by hand: an import makes others
        assert all('commit' in x['what'] or x['where'].startswith(('record', 'commit', 'refs', 'logs', 'HEAD')) for x in left), (f, p, left)
        mended += not left
print(n, 'damaged packs, ', mended, 'whole again after importing')
assert n > 30 and mended > n // 2
PY
