# SPDX-License-Identifier: Apache-2.0
# inspect of a disk with Windows on it: version, edition, name, programs and services, from the registry in an NTFS
# volume; stored, from the image file, in another container, with a registry that was not closed, with damaged ones.
. "$(dirname "$0")/../lib.sh"
need hivexregedit hivexget sfdisk qemu-img jq
. "$TOP/tests/tools/ntfs_lib.sh"
mkhive.py SOFTWARE; mkhive.py SYSTEM
reg() {
	# parents are named before their children
	awk '/^\[/ { n = split(substr($0, 2, length($0) - 2), k, "\\"); p = k[1]
		for (i = 2; i < n; i++) { p = p "\\" k[i]; if (!seen[p]++) printf "[%s]\n\n", p }
		seen[p "\\" k[n]] = 1 } { print }' >reg.full
	hivexregedit --merge --prefix "$1" --encoding UTF-16LE "$1" reg.full || fail "hivexregedit $1"
}
reg SOFTWARE <<'REG'
Windows Registry Editor Version 5.00

[SOFTWARE\Microsoft\Windows NT\CurrentVersion]
"ProductName"="Windows Server 2022 Datacenter"
"EditionID"="ServerDatacenter"
"CurrentMajorVersionNumber"=dword:0000000a
"CurrentMinorVersionNumber"=dword:00000000
"CurrentBuild"="20348"
"UBR"=dword:000008a0
"DisplayVersion"="21H2"
"InstallationType"="Server"

[SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\7-Zip]
"DisplayName"="7-Zip 23.01 (x64)"
"DisplayVersion"="23.01"
"Publisher"="Igor Pavlov"
"InstallDate"="20240131"

[SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\Part]
"DisplayName"="A part"
"SystemComponent"=dword:00000001

[SOFTWARE\Wow6432Node\Microsoft\Windows\CurrentVersion\Uninstall\Old]
"DisplayName"="Thirty-two"
REG
reg SYSTEM <<'REG'
Windows Registry Editor Version 5.00

[SYSTEM\Select]
"Current"=dword:00000001

[SYSTEM\ControlSet001\Control\ComputerName\ComputerName]
"ComputerName"="DC-01"

[SYSTEM\ControlSet001\Control\Session Manager\Environment]
"PROCESSOR_ARCHITECTURE"="AMD64"

[SYSTEM\ControlSet001\Control\TimeZoneInformation]
"TimeZoneKeyName"="W. Europe Standard Time"

[SYSTEM\ControlSet001\Services\Tcpip\Parameters]
"Hostname"="dc-01"

[SYSTEM\ControlSet001\Services\W3SVC]
"Type"=dword:00000020
"Start"=dword:00000002
"ImagePath"="C:\\Windows\\system32\\svchost.exe -k iissvcs"

[SYSTEM\ControlSet001\Services\Spooler]
"Type"=dword:00000110
"Start"=dword:00000002

[SYSTEM\ControlSet001\Services\Manual]
"Type"=dword:00000010
"Start"=dword:00000003
REG

# image NAME: a GPT disk with the hives as they are now, names in the case of an old system
image() {
	make_ntfs part.img 20M
	ntfs_mount part.img m
	mkdir -p m/WINDOWS/system32/Config m/Users
	cp SOFTWARE m/WINDOWS/system32/Config/software; cp SYSTEM m/WINDOWS/system32/Config/System
	for l in *.LOG[12]; do [ ! -e "$l" ] || cp "$l" m/WINDOWS/system32/Config/; done
	: >m/WINDOWS/explorer.exe
	ntfs_umount m
	rm -f "$1"; truncate -s 24M "$1"
	printf 'label: gpt\nstart=2048,size=40960,type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\n' | sfdisk -q "$1"
	dd if=part.img of="$1" bs=1M seek=1 conv=notrunc,sparse status=none
}
image win.raw
strata inspect --json win.raw >file.json
jq -c '[.os.type, .os.name, .os.pretty_name, .os.edition, .os.version, .os.version_id, .os.build, .os.registry_dirty, .hostname, .architecture, .timezone]' file.json >got
echo '["windows","Microsoft Windows","Windows Server 2022 Datacenter","ServerDatacenter","21H2","10.0","20348.2208",null,"dc-01","x86_64","W. Europe Standard Time"]' | diff - got || fail "the system"
jq -c '[.services, .packages.count, [.programs[] | [.name, .version, .publisher, .installed]]]' file.json >got
echo '[["Spooler","W3SVC"],2,[["7-Zip 23.01 (x64)","23.01","Igor Pavlov","20240131"],["Thirty-two",null,null,null]]]' | diff - got || fail "services and programs"
jq -e '.findings == []' file.json >/dev/null || fail "findings"
# another reader of registries agrees
[ "$(hivexget SOFTWARE 'Microsoft\Windows NT\CurrentVersion' EditionID)" = "$(jq -r .os.edition file.json)" ] || fail "hivexget: edition"
[ "$(hivexget SYSTEM 'ControlSet001\Services\Tcpip\Parameters' Hostname)" = "$(jq -r .hostname file.json)" ] || fail "hivexget: name"

