# SPDX-License-Identifier: Apache-2.0
# Containers that are not read are named, by import and inspect, and never stored as if they were disks.
. "$(dirname "$0")/../lib.sh"
need python3
strata -q init lib
python3 - <<'P'
rows = {"EWF image": b"EVF\t\r\n\xff\0\1", "Ex01": b"EVF2\r\n\x81\0", "AFF": b"AFF10\r\n\0", "VMA": b"VMA\0\0\0\0\1", "7-Zip": b"7z\xbc\xaf\x27\x1c\0\4",
        "RAR": b"Rar!\x1a\7\1\0", "WIM": b"MSWIM\0\0\0", "Android": b"\x3a\xff\x26\xed\1\0\0\0", "partclone": b"partclone-image0002", "ntfsclone": b"\0ntfsclone-image",
        "Acronis": b"\xce\x24\xb9\xa2\x20\0\0\0", "encrypted DMG": b"encrcdsa\0\0\0\2", "sparse image of macOS": b"sprs\0\0\0\3", "btrfs send": b"btrfs-stream\0\1\0\0\0",
        "legacy lz4": b"\x02\x21\x4c\x18", "xfs_mdrestore": b"XFSM\0\x3f\x09\x03", "XFS's metadata": b"XMD2\0\0\0\2", "e2image": b"\x10\xb7\x2b\x7fExt2 Image 1",
        "partimage": b"PaRtImAgE-VoLuMe", "fsarchiver": b"FsA0\0\0", "lzop": b"\x89LZO\0\r\n\x1a\n\x10", "lrzip": b"LRZI\0\6", "raw sectors": b"\0" + b"\xff" * 10 + b"\0\0\2\0\1",
        "Bochs": b"Bochs Virtual HD Image".ljust(32, b"\0") + b"Redolog".ljust(16, b"\0") + b"Undoable"}
text = {"Parallels disk": "<?xml version='1.0' encoding='UTF-8'?>\n<Parallels_disk_image Version='1.0'>\n", "VirtualBox machine": '<?xml version="1.0"?>\n<!-- x -->\n<VirtualBox xmlns="x">\n',
        "VMware machine": '.encoding = "UTF-8"\nconfig.version = "8"\nvirtualHW.version = "19"\n', "libvirt machine": "<domain type='kvm'>\n"}
rows.update((k, v.encode()) for k, v in text.items())
for i, (k, v) in enumerate(rows.items()):
    open("f%02d" % i, "wb").write(v if k in text else v.ljust(70000, b"\0"))
    open("f%02d.want" % i, "w").write(k)
P
n=0
for f in f??; do
	for c in "import $f -b x" "inspect $f"; do
		expect_rc 4 strata -L lib -q $c 2>err; grep -q "$(cat $f.want)" err || fail "$f: $(cat err)"
		grep -q "not read" err || fail "$f: $(cat err)"
	done
	strata -L lib -q import $f --format raw -b raw; strata -L lib -q export raw -o out.raw; cmp out.raw $f
	rm out.raw; n=$((n + 1))
done
[ $n = 28 ] || fail "only $n"
