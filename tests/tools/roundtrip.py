#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""roundtrip.py SEED: a random disk in the current folder, and a random change of it.

What must hold: import -> export gives the disk's bytes; the same bytes in
another container are the same image; an overlay committed against its base
exports as qemu-img converts it, and has the digest that an import of that has.
"""
import json, os, random, struct, subprocess, sys

seed = int(sys.argv[1])
R = random.Random(seed)
MIB = 1 << 20
EDGES = [1, 511, 512, 513, 1023, 1025, 4095, 4096, 4097, 65535, 65537, MIB - 1, MIB,
         MIB + 1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1]


def run(*a, ok=True):
    p = subprocess.run(a, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if ok and p.returncode:
        sys.exit('seed %d: %s: exit %d\n%s%s' % (seed, ' '.join(a), p.returncode,
                 p.stdout.decode(errors='replace')[-800:], p.stderr.decode(errors='replace')[-800:]))
    return p.stdout


def check(what, ok):
    if not ok:
        sys.exit('seed %d: FAIL: %s' % (seed, what))


def content(n):
    kind = R.randrange(4)
    if kind == 0:
        return bytes([R.randrange(256)]) * n
    if kind == 1:
        return (b'the same line over and over\n' * (n // 28 + 1))[:n]
    return R.randbytes(n)


def folder(root, budget):
    """Files at the sizes where the pipeline changes its ways, sparse ones, links, twins."""
    os.makedirs(root)
    sizes = R.sample(EDGES, 8)
    if budget > 80 * MIB:
        sizes.append(R.choice([32 * MIB - 1, 32 * MIB, 32 * MIB + 1]))
    names, i = [], 0
    for i, n in enumerate(sizes + [R.randrange(0, 20000) for _ in range(R.randrange(60))]):
        budget -= n + 8192
        if budget < 0:
            break
        d = os.path.join(root, R.choice(['', 'a', 'a/b', 'lib']))
        os.makedirs(d, exist_ok=True)
        p = os.path.join(d, 'f%d' % i)
        with open(p, 'wb') as f:
            if R.random() < 0.2 and n > 9000: # holes
                f.truncate(n)
                for _ in range(3):
                    f.seek(R.randrange(n - 600))
                    f.write(content(R.randrange(1, 600)))
            else:
                f.write(content(n))
        names.append(p)
    for p in R.sample(names, min(3, len(names))):
        os.link(p, p + '.link')
        if os.path.getsize(p) < budget // 4:
            with open(p, 'rb') as a, open(p + '.twin', 'wb') as b:
                b.write(a.read())
    os.symlink('a/b', os.path.join(root, 'link'))


def put(path, off, data):
    with open(path, 'r+b') as f:
        f.seek(off)
        f.write(data)


def make_fs(name, size):
    """A file system of that many bytes in the file name."""
    kind = R.choice(['ext1k', 'ext4k', 'vfat', 'ext4k', 'noise'] + (['xfs'] * 3 if size >= 301 * MIB else []))
    with open(name, 'wb') as f:
        if kind != 'xfs' and size < 64 * MIB and R.random() < 0.5: # old bytes where nothing is written
            f.write(R.randbytes(size))
        f.truncate(size)
    if kind == 'noise':
        for _ in range(20):
            put(name, R.randrange(size - 5000), content(R.randrange(1, 5000)))
        return kind
    folder(name + '.d', size * 6 // 10 if kind != 'xfs' else 20 * MIB)
    if kind.startswith('ext'):
        run('mkfs.ext4', '-q', '-F', '-b', '1024' if kind == 'ext1k' else '4096', '-E', 'nodiscard',
            '-O', R.choice(['^has_journal', 'has_journal', 'inline_data', '^extent,^64bit']), '-d', name + '.d', name)
        for f in ['/f0', '/f1', '/lib/f2', '/a/f3']: # slack that is not zero
            b = run('debugfs', '-R', 'blocks ' + f, name).split()
            bs = 1024 if kind == 'ext1k' else 4096
            if b and b[-1].isdigit() and R.random() < 0.7:
                put(name, int(b[-1]) * bs + bs - 7, b'slack!!')
    elif kind == 'vfat':
        run('mkfs.vfat', name)
        top = sorted(os.listdir(name + '.d'))
        run('mcopy', '-s', '-i', name, *[os.path.join(name + '.d', t) for t in top if t != 'link'], '::')
    else:
        rows = ['/boot', '0 0', 'd--755 0 0']
        for dirpath, dirs, files in os.walk(name + '.d'):
            rows += ['%s ---644 0 0 %s' % (f, os.path.join(dirpath, f)) for f in files
                     if not os.path.islink(os.path.join(dirpath, f))]
            dirs[:] = []
        with open('proto', 'w') as f:
            f.write('\n'.join(rows + ['$', '$', '']))
        run('mkfs.xfs', '-q', '-f', '-p', 'proto', name)
    return kind


def make_disk(path):
    """Partitions anywhere; returns [(kind, offset, size)]."""
    parts, at = [], R.choice([34, 63, 2048, R.randrange(1, 4000)])
    big = R.random() < 0.25
    for i in range(R.randrange(1, 4)):
        n = (302 if big and not i else R.choice([9, 20, 34, 100])) * 2048 + R.randrange(0, 8)
        parts.append((at, n))
        at += n + R.randrange(0, 5000)
    size = at * 512 + R.choice([0, 0, 512, 1000, 4096, R.randrange(5000)])
    with open(path, 'wb') as f:
        f.truncate(size)
    table, out = b'', []
    for i, (at, n) in enumerate(parts):
        name = 'part%d' % i
        kind = make_fs(name, n * 512)
        run('dd', 'if=' + name, 'of=' + path, 'bs=512', 'seek=%d' % at, 'conv=notrunc,sparse', 'status=none')
        run('rm', '-rf', name, name + '.d')
        table += struct.pack('<B3sB3sII', 0, b'', 0x83, b'', at, n)
        out.append((kind, at * 512, n * 512))
    put(path, 446, table.ljust(64, b'\0') + b'\x55\xaa')
    if R.random() < 0.3: # damage: what readers refuse must come back all the same
        for _ in range(R.randrange(1, 30)):
            put(path, R.randrange(512, size - 600), R.randbytes(R.randrange(1, 600)))
        out = [('damaged', o, n) for _, o, n in out]
    return size, out


def change(base, size, parts, ov):
    """An overlay over base, by qemu's hands."""
    opts = 'cluster_size=%d' % (1 << R.randrange(9, 22))
    if R.random() < 0.3 and opts.split('=')[1] not in ('512', '1024', '2048', '4096', '8192'):
        opts += ',extended_l2=on'
    whole = (size + 511) // 512 * 512
    want = R.choice([whole, whole, whole + 512 * R.randrange(1, 100000), whole - 512 * R.randrange(1, 2000)])
    inside = [p for p in parts if p[0].startswith('ext')]
    if R.random() < 0.5 and inside and want >= whole: # files, changed by a file system's own tool
        run('cp', '--sparse=always', base, 'new.raw')
        _, off, _ = R.choice(inside)
        with open('in', 'wb') as f:
            f.write(content(R.choice(EDGES[:12])))
        with open('cmds', 'w') as f:
            f.write('write in added\nrm /f0\nln /f1 /other\nwrite in /a/more\n')
        run('debugfs', '-w', '-f', 'cmds', 'new.raw?offset=%d' % off)
        run('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', opts, '-F', 'raw', '-b', 'new.raw', ov)
        run('qemu-img', 'rebase', '-q', '-F', 'raw', '-b', base, ov)
        os.unlink('new.raw')
        return
    run('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', opts, '-F', 'raw', '-b', base, ov, str(want))
    cmds = []
    for _ in range(R.randrange(0, 40)):
        n = R.choice([512, 1024, 4096, 12288, 65536, 512 * R.randrange(1, 4000)])
        off = R.randrange(0, (want - n) // 512) * 512 if want > n + 512 else 0
        if R.random() < 0.2: # into the first file systems' middles
            off = min(off, R.choice(parts)[1] + R.randrange(MIB) // 512 * 512)
        cmds += ['-c', R.choice(['write -P %d %d %d' % (R.randrange(1, 256), off, n)] * 3 +
                 ['write -z %d %d' % (off, n), 'write -z -u %d %d' % (off, n), 'discard %d %d' % (off, n)])]
    if cmds:
        run('qemu-io', '-f', 'qcow2', *cmds, ov)


def strata(*a):
    out = run('strata', '-L', 'lib', '-q', *a)
    return json.loads(out) if '--json' in a else None


def main():
    threads = str(R.choice([1, 2, 4]))
    size, parts = make_disk('disk.raw')
    strata('init', 'lib')
    one = strata('import', 'disk.raw', '-b', 'base', '--threads', threads, '--json')
    strata('export', 'base', '-o', 'out.raw')
    check('export gives other bytes', not subprocess.call(['cmp', 'disk.raw', 'out.raw']))
    run('cp', '--sparse=never', 'disk.raw', 'out.raw') # no holes
    two = strata('import', 'out.raw', '-b', 'full', '--json')
    check('a disk without holes is another image', one['image'] == two['image'])
    if size % 512 == 0:
        run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', *R.choice([[], ['-c']]), 'disk.raw', 'disk.qcow2')
        two = strata('import', 'disk.qcow2', '-b', 'again', '--json')
        check('qcow2 is another image', one['image'] == two['image'])
        os.unlink('disk.qcow2')
    for i in range(3):
        ov = 'ov%d.qcow2' % i
        change(os.path.abspath('disk.raw'), size, parts, ov)
        run('qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', ov, 'want.raw')
        c = strata('commit', ov, '--base', 'base', '-b', 'ov%d' % i, '--json')
        strata('export', 'ov%d' % i, '-o', 'out.raw')
        check('change %d comes back as other bytes' % i, not subprocess.call(['cmp', 'want.raw', 'out.raw']))
        w = strata('import', 'want.raw', '-b', 'w%d' % i, '--json')
        check('change %d has another digest' % i, c['disks'][0]['digest'] == w['disks'][0]['digest'])
        trees = [[(v['name'], v['fs'], v['files'], v['tree']) for v in x['disks'][0]['volumes']] for x in (c, w)]
        check('change %d has other trees: %s' % (i, trees), trees[0] == trees[1])
    run('strata', '-L', 'lib', 'verify', '--all', '--read-data')
    print('seed %d: %d bytes, %s' % (seed, size, ', '.join('%s at %d' % p[:2] for p in parts)))


main()
