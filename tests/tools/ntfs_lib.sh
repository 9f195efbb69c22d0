# SPDX-License-Identifier: Apache-2.0
# Sourced by the NTFS tests: volumes by mkntfs, mounts by ntfs-3g.
need_root
need mkntfs ntfs-3g ntfsinfo python3 setfattr
[ -e /dev/fuse ] || skip "no /dev/fuse"
tree=$TOP/tests/tools/ntfstree.py
# make_ntfs IMAGE SIZE [MKNTFS-OPTION...]
make_ntfs() {
	local img=$1 size=$2; shift 2
	truncate -s "$size" "$img"
	mkntfs -Q -q -F "$@" "$img" >mkntfs.log 2>&1 || { cat mkntfs.log; fail "mkntfs $*"; }
}
# ntfs_mount IMAGE DIR [OPTIONS]; ntfs_umount waits until all is written
ntfs_mount() {
	mkdir -p "$2"
	ntfs-3g -o "no_detach,noatime,streams_interface=xattr${3:+,$3}" "$1" "$2" >ntfs-3g.log 2>&1 &
	ntfs_pid=$!
	for _ in $(seq 200); do
		if mountpoint -q "$2"; then cleanup_mounts+=("$2"); return; fi
		kill -0 $ntfs_pid 2>/dev/null || break
		sleep 0.05
	done
	cat ntfs-3g.log; skip "ntfs-3g cannot mount"
}
ntfs_umount() { umount "$1"; wait $ntfs_pid || true; }
# ntfs_want IMAGE OUT: what ntfs-3g shows; ntfs_same IMAGE WANT: what we do is the same and complete
ntfs_want() {
	ntfs_mount "$1" m ro
	treedump.py m >"$2"
	# the root's own descriptor, which mkntfs pads, ntfs-3g does not give
	python3 "$tree" dump m "${3:-}" | sed '/^x \/ system.ntfs_acl/d' >>"$2"
	ntfs_umount m
}
ntfs_same() {
	fsdump --free ${3:-} "$1" >got 2>got.err || { cat got.err; fail "fsdump $1"; }
	sed -i '/^x \/ system.ntfs_acl/d' got
	if grep -E '^(BROKEN|READDIR|EXTENTS|UNREADABLE|STREAMS|XATTRS|FREE)' got.err; then fail "fsdump complained"; fi
	same_tree "$2" got
}
