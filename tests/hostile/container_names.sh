#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Names in VMDK, VHD, VHDX, QED, qcow and OVF lead nowhere that the user did not
# name: import and inspect end with exit 4, strace sees no call that touches them,
# no socket, no other program. (tests/hostile/qcow2_names.sh has qcow2.)
. "$(dirname "$0")/../lib.sh"
need qemu-img strace python3
strace -o /dev/null true 2>/dev/null || skip "strace does not work here"
export STRATA_LIBRARY=$T/lib ASAN_OPTIONS=detect_leaks=0
strata init lib >/dev/null
mkdir in out; truncate -s 5M a.raw; printf data | dd of=a.raw bs=1 seek=70000 conv=notrunc status=none
for f in vmdk vhd vhdx vmdk-stream; do disktool convert -O $f a.raw in/base.$f; done
cp a.raw in/flat.raw; cp in/base.vhd out/secret; ln -s ../out/secret in/link; ln -s ../out in/folder
cat > make.py <<'P'
# FORMAT NAME OUT: an image of that format that names NAME as its parent or extent
import struct, sys, uuid
kind, name, out = sys.argv[1:]
MB = 1 << 20
def vhd(where):
    d = bytearray(open("in/base.vhd", "rb").read())
    def fix(b, at):
        b[at:at + 4] = bytes(4); b[at:at + 4] = struct.pack(">I", ~sum(b) & 0xffffffff)
    uid = bytes(d[68:84])
    foot = bytearray(d[:512]); foot[60:64] = struct.pack(">I", 4); foot[68] ^= 1; fix(foot, 64)
    head = bytearray(d[512:1536]); head[40:56] = uid
    n = name.replace("/", "\\") if where != "header" else name
    blob = n.encode("utf-16-le")
    if where == "header": head[64:64 + 2 * len(n)] = n.encode("utf-16-be")
    else: head[576:600] = {"W2ru": b"W2ru", "W2ku": b"W2ku"}[where] + struct.pack(">IIIQ", 512, len(blob), 0, 2048)
    fix(head, 36)
    d = foot + head + b"\xff" * 512 + (blob.ljust(512, b"\0") if where != "header" else bytes(512)) + foot
    open(out, "wb").write(d)
def vhdx(key):
    d = bytearray(open("in/base.vhdx", "rb").read())
    kv = [("parent_linkage", "{%s}" % uuid.UUID(bytes_le=bytes(d[131072 + 32:131072 + 48]))), (key, name.replace("/", "\\"))]
    blob = bytearray(uuid.UUID("B04AEFB7-D19E-4A81-B789-25B8E9445913").bytes_le + struct.pack("<HH", 0, len(kv)) + bytes(12 * len(kv)))
    for i, (k, v) in enumerate(kv):
        k, v = k.encode("utf-16-le"), v.encode("utf-16-le")
        blob[20 + 12 * i:32 + 12 * i] = struct.pack("<IIHH", len(blob), len(blob) + len(k), len(k), len(v)); blob += k + v
    m = 2 * MB
    d[m + 10:m + 12] = struct.pack("<H", 6)
    d[m + 32 + 5 * 32:m + 32 + 6 * 32] = bytes.fromhex("2d5fd3a80bb34d45abf7d3d84834ab0c") + struct.pack("<IIII", 65536 + 4096, len(blob), 4, 0)
    d[m + 65536 + 4096:m + 65536 + 4096 + len(blob)] = blob
    d[m + 65536 + 4] = 2
    open(out, "wb").write(d)
if kind.startswith("vhd-"): vhd(kind[4:])
elif kind.startswith("vhdx-"): vhdx(kind[5:])
elif kind == "vmdk-inside": # the descriptor in a sparse file
    d = bytearray(open("in/base.vmdk", "rb").read())
    t = bytes(d[512:20 * 512]).rstrip(b"\0")
    at = t.index(b"parentCID=ffffffff")
    t = t[:at] + b'parentCID=00000001\nparentFileNameHint="' + name.encode() + b'"' + t[at + 18:]
    d[512:20 * 512] = t.ljust(19 * 512, b"\0")
    open(out, "wb").write(d)
elif kind.startswith("vmdk-"):
    k = kind[5:]
    x = 'RW 8 ZERO' if k == "parent" else 'RW 8 %s "%s"%s' % (k, name, " 0" if k in ("FLAT", "VMFS") else "")
    open(out, "w").write('# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=%s\nparentFileNameHint="%s"\ncreateType="custom"\n%s\n' %
        ("2" if k == "parent" else "ffffffff", name, x))
elif kind == "ovf":
    open(out, "w").write('<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"><References>'
        '<File ovf:id="f" ovf:href="%s"/></References><DiskSection><Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="8"/></DiskSection></Envelope>' %
        name.replace("&", "&amp;").replace('"', "&quot;"))
else: # qed, qcow: the name as qemu-img writes it, without a look at it
    import subprocess
    subprocess.check_call(["qemu-img", "create", "-q", "-f", kind, out, "1M"])
    d = bytearray(open(out, "rb").read()); n = name.encode()
    if kind == "qed":
        at = len(d); d[16:24] = struct.pack("<Q", struct.unpack("<Q", d[16:24])[0] | 1)
        d[56:64] = struct.pack("<II", 128, len(n)); d[128:128 + len(n)] = n
    else:
        d[8:20] = struct.pack(">QI", 48 + 4096, len(n)); d[48 + 4096:48 + 4096 + len(n)] = n
    open(out, "wb").write(d)