# stored, and in another container: the same
strata init lib >/dev/null; export STRATA_LIBRARY=$T/lib
strata import -q win.raw -b win
qemu-img convert -O qcow2 win.raw win.qcow2
for x in win ./win.qcow2; do
	strata inspect --json "$x" | jq '[.os, .hostname, .architecture, .timezone, .services, .packages, .programs]' >b
	jq '[.os, .hostname, .architecture, .timezone, .services, .packages, .programs]' file.json | diff - b || fail "$x says something else"
done
strata inspect win >text
for s in 'system .*Windows Server 2022 Datacenter' 'edition .*ServerDatacenter' 'hostname .*dc-01' 'programs .*7-Zip 23.01 (x64) 23.01' 'services .*Spooler' 'packages .*2 (windows)'; do
	grep -q "^$s" text || { cat text; fail "no $s"; }
done

# not closed, without logs: read as it is, and said
cp SOFTWARE clean; cp SOFTWARE newer
cat >newer.reg <<'REG'
Windows Registry Editor Version 5.00

[SOFTWARE\Microsoft\Windows NT\CurrentVersion]
"DisplayVersion"="22H2"

[SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\Fresh]
"DisplayName"="Installed just now"
"DisplayVersion"="1"
REG
# much beside it, so that the hive grows by some pages
for i in $(seq 300); do printf '\n[SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Filler%d]\n"Value"="%0200d"\n' "$i" "$i"; done >>newer.reg
hivexregedit --merge --prefix SOFTWARE --encoding UTF-16LE newer newer.reg || fail "hivexregedit newer"
mkhivelog.py clean newer SOFTWARE
mkdir -p logs; mv SOFTWARE.LOG* logs/
image dirty.raw
strata inspect --json dirty.raw | jq -e '.os.registry_dirty == true and .os.version == "21H2" and (.programs | length == 2)' >/dev/null || fail "a registry that was not closed"
strata inspect dirty.raw | grep -q '^registry .*not closed' || fail "nothing said of the logs"
# with its logs: what was written last, whichever log has the older entries
for how in "" swapped; do
	mkhivelog.py clean newer SOFTWARE $how
	image dirty.raw
	strata import -q dirty.raw -b dirty
	for x in dirty ./dirty.raw; do
		strata inspect --json "$x" | jq -e '.os.registry_dirty == null and .os.version == "22H2" and .os.edition == "ServerDatacenter" and ([.programs[].name] | sort == ["7-Zip 23.01 (x64)", "Installed just now", "Thirty-two"])' >/dev/null ||
			{ strata inspect "$x" | head -20; fail "$x: what the logs hold${how:+ ($how)}"; }
	done
done
# a log that is damaged is applied as far as it is sound: here not at all, or the first entries
python3 -c '
d = bytearray(open("SOFTWARE.LOG2", "rb").read()); d[512 + 50] ^= 1; open("SOFTWARE.LOG2", "wb").write(d)'
image dirty.raw
strata inspect --json dirty.raw | jq -e '.os.registry_dirty == true and .os.version == "21H2"' >/dev/null || fail "a damaged log"
rm -f *.LOG[12]

# damaged: it is Windows all the same, and nothing is made up
for how in cut noise empty; do
	case $how in cut) head -c 5000 clean >SOFTWARE ;; noise) head -c 8192 /dev/urandom >SOFTWARE ;; empty) : >SOFTWARE ;; esac
	image bad.raw
	strata inspect --json bad.raw >bad.json || fail "$how"
	jq -e '.os.type == "windows" and .os.edition == null and (.programs == [])' bad.json >/dev/null || { jq .os bad.json; fail "$how"; }
done
echo done
