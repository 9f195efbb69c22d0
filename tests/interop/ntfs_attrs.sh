#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What NTFS keeps beside content: named streams, DOS attributes, 8.3 names, descriptors, reparse points, WSL files; as
# ntfs-3g says, but that links have Windows' own targets and unknown reparse points stay files.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/tools/ntfs_lib.sh"
make_ntfs a.img 40M
ntfs_mount a.img m
python3 "$tree" attrs m 2>attrs.err || { cat attrs.err; fail "attrs"; }
ntfs_umount m
ntfs_mount a.img m special_files=wsl
python3 "$tree" wsl m
ntfs_umount m
ntfs_want a.img want
# Lines where we differ on purpose are compared by hand below.
grep -vE '^[a-z] [0-7]{4} .* /(r|j)-' want >want.rest
fsdump --free --xattrs a.img >got.all 2>got.err || { cat got.err; fail "fsdump"; }
sed -i '/^x \/ system.ntfs_acl/d' got.all
if grep -E '^(BROKEN|READDIR|EXTENTS|STREAMS|XATTRS|FREE)' got.err; then fail "fsdump complained"; fi
# ntfs-3g gives no permissions to WSL's special files, we do as for all others;
# hard links: ntfs-3g counts the 8.3 name, we do not
sed -E 's|^(f 0777 0 0 1 [0-9.]+) 2 (.*/with)|\1 1 \2|; s|^([bcps]) 0000 (.*/wsl/)|\1 0777 \2|' want.rest >want.fixed
grep -vE '^[a-z] [0-7]{4} .* /(r|j)-' got.all >got.rest
same_tree want.fixed got.rest
link() { grep -qE "^l 0777 0 0 $3 .* /$1 -> $2\$" got.all || { grep "/$1" got.all; fail "link $1"; }; }
link r-rel target/inner 12
link 'r-rel-\\xc3\\xbc' '../\\xc3\\xbc/x' 7
link r-abs C:/Users/All 12
link r-unc //server/share/f 16
link r-lx '../\\xc3\\xbcnix' 8
link j-abs C:/Windows 10
link j-vol 'Volume\{01234567-89ab-cdef-0123-456789abcdef\}/' 45
kind() { grep -qE "^$2 .* $3 /$1\$" got.all || { grep "/$1" got.all; fail "kind of $1"; }; }
kind r-wof f -; kind r-dedup f -
kind r-cloud f "$(printf local | sha256sum | cut -c1-64)"; kind r-appexec f "$(printf local | sha256sum | cut -c1-64)"
grep -q 'with' got.all && ! grep -q '~' got.all || fail "8.3 names are listed"
[ "$(grep -c '^x .* system.ntfs_reparse_data' got.all)" -eq 16 ] || fail "reparse data"
[ "$(grep -c '^s /streams ' got.all)" -eq 42 ] || fail "streams"
# other sources agree on a stream
fls_name=$(fls a.img 2>/dev/null | grep -c 'streams:Zone.Identifier' || true)
[ "$fls_name" = 1 ] || fail "fls does not see the stream"
ntfscat -n Zone.Identifier a.img streams | sha256sum | cut -c1-64 | grep -qf - <(grep '^s /streams Zone' got.all) || fail "ntfscat"

# --- owner and mode as WSL keeps them: where all three attributes are there, as Linux' ntfs3 has it ---
make_ntfs w.img 20M
ntfs_mount w.img m
python3 - <<'E'
import os, struct
def ea(**v):
    out = b""
    for n, x in v.items():
        b = struct.pack("<BBH", 0, len(n) + 1, len(x)) + b"$" + n.encode() + b"\0" + x
        b += bytes(-(len(b) + 4) % 4)
        out += struct.pack("<I", len(b) + 4) + b
    return out
num = lambda *x: struct.pack("<%dI" % len(x), *x)
os.mkdir("m/d")
for n, e in (("f", ea(LXUID=num(1000), LXGID=num(1001), LXMOD=num(0o104750))), ("d", ea(LXMOD=num(0o41777), LXUID=num(5), OTHER=b"x", LXGID=num(4000000000))),
             ("two", ea(LXUID=num(1000), LXMOD=num(0o100600))), ("odd", ea(LXUID=num(1000), LXGID=b"12", LXMOD=num(0o100600)))):
    if n != "d":
        open("m/" + n, "w").write(n)
    os.setxattr("m/" + n, "system.ntfs_ea", e)
E
ntfs_umount m
fsdump w.img >got 2>err || fail "WSL: $(cat err)"
for x in 'f 4750 1000 1001 1 .* /f' 'd 1777 5 4000000000 0 .* /d' 'f 0777 0 0 3 .* /two' 'f 0777 0 0 3 .* /odd'; do grep -qE "^$x\$" got || fail "WSL: no '$x' in $(cat got)"; done