P
n=0
# traced IMAGE NAME COMMAND...
traced() {
	local img=$1 name=$2 rc=0; shift 2
	strace -f -e trace=%file,%network,%process -o trace strata "$@" "$img" >out.txt 2>err || rc=$?
	[ $rc = 4 ] || fail "$img, $name, $*: exit $rc: $(cat err)"
	# only what is looked at, not what is said; the whole name, and what it leads to
	grep -vE '^[0-9]+ +(execve|exit|\+\+\+|---)' trace | grep -F -e "$name" -e passwd -e secret -e environ -e localhost -e shadow >hits && fail "$img, $name, $*: $(head -3 hits)"
	! grep -qE 'socket\(|connect\(' trace || fail "$img, $name, $*: network"
	[ "$(grep -c 'execve(' trace)" = 1 ] || fail "$img, $name, $*: a program was run"
	n=$((n + 1))
}
names=(/etc/passwd ../out/secret "$T/out/secret" "file:$T/out/secret" 'json:{"driver":"file","filename":"/etc/passwd"}' nbd:localhost:10809
	'nbd+unix:///x?socket=/tmp/passwd' http://localhost/passwd /proc/self/environ ./../out/secret 'C:/etc/passwd' '//localhost/share/secret')
# all names without leave; with leave for something else, and for the image's folder, some of them
for kind in vmdk-parent vmdk-FLAT vmdk-SPARSE vmdk-VMFS vmdk-inside vhd-W2ru vhd-W2ku vhd-header vhdx-relative_path vhdx-volume_path vhdx-absolute_win32_path qed qcow ovf; do
	ext=${kind%%-*}
	for name in "${names[@]}"; do
		case $kind:$name in # the same code with another key: some names do
		*VMFS:/etc* | *W2ku:/etc* | *_path:/etc* | *VMFS:..* | *W2ku:..* | *_path:..* | *W2ku:C:* | *_path:C:* | *_path://* | *_path:json*) ;;
		*VMFS:* | *W2ku:* | *_path:*) continue ;;
		esac
		case $kind in vmdk-*) case $name in *'"'*) continue ;; esac ;; esac
		python3 make.py $kind "$name" in/x.$ext
		traced in/x.$ext "$name" import -b x
		case $name in *secret | json* | /etc*) traced in/x.$ext "$name" inspect --allow-backing in --allow-backing out/other ;; esac
		grep -qE 'not allowed|not the path|not the name|may not|is not a|backing file|names' err || fail "$kind, $name: $(cat err)"
	done
	rm in/x.$ext
done
# escapes in an OVF lead nowhere else than the name that they stand for
for name in ..%2fout%2fsecret %2e%2e/out/secret %2fetc%2fpasswd disks/..%2f..%2fout/secret file%3a%2f%2f/etc/passwd; do
	python3 make.py ovf "$name" in/x.ovf; rc=0
	strace -f -e trace=%file,%network,%process -o trace strata import -b x in/x.ovf >out.txt 2>err || rc=$?
	[ $rc = 4 ] || fail "$name: exit $rc: $(cat err)"
	! grep -E '"secret"|\.\./|"(/etc/)?passwd"|"out"|socket\(' trace || fail "$name: looked elsewhere"
	n=$((n + 1))
done
rm in/x.ovf
# links in a folder that is allowed lead nowhere either, nor where a parent is looked for that was moved
ln -s ../out/secret in/l.vhd
for kind in vmdk-parent vmdk-FLAT vhd-W2ru vhd-W2ku vhdx-relative_path vhdx-absolute_win32_path ovf; do
	for name in link folder/secret 'C:\vms\l.vhd' /vms/l.vhd; do
		case $kind:$name in ovf:[C/]* | *FLAT:[C/]*) continue ;; esac
		python3 make.py $kind $name in/x; rc=0
		strata import in/x -b x --allow-backing in >out.txt 2>err || rc=$?
		[ $rc = 7 ] || [ $rc = 4 ] || fail "$kind, $name: exit $rc: $(cat err)"
		n=$((n + 1))
	done
done
[ ! -e "$T/lib/refs/heads/x" ] && expect_rc 3 strata log x 2>/dev/null
# (the trace does see what is allowed, and then it works)
python3 make.py vmdk-FLAT flat.raw in/x.vmdk
strace -f -e trace=%file -o trace strata import in/x.vmdk -b ok --allow-backing in >/dev/null 2>err || fail "allowed: $(cat err)"
grep -q '"flat.raw"' trace || fail "the trace shows nothing"
for kind in vhd-W2ru:base.vhd vhd-header:base.vhd vhdx-relative_path:base.vhdx vhdx-absolute_win32_path:base.vhdx; do
	python3 make.py ${kind%%:*} ${kind#*:} in/x
	strata import in/x -b ok --allow-backing in/${kind#*:} >/dev/null 2>err || fail "$kind, allowed: $(cat err)"
	strata export ok -o back.raw; cmp back.raw a.raw || fail "$kind: other bytes"
done
[ $n -ge 170 ] || fail "only $n"
