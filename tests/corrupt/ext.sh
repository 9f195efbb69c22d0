#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ext by field: a sound file system, one change, what must be said. Never a
# crash, and where the damage is local the rest is still listed.
. "$(dirname "$0")/../lib.sh"
need_root; need mkfs.ext4 debugfs fsdump

mkdir m
make_fs() { # NAME MKFS-ARGS
	local name=$1; shift
	truncate -s 4M "$name"; mkfs.ext4 -q -F -b 1024 -N 64 -E lazy_itable_init=0 "$@" "$name" 2>/dev/null
	mount -o loop "$name" m 2>err || skip "cannot mount: $(tail -1 err)"
	echo hello >m/file; mkdir m/dir; echo x >m/dir/inside; ln -s "$(printf 'x%.0s' {1..80})" m/slow; ln -s y m/fast
	for i in $(seq 0 2 30); do printf f | dd of=m/frag bs=1024 seek="$i" conv=notrunc status=none; sync -f m; done
	python3 -c 'import os; os.setxattr("m/file", "user.a", b"value"); os.setxattr("m/dir", "user.b", b"v" * 300)'
	umount m
	fsdump "$name" --xattrs --free >sound 2>err; [ ! -s err ] || { cat err; fail "not sound"; }
}
make_fs plain -O ^metadata_csum,^resize_inode,^has_journal,^64bit
make_fs sums -O metadata_csum,^resize_inode,^has_journal
make_fs maps -O ^extents,^metadata_csum,^resize_inode,^has_journal,^64bit

# ino IMAGE PATH: the byte offset of an inode
ino() { debugfs -R "imap $2" "$1" 2>/dev/null | sed -n 's/.*located at block \([0-9]*\), offset \(0x[0-9a-f]*\)/\1 \2/p' | { read -r b o; echo $((b * 1024 + o)); }; }
blk() { echo $(($(debugfs -R "bmap $2 $3" "$1" 2>/dev/null) * 1024)); }

