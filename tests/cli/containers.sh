#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One disk in every container that can be had, packed in every way: import gives
# the same image each time, and inspect reads it without an import.
. "$(dirname "$0")/../lib.sh"
need qemu-img qemu-io qemu-nbd mkfs.ext4 python3 jq gzip xz zstd bzip2 zip tar cmp
export STRATA_LIBRARY=$T/lib
strata init lib >/dev/null
mkdir -p root/etc root/usr/lib; printf 'ID=debian\nVERSION_ID=12\nPRETTY_NAME="Debian 12"\n' >root/usr/lib/os-release
ln -s ../usr/lib/os-release root/etc/os-release; echo contained >root/etc/hostname
for i in 1 2 3 4 5 6; do seq $((i * 20000)) >root/f$i; done; head -c 2000000 /dev/urandom >root/random
truncate -s 48M d.raw; mkfs.ext4 -q -d root d.raw
strata import d.raw -b raw --json >raw.json; want=$(jq -r .image raw.json)
n=0
# same FILE... [OPTIONS]: the same image; inspect (of the first) says whose it is
same() {
	strata import "$@" -b t --json >t.json 2>err || fail "$*: $(cat err)"
	[ "$(jq -r .image t.json)" = "$want" ] || fail "$*: another image: $(jq -c '[.disks[] | {size, digest}], .findings' t.json raw.json)"
	strata inspect "$@" --json >i.json 2>err || fail "inspect $*: $(cat err)"
	[ "$(jq -r .hostname i.json)" = contained ] || fail "inspect $*: $(cat i.json)"
	n=$((n + 1))
}
q() { qemu-img convert -f raw -O "$@"; }
q qcow2 d.raw a.qcow2; same a.qcow2
q qcow2 -o compat=0.10 d.raw a.qcow2; same a.qcow2
q qcow2 -c d.raw a.qcow2; same a.qcow2
q qcow2 -c -o compression_type=zstd,cluster_size=1M d.raw a.qcow2; same a.qcow2
q qcow2 -o extended_l2=on,cluster_size=128k,lazy_refcounts=on d.raw a.qcow2; same a.qcow2
q qcow2 d.raw a.qcow2; qemu-img bitmap --add a.qcow2 b; qemu-img snapshot -c one a.qcow2; qemu-io -c 'write -P 1 0 1M' a.qcow2 >/dev/null
same a.qcow2 --snapshot one
mkdir data; q qcow2 -o data_file=data/d.data,data_file_raw=on d.raw a.qcow2; same a.qcow2 --allow-backing data
qemu-img create -q -f qcow2 -b d.raw -F raw a.qcow2; same a.qcow2 --allow-backing d.raw
for s in monolithicSparse monolithicFlat twoGbMaxExtentSparse twoGbMaxExtentFlat streamOptimized; do
	mkdir $s; q vmdk -o subformat=$s d.raw $s/a.vmdk; same $s/a.vmdk --allow-backing $s
done
rm -rf twoGb* monolithicFlat
qemu-img create -q -f vmdk -F vmdk -b monolithicSparse/a.vmdk b.vmdk; qemu-io -f vmdk -c 'write -P 0 0 64k' b.vmdk >/dev/null
dd if=d.raw of=first bs=64k count=1 status=none; qemu-io -f vmdk -c "write -s first 0 64k" b.vmdk >/dev/null
same b.vmdk --allow-backing monolithicSparse
mkformats.py d.raw m
same m.cowd.vmdk --allow-backing m-delta.vmdk
same m.cloop; same m.dmg; same m.bochs
for o in subformat=dynamic,force_size=on subformat=fixed,force_size=on; do q vpc -o $o d.raw a.vhd; same a.vhd; done
# a footer whose sum is wrong, and its copy's: a damaged VHD, no raw disk
for o in subformat=dynamic subformat=fixed; do
	q vpc -o $o,force_size=on d.raw bad.vhd; s=$(stat -c %s bad.vhd)
	for at in $([ $o = subformat=fixed ] || echo 70) $((s - 442)); do printf X | dd of=bad.vhd bs=1 seek=$at conv=notrunc status=none; done
	for c in "import bad.vhd -b bad" "inspect bad.vhd"; do
		expect_rc 4 strata $c 2>err; grep -q "bad.vhd: vhd: no footer with a valid checksum" err || fail "$c: $(cat err)"
	done
done
q vhdx d.raw a.vhdx; same a.vhdx
q vhdx -o subformat=fixed,block_size=1M d.raw a.vhdx; same a.vhdx
q vdi d.raw a.vdi; same a.vdi; q vdi -o static=on d.raw a.vdi; same a.vdi
for f in qed qcow parallels; do q $f d.raw a.$f; same a.$f; rm a.$f; done
# what strata itself writes
for f in raw qcow2 vmdk vmdk-stream vhd vhdx vdi; do strata -q export raw -o o.$f --format $f; same o.$f; done
strata -q export raw -o o.ova; strata import o.ova -b t --json >t.json # with the OVF it is another image of the same disk
cmp <(jq -c '[.disks[].digest]' t.json) <(jq -c '[.disks[].digest]' raw.json) || fail ova
strata inspect o.ova | grep -q contained || fail "inspect o.ova"
strata -q export raw -o o.qcow2 --compress; same o.qcow2
strata -q export raw -o - --format qcow2 | cat >o.qcow2; same o.qcow2
# packed
gzip -k -1 a.vdi; same a.vdi.gz; xz -k -0 o.vmdk; same o.vmdk.xz; zstd -q a.vhdx; same a.vhdx.zst; bzip2 -k -1 o.vhd; same o.vhd.bz2
zip -q -1 o.zip o.qcow2; same o.zip; gzip -c -1 d.raw >d.raw.gz; same d.raw.gz; xz -0 -c d.raw.gz >d.gz.xz; same d.gz.xz
strata import - -b t --json <d.raw >t.json; [ "$(jq -r .image t.json)" = "$want" ] || fail stdin
# VDI of kinds that name others by number only: refused in words
python3 - <<'P'
d = bytearray(open("o.vdi", "rb").read())
for name, at, b in (("diff", 76, b"\x04"), ("undo", 76, b"\x03"), ("parent", 0x1a8, bytes(range(16)))):
    x = bytearray(d); x[at:at + len(b)] = b; open(name + ".vdi", "wb").write(x)
P
for k in diff undo parent; do
	for c in "import $k.vdi -b no" "inspect $k.vdi"; do expect_rc 4 strata $c 2>err; grep -q "differencing image.*clonemedium" err || fail "$k: $(cat err)"; done
done
# a raw disk that begins like a qcow2 naming a host's file, and one that begins like a descriptor of VMDK
qemu-img create -q -f qcow2 -u -b /etc/passwd -F raw trap.raw 1M; truncate -s 2M trap.raw
expect_rc 4 strata import trap.raw -b no 2>err; grep -q 'backing file' err || fail "trap: $(cat err)"
strata -q import trap.raw --format raw -b trap; strata export trap -o x.raw; cmp x.raw trap.raw || fail "trap: other bytes"
expect_rc 4 strata import a.vdi --format qcow2 -b no 2>err
expect_rc 2 strata import a.vdi --format floppy -b no 2>err
expect_rc 3 strata log no 2>/dev/null
[ $n -ge 43 ] || fail "only $n"
