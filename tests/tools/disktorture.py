#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""disktorture.py SEED [ROUNDS [KIND...]]: random disks in random containers, in the current folder.

Each round: qemu makes a container with random options and random operations on it; strata imports it, with random
compression around it, and its export as raw has the bytes that qemu-img reads. Some rounds export every other
format, which qemu-img checks, measures and compares. KINDs: qcow2 vmdk vpc vhdx vdi qed parallels qcow, chain, ova."""
import json, os, random, shutil, signal, subprocess, sys, time

seed, rounds = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20
KINDS = sys.argv[3:] or ['qcow2', 'qcow2', 'vmdk', 'vmdk', 'vpc', 'vhdx', 'vdi', 'qed', 'parallels', 'qcow', 'chain', 'chain']
KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
LOG = []
BIG = os.environ.get('TORTURE_SMALL') is None


class Slow(Exception):
    """qemu takes long over some large disks: another round."""


def die(what):
    sys.exit('seed %d round %d: FAIL: %s\n  %s' % (seed, rnd, what, '\n  '.join(LOG)))


def run(*a, ok=(0,), quiet=False):
    if not quiet:
        LOG.append(' '.join(a))
    t = time.time()
    try:
        p = subprocess.run(a, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    except subprocess.TimeoutExpired:
        if a[0] != 'strata':
            raise Slow
        die('over 60 s: ' + ' '.join(a))
    if time.time() - t > 5 and os.environ.get('TORTURE_VERBOSE'):
        print('%.0f s: %s' % (time.time() - t, ' '.join(a)[:300]), flush=True)
    if p.returncode not in ok:
        die('%s: exit %d: %s' % (' '.join(a[:3]), p.returncode, p.stderr.decode(errors='replace')[-600:]))
    return p


def strata(*a, ok=(0,)):
    return run('strata', '-L', 'lib', '-q', *a, ok=ok)


def data_runs(f, size):
    at = 0
    while at < size:
        try:
            at = os.lseek(f, at, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(f, at, os.SEEK_HOLE)
        yield at, min(end, size)
        at = end


def first_difference(a, b):
    """None where two sparse files hold the same bytes."""
    sa, sb = os.path.getsize(a), os.path.getsize(b)
    if sa != sb:
        return 'sizes %d and %d' % (sa, sb)
    fa, fb = os.open(a, os.O_RDONLY), os.open(b, os.O_RDONLY)
    try:
        for f in (fa, fb):
            for at, end in data_runs(f, sa):
                while at < end:
                    n = min(end - at, MIB)
                    if os.pread(fa, n, at) != os.pread(fb, n, at):
                        return 'bytes of %d from %d on' % (n, at)
                    at += n
    finally:
        os.close(fa)
        os.close(fb)


def size_of(unit=512, small=False):
    k = R.random()
    if k < 0.1:
        n = unit * R.randrange(1, 20)
    elif k < 0.8 or small or not BIG:
        n = R.randrange(unit, 40 * MIB)
    elif k < 0.95:
        n = R.randrange(MIB, 8 * GIB)
    else:
        n = R.randrange(GIB, 3 * TIB)
    return max(unit, n // unit * unit)


def ops(size, n, fmt=''):
    """qemu-io commands at random places, gathered a little so that they meet."""
    out, centre = [], R.randrange(size)
    for _ in range(n):
        ln = 512 * R.choice([1, 1, 8, R.randrange(1, 128), R.randrange(1, 2048)])
        ln = min(ln, size // 512 * 512)
        if not ln:
            break
        if R.random() < 0.3:
            centre = R.randrange(size)
        at = min(max(0, centre + R.randrange(-4 * MIB, 4 * MIB)), size - ln) // 512 * 512
        k = R.random()
        if R.random() < 0.1:
            at = (size - ln) // 512 * 512
        if k < 0.55:
            c = 'write -P %d %d %d' % (R.randrange(1, 256), at, ln)
        elif k < 0.7:
            c = 'write -z %d %d' % (at, ln)
        elif k < 0.8:
            c = 'write -z -u %d %d' % (at, ln)
        elif k < 0.9 or fmt != 'qcow2':
            c = 'discard %d %d' % (at, ln)
        else:
            at = at // (64 * KIB) * 64 * KIB
            c = 'write -c -P %d %d %d' % (R.randrange(1, 256), at, min(64 * KIB, size - at) // 512 * 512 or 512)
        out += ['-c', c]
    return out


def io(path, fmt, n=None, extra=()):
    info = run('qemu-img', 'info', '-U', '--output=json', '-f', fmt, path, ok=(0, 1), quiet=True)
    if info.returncode: # a writer died too early
        return
    size = json.loads(info.stdout)['virtual-size']
    c = ops(size, R.randrange(0, 30) if n is None else n, fmt)
    if c and size >= 512:
        run('qemu-io', '-f', fmt, *extra, *c, path, ok=(0, 1))


def qcow2_options():
    cs = 1 << R.randrange(9, 22)
    o = ['cluster_size=%d' % cs]
    if R.random() < 0.25:
        return o + ['compat=0.10'], cs
    o.append('compat=1.1')
    if cs >= 16384 and R.random() < 0.4:
        o.append('extended_l2=on')
    if R.random() < 0.3:
        o.append('lazy_refcounts=on')
    if R.random() < 0.5:
        o.append('refcount_bits=%d' % (1 << R.randrange(7)))
    if R.random() < 0.4:
        o.append('compression_type=' + R.choice(['zstd', 'zlib']))
    return o, cs


def make_qcow2(backing=None, bfmt=None, size=None):
    p = 'd%d.qcow2' % len(os.listdir('.'))
    o, cs = qcow2_options()
    one_bit = 'refcount_bits=1' in o
    size = size or size_of(1, small=cs < 4096)
    if cs < 4096:
        size = min(size, 8 * GIB)
    allow = []
    a = ['qemu-img', 'create', '-q', '-f', 'qcow2']
    if backing:
        a += ['-b', backing, '-F', bfmt]
    elif 'compat=1.1' in o and R.random() < 0.2:
        o = [x for x in o if not x.startswith('extended')]
        o.append('data_file=%s.data' % p)
        if R.random() < 0.5:
            o.append('data_file_raw=on')
            size = min(size, GIB) # all tables are made
        allow = [p + '.data']
    pre = R.choice(['off', 'off', 'metadata', 'falloc', 'full'])
    if size < 64 * MIB and not backing and not allow:
        o.append('preallocation=' + pre)
    run(*a, '-o', ','.join(o), p, str(size))
    snaps = []
    for _ in range(R.randrange(1, 4)):
        io(p, 'qcow2')
        k = R.random()
        if k < 0.3 and not one_bit and not allow:
            name = 's%d' % len(snaps)
            if not run('qemu-img', 'snapshot', '-c', name, p, ok=(0, 1)).returncode:
                snaps.append(name)
        elif k < 0.4 and 'compat=0.10' not in o:
            run('qemu-img', 'bitmap', '--add', p, 'b%d' % R.randrange(10 ** 9), ok=(0, 1))
        elif k < 0.5 and not snaps and not allow:
            run('qemu-img', 'resize', '-q', '--shrink', p, str(size_of(512, small=True)), ok=(0, 1))
        elif k < 0.6 and not snaps and not allow:
            run('qemu-img', 'amend', '-f', 'qcow2', '-o', R.choice(['compat=1.1', 'compat=0.10', 'lazy_refcounts=off']), p, ok=(0, 1))
        elif k < 0.7: # a writer that dies
            c = ops(max(512, size // 2), 5, 'qcow2')
            run('qemu-io', '-f', 'qcow2', *c, '-c', 'abort', p, ok=(0, 1, -6, 134))
    snap = R.choice(snaps) if snaps and R.random() < 0.4 else None
    return p, 'qcow2', allow, snap


def make_vmdk(backing=None):
    d = 'v%d' % len(os.listdir('.'))
    os.mkdir(d)
    p = d + '/a.vmdk'
    o = []
    sub = R.choice(['monolithicSparse', 'monolithicSparse', 'monolithicFlat', 'twoGbMaxExtentSparse', 'twoGbMaxExtentFlat', 'streamOptimized'])
    o.append('adapter_type=' + R.choice(['ide', 'lsilogic', 'buslogic', 'legacyESX']))
    if R.random() < 0.3:
        o.append('compat6=on')
    elif R.random() < 0.3:
        o.append('hwversion=' + R.choice(['3', '10', '19', '21']))
    if sub in ('monolithicSparse', 'twoGbMaxExtentSparse') and R.random() < 0.4:
        o.append('zeroed_grain=on')
    if R.random() < 0.3:
        o.append('toolsversion=2147483647')
    if sub == 'streamOptimized':
        raw = make_raw()
        run('qemu-img', 'convert', '-f', 'raw', '-O', 'vmdk', '-o', 'subformat=' + sub, raw, p)
        return p, 'vmdk', [d], None
    size = size_of(512)
    if sub.endswith('Flat'):
        size = min(size, 6 * GIB)
    elif 'twoGb' in sub:
        size = min(size, 30 * GIB)
    run('qemu-img', 'create', '-q', '-f', 'vmdk', '-o', ','.join(o + ['subformat=' + sub]), p, str(size))
    io(p, 'vmdk')
    if sub not in ('monolithicSparse',):
        b = open(p, 'rb').read()
        if b.startswith(b'# Disk'):
            k = R.random()
            if k < 0.3:
                b = b.replace(b'\n', b'\r\n')
            elif k < 0.4:
                b += b'\0' * R.randrange(2000)
            elif k < 0.5:
                b = b.replace(b'=', b' = ')
            elif k < 0.65: # more extents: zeros, and a part of a flat file
                n, zeros, skip = R.randrange(1, 5000), R.randrange(1, 9999), R.randrange(9)
                more = R.randbytes((n + 9) * 512)
                open(d + '/more.bin', 'wb').write(more)
                run('qemu-img', 'convert', '-f', 'vmdk', '-O', 'raw', p, 'want.raw')
                with open('want.raw', 'r+b') as f: # qemu passes over extents of zeros
                    f.seek(zeros * 512, 2)
                    f.write(more[skip * 512:(skip + n) * 512])
                    f.truncate(f.tell() + 77 * 512)
                lines = b.split(b'\n')
                at = max(i for i, l in enumerate(lines) if l.startswith(b'RW')) + 1
                lines[at:at] = [b'RW %d ZERO' % zeros, b'RW %d FLAT "more.bin" %d' % (n, skip), b'RW 77 ZERO']
                b = b'\n'.join(lines).replace(b'monolithicFlat', b'twoGbMaxExtentFlat')
            open(p, 'wb').write(b)
    while R.random() < 0.3 and sub == 'monolithicSparse':
        q = '%s/s%d.vmdk' % (d, len(os.listdir(d)))
        run('qemu-img', 'create', '-q', '-f', 'vmdk', '-F', 'vmdk', '-b', os.path.basename(p), q)
        io(q, 'vmdk')
        p = q
    return p, 'vmdk', [d], None


def make_raw(size=None):
    p = 'r%d.raw' % len(os.listdir('.'))
    size = size or size_of(512, small=True)
    with open(p, 'wb') as f:
        f.truncate(size)
        for _ in range(R.randrange(0, 12)):
            n = R.choice([1, 512, 4096, R.randrange(1, 300000)])
            f.seek(R.randrange(size))
            n = min(n, size - f.tell())
            f.write(R.randbytes(n) if R.random() < 0.5 else bytes([R.randrange(256)]) * n)
    return p


def make_other(kind):
    p = 'd%d.%s' % (len(os.listdir('.')), kind)
    if R.random() < 0.4:
        raw = make_raw()
        o = {'vpc': ['subformat=dynamic', 'subformat=fixed', 'subformat=dynamic,force_size=on', 'subformat=fixed,force_size=on'],
             'vhdx': ['subformat=dynamic,block_size=%dM' % (1 << R.randrange(9)), 'subformat=fixed', 'subformat=dynamic,block_state_zero=on'],
             'vdi': ['static=off', 'static=on'], 'qed': ['cluster_size=64k'], 'parallels': ['cluster_size=1M'], 'qcow': ['encryption=off']}[kind]
        a = ['-f', 'raw', '-O', kind, '-o', R.choice(o), raw, p]
        if kind == 'qcow' and R.random() < 0.5:
            if not run('qemu-img', 'convert', '-c', *a, ok=(0, 1)).returncode:
                return p, kind, [], None
        run('qemu-img', 'convert', *a)
        if kind == 'vpc' and R.random() < 0.5: # another creator
            b = bytearray(open(p, 'rb').read())
            b2 = creator(b)
            open(p, 'wb').write(b2)
        io(p, kind) if R.random() < 0.5 and kind != 'qcow' else None
        return p, kind, [], None
    size = size_of(512)
    o = []
    if kind == 'vpc':
        size = min(size, 2040 * GIB)
        o = ['subformat=' + R.choice(['dynamic', 'dynamic', 'fixed']), 'force_size=' + R.choice(['on', 'off'])]
        if 'fixed' in o[0]:
            size = min(size, 4 * GIB)
    elif kind == 'vhdx':
        o = ['subformat=' + R.choice(['dynamic', 'dynamic', 'fixed']), 'block_size=%dM' % R.choice([0, 1, 2, 8, 32, 256]), 'log_size=%dM' % R.choice([1, 2, 4])]
        size = max(size, 4096 * 300)
        if 'fixed' in o[0]:
            size = min(size, 2 * GIB)
    elif kind == 'vdi':
        o = ['static=' + R.choice(['off', 'off', 'on'])]
        size = min(size, 4 * GIB if 'on' in o[0][-2:] else TIB)
    elif kind == 'qed':
        o = ['cluster_size=%d' % (1 << R.randrange(12, 22)), 'table_size=%d' % R.choice([1, 2, 4, 16])]
        size = min(size, 30 * MIB)
    elif kind == 'parallels':
        o = ['cluster_size=%d' % R.choice([64 * KIB, 512 * KIB, MIB, 2 * MIB])]
    elif kind == 'qcow':
        size = min(size, 100 * GIB)
        o = ['encryption=off']
    run('qemu-img', 'create', '-q', '-f', kind, '-o', ','.join(o), p, str(size), ok=(0, 1))
    if not os.path.exists(p):
        return make_other(kind)
    io(p, kind)
    if kind == 'vhdx' and R.random() < 0.3: # its log stays dirty
        run('qemu-io', '-f', kind, *ops(size, 6), '-c', 'abort', p, ok=(0, 1, -6, 134))
    return p, kind, [], None


def creator(b):
    """Another program's name in the footer(s) of a VHD."""
    who = R.choice([b'vpc ', b'vs  ', b'win ', b'qemu', b'qem2', b'd2v ', b'tap\0', b'CTXS', b'wa\0\0', b'xyz '])
    for at in {0, len(b) - 512}:
        if b[at:at + 8] == b'conectix':
            b[at + 28:at + 32] = who
            b[at + 64:at + 68] = bytes(4)
            s = (~sum(b[at:at + 512])) & 0xffffffff
            b[at + 64:at + 68] = s.to_bytes(4, 'big')
    LOG.append('creator %r' % who)
    return bytes(b)