rows=0
# row FIELD IMAGE OFFSET BYTES PATTERN: PATTERN is looked for in all that fsdump says
row() {
	cp "$2" img; printf "$(sed 's/../\\x&/g' <<<"$4")" | dd of=img bs=1 seek=$(($3)) conv=notrunc status=none
	local rc=0; timeout 20 fsdump img --xattrs --free >out 2>&1 || rc=$?
	[ $rc = 0 ] || [ $rc = 4 ] || { tail -5 out; fail "$1: exit $rc"; }
	grep -q -- "$5" out || { grep -v '^[fdlx] ' out | head; fail "$1: no '$5'"; }
	rows=$((rows + 1))
}
S=1024
row s_magic plain $((S + 0x38)) 0000 "not recognised"
row s_log_block_size plain $((S + 0x18)) 07000000 "s_log_block_size is 7"
row s_log_block_size-huge plain $((S + 0x18)) ffffffff "s_log_block_size"
row s_first_data_block plain $((S + 0x14)) 02000000 "s_first_data_block is 2"
row s_blocks_count-0 plain $((S + 4)) 00000000 "s_blocks_count is 0"
row s_blocks_count-more plain $((S + 4)) 00200000 "fs-truncated\|s_inodes_count"
row s_blocks_count-max plain $((S + 4)) ffffffff "s_inodes_count\|block groups"
row s_blocks_per_group-0 plain $((S + 0x20)) 00000000 "s_blocks_per_group is 0"
row s_blocks_per_group-big plain $((S + 0x20)) 01200000 "s_blocks_per_group is 8193"
row s_clusters_per_group plain $((S + 0x24)) 00000000 "s_blocks_per_group"
row s_log_cluster_size plain $((S + 0x1c)) 05000000 "s_log_cluster_size is 5"
row s_inodes_per_group-0 plain $((S + 0x28)) 00000000 "s_inodes_per_group is 0"
row s_inodes_per_group-big plain $((S + 0x28)) ffffff7f "s_inodes_per_group"
row s_inodes_count plain $((S + 0)) 01000000 "s_inodes_count is 1"
row s_inode_size-0 plain $((S + 0x58)) 0000 "s_inode_size is 0"
row s_inode_size-odd plain $((S + 0x58)) 8100 "s_inode_size is 129"
row s_inode_size-big plain $((S + 0x58)) 0008 "s_inode_size is 2048"
row s_first_ino plain $((S + 0x54)) 02000000 "s_first_ino is 2"
row s_feature_incompat-unknown plain $((S + 0x63)) 80 "unsupported.*0x80000000"
row s_feature_incompat-compression plain $((S + 0x60)) c302 "unsupported.*0x1"
row s_desc_size sums $((S + 0xfe)) 2100 "checksum is wrong"
row s_checksum_type sums $((S + 0x175)) 02 "s_checksum_type is 2"
row s_checksum sums $((S + 0x78)) 41 "ext superblock: its checksum is wrong"
row s_state-errors plain $((S + 0x3a)) 0200 "fs-damaged.*records errors"
row s_state-dirty plain $((S + 0x3a)) 0000 "fs-dirty"
row s_first_meta_bg plain $((S + 0x60)) d2 "fs-\|corrupt\|fsdump"
row bg_inode_table plain 2056 ffffff7f "group descriptors\|descriptors are damaged"
row bg_inode_table-0 plain 2056 00000000 "descriptors are damaged"
row bg_block_bitmap plain 2048 ffffff7f "descriptors are damaged"
row bg_block_bitmap-free plain 2048 00000000 "FREE: .*descriptors are damaged"
row bg_free_blocks plain 2060 0100 "FREE: .*in its bitmap"
row bg_checksum sums $((2048 + 0x1e)) 0000 "group descriptors are damaged"
row block-bitmap sums $(($(dumpe2fs sums 2>/dev/null | sed -n 's/.*Block bitmap at \([0-9]*\).*/\1/p') * 1024 + 100)) 5a "FREE: .*checksum of its block bitmap"
for img in plain sums; do
	I=$(ino $img file); [ $img = sums ] && bad="its checksum is wrong" || bad=
	row "i_mode" $img "$I" 0000 "UNREADABLE: /file: .*not in use"
	row "i_mode-type" $img "$I" a471 "UNREADABLE: /file: .*${bad:-its mode is}"
	row "i_links_count" $img $((I + 0x1a)) 0000 "UNREADABLE: /file: .*not in use"
	row "i_extra_isize" $img $((I + 0x80)) ffff "${bad:+UNREADABLE: /file: .*}${bad:-xattr-damaged.*i_extra_isize is 65535}"
	[ $img = sums ] || grep -q '^f .* /file$' out || fail "i_extra_isize: the file itself"
	row "i_extra_isize of a folder" $img $(($(ino $img dir) + 0x80)) 0100 "${bad:-xattr-damaged.*i_extra_isize is 1}"
	[ $img = sums ] || grep -q '^f .* /dir/inside$' out || fail "i_extra_isize: the files of a folder"
	# as Linux and e2fsck: the blocks count all the same
	row "ee_len: not written" $img $(($(ino $img dir) + 0x38)) 0180 "${bad:-dir-damaged.*marked as not written}"
	[ $img = sums ] || grep -q '^f .* /dir/inside$' out || fail "a folder's block that is not written"
	row "i_size" $img $((I + 0x6f)) ff "UNREADABLE: /file: .*${bad:-its size is}"
	row "eh_magic" $img $((I + 0x28)) 0000 "/file: .*${bad:-eh_magic}"
	row "eh_entries" $img $((I + 0x2a)) 0500 "/file: .*${bad:-eh_entries or eh_max}"
	row "eh_max" $img $((I + 0x2c)) ff00 "/file: .*${bad:-eh_entries or eh_max}"
	row "eh_depth" $img $((I + 0x2e)) 0600 "/file: .*${bad:-eh_depth is too large}"
	row "eh_depth-1" $img $((I + 0x2e)) 0100 "/file: .*${bad:-.}"
	row "ee_len" $img $((I + 0x38)) 0000 "/file: .*${bad:-extent.s length}"
	row "ee_start" $img $((I + 0x3c)) ffffffff "/file: .*${bad:-outside the file system}"
	row "ee_start_hi" $img $((I + 0x3a)) ffff "/file: .*${bad:-outside the file system}"
	row "ee_start-0" $img $((I + 0x3c)) 00000000 "/file: .*${bad:-outside the file system}"
	row "ee_block" $img $((I + 0x34)) ffffffff "${bad:-^f .* /file}"
	row "i_file_acl" $img $((I + 0x68)) ffffff00 "${bad:-xattr-damaged.*outside}"
	row "xattr name_len" $img $((I + 164)) ff "${bad:-xattr-damaged.*does not fit}"
	row "xattr value_offs" $img $((I + 166)) ffff "${bad:-xattr-damaged.*outside}"
	row "xattr value_inum" $img $((I + 168)) 05000000 "${bad:-xattr-damaged.*inode is damaged}"
	row "xattr value_size" $img $((I + 172)) ffffffff "${bad:-xattr-damaged.*too large}"
	row "root i_mode" $img "$(ino $img /)" 0081 "fsdump: corrupt"
	D=$(blk $img dir 0)
	row "rec_len" $img $((D + 4)) 0300 "dir-damaged.*entry.s length"
	row "rec_len-0" $img $((D + 4)) 0000 "dir-damaged.*entry.s length"
	row "rec_len-past" $img $((D + 12 + 4)) fc7f "dir-damaged.*entry.s length"
	row "name_len" $img $((D + 24 + 6)) ff "dir-damaged\|FINDING"
	row "name-slash" $img $((D + 24 + 8)) 2f "name-bad"
	row "name-nul" $img $((D + 24 + 9)) 00 "name-bad"
	row "name-dots" $img $((D + 24 + 6)) 00 "name-bad"
	row "inode-big" $img $((D + 24)) ffffffff "dir-damaged.*inode number"
	row "inode-reserved" $img $((D + 24)) 08000000 "UNREADABLE.*cannot be a file"
	row "inode-unused" $img $((D + 24)) 3f000000 "UNREADABLE.*not in use"
	row "inode-loop" $img $((D + 24)) 02000000 "LOOP\|dir-damaged\|/dir/inside/dir"
	F=$(ino $img frag)
	T=$(($(od -An -tu4 -j $((F + 0x28 + 16)) -N4 $img) * 1024))
	row "leaf eh_magic" $img "$T" 0000 "/frag: .*eh_magic"
	row "leaf eh_depth" $img $((T + 6)) 0100 "/frag: .*eh_depth"
	row "leaf order" $img $((T + 12)) 09000000 "/frag: .*order"
	row "leaf overlap" $img $((T + 16)) 0500 "/frag: .*order"
	row "leaf start" $img $((T + 20)) ffffffff "/frag: .*outside"
	X=$(debugfs -R "stat dir" $img 2>/dev/null; true)
	X=$(sed -n "s/.*File ACL: \([0-9]*\).*/\1/p" <<<"$X")
	row "h_magic" $img $((X * 1024)) ffff "xattr-damaged.*not one"
	row "h_blocks" $img $((X * 1024 + 8)) 02000000 "xattr-damaged.*not one"
	row "block value_offs" $img $((X * 1024 + 34)) f003 "xattr-damaged.*\(outside\|checksum\)"
	row "slow symlink size" $img $(($(ino $img slow) + 4)) 00ffff00 "/slow: .*${bad:-a target of}"
	row "slow symlink size-0" $img $(($(ino $img slow) + 4)) 00000000 "/slow: .*${bad:-a target of}"
