#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The demonstration, on a small image: it passes; and it fails where it must.
. "$(dirname "$0")/../lib.sh"
need sfdisk mkfs.ext4 mkfs.vfat debugfs mcopy
mkdir build; ln -s "$BUILD/strata" build/strata
"$TOP/tools/mkimage" --small small.raw
mkdir -p build/demo; cp small.raw build/demo/first.raw
BUILD=$T/build "$TOP/tools/demo" >out || { cat out; fail "the demonstration"; }
grep -q "2 of 2 exports byte-identical" out || fail "no summary"
# An image of the user's, in a container.
if command -v qemu-img >/dev/null; then
	qemu-img convert -q -O qcow2 small.raw small.qcow2
	BUILD=$T/build "$TOP/tools/demo" small.qcow2 >out || { cat out; fail "the demonstration with a qcow2"; }
	grep -q "2 of 2 exports byte-identical" out || fail "no summary"
fi
# A strata whose exports are not the image is found out.
rm build/strata
cat >build/strata <<EOF
#!/bin/bash
"$BUILD/strata" "\$@" || exit
[ "\$1" != export ] || printf x | dd of="\${@: -1}" bs=1 seek=5000000 conv=notrunc status=none

EOF
chmod +x build/strata
if BUILD=$T/build "$TOP/tools/demo" >out 2>&1; then fail "a wrong export passed"; fi
grep -q FAILED out || fail "it does not say so"
# No such image.
if BUILD=$T/build "$TOP/tools/demo" none.raw >out 2>&1; then fail "no image passed"; fi
