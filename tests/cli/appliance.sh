#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Machines of several disks go out as an OVA by the rules that VMware's and
# VirtualBox's importers check, and come back as they were; what an imported OVF
# says of the machine is said again.
. "$(dirname "$0")/../lib.sh"
need qemu-img python3 tar sha256sum cmp mkfs.ext4 sfdisk jq
export STRATA_LIBRARY=$T/lib
strata init lib >/dev/null
mkdir root; seq 20000 >root/numbers
truncate -s 24M d0.raw; mkfs.ext4 -q -d root d0.raw
truncate -s 40M d1.raw
printf 'label: gpt\nstart=2048, size=20480, type=U\nstart=22528, size=40960, type=L\n' | sfdisk -q d1.raw
mkfs.ext4 -q -d root -E offset=$((22528 * 512)) d1.raw 20480k
truncate -s 5M d2.raw; printf end | dd of=d2.raw bs=1 seek=5242877 conv=notrunc status=none
for i in 0 1 2; do qemu-img convert -f raw -O qcow2 d$i.raw d$i.qcow2; done
strata -q import d0.raw d1.qcow2 d2.raw -b m
strata -q import d0.qcow2 d1.raw d2.qcow2 -b again
[ "$(strata show m --json | jq -r .image)" = "$(strata show again --json | jq -r .image)" ] || fail "other containers, another image"
[ "$(strata show m --json | jq '.disks | length')" = 3 ] || fail "disks"
strata cat m#0:/numbers | cmp - root/numbers; strata cat m#1:p2:/numbers | cmp - root/numbers
expect_rc 2 strata export m -o x.raw 2>err; grep -q -- '--disk' err || fail "which disk: $(cat err)"
strata export m -o x.vdi --disk 1; qemu-img compare -f raw -F vdi d1.raw x.vdi >/dev/null || fail "--disk 1"
strata export m#2 -o x.raw; cmp x.raw d2.raw

# --- out: the rules ---
cat > check.py <<'P'
# OVA DISK...: the tar, the manifest and the OVF as importers look at them
import hashlib, os, re, subprocess, sys, tarfile, tempfile, xml.etree.ElementTree as E
ova, disks = sys.argv[1], sys.argv[2:]
raw = open(ova, "rb").read()
assert len(raw) % 10240 == 0 and not any(raw[-1024:]), "the end of the tar"
at = 0
while any(raw[at:at + 512]):
    h = raw[at:at + 512]
    assert h[257:265] == b"ustar\x0000" and h[156:157] == b"0", "not plain ustar"
    assert sum(h[:148]) + 256 + sum(h[156:]) == int(h[148:154], 8), "checksum"
    at += 512 + (int(h[124:135], 8) + 511) // 512 * 512
t = tarfile.open(ova)
names = t.getnames()
base = names[0][:-4]
assert names == [base + ".ovf", base + ".mf"] + ["%s-disk%d.vmdk" % (base, i + 1) for i in range(len(disks))], names
assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,99}", n) for n in names)
data = {n: t.extractfile(n).read() for n in names}
mf = data[names[1]].decode().splitlines()
assert [l.split("(")[1].split(")")[0] for l in mf] == [names[0]] + names[2:], "the manifest names every file once, in order"
for l in mf:
    m = re.fullmatch(r"SHA256\(([^)]+)\)= ([0-9a-f]{64})", l)
    assert hashlib.sha256(data[m[1]]).hexdigest() == m[2], l