def make_chain():
    """Backing files of other formats and sizes; sometimes rebased or committed on the way."""
    k = R.choice(['raw', 'qcow2', 'vmdk', 'vpc', 'vdi', 'vhdx'])
    if k == 'raw':
        p, fmt, allow = make_raw(), 'raw', []
    elif k == 'qcow2':
        p, fmt, allow, _ = make_qcow2()
    elif k == 'vmdk':
        p, fmt, allow, _ = make_vmdk()
        if os.path.exists('want.raw'): # with extents that qemu passes over
            raise Slow
    else:
        p, fmt, allow, _ = make_other(k)
    info = run('qemu-img', 'info', '--output=json', '-f', fmt, p, ok=(0, 1), quiet=True)
    if info.returncode: # a descriptor with blanks, which qemu does not read
        raise Slow
    base_size = json.loads(info.stdout)['virtual-size']
    for i in range(R.randrange(1, 5)):
        size = R.choice([None, size_of(1, small=True), base_size + R.randrange(1, 10 * MIB), max(1, base_size - R.randrange(base_size))])
        allow = allow + [p]
        name = R.choice([p, os.path.abspath(p)])
        q, fmt2, more, snap = make_qcow2(name, fmt, size or base_size)
        if R.random() < 0.2 and not snap:
            run('qemu-img', R.choice(['commit', 'check']), '-q', q, ok=(0, 1, 2, 3))
        allow += more
        p, fmt = q, fmt2
    return p, fmt, allow, snap