done
row "leaf checksum" sums $((T + 12 + 12 * 84)) 00000000 "/frag: .*checksum is wrong"
row "dirent name" sums $((D + 24 + 8)) 4a "dir-damaged.*checksum"
row "xattr value" sums $((X * 1024 + 1000)) 00 "xattr-damaged.*checksum"
F=$(ino maps frag)
row "direct block" maps $((F + 0x28)) ffffffff "/frag: .*outside"
row "indirect block" maps $((F + 0x58)) ffffffff "/frag: .*outside"
row "double to itself" maps $((F + 0x5c)) "$(od -An -tx1 -j $((F + 0x58)) -N4 maps | tr -d ' ')" "^f .* /frag\|/frag:"
# what is behind the end of the file is not looked at
T=$(($(od -An -tu4 -j $((F + 0x58)) -N4 maps) * 1024))
row "pointer behind the end" maps $((T + 200 * 4)) ffffffff "^f .* /frag$"; ! grep FINDING out || fail "a pointer behind the end"
# without types in entries the kernel leaves there what it had in memory
make_fs notype -O ^filetype,^metadata_csum,^resize_inode,^has_journal,^64bit
D=$(blk notype dir 0)
for at in 0 12 24; do
	row "type that is none" notype $((D + at + 7)) 0a "^f .* /dir/inside$"; ! grep FINDING out || fail "a type that is none"
done
make_fs inl -O inline_data,^metadata_csum,^resize_inode,^has_journal,^64bit
row "inline folder's size" inl $(($(ino inl dir) + 4)) 38000000 "dir-damaged.*inline data is too short (56)"
grep -q '^f .* /dir/inside$' out || fail "inline folder: its files"
row "inline folder's size 0" inl $(($(ino inl dir) + 4)) 00000000 "dir-damaged.*inline data is too short"
# what is far away from the damage is still there
row "the rest" plain "$(ino plain file)" 0000 "^f .* /dir/inside"

# copies of the superblock
truncate -s 40M two; mkfs.ext4 -q -F -b 1024 -L copy two; mount -o loop two m; echo x >m/file; umount m
row "backup by magic kept" two $((S + 0x18)) ff "fs-backup-super"; grep -q "^f .* /file" out || fail "backup: no file"
row "backup by checksum" two $((S + 0x78)) 58 "fs-backup-super"; grep -q "^f .* /file" out || fail "backup: no file"
row "backup descriptors" two 2056 ffffffff "fs-backup-super"; grep -q "^f .* /file" out || fail "backup: no file"
row "magic gone" two $((S + 0x38)) 0000 "not recognised.*a copy of one at byte 8389632"
fsdump --force img >out 2>&1 || fail "magic gone: not opened"; grep -q fs-backup-super out && grep -q "^f .* /file" out || fail "magic gone: no file"
# cut short
cp two img; truncate -s 30M img; fsdump img >out 2>&1 || true; grep -q fs-truncated out || fail "truncated"; grep -q "^f .* /file" out || fail "truncated: no file"
for n in 0 100 1024 1500 2047 2048 3000 9000; do cp two img; truncate -s $n img; rc=0; fsdump img >out 2>&1 || rc=$?; [ $rc = 4 ] || [ $rc = 0 ] || fail "cut at $n: exit $rc"; done
[ $rows -gt 100 ] || fail "only $rows rows"
echo "$rows rows"