root = E.fromstring(data[names[0]])
n = "{http://schemas.dmtf.org/ovf/envelope/1}"
assert root.tag == n + "Envelope" and root[0].tag == n + "References"
files = [(f.get(n + "id"), f.get(n + "href"), int(f.get(n + "size"))) for f in root.findall(f"{n}References/{n}File")]
assert [f[1] for f in files] == names[2:] and all(len(data[f[1]]) == f[2] for f in files), files
assert len({f[0] for f in files}) == len(files)
dd = root.findall(f"{n}DiskSection/{n}Disk")
assert len(dd) == len(disks) and len({d.get(n + "diskId") for d in dd}) == len(dd)
for d, f, want in zip(dd, files, disks):
    assert d.get(n + "fileRef") == f[0] and d.get(n + "format").endswith("vmdk.html#streamOptimized")
    assert int(d.get(n + "capacity")) == os.path.getsize(want) and d.get(n + "capacityAllocationUnits") == "byte"
    assert not d.get(n + "parentRef") and not d.get(n + "populatedSize")
    with tempfile.NamedTemporaryFile(suffix=".vmdk", dir=".") as v:
        v.write(data[f[1]]); v.flush()
        subprocess.check_call(["qemu-img", "compare", "-q", "-f", "raw", "-F", "vmdk", want, v.name])
        subprocess.check_call(["qemu-img", "check", "-q", "-f", "vmdk", v.name])
r = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}"
for vs in root.iter(n + "VirtualSystem"):
    hw = vs.find(n + "VirtualHardwareSection")
    items = [i for i in hw if i.tag.split("}")[1] in ("Item", "StorageItem")]
    val = lambda i, k: next((c.text for c in i if c.tag.split("}")[1] == k), None)
    ids = [val(i, "InstanceID") for i in items]
    assert len(set(ids)) == len(ids) and {"3", "4"} <= {val(i, "ResourceType") for i in items}
    for i in items:
        keys = [c.tag.split("}")[1] for c in i]
        assert keys == sorted(keys), keys
        if val(i, "Parent"): assert val(i, "Parent") in ids
    used = [val(i, "HostResource") for i in items if val(i, "ResourceType") == "17"]
    assert sorted(used) == sorted("ovf:/disk/" + d.get(n + "diskId") for d in dd), used
    place = [(val(i, "Parent"), val(i, "AddressOnParent")) for i in items if val(i, "Parent")]
    assert len(set(place)) == len(place), "two devices in one place"
assert b"ovf:/file/" not in re.sub(rb"<!--.*?-->", b"", data[names[0]]), "names a file that is not there"
P
strata export m -o m.ova
python3 check.py m.ova d0.raw d1.raw d2.raw || fail "the rules"
cp m.ova first.ova; strata export m -o m.ova; cmp m.ova first.ova || fail "not the same twice"
tar -xOf m.ova m.ovf | grep -q 'firmware.*efi' || fail "an ESP and no BIOS boot partition is UEFI"
strata export m --disk 1 -o one.ova; python3 check.py one.ova d1.raw || fail "one disk of three"
strata export m#0 -o zero.ova; python3 check.py zero.ova d0.raw || fail "m#0"
expect_rc 2 strata export m --format ova -o - >x 2>err
expect_rc 3 strata export m --disk 7 -o x.ova 2>err; [ ! -e x.ova ] || fail "half a file"
strata -q import m.ova -b back
strata show m --json | jq -c '[.disks[] | {size, digest, volumes}]' >a; strata show back --json | jq -c '[.disks[] | {size, digest, volumes}]' >b
cmp a b || fail "came back as another image"
for i in 0 1 2; do strata export back#$i -o x.raw; cmp x.raw d$i.raw || fail "disk $i came back otherwise"; done
# from here on it is the same file and the same image for ever
strata export back -o m.ova; cmp m.ova first.ova || fail "the second export differs"
strata -q import m.ova -b back2; [ "$(strata show back --json | jq -r .image)" = "$(strata show back2 --json | jq -r .image)" ] || fail "image"

# --- in: an OVF of VMware's and one of VirtualBox's kind, other prefixes, other files ---
qemu-img convert -f raw -O vmdk -o subformat=streamOptimized d0.raw s0.vmdk
qemu-img convert -f raw -O vmdk -o subformat=streamOptimized d1.raw s1.vmdk
cat > kinds.py <<'P'
import io, os, tarfile
RASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
def item(i, kind, host="", p="rasd", place=""):
    s = '<ovf:Item>' if p == "r" else '<Item>'
    a = '<%s:AddressOnParent>%s</%s:AddressOnParent>' % (p, place, p) if place != "" else ""
    h = '<%s:HostResource>%s</%s:HostResource>' % (p, host, p) if host else ""
    par = '<%s:Parent>3</%s:Parent>' % (p, p) if place != "" else ""
    return s + a + h + '<%s:InstanceID>%d</%s:InstanceID>%s<%s:ResourceType>%d</%s:ResourceType>' % (p, i, p, par, p, kind, p) + s.replace("<", "</")
