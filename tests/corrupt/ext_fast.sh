#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fast commits of ext4 by record: what makes sense is in the view, and what contradicts the file system makes all of
# them be left out, with a finding; never a crash.
. "$(dirname "$0")/../lib.sh"
need_root; need mkfs.ext4 debugfs fsdump extfast.py

mkdir m
truncate -s 8M base; mkfs.ext4 -q -F -b 1024 -N 128 -O fast_commit,^resize_inode -J size=2 -E lazy_itable_init=0 base
mount -o loop,commit=900 base m 2>err || skip "cannot mount: $(tail -1 err)"
cleanup_mounts+=("$PWD/m")
echo hello >m/file; mkdir m/dir m/dir/sub; echo x >m/dir/inside; ln m/file m/hard; ln -s y m/fast; echo other >m/other
ino() { stat -c %i "m/$1"; }
file=$(ino file) dir=$(ino dir) sub=$(ino dir/sub) inside=$(ino dir/inside) other=$(ino other) fast=$(ino fast)
sync -f m
python3 -c 'import os
f = os.open("m/new", os.O_CREAT | os.O_WRONLY); os.write(f, b"n" * 3000); os.fsync(f)'
new=$(ino new); cp base live; umount m
extfast.py show live >records
grep -q "^CREAT,2,$new,new" records || skip "this kernel has no fast commits"
node=$(grep -m1 "^INODE,$new," records | cut -d, -f3) old=$(extfast.py inode live "$file")
add=$(grep -m1 "^ADD,$new," records) blk=$(grep -m1 "^ADD,$new," records | cut -d, -f5)

rows=0
# good NAME PATTERN RECORD...: they are in effect, and PATTERN is seen. NOT: it is not. bad: they are not.
run() { cp live img; extfast.py put img "$@"; rc=0; timeout 20 fsdump img --xattrs --free >out 2>&1 || rc=$?; [ $rc = 0 ] || [ $rc = 4 ] || { tail -5 out; fail "$*: exit $rc"; }; rows=$((rows + 1)); }
good() { local n=$1 p=$2; shift 2; run "$@"; grep -q "fast commits: " out || { grep FINDING out; fail "$n: not in effect"; }; grep -q -- "$p" out || { cat out; fail "$n: no '$p'"; }; }
without() { local n=$1 p=$2; shift 2; run "$@"; grep -q "fast commits: " out || { grep FINDING out; fail "$n: not in effect"; }; ! grep -q -- "$p" out || { cat out; fail "$n: '$p'"; }; }
bad() { local n=$1 p=$2; shift 2; run "$@"; grep -q "fs-dirty.*fast commits in it are not replayed: .*$p" out || { grep FINDING out; fail "$n: no '$p'"; }; same; }
same() { grep '^[fdlx] ' out | sort | cmp - plain || { diff <(grep '^[fdlx] ' out | sort) plain; fail "$1: the view changed"; }; grep -q "FREE: .*journal" out || fail "free space is not known"; }
none() { local n=$1; shift; run "$@"; grep "fast commits" out && fail "$n: in effect"; grep '^[fdlx] ' out | sort | cmp - plain || fail "$n: the view changed"; }

# as it was made, and without
fsdump live --xattrs --free >out 2>err || fail "live"; grep -q '^f 0755 .* 3000 .* /new$\|^f 0644 .* 3000 .* /new$' out || { cat out err; fail "live: no new"; }
run PAD,20; grep '^[fdlx] ' out | sort >plain; ! grep -q /new plain && grep -q /dir/inside plain || fail "plain"
grep -q "fast commits" out && fail "no records: a finding"