PACK = {'gz': ['gzip', '-1'], 'xz': ['xz', '-0', '--block-size=100000'], 'zst': ['zstd', '-q', '-1'], 'bz2': ['bzip2', '-1'],
        'pz': ['pzstd', '-q', '-1'], 'lz4': ['lz4', '-q', '-1'], 'lzma': ['lzma', '-0']}


def pack(p):
    b = open(p, 'rb').read()
    kind = R.choice(sorted(PACK) + ['gz'])
    if not shutil.which(PACK[kind][0]):
        return p
    cut = sorted(R.randrange(len(b) + 1) for _ in range(R.randrange(0, 3))) if kind not in ('lzma',) else []
    out = b''
    for a, e in zip([0] + cut, cut + [len(b)]):
        out += subprocess.run(PACK[kind] + ['-c'], input=b[a:e], stdout=subprocess.PIPE, check=True).stdout
    if kind == 'gz' and R.random() < 0.5:
        out += bytes(R.randrange(3000))
    if kind == 'zst' and R.random() < 0.5:
        out = b'\x5a\x2a\x4d\x18\x05\0\0\0hello' + out
    q = p + '.' + kind
    open(q, 'wb').write(out)
    LOG.append('packed as %s, %d pieces' % (kind, len(cut) + 1))
    return q


