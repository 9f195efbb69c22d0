#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Appliances: what we write is taken apart by tar, sha256sum, an XML parser and
# qemu-img; what python's tarfile writes is read; what is not well is refused.
. "$(dirname "$0")/../lib.sh"
need qemu-img python3 cmp tar sha256sum sha1sum sha512sum gzip
python3 - <<'P'
import random
r = random.Random(5)
for name, size in (("a.raw", 9 * 1048576 + 512), ("b.raw", 3 * 1048576)):
    with open(name, "wb") as f:
        f.truncate(size)
        f.seek(1048576 - 5); f.write(r.randbytes(700000))
P
# out, one disk and two
disktool convert -O ova a.raw one.ova
disktool cmp one.ova a.raw || fail "one disk"
disktool info one.ova | grep -qx ova || fail "probe"
disktool ova two.ova a.raw b.raw
disktool ova again.ova a.raw b.raw; cmp two.ova again.ova || fail "not the same twice"
mkdir x; tar -xf two.ova -C x
[ "$(tar -tf two.ova | sed 's/.*\.//' | tr '\n' ' ')" = "ovf mf vmdk vmdk " ] || fail "order: $(tar -tf two.ova)"
( cd x; sed -n 's/^SHA256(\(.*\))= \([0-9a-f]*\)$/\2  \1/p' ./*.mf | sha256sum -c --quiet ) || fail "digests"
[ "$(wc -l < x/*.mf)" = 3 ] || fail "manifest lines"
python3 - x/*.ovf x <<'P' || fail "OVF"
import os, sys, xml.etree.ElementTree as E
n = "{http://schemas.dmtf.org/ovf/envelope/1}"
t = E.parse(sys.argv[1]).getroot()
files = {f.get(n + "id"): f for f in t.findall(f"{n}References/{n}File")}
disks = t.findall(f"{n}DiskSection/{n}Disk")
assert t.tag == n + "Envelope" and len(files) == 2 and len(disks) == 2
for d, size in zip(disks, (9 * 1048576 + 512, 3 * 1048576)):
    f = files[d.get(n + "fileRef")]
    assert os.path.getsize(os.path.join(sys.argv[2], f.get(n + "href"))) == int(f.get(n + "size"))
    assert int(d.get(n + "capacity")) == size and d.get(n + "format").endswith("#streamOptimized")
vs = t.find(n + "VirtualSystem")
hw = vs.find(n + "VirtualHardwareSection")
assert vs.find(n + "Name").text and vs.find(n + "OperatingSystemSection") is not None
r = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}"
ids = [i.find(r + "InstanceID").text for i in hw.findall(n + "Item")]
assert len(set(ids)) == len(ids)
for i in hw.findall(n + "Item"):
    names = [c.tag for c in i]
    assert names == sorted(names), names
    if i.find(r + "ResourceType").text == "17":
        assert i.find(r + "Parent").text in ids and i.find(r + "HostResource").text.startswith("ovf:/disk/vmdisk")
P
i=0
for d in a b; do
	v=$(ls x/*-disk$((i + 1)).vmdk)
	qemu-img compare -f raw -F vmdk $d.raw "$v" >/dev/null || fail "disk $i: qemu-img compare"
	qemu-img check -f vmdk "$v" >/dev/null || fail "disk $i: qemu-img check"
	disktool appliance two.ova $i $d.raw || fail "disk $i"
	disktool appliance x/*.ovf $i $d.raw 2>/dev/null || fail "disk $i in a folder"
	i=$((i + 1))
done
disktool appliance two.ova | grep -q '^2 disks' || fail "list"
expect_rc 4 disktool info two.ova 2>err; grep -q '2 disks' err || fail "two disks where one is wanted"
disktool convert -O ova a.raw - >p 2>err && fail "streamed"
# in: what others write
cat > mk.py <<'P'
import hashlib, io, sys, tarfile
def ovf(files, disks, head="", capacity=9 * 1048576 + 512):
    return (head or '<?xml version="1.0"?>\n').encode() + ('<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"><References>'
        + "".join('<File ovf:id="%s" ovf:href="%s" %s/>' % f for f in files) + "</References><DiskSection><Info/>"
        + "".join('<Disk ovf:diskId="%s" ovf:fileRef="%s" ovf:capacity="%d" ovf:capacityAllocationUnits="%s"/>' % (d, f, c, u) for d, f, c, u in disks)
        + "</DiskSection></Envelope>").encode()
def tar(name, members, format=tarfile.USTAR_FORMAT):
    with tarfile.open(name, "w", format=format) as t:
        for n, b in members:
            if isinstance(b, tarfile.TarInfo): t.addfile(b); continue
            i = tarfile.TarInfo(n); i.size = len(b); t.addfile(i, io.BytesIO(b))
def mf(members, kind="SHA256"):
    return "".join("%s(%s)= %s\n" % (kind, n, hashlib.new(kind.lower(), b).hexdigest()) for n, b in members).encode()
V = open("v.vmdk", "rb").read()
F = ("f1", "d.vmdk", 'ovf:size="%d"' % len(V)); D = ("disk1", "f1", 9 * 1048576 + 512, "byte")
O = ovf([F], [D])
P
disktool convert -O vmdk-stream a.raw v.vmdk
gzip -k v.vmdk; qemu-img convert -f raw -O qcow2 a.raw q.qcow2
qemu-img convert -f raw -O vmdk -o subformat=monolithicFlat a.raw flat.vmdk
python3 - <<'P'
exec(open("mk.py").read())
for k in ("SHA1", "SHA256", "SHA512"):
    tar("in-%s.ova" % k, [("m.ovf", O), ("m.mf", mf([("m.ovf", O), ("d.vmdk", V)], k)), ("d.vmdk", V)])
tar("in-nomf.ova", [("m.ovf", O), ("d.vmdk", V)])
long = "n" * 120 + ".ovf"
for n, f in (("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
    tar("in-%s.ova" % n, [(long, O), (long[:-4] + ".mf", mf([(long, O), ("d.vmdk", V)])), ("d.vmdk", V)], f)
tar("in-dot.ova", [("./m.ovf", O), ("./d.vmdk", V)])
z = open("v.vmdk.gz", "rb").read(); o = ovf([("f1", "d.gz", 'ovf:compression="gzip"')], [D])
tar("in-gzip.ova", [("m.ovf", o), ("d.gz", z)])
o = ovf([("f1", "d.vmdk", 'ovf:size="%d" ovf:chunkSize="300000"' % len(V))], [D])
parts = [("d.vmdk.%09d" % (i // 300000), V[i:i + 300000]) for i in range(0, len(V), 300000)]
assert len(parts) > 1
tar("in-chunks.ova", [("m.ovf", o), ("m.mf", mf([("m.ovf", o)] + parts))] + parts)
o = ovf([F], [("disk1", "f1", 9 * 2048 + 1, "byte * 2^9")]); tar("in-units.ova", [("m.ovf", o), ("d.vmdk", V)])
tar("in-flat.ova", [("m.ovf", O), ("d.vmdk", open("flat.vmdk", "rb").read()), ("flat-flat.vmdk", open("flat-flat.vmdk", "rb").read())])
P
# what is seldom, and right or near enough
python3 - <<'P'
exec(open("mk.py").read())
M = ("m.mf", mf([("m.ovf", O), ("d.vmdk", V)]))
tar("in-order.ova", [("d.vmdk", V), M, ("m.ovf", O)])
tar("in-v7.ova", [("m.ovf", O), M, ("d.vmdk", V)])
b = bytearray(open("in-v7.ova", "rb").read())
at = 0
while b[at]: # no magic, no owner's name: as tar was before POSIX
    size = int(b[at + 124:at + 135], 8)
    b[at + 257:at + 512] = bytes(255); b[at + 148:at + 156] = b" " * 8
    b[at + 148:at + 156] = b"%06o\0 " % sum(b[at:at + 512])
    at += 512 + (size + 511) // 512 * 512
open("in-v7.ova", "wb").write(b + b"trailing garbage" * 99)
o = ovf([("f1", "disks/a%20b.vmdk", "")], [D])
tar("in-sub.ova", [("box/Vagrantfile", b"x"), ("box/m.ovf", o), ("box/other.mf", mf([("m.ovf", o), ("disks/a b.vmdk", V)])), ("box/disks/a b.vmdk", V), ("metadata.json", b"{}")])
h = lambda k, b: hashlib.new(k, b).hexdigest()
tar("in-openssl3.ova", [("m.ovf", O), ("m.mf", ("SHA2-256(m.ovf)= %s\r\nSHA384 (d.vmdk) = %s\n\n" % (h("sha256", O), h("sha384", V))).encode()), ("d.vmdk", V)])
o = ovf([("f1", "d.vmdk", 'ovf:size="%d" ovf:chunkSize="300000"' % len(V))], [D]); tar("in-notchunked.ova", [("m.ovf", o), ("d.vmdk", V)])
for k, ns in (("09", "http://www.vmware.com/schema/ovf/1/envelope"), ("2", "http://schemas.dmtf.org/ovf/envelope/2"), ("citrix", "http://www.citrix.com/x")):
    o = O.replace(b"http://schemas.dmtf.org/ovf/envelope/1", ns.encode())
    if k == "09": o = o.replace(b"<DiskSection>", b'<Section xsi:type="ovf:DiskSection_Type" xmlns:xsi="x">').replace(b"</DiskSection>", b"</Section>")
    tar("in-ns%s.ova" % k, [("m.ovf", o), ("m.cert", b"SHA1(m.mf)= 00\n-----BEGIN CERTIFICATE-----\n"), ("d.vmdk", V)])
Q = open("q.qcow2", "rb").read() # as oVirt: by id, without an ending
tar("in-ovirt.ova", [("vm.ovf", ovf([("f1", "6c9cb0ff-4b7a-4f51-a5e6-6d1f3f1a2b3c", "")], [("d", "f1", 9, "GigaBytes")])), ("6c9cb0ff-4b7a-4f51-a5e6-6d1f3f1a2b3c", Q)])
open("m.ovf", "wb").write(ovf([("f1", "sub/d%2evmdk", "")], [D]))
tar("empty.ova", [("m.ovf", ovf([F], [("none", "", 5, "byte * 2^20"), D])), ("d.vmdk", V)])
P
mkdir -p fold/sub; cp v.vmdk fold/sub/d.vmdk; cp m.ovf fold; strata -q init lib; strata -L lib -q import fold -b f 2>err || fail "a folder in the folder: $(cat err)"; strata -L lib -q export f -o f.raw; cmp f.raw a.raw
truncate -s 5M zeros.raw; disktool appliance empty.ova 0 zeros.raw || fail "a disk without a file"; disktool appliance empty.ova 1 a.raw || fail "the disk behind it"
gzip -c in-sub.ova >box.ova.gz; disktool cmp box.ova.gz a.raw || fail "a box"; tar -cf in.tar in-order.ova; disktool cmp in.tar a.raw || fail "OVA in tar"
for f in in-*.ova; do
	disktool cmp $f a.raw 2>err || fail "$f: $(cat err)"
	disktool appliance $f 2>/dev/null >o || fail "$f"
done
grep -q 'disk1 d.vmdk' o || fail "list: $(cat o)"
# refused, with the member named
python3 - <<'P'
exec(open("mk.py").read())
M = ("m.mf", mf([("m.ovf", O), ("d.vmdk", V)]))
def link(name, to, type=tarfile.SYMTYPE):
    i = tarfile.TarInfo(name); i.type = type; i.linkname = to; return (name, i)
cases = {
    "absolute:/etc/passwd": [("m.ovf", O), ("/etc/passwd", b"x"), ("d.vmdk", V)],
    "dotdot:x/../../y": [("m.ovf", O), ("x/../../y", b"x"), ("d.vmdk", V)],
    "symlink:d.vmdk": [("m.ovf", O), link("d.vmdk", "/etc/passwd")],
    "hardlink:d.vmdk": [("m.ovf", O), link("d.vmdk", "m.ovf", tarfile.LNKTYPE)],
    "device:tty": [("m.ovf", O), link("tty", "", tarfile.CHRTYPE), ("d.vmdk", V)],
    "twice:d.vmdk": [("m.ovf", O), ("d.vmdk", V), ("d.vmdk", V)],
    "twice-dot:d.vmdk": [("m.ovf", O), ("d.vmdk", V), ("./d.vmdk", V)],
    "digest:d.vmdk": [("m.ovf", O), M, ("d.vmdk", V[:-1] + b"x")],
    "ovf-digest:m.ovf": [("m.ovf", O + b" "), M, ("d.vmdk", V)],
    "missing:d.vmdk": [("m.ovf", O)],
    "not-listed:f9": [("m.ovf", ovf([F], [("disk1", "f9", 1, "byte")])), ("d.vmdk", V)],
    "manifest-missing:e.vmdk": [("m.ovf", O), ("m.mf", mf([("m.ovf", O), ("e.vmdk", V)])), ("d.vmdk", V)],
    "two-ovf:n.ovf": [("m.ovf", O), ("n.ovf", O), ("d.vmdk", V)],
    "not-vmdk:d.vmdk": [("m.ovf", O), ("d.vmdk", b"x" * 4096)],
    "nested:d.vmdk": [("m.ovf", O), ("d.vmdk", open("two.ova", "rb").read())],
    "doctype:document type": [("m.ovf", ovf([F], [D], '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>')), ("d.vmdk", V)],
}
for n in ("/etc/passwd", "../x", "http://localhost/x", "json:{}", "nbd:localhost:1", "file:///etc/passwd"):
    cases["href-%d:%s" % (len(cases), n)] = [("m.ovf", ovf([("f1", n, "")], [D])), ("d.vmdk", V)]
bomb = __import__("gzip").compress(bytes(300 << 20), 9)
cases["bomb:d.gz"] = [("m.ovf", ovf([("f1", "d.gz", 'ovf:compression="gzip"')], [("disk1", "f1", 1 << 20, "byte")])), ("d.gz", bomb)]
for i, (n, m) in enumerate(sorted(cases.items())):
    tar("bad-%02d.ova" % i, m)
    open("bad-%02d.want" % i, "w").write(n)
open("flaw", "w")
P
n=0
for f in bad-*.ova; do
	want=$(cat "${f%.ova}.want"); name=${want#*:}
	if command -v strace >/dev/null; then
		rc=0; ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=%file,%network -o trace disktool cmp $f a.raw 2>err || rc=$?
		grep -E 'passwd|socket\(|connect\(|localhost|\.\./' trace && fail "$want: touched"
	else
		rc=0; disktool cmp $f a.raw 2>err || rc=$?
	fi
	[ $rc = 4 ] || fail "$want: exit $rc: $(cat err)"
	grep -qF -- "$name" err || fail "$want: not named: $(cat err)"
	case $want in bomb*) grep -q 'limit' err || fail "bomb: $(cat err)" ;; esac
	n=$((n + 1))
done
[ $n = 23 ] || fail "$n cases"
# an OVF in a folder: the same names open nothing outside
mkdir jail; cp v.vmdk secret.vmdk
for name in ../secret.vmdk /etc/passwd http://localhost/x nbd:localhost:1; do
	python3 - "$name" <<'P'
import sys
exec(open("mk.py").read())
open("jail/m.ovf", "wb").write(ovf([("f1", sys.argv[1], "")], [D]))
P
	expect_rc 4 disktool appliance jail/m.ovf 2>err
	grep 'RESOLVE' err | grep -v 'm\.mf' && fail "$name: asked for"
	grep -qF -- "$name" err || fail "$name: not named: $(cat err)"
done
for n in 100 1000 100000 700000; do
	head -c $n one.ova > cut.ova
	expect_rc 4 disktool cmp -f ova cut.ova a.raw 2>err
done