H=HEAD,0
# the scan
none "another transaction" HEAD,0,1 UNLINK,2,$other,other TAIL
none "another transaction's tail" PAD,4 $H UNLINK,2,$other,other TAIL
bad "features" "unknown features 0x1" HEAD,1 UNLINK,2,$other,other TAIL
bad "first sum" "not whole" $H UNLINK,2,$other,other sum=1 TAIL
bad "first tail" "not whole" $H UNLINK,2,$other,other TAIL,77
bad "no tail" "not whole" $H UNLINK,2,$other,other
bad "an unknown record" "not whole" $H RAW,99,00 TAIL
bad "record 0" "not whole" $H RAW,0,00 TAIL
bad "a short ADD" "not whole" $H RAW,1,0011 TAIL
bad "a long DEL" "not whole" $H RAW,2,00112233445566778899aabbccdd TAIL
bad "a name of 0" "not whole" $H UNLINK,2,$other, TAIL
bad "a name of 256" "not whole" $H UNLINK,2,$other,"$(printf 'x%.0s' {1..256})" TAIL
bad "a short INODE" "not whole" $H INODE,$new,${node:0:250} TAIL
bad "a long INODE" "not whole" $H INODE,$new,"$node$(printf '00%.0s' {1..97})" TAIL
bad "past the block" "not whole" $H RAW,7,"$(printf '00%.0s' {1..1003})" TAIL
without "one commit" "/other$" $H UNLINK,2,$other,other TAIL
good "its neighbour" "/hard$" $H UNLINK,2,$other,other TAIL
good "a second one that is torn" "/other$" $H UNLINK,2,$file,hard TAIL UNLINK,2,$other,other
good "a second sum" "/other$" $H UNLINK,2,$file,hard TAIL UNLINK,2,$other,other sum=4 TAIL
good "a second transaction" "/other$" $H UNLINK,2,$file,hard TAIL UNLINK,2,$other,other TAIL,99
good "a second head of an older one" "/other$" $H UNLINK,2,$file,hard TAIL HEAD,0,1 UNLINK,2,$other,other TAIL,1
good "a second that cannot be" "/other$" $H UNLINK,2,$file,hard TAIL RAW,99,00 UNLINK,2,$other,other TAIL
without "two" "/other$" $H UNLINK,2,$file,hard TAIL UNLINK,2,$other,other TAIL
without "over a block's end" "/other$" $H UNLINK,2,$file,hard block UNLINK,2,$other,other TAIL

# names
without "unlink" "/hard$" $H UNLINK,2,$file,hard TAIL
good "unlink: links" "^f 0644 0 0 6 [0-9.]* 1 .* /file$" $H UNLINK,2,$file,hard TAIL
without "unlink, all" "/hard$\|/file$" $H UNLINK,2,$file,hard UNLINK,2,$file,file TAIL
good "unlink: another's name" "/other$" $H UNLINK,2,$file,other TAIL
good "unlink: no such name" "/other$" $H UNLINK,2,$other,nope TAIL
good "unlink: a dead inode" "/other$" $H UNLINK,2,120,other TAIL
without "rmdir" "/dir/sub" $H UNLINK,$dir,$sub,sub TAIL
good "link" "^f 0644 0 0 6 [0-9.]* 3 .* /dir/third$" $H LINK,$dir,$file,third TAIL
good "link, twice" "^f 0644 0 0 6 [0-9.]* 3 .* /dir/third$" $H LINK,$dir,$file,third LINK,$dir,$file,third TAIL
good "link: a name that is there" "^f 0644 0 0 6 [0-9.]* 1 .* /other$" $H LINK,2,$file,other TAIL
without "link to nothing" "/dir/third" $H LINK,$dir,120,third TAIL
good "link in a folder that went" "/other$" $H UNLINK,$dir,$sub,sub LINK,$sub,$other,x TAIL
bad "link in a file" "not a directory" $H LINK,$file,$other,x TAIL
bad "link: inode 0" "no file's" $H LINK,2,0,x TAIL
bad "link: the journal" "no file's" $H LINK,2,8,x TAIL
bad "link: the root" "no file's" $H LINK,$dir,2,x TAIL
bad "link: too large" "no file's" $H LINK,2,99999999,x TAIL
bad "link in inode 1" "no file's" $H LINK,1,$file,x TAIL
bad "link: a slash" "name in a record" $H LINK,2,$file,a/b TAIL
bad "link: dot" "name in a record" $H LINK,2,$file,. TAIL
bad "link: dots" "name in a record" $H LINK,2,$file,.. TAIL
bad "link: NUL" "name in a record" $H RAW,4,"02000000$(printf %02x $file)00000061006200" TAIL
bad "unlink: the root" "no file's" $H UNLINK,2,2,x TAIL
good "dots in front" " /\.\.\.$" $H LINK,2,$file,... TAIL
bad "creat of nothing" "no inode" $H CREAT,2,120,x TAIL
bad "the good with the bad" "no file's" $H UNLINK,2,$other,other TAIL LINK,2,0,x TAIL