EXPORTS = {'raw': 'raw', 'qcow2': 'qcow2', 'vmdk': 'vmdk', 'vmdk-stream': 'vmdk', 'vhd': 'vpc', 'vhdx': 'vhdx', 'vdi': 'vdi'}


def exports(want, digest):
    size = os.path.getsize(want)
    for f, q in EXPORTS.items():
        if (f in ('vhd',) and size > 2040 * GIB) or (f == 'raw'):
            continue
        variants = [[]] if f != 'qcow2' else [[], ['--compress'], ['--compress', '--compression', 'zlib']]
        for v in variants:
            out = 'x.' + f
            a = strata('export', 'b', '-o', out, '--format', f, *v, '--json')
            up = (size + 511) // 512 * 512
            info = json.loads(run('qemu-img', 'info', '--output=json', '-f', q, out, quiet=True).stdout)
            if info['virtual-size'] not in (size, up) and f != 'vhdx':
                die('export %s: virtual size %d of %d' % (f, info['virtual-size'], size))
            if q not in ('vpc',):
                run('qemu-img', 'check', '-q', '-f', q, out, ok=(0, 63), quiet=True)
            if size and size < 32 * GIB: # qemu-img goes through holes in small steps
                run('qemu-img', 'compare', '-q', '-f', 'raw', '-F', q, want, out)
            if size % 512 == 0: # else the disk grew by what its container rounds
                j = json.loads(strata('import', out, '-b', 'again', '--json').stdout)
                if j['disks'][0]['digest'] != digest:
                    die('export %s: read again it has another digest' % f)
            if v and R.random() < 0.5:
                strata('export', 'b', '-o', 'y.' + f, '--format', f, *v)
                run('taskset', '-c', '0', 'strata', '-L', 'lib', '-q', 'export', 'b', '-o', 'z.' + f, '--format', f, *v)
                for o in ('y.', 'z.'):
                    if first_difference(out, o + f):
                        die('export %s %s: not the same twice' % (f, v))
                    os.unlink(o + f)
            os.unlink(out)
    with open('p.qcow2', 'wb') as f:
        subprocess.run('strata -L lib -q export b -o - --format qcow2 | cat', shell=True, stdout=f, check=True)
    if size and size < 32 * GIB:
        run('qemu-img', 'compare', '-q', '-f', 'raw', '-F', 'qcow2', want, 'p.qcow2')
    run('qemu-img', 'check', '-q', '-f', 'qcow2', 'p.qcow2')


