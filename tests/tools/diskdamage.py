#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""diskdamage.py SEED N: small containers of every kind, damaged N times each, in the current folder.

Blocks are swapped, zeroed, doubled, moved in from another container, numbers changed, the end cut off; what comes of
it is imported: exit 0 or 4, in a few seconds, with bounded memory, and what was imported can be exported."""
import os, random, resource, subprocess, sys, time

seed, n = int(sys.argv[1]), int(sys.argv[2])
only = sys.argv[3:]
R = random.Random(seed)
MEMORY = 400 << 20 # with room for the program's own text and stacks
SECONDS = float(os.environ.get('DAMAGE_SECONDS', '20'))
ASAN = 'asan' in os.environ.get('BUILD', '')


def sh(c):
    subprocess.run(c, shell=True, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make():
    with open('d.raw', 'wb') as f:
        f.truncate(6 << 20)
        for at, k in ((0, 3000), (70000, 100000), (2 << 20, 65536), (5 << 20, 9000)):
            f.seek(at)
            f.write(R.randbytes(k // 2) + b'text ' * (k // 10))
    q = 'qemu-img convert -q -f raw -O '
    sh(q + 'qcow2 d.raw a.qcow2; ' + q + 'qcow2 -c d.raw z.qcow2; ' + q + 'qcow2 -c -o compression_type=zstd,extended_l2=on,cluster_size=16k d.raw zs.qcow2')
    sh(q + 'qcow2 -o cluster_size=512 d.raw s.qcow2; qemu-img snapshot -c x s.qcow2; qemu-img create -q -f qcow2 -b d.raw -F raw ov.qcow2; qemu-io -c "write -P 3 1M 64k" ov.qcow2')
    for s in ('monolithicSparse', 'streamOptimized', 'twoGbMaxExtentSparse'):
        sh(q + 'vmdk -o subformat=%s d.raw %s.vmdk' % (s, s[:4]))
    sh(q + 'vpc -o force_size=on d.raw a.vhd; ' + q + 'vpc -o subformat=fixed,force_size=on d.raw f.vhd; ' + q + 'vhdx d.raw a.vhdx; ' + q + 'vdi d.raw a.vdi')
    sh(q + 'qed d.raw a.qed; ' + q + 'parallels d.raw a.hds; ' + q + 'qcow d.raw a.qcow')
    sh('mkformats.py d.raw m; mv m.cowd.vmdk cowd.vmdk; disktool convert -O ova d.raw a.ova')
    sh('gzip -k1 d.raw; xz -k0 d.raw; zstd -q d.raw; bzip2 -k1 d.raw; lz4 -q d.raw d.raw.lz4; xz -k0 --format=lzma d.raw; zip -q d.zip d.raw; tar --format=oldgnu -Scf d.tar d.raw; tar --format=posix -Scf p.tar d.raw')
    return sorted(f for f in os.listdir('.') if os.path.isfile(f) and f not in ('d.raw', 'm-delta.vmdk') and not f.endswith('-s001.vmdk'))


def damage(b, others):
    b = bytearray(b)
    for _ in range(R.choice([1, 1, 1, 2, 5])):
        size = len(b)
        if size < 1024:
            break
        unit = R.choice([1, 4, 8, 64, 512, 512, 4096, 65536])
        unit = min(unit, size // 2)
        # tables and headers are at the start, or at the end
        def place():
            k = R.random()
            span = min(size - unit, R.choice([1024, 8192, 262144]))
            at = R.randrange(span + 1) if k < 0.6 else size - unit - R.randrange(span + 1) if k < 0.8 else R.randrange(size - unit + 1)
            return at // unit * unit
        x, y, k = place(), place(), R.randrange(9)
        if k == 0:
            b[x:x + unit], b[y:y + unit] = b[y:y + unit], b[x:x + unit]
        elif k == 1:
            b[x:x + unit] = bytes(unit)
        elif k == 2:
            b[x:x + unit] = b[y:y + unit]
        elif k == 3:
            o = R.choice(others)
            b[x:x + unit] = o[x:x + unit].ljust(unit, b'\0')
        elif k == 4:
            del b[R.randrange(size):]
        elif k == 5:
            b[x:x + 8] = R.choice([b'\xff' * 8, bytes(7) + b'\1', b'\1' + bytes(7), b'\x7f' + b'\xff' * 7, R.randbytes(8), bytes(4) + b'\xff' * 4])
        elif k == 6:
            b[x:x] = b[y:y + unit]
        elif k == 7:
            del b[x:x + unit]
        else:
            b[x] ^= 1 << R.randrange(8)
    return bytes(b)


def limits():
    if not ASAN:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY * 2, MEMORY * 2))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))


def strata(*a):
    t = time.time()
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    p = subprocess.run(['strata', '-L', 'lib', '-q', *a], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=limits)
    v = resource.getrusage(resource.RUSAGE_CHILDREN)
    return p.returncode, p.stderr.decode(errors='replace'), v.ru_utime + v.ru_stime - u.ru_utime - u.ru_stime


names = make()
plain = [open(f, 'rb').read() for f in names]
sh('strata -q init lib')
count = [0, 0]
slow = (0, '')
for f, b in zip(names, plain):
    if only and f not in only:
        continue
    for i in range(n):
        with open('x', 'wb') as o:
            o.write(damage(b, plain))
        rc, err, t = strata('import', 'x', '-b', 'x', '--allow-backing', 'd.raw', '--allow-backing', 'twoG-s001.vmdk', '--allow-backing', 'm-delta.vmdk')
        if rc == 0:
            rc, err, t2 = strata('export', 'x', '-o', 'o', '--format', 'vmdk-stream') if R.random() < 0.2 else (0, '', 0)
        slow = max(slow, (t, f))
        if rc not in (0, 4) or t > SECONDS or 'Sanitizer' in err or 'runtime error' in err:
            os.rename('x', 'found')
            sys.exit('seed %d: %s, damage %d (kept as found): exit %d, %.1f s: %s' % (seed, f, i, rc, t, err[-1500:]))
        count[rc != 0] += 1
print('seed %d: %d kinds, %d imported, %d refused; the slowest %.2f s of processor (%s)' % (seed, len(names), *count, *slow))
