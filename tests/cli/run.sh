# SPDX-License-Identifier: Apache-2.0
# strata run with machines that write, greet and switch themselves off: --commit keeps what they wrote, --expect and
# --timeout tell, --uefi starts from firmware.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/instance.inc"
need_plugin; need python3 qemu-io qemu-img qemu-system-x86_64
export XDG_RUNTIME_DIR=$PWD/run TMPDIR=$PWD/tmp STRATA_LIBRARY=$PWD/lib STRATA_ACCEL=tcg; mkdir run tmp
clean() { [ -z "$(find run tmp -mindepth 1)" ] || fail "left over: $(find run tmp)"; }
tip() { cat "lib/refs/heads/$1"; }
# Says hello over the serial line, writes itself to sector 4, then (off) switches the machine off by ACPI's port.
python3 - <<'P'
def sector(end):
    code = bytes.fromhex("31c0 8ed8 8ec0 baf803 be007d ac 84c0 7403 ee ebf8 b80103 b90500 ba8000 bb007c cd13") + end
    s = bytearray(512)
    s[:len(code)] = code
    s[256:256 + 14] = b"hello, disk\r\n\0"
    s[510:] = b"\x55\xaa"
    return bytes(s)
off = bytes.fromhex("ba0406 b80020 ef f4 ebfd")
for name, end in (("off", off), ("on", bytes.fromhex("f4 ebfd"))):
    d = bytearray(1 << 20)
    d[:512] = sector(end)
    d[8192:12288] = b"x" * 4096
    open(name + ".raw", "wb").write(d)
    d[2048:2560] = d[:512]
    open(name + ".want", "wb").write(d)
P
strata -q init lib; strata -q import off.raw -b off; strata -q import on.raw -b on

# --commit: the branch that is run, or a new one; with a text that is waited for, and without
strata run off --expect 'hello, disk' --timeout 120 --commit kept --message "as it ran" > out 2>err || fail "$(cat out err)"
grep -q '^\[kept ' out; strata -q export kept -o x.raw; cmp x.raw off.want; clean
strata log kept -n 1 | grep -q "as it ran"
[ "$(strata log kept --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["commits"][0]["parents"])')" = "['$(tip off)']" ]
strata run off --commit off --timeout 120 </dev/null >out 2>err || fail "$(cat out err)"
grep -q 'hello, disk' out; strata -q export off -o x.raw; cmp x.raw off.want; clean
strata log off -n 1 | grep -q "Run of off"
strata run off --expect hello --commit third --json > r.json 2>/dev/null; [ "$(get r.json '["branch"]')$(get r.json '["shut_down"]')" = thirdTrue ]
# one that does not go down when it is told, or says something else, or takes too long: nothing is kept
expect_rc 1 strata -q run off --expect 'never said' --commit no --timeout 60 >/dev/null 2>err; grep -q "the machine ended" err
expect_rc 1 strata -q run on --expect 'never said' --commit no --timeout 2 >/dev/null 2>err; grep -q "time is up" err
expect_rc 7 strata -q run on --commit no --timeout 2 </dev/null >/dev/null 2>err; grep -q "did not shut down" err
[ ! -e lib/refs/heads/no ] || fail "something was kept"; clean
t=$SECONDS; expect_rc 1 strata -q run on --timeout 1 </dev/null >/dev/null 2>&1; [ $((SECONDS - t)) -lt 10 ] || fail "--timeout 1 took $((SECONDS - t)) s"
# without --commit nothing is
n=$(strata log --json off | grep -c '"id"'); strata -q run off </dev/null >/dev/null; [ "$(strata log --json off | grep -c '"id"')" = "$n" ]; clean
# a failing write of the guest's does not become a commit of half a disk
strata -q verify --read-data

# UEFI: a program of a few bytes in an ESP
need mformat mcopy sfdisk
ls /usr/share/OVMF/OVMF_CODE*.fd >/dev/null 2>&1 || { expect_rc 3 strata run off --uefi --expect x 2>err; grep -q ovmf err; skip "ovmf is not installed"; }
python3 - <<'P'
import struct
code = bytes.fromhex("66baf803 488d3518000000 ac 84c0 7403 ee ebf8 66ba04b0 66b80020 66ef f4 ebfd").ljust(34, b"\x90")
code = bytearray(code); code[7:11] = struct.pack("<i", len(code) - 11)
code += b"hello from UEFI\r\n\0"
opt = struct.pack("<HBBIIIII", 0x20b, 1, 0, 512, 0, 0, 0x1000, 0x1000)
opt += struct.pack("<QIIHHHHHHIIIIHHQQQQII", 0, 0x1000, 512, 0, 0, 0, 0, 0, 0, 0, 0x2000, 512, 0, 10, 0, 0, 0, 0, 0, 0, 16) + bytes(128)
pe = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, len(opt), 0x22) + opt
pe += struct.pack("<8sIIIIIIHHI", b".text", 0x1000, 0x1000, 512, 512, 0, 0, 0, 0, 0xe0000020)
dos = bytearray(64); dos[:2] = b"MZ"; dos[60:] = struct.pack("<I", 64)
open("boot.efi", "wb").write((bytes(dos) + pe).ljust(512, b"\0") + bytes(code).ljust(512, b"\0"))
P
truncate -s 34M esp.raw; printf 'label: gpt\n2048,65536,U\n' | sfdisk -q esp.raw
mformat -i esp.raw@@1M -T 65536 -h 16 -s 63 ::; mmd -i esp.raw@@1M ::/EFI ::/EFI/BOOT; mcopy -i esp.raw@@1M boot.efi ::/EFI/BOOT/BOOTX64.EFI
strata -q import esp.raw -b esp
strata run esp --uefi --expect 'hello from UEFI' --timeout 240 >out 2>err || fail "$(tr -d '\000' <out | tail -20; cat err)"; clean
expect_rc 1 strata -q run esp --expect 'hello from UEFI' --timeout 2 >/dev/null 2>&1; clean