def one(kind):
    p, fmt, allow, snap = (make_qcow2() if kind == 'qcow2' else make_vmdk() if kind == 'vmdk' else
                           make_chain() if kind == 'chain' else make_other(kind))
    a = ['qemu-img', 'convert', '-f', fmt, '-O', 'raw'] + (['-l', snap] if snap else []) + [p, 'want.raw']
    want = None if os.path.exists('want.raw') else run(*a, ok=(0, 1))
    if want and want.returncode: # qemu refuses it: so may we, in words
        q = strata('import', p, '-b', 'b', *[x for f in allow for x in ('--allow-backing', f)], ok=(0, 4))
        return 'refused by qemu'
    q = p
    if os.path.getsize(p) < 30 * MIB and R.random() < 0.3:
        q = pack(p)
    j = json.loads(strata('import', q, '-b', 'b', '--json', *(['--snapshot', snap] if snap else []),
                          *[x for f in allow for x in ('--allow-backing', f)]).stdout)
    if fmt == 'vdi' or fmt == 'vmdk' or fmt == 'vpc' or fmt == 'raw':
        pass
    bad = [f for f in j['findings'] if f.get('id', '').startswith('disk-dam')]
    strata('export', 'b', '-o', 'out.raw')
    d = first_difference('want.raw', 'out.raw')
    if d:
        die('%s: export and qemu-img differ: %s; findings %s' % (kind, d, j['findings']))
    digest = j['disks'][0]['digest']
    if R.random() < 0.5:
        k = json.loads(strata('import', 'want.raw', '--format', 'raw', '-b', 'r', '--json').stdout)
        if k['disks'][0]['digest'] != digest:
            die('another digest as raw')
        os.unlink('out.raw')
        if R.random() < 0.5:
            exports('want.raw', digest)
    return '%d' % os.path.getsize('want.raw') + (' with %s' % j['findings'] if bad else '')


t0 = time.time()
top = os.getcwd()
count = {}
for rnd in range(rounds):
    R = random.Random('%d/%d' % (seed, rnd))
    LOG = []
    kind = R.choice(KINDS)
    os.mkdir('w')
    os.chdir('w')
    run('strata', '-q', 'init', 'lib', quiet=True)
    try:
        r = one(kind)
    except Slow:
        r = 'slow'
    count[kind] = count.get(kind, 0) + 1
    if os.environ.get('TORTURE_VERBOSE'):
        print('%d/%d %s: %s' % (seed, rnd, kind, r), flush=True)
    os.chdir(top)
    shutil.rmtree('w')
print('seed %d: %d rounds, %s, %.0f s' % (seed, rounds, ', '.join('%s %d' % i for i in sorted(count.items())), time.time() - t0))