z = [os.path.getsize("s%d.vmdk" % i) for i in (0, 1)]
vmw = f'''<?xml version="1.0" encoding="UTF-8"?>
<!-- Generated by VMware ovftool: ovf:/file/none -->
<Envelope vmw:buildId="build-1" xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="{RASD}" xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:href="s0.vmdk" ovf:id="file1" ovf:size="{z[0]}"/>
    <File ovf:href="s1.vmdk" ovf:id="file9" ovf:size="{z[1]}"/>
    <File ovf:href="cd.iso" ovf:id="file3" ovf:size="2048"/>
    <File ovf:href="m.nvram" ovf:id="file4" ovf:size="8"/>
  </References>
  <DiskSection><Info>Disks</Info>
    <Disk ovf:capacity="24" ovf:capacityAllocationUnits="byte * 2^20" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="x" ovf:populatedSize="77" vmw:extra="a&amp;&quot;b"/>
    <Disk ovf:capacity="40" ovf:capacityAllocationUnits="byte * 2^20" ovf:diskId="data-disk" ovf:fileRef="file9" ovf:format="x"></Disk>
  </DiskSection>
  <NetworkSection><Info/><Network ovf:name="DMZ &#228;&amp;ö"><Description/></Network></NetworkSection>
  <VirtualSystem ovf:id="appliance"><Info/><Name>appliance ünï</Name>
    <OperatingSystemSection ovf:id="94" vmw:osType="ubuntu64Guest"><Info/></OperatingSystemSection>
    <ProductSection><Info/><Property ovf:key="admin.name" ovf:type="string" ovf:userConfigurable="true"/></ProductSection>
    <VirtualHardwareSection ovf:transport="com.vmware.guestInfo"><Info/>
      {item(1, 3)}{item(2, 4)}{item(3, 6)}{item(4, 15, "ovf:/file/file3", place=2)}
      {item(5, 17, "ovf:/disk/data-disk", place=1)}{item(6, 17, "ovf:/disk/vmdisk1", place=0)}
      <vmw:ExtraConfig ovf:required="false" vmw:key="nvram" vmw:value="ovf:/file/file4"/>
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="bios"/>
    </VirtualHardwareSection>
    <AnnotationSection><Info/><Annotation>three
lines &lt;of&gt;
text</Annotation></AnnotationSection>
  </VirtualSystem>
  <Strings xml:lang="de" ovf:fileRef="file3"/>
</Envelope>

'''
vbox = f'''<ovf:Envelope xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:r="{RASD}" xmlns:vbox="http://www.virtualbox.org/ovf/machine">
<ovf:References><ovf:File ovf:id="a" ovf:href="s0.vmdk"/><ovf:File ovf:id="b" ovf:href="s1.vmdk"/></ovf:References>
<ovf:DiskSection><ovf:Info/><ovf:Disk ovf:capacity="25165824" ovf:diskId="d1" ovf:fileRef="a" vbox:uuid="11111111-2222-3333-4444-555555555555"/><ovf:Disk ovf:capacity="41943040" ovf:diskId="d2" ovf:fileRef="b"/></ovf:DiskSection>
<ovf:VirtualSystem ovf:id="v"><ovf:Info/><ovf:VirtualHardwareSection><ovf:Info/>{item(1, 3, p="r")}{item(2, 4, p="r")}{item(3, 5, p="r")}
{item(6, 17, "ovf:/disk/d1", "r", 0)}{item(7, 17, "ovf:/disk/d2", "r", 1)}</ovf:VirtualHardwareSection>
<vbox:Machine ovf:required="false" version="1.19" OSType="Debian_64"><ovf:Info/><Hardware><CPU count="3"/></Hardware></vbox:Machine></ovf:VirtualSystem></ovf:Envelope>'''
def tar(name, ovf, *more):
    with tarfile.open(name, "w", format=tarfile.USTAR_FORMAT) as t:
        for n, b in ((name[:-4] + ".ovf", ovf.encode()),) + tuple((n, open(n, "rb").read()) for n in ("s0.vmdk", "s1.vmdk")) + more:
            i = tarfile.TarInfo(n); i.size = len(b); t.addfile(i, io.BytesIO(b))
