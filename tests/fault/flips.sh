#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A flipped byte anywhere in the library's folder is found by verify
# --read-data, which names what it touches.
. "$(dirname "$0")/lib.inc"
image a.img 1; image b.img 2; image c.img 3
export STRATA_LIBRARY=$T/lib
strata -q init lib
strata -q import a.img -b main; strata -q import b.img -b main; strata -q import c.img -b side/x
strata verify --read-data >/dev/null

python3 - <<'PY'
import glob, json, os, random, subprocess
rnd = random.Random(4)
files = sorted(f for f in glob.glob('lib/**', recursive=True) if os.path.isfile(f) and os.path.getsize(f))
kinds = {f.split('/')[1] for f in files}
assert {'packs', 'index', 'refs', 'logs', 'strata-library'} <= kinds, kinds
most = 2000 if os.environ.get('STRATA_FAULT_ALL') else 50
n = named = 0
for f in files:
    data = open(f, 'rb').read()
    size = len(data)
    at = set(range(size))
    if size > 80:  # both ends hold headers, tables and footers
        at = set(list(range(0, 80)) + list(range(size - 48, size)))
        at |= {rnd.randrange(size) for _ in range(most)}
    at = rnd.sample(sorted(at), min(most, len(at)))
    for off in at:
        mask = rnd.choice((1, 2, 4, 8, 16, 32, 64, 128, 255))
        with open(f, 'r+b') as h:
            h.seek(off); h.write(bytes([data[off] ^ mask]))
        p = subprocess.run(['strata', 'verify', '--read-data', '--json'], capture_output=True)
        with open(f, 'r+b') as h:
            h.seek(off); h.write(data[off:off + 1])
        n += 1
        where = f'{f} at {off} mask {mask}'
        if f.endswith('strata-library') and not p.stdout:
            assert p.returncode in (4, 6), where
            continue        # not opened at all: the message names it
        assert p.returncode == 6, f'{where}: exit {p.returncode}\n{p.stdout.decode()}{p.stderr.decode()}'
        d = json.loads(p.stdout)
        assert d['damaged'] and not d['ok'], where
        named += any(x['commits'] for x in d['damaged'])
print(n, 'bytes flipped, all found;', named, 'named commits')
assert named > n // 6
PY

# A damaged frame names the files whose content it holds, in the commits that
# have them and not in others.
python3 - <<'PY'
import glob, json, subprocess
hits = set()
for f in sorted(glob.glob('lib/packs/*')):
    data = bytearray(open(f, 'rb').read())
    at = 32
    while data[at:at + 4] == (0x31724653).to_bytes(4, 'little'):
        stored = int.from_bytes(data[at + 12:at + 16], 'little')
        bad = bytearray(data); bad[at + 32 + stored // 2] ^= 1
        open(f, 'wb').write(bad)
        for how in ('--all', 'main~1', 'side/x'):
            p = subprocess.run(['strata', 'verify', how, '--read-data', '--json'], capture_output=True)
            if not p.stdout:    # the revision itself cannot be read
                assert p.returncode == 6 and how != '--all'
                continue
            for x in json.loads(p.stdout)['damaged']:
                for q in x['paths']:
                    hits.add((how, q, len(x['commits']), tuple(x['refs'])))
        open(f, 'wb').write(data)
        at += 32 + stored
paths = {h[1] for h in hits}
assert 'disk:/usr/big' in paths and 'disk:/etc/random' in paths and 'disk 0' in paths, paths
alone = [h for h in hits if h[1] == 'disk:/etc/random' and h[0] == '--all']
assert any(h[3] == ('refs/heads/side/x',) and h[2] == 1 for h in alone), alone
assert not any(h[0] == 'main~1' and h[2] != 1 for h in hits)
PY
strata verify --read-data >/dev/null

# What is missing altogether
p=$(ls lib/packs | head -1); mv "lib/packs/$p" keep
expect_rc 6 strata verify --json >out.json; grep -q "packs/$p" out.json || fail "the missing pack is not named"
mv keep "lib/packs/$p"
cp lib/refs/heads/main keep; printf '0%.0s' {1..64} >lib/refs/heads/main; echo >>lib/refs/heads/main
expect_rc 6 strata verify >out.txt; grep -q refs/heads/main out.txt || fail "the ref is not named"
cp keep lib/refs/heads/main
strata verify >/dev/null
# a line of a log that a crash cut short is not damage, and the next one mends it
printf 'torn' >>lib/logs/refs/heads/main
strata verify >/dev/null
strata -q import c.img -b main
[ "$(wc -l <lib/logs/refs/heads/main)" = 3 ] || fail "log"
strata verify --read-data