# inodes
good "a new file" "^f .* 3000 .* /made$" $H INODE,$new,$node $add CREAT,2,$new,made TAIL
good "a file before its inode" "^f .* 3000 .* $(printf '%3000s' | tr ' ' n | sha256sum | cut -c1-64) /made$" $H $add INODE,$new,$node LINK,2,$new,made INODE,$new,$node TAIL
without "no name" "/made$" $H INODE,$new,$node $add TAIL
bad "inode: the root" "no file's" $H INODE,2,$node TAIL
bad "inode: the journal" "no file's" $H INODE,8,$node TAIL
bad "inode: a folder" "in the place of another" $H INODE,$dir,"$(extfast.py inode live $dir)" TAIL
bad "inode: no mode" "without a mode" $H INODE,$new,"0000${node:4}" TAIL
good "inode: a size" "^f 0644 0 0 4 .* /file$" $H INODE,$file,"${old:0:8}04000000${old:16}" TAIL
good "inode: a wild size" "/file: .*size is" $H INODE,$file,"${old:0:216}ffffffff${old:224}" TAIL
good "inode: another file in its place" "^f .* 3000 .* /file$" $H INODE,$file,$node TAIL
good "inode: what was there is not in it" "$(head -c 3000 /dev/zero | sha256sum | cut -c1-64) /file$" $H INODE,$file,$node TAIL
without "inode: no links" "/file$" $H UNLINK,2,$file,hard UNLINK,2,$file,file INODE,$file,"${old:0:52}0000${old:56}" TAIL
good "a folder that is new" "/nd/x$" $H INODE,120,"ed41${node:4}" CREAT,2,120,nd LINK,120,$other,x TAIL
bad "a folder in a file's place" "in the place of another" $H INODE,$file,"ed41${node:4}" TAIL
bad "a file becomes a folder" "in the place of another" $H INODE,$file,"ed41${old:4}" TAIL
bad "a name more for a folder" "another name for a directory" $H LINK,$sub,$dir,loop TAIL
bad "a new folder's second name" "another name for a directory" $H INODE,120,"ed41${node:4}" CREAT,2,120,nd CREAT,2,120,nd2 TAIL
bad "a name more for a new folder" "another name for a directory" $H INODE,120,"ed41${node:4}" CREAT,2,120,nd LINK,120,120,x TAIL
without "a name before its folder" "/early" $H LINK,2,120,early INODE,120,"ed41${node:4}" CREAT,2,120,nd TAIL
good "a new folder, twice" "/nd$" $H INODE,120,"ed41${node:4}" CREAT,2,120,nd TAIL INODE,120,"ed41${node:4}" CREAT,2,120,nd TAIL
good "a symlink" "^l .* /sl -> \|^l .* /sl" $H INODE,120,"ffa1${node:4:4}02000000${node:16:48}00000000${node:72:8}6162$(printf '00%.0s' {1..58})${node:200}" CREAT,2,120,sl TAIL

# ranges
good "add" "^f .* 2048 .* /file$" $H ADD,$file,1,1,$blk INODE,$file,"${old:0:8}00080000${old:16}" TAIL
good "del" "$(head -c 6 /dev/zero | sha256sum | cut -c1-64) /file$" $H DEL,$file,0,1 TAIL
good "del, then add" "$(printf nnnnnn | sha256sum | cut -c1-64) /file$" $H DEL,$file,0,4294967295 ADD,$file,0,1,$blk TAIL
good "not written" "$(head -c 6 /dev/zero | sha256sum | cut -c1-64) /file$" $H ADD,$file,0,32769,$blk TAIL
bad "add: outside" "outside the file system" $H ADD,$file,0,1,8192 TAIL
bad "add: far outside" "outside the file system" $H ADD,$file,0,1,281474976710655 TAIL
bad "add: over the end" "outside the file system" $H ADD,$file,0,10,8190 TAIL
bad "add: block 0" "outside the file system" $H ADD,$file,0,1,0 TAIL
bad "add: nothing" "no file can have" $H ADD,$file,0,0,$blk TAIL
bad "add: over 2^32" "no file can have" $H ADD,$file,4294967290,10,$blk TAIL
bad "del: over 2^32" "no file can have" $H DEL,$file,4294967290,10 TAIL
bad "del: nothing" "no file can have" $H DEL,$file,1,0 TAIL
bad "add: inode 0" "no file's" $H ADD,0,0,1,$blk TAIL
bad "add: the journal" "no file's" $H ADD,8,0,1,$blk TAIL
good "add to a folder" "/dir/inside$" $H ADD,$dir,5,1,$blk TAIL
good "add to what is not there" "/other$" $H ADD,120,5,1,$blk TAIL
good "a link's blocks" "^l .* /fast" $H ADD,$fast,0,1,$blk TAIL
many=(); for i in $(seq 0 2 500); do many+=(DEL,$file,$i,2 ADD,$file,$i,1,$((blk + i % 3))); done
good "many" "/file$" $H "${many[@]}" TAIL

# a log before them that is damaged: they are not for what is left of it
cp live img; at=$(($(debugfs -R "bmap <8> 2" img 2>/dev/null) * 1024)); printf 'garbage' | dd of=img bs=1 seek=$at conv=notrunc status=none
fsdump img --free >out 2>&1 || fail "a damaged log: not opened"
grep -q "fs-dirty.*not replayed: the blocks before them" out && grep -q "fs-damaged" out || { cat out; fail "a damaged log"; }
grep -q "FREE: .*journal" out || fail "a damaged log: free space"
[ $rows -gt 75 ] || fail "only $rows rows"
echo "$rows rows"