tar("vmw.ova", vmw, ("cd.iso", bytes(2048)), ("m.nvram", bytes(8)))
tar("vbox.ova", vbox)
open("vmw.ovf", "w").write(vmw)
# what must stay, line by line
open("vmw.keep", "w").write("\n".join(l for l in vmw.splitlines() if not any(k in l for k in ("<File", "<Disk ", "</References", "file3", "ovf:/file/file4"))))
P
python3 kinds.py
for k in vmw vbox; do
	strata -q import $k.ova -b $k
	strata export $k -o out-$k.ova 2>err; [ ! -s err ] || fail "$k: $(cat err)"
	python3 check.py out-$k.ova d0.raw d1.raw || fail "$k: the rules"
	cp out-$k.ova one.ova; strata export $k -o out-$k.ova; cmp one.ova out-$k.ova || fail "$k: not the same twice"
	strata -q import out-$k.ova -b $k-back
	cmp <(strata show $k --json | jq -c '[.disks[].digest]') <(strata show $k-back --json | jq -c '[.disks[].digest]') || fail "$k: came back otherwise"
	strata export $k-back -o out-$k.ova; cmp one.ova out-$k.ova || fail "$k: the second export differs"
done
tar -xOf out-vmw.ova out-vmw.ovf >o
while read -r l; do grep -qF -- "$l" o || fail "vmw: lost: $l"; done <vmw.keep
grep -q 'vmw:extra="a&amp;&quot;b"' o || fail "an attribute of a disk"
for w in cd.iso nvram s0.vmdk file9 populatedSize '<Strings'; do ! grep -q "$w" o || fail "vmw: still there: $w"; done
tar -xOf out-vbox.ova out-vbox.ovf >o
grep -q '<CPU count="3"/>' o && grep -q 'vbox:uuid="1111' o && grep -q '<ovf:File ovf:href="out-vbox-disk1.vmdk"' o || fail "vbox: $(cat o)"
# a folder with an OVF is the same machine
mkdir folder; cp vmw.ovf s0.vmdk s1.vmdk folder
strata -q import folder -b folder
[ "$(strata show folder --json | jq -r .image)" = "$(strata show vmw --json | jq -r .image)" ] || fail "a folder"
# the disks no longer fit: told, and a plain machine
strata -q import vmw.ova d2.raw -b more; strata export more -o more.ova 2>err
grep -q '2 disks, not 3' err || fail "not told: $(cat err)"
python3 check.py more.ova d0.raw d1.raw d2.raw || fail "more disks"
strata export vmw --disk 1 -o vmw1.ova 2>err; python3 check.py vmw1.ova d1.raw || fail "one of two"
# a changed disk, committed: the machine stays
strata export vmw#0 -o base.raw; qemu-img create -q -f qcow2 -b base.raw -F raw over.qcow2 26M
qemu-io -c 'write -P 9 8M 64k' over.qcow2 >/dev/null; strata -q commit over.qcow2 -b vmw -m grown
qemu-img convert -f qcow2 -O raw over.qcow2 new.raw
strata export vmw -o out-vmw.ova 2>err; [ ! -s err ] || fail "$(cat err)"; python3 check.py out-vmw.ova new.raw d1.raw || fail "a grown disk"
tar -xOf out-vmw.ova out-vmw.ovf | grep -q ubuntu64Guest || fail "the machine is lost with a commit"
# an OVF in another encoding is not kept, and that is told
iconv -f UTF-8 -t UTF-16 <(sed 's/UTF-8/UTF-16/' vmw.ovf) >folder/vmw.ovf; strata -q import folder -b utf16
strata export utf16 -o u.ova 2>err; grep -q 'not described again' err || fail "UTF-16: $(cat err)"; python3 check.py u.ova d0.raw d1.raw || fail "UTF-16"
