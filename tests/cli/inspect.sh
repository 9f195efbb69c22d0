# SPDX-License-Identifier: Apache-2.0
# inspect and packages, stored and not, against what was put in the image and
# what dpkg-query and systemctl say of it.
. "$(dirname "$0")/../lib.sh"
need_root
need mkfs.ext4 mkfs.fat mcopy sfdisk python3 dpkg-query
truncate -s 64M root.img; mkfs.ext4 -q -L root root.img; truncate -s 34M esp.img; mkfs.fat -F 32 esp.img > /dev/null
mkdir m; mount -o loop root.img m 2>mount.err || skip "cannot mount: $(tail -1 mount.err)"; cleanup_mounts+=(m)
mkdir -p m/etc/systemd/system/{multi-user,timers}.target.wants m/usr/lib/systemd/system m/usr/bin m/boot/grub m/var/lib/dpkg m/etc/rc2.d m/usr/lib/modules/6.1.0-9-amd64
ln -s usr/lib m/lib; ln -s usr/bin m/bin; : > m/usr/lib/systemd/systemd; cp "$(readlink -f /bin/sh)" m/usr/bin/dash; ln -s dash m/usr/bin/sh
cat > m/usr/lib/os-release <<'END'
PRETTY_NAME="Debian GNU/Linux 12 (book\"worm)"
NAME='Debian GNU/Linux'
VERSION_ID="11"
VERSION_ID=12
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
END
ln -s ../usr/lib/os-release m/etc/os-release; echo 12.9 > m/etc/debian_version; echo web-01 > m/etc/hostname
ln -s /usr/share/zoneinfo/Europe/Berlin m/etc/localtime
printf 'LABEL=root / ext4 errors=remount-ro 0 1\n# no\n\nUUID=AAAA-BBBB /my\\040data vfat defaults\n' > m/etc/fstab
cat > m/etc/passwd <<'END'
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
alice:x:1000:1000:Alice,,,:/home/alice:/bin/zsh
bob:x:1001:1001::/home/bob:/bin/sh
eve::1002:1002::/home/eve:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
broken line
END
printf 'root:*:1:0:99999:7:::\nalice:$y$j9T$secrethash$xyz:1::::::\nbob:!$y$j9T$lockedhash:1::::::\n' > m/etc/shadow
: > m/boot/vmlinuz-6.1.0-9-amd64; : > m/boot/vmlinuz-6.1.0-10-amd64; : > m/boot/initrd.img-6.1.0-9-amd64; : > m/boot/grub/grub.cfg
for u in ssh nginx; do printf '[Unit]\nDescription=%s\n[Install]\nWantedBy=multi-user.target\n' $u > m/usr/lib/systemd/system/$u.service; ln -s /usr/lib/systemd/system/$u.service m/etc/systemd/system/multi-user.target.wants/$u.service; done
printf '[Timer]\nOnBootSec=1\n[Install]\nWantedBy=timers.target\n' > m/usr/lib/systemd/system/clean.timer; ln -s /usr/lib/systemd/system/clean.timer m/etc/systemd/system/timers.target.wants/clean.timer
: > m/etc/rc2.d/S01ssh; : > m/etc/rc2.d/S02legacy; : > m/etc/rc2.d/K01off
cp /var/lib/dpkg/status m/var/lib/dpkg/status
cat >> m/var/lib/dpkg/status <<'END'

Package: zz-left
Status: deinstall ok config-files
Architecture: amd64
Version: 1:2.0~rc1-3
Maintainer: N <n@example.org>
Description: left
 more

Package: zz-src
Status: install ok installed
Architecture: all
Source: zz-source (3:1.0)
Version: 3:1.0+b1
Maintainer: N <n@example.org>
Description: src
END
mkdir -p admin/info admin/updates; cp m/var/lib/dpkg/status admin/
command -v systemctl > /dev/null && systemctl --root=m list-unit-files --state=enabled --no-legend 2>/dev/null | awk '{print $1}' | sort > units || : > units
umount m
mkdir -p esp/EFI/debian esp/EFI/systemd; echo x > esp/EFI/debian/grubx64.efi; echo x > esp/EFI/systemd/systemd-bootx64.efi; mcopy -s -i esp.img esp/EFI ::
truncate -s 128M disk.raw
printf 'label: gpt\nstart=2048,size=69632,type=uefi\nstart=71680,size=131072,type=linux\n' | sfdisk -q disk.raw
dd if=esp.img of=disk.raw bs=1M seek=1 conv=notrunc,sparse status=none; dd if=root.img of=disk.raw bs=1M seek=35 conv=notrunc,sparse status=none
strata init lib 2>/dev/null; export STRATA_LIBRARY=$T/lib; strata import -q disk.raw -b vm
cat > check.py <<'E2'
import json, sys
d = json.load(sys.stdin)
def want(what, got, expected):
    if got != expected: sys.exit(f"{what}: {got!r}, wanted {expected!r}")
want("schema", d["schema"], "strata/inspect/1")
o = d["os"]
want("os", [o[k] for k in ("type", "id", "name", "version", "version_id", "codename", "pretty_name")],
     ["linux", "debian", "Debian GNU/Linux", "12.9", "12", "bookworm", 'Debian GNU/Linux 12 (book"worm)'])
want("hostname", d["hostname"], "web-01"); want("timezone", d["timezone"], "Europe/Berlin")
want("architecture", d["architecture"], sys.argv[1])
want("kernels", [(k["version"], k["path"], k["modules"]) for k in d["kernels"]],
     [("6.1.0-9-amd64", "/boot/vmlinuz-6.1.0-9-amd64", True), ("6.1.0-10-amd64", "/boot/vmlinuz-6.1.0-10-amd64", False)])
want("bootloader", d["bootloader"], "grub"); want("bootloaders", sorted(d["bootloaders"]), ["grub", "systemd-boot"])
want("fstab", [[m[k] for k in ("spec", "file", "type", "options", "freq", "passno")] for m in d["fstab"]],
     [["LABEL=root", "/", "ext4", "errors=remount-ro", 0, 1], ["UUID=AAAA-BBBB", "/my data", "vfat", "defaults", 0, 0]])
want("users", [(u["name"], u["uid"], u["shell"], u["password"]) for u in d["users"]],
     [("root", 0, "/bin/bash", "locked"), ("alice", 1000, "/bin/zsh", "set"), ("bob", 1001, "/bin/sh", "locked"), ("eve", 1002, "/bin/sh", "none")])
want("services", d["services"], ["clean.timer", "legacy", "nginx.service", "ssh.service"])
want("packages", d["packages"], {"manager": "dpkg", "count": int(sys.argv[2])})
want("disk", [(x["size"], x["sector_size"], x["partitions"]) for x in d["disks"]], [(128 << 20, 512, "gpt")])
want("volumes", [(v["name"], v["fs"]) for v in d["disks"][0]["volumes"]], [("p1", "vfat"), ("p2", "ext4")])
if len(sys.argv) > 3: want("container", d["disks"][0]["container"]["format"], sys.argv[3])
E2
n=$(dpkg-query --admindir=admin -W -f '${db:Status-Status}\n' | grep -vc -e config-files -e not-installed)
arch=$(uname -m)
strata inspect vm --json > j; python3 check.py "$arch" "$n" < j || fail "stored"
! grep -q hash j || fail "a password's hash is shown"
strata inspect disk.raw --json > j; python3 check.py "$arch" "$n" raw < j || fail "a file"
if command -v qemu-img > /dev/null; then
	qemu-img convert -O qcow2 disk.raw disk.qcow2; strata inspect disk.qcow2 --json | python3 check.py "$arch" "$n" qcow2 || fail "qcow2"
fi
strata inspect vm > text; grep -q '^system  *Debian GNU/Linux 12' text && grep -q '^users  *root (0) /bin/bash, password locked$' text || fail "text: $(cat text)"
if [ -s units ]; then python3 -c 'import json,sys; print("\n".join(s for s in json.load(sys.stdin)["services"] if "." in s))' < j > have; cmp units have || fail "systemctl: $(diff units have)"; fi
# packages
fmt='${Package}\t${Version}\t${Architecture}\t${source:Package}\t${db:Status-Status}\n'
dpkg-query --admindir=admin -W -f "$fmt" | grep -v 'not-installed$' | sort > want
for x in vm disk.raw; do strata packages -a $x | sort > have; cmp -s want have || { diff want have | head; fail "packages of $x"; }; done
[ "$(strata packages vm | wc -l)" = "$n" ] || fail "what is left of a package is listed"
strata packages vm --json | python3 -c 'import json,sys
p = [x for x in json.load(sys.stdin)["packages"] if x["name"] == "zz-src"][0]
assert (p["source"], p["source_version"], p["version"], p["status"]) == ("zz-source", "3:1.0", "3:1.0+b1", "installed"), p' || fail "source"
# disks without anything
truncate -s 1M empty.raw; strata inspect empty.raw --json | python3 -c 'import json,sys; d=json.load(sys.stdin); assert d["os"]["id"] is None and d["disks"][0]["size"] == 1 << 20 and d["packages"]["count"] is None'
strata import -q empty.raw; strata inspect empty > /dev/null
expect_rc 3 strata inspect nothing 2> /dev/null
expect_rc 3 strata packages empty 2> /dev/null
