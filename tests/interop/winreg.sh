#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Windows registries made by hivexregedit: version, names, programs and services are read as written; damaged hives are
# refused, not crashed on.
. "$(dirname "$0")/../lib.sh"
need hivexregedit python3 winregdump
mkhive.py software; mkhive.py system
cat >software.reg <<'REG'
Windows Registry Editor Version 5.00

[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion]
"ProductName"="Windows 10 Pro"
"EditionID"="Professional"
"CurrentVersion"="6.3"
"CurrentMajorVersionNumber"=dword:0000000a
"CurrentMinorVersionNumber"=dword:00000000
"CurrentBuildNumber"="22631"
"CurrentBuild"="22631"
"UBR"=dword:00000b1f
"DisplayVersion"="23H2"
"ReleaseId"="2009"
"InstallationType"="Client"
"InstallDate"=dword:65000000

[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\{AAAA-1}]
"DisplayName"=hex(1):@NAME@
"DisplayVersion"="1.2.3"
"Publisher"=hex(1):@PUBLISHER@
"InstallDate"="20240131"

[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\Nameless]
"DisplayVersion"="9"

[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\Part]
"DisplayName"="A part"
"SystemComponent"=dword:00000001

[HKEY_LOCAL_MACHINE\SOFTWARE\Wow6432Node\Microsoft\Windows\CurrentVersion\Uninstall\Old]
"DisplayName"="Thirty-two"
"DisplayVersion"=dword:00000005
REG
cat >system.reg <<'REG'
Windows Registry Editor Version 5.00

[HKEY_LOCAL_MACHINE\SYSTEM\Select]
"Current"=dword:00000002

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Control\ComputerName\ComputerName]
"ComputerName"="WRONG"

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet002\Control\ComputerName\ComputerName]
"ComputerName"="WEB-01"

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet002\Control\Session Manager\Environment]
"PROCESSOR_ARCHITECTURE"="AMD64"

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet002\Control\TimeZoneInformation]
"TimeZoneKeyName"="W. Europe Standard Time"

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet002\Services\Tcpip]
"Type"=dword:00000001
"Start"=dword:00000000
"ImagePath"=hex(2):53,00,79,00,73,00,5c,00,74,00,00,00

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet002\Services\Tcpip\Parameters]
"Hostname"="web-01"
"Domain"="example.org"

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet002\Services\nginx]
"Type"=dword:00000010
"Start"=dword:00000002
"DisplayName"="nginx server"
"ImagePath"="C:\\nginx\\nginx.exe -x"
"ObjectName"="LocalSystem"

[HKEY_LOCAL_MACHINE\SYSTEM\ControlSet002\Services\settings only]
"Start"=dword:00000003
REG
# hivexregedit takes letters beyond ASCII only as numbers
u16() { printf '%s\0' "$1" | iconv -f UTF-8 -t UTF-16LE | od -An -tx1 -v | tr -s ' \n' ',' | sed 's/^,//; s/,$//'; }
sed -i "s/@NAME@/$(u16 'Zürich Editor')/; s/@PUBLISHER@/$(u16 'Ünïted 日本')/" software.reg
# it wants every parent named before its children
parents() {
	awk '/^\[/ { n = split(substr($0, 2, length($0) - 2), k, "\\"); p = k[1] "\\" k[2]
		for (i = 3; i < n; i++) { p = p "\\" k[i]; if (!seen[p]++) printf "[%s]\n\n", p }
		seen[p "\\" k[n]] = 1 } { print }' "$1.reg" >"$1.full"
}
parents software; parents system
hivexregedit --merge --prefix 'HKEY_LOCAL_MACHINE\SOFTWARE' --encoding UTF-16LE software software.full || fail "hivexregedit SOFTWARE"
hivexregedit --merge --prefix 'HKEY_LOCAL_MACHINE\SYSTEM' --encoding UTF-16LE system system.full || fail "hivexregedit SYSTEM"
rc=0; winregdump software system >got 2>err || rc=$?
[ $rc != 77 ] || skip "built without hivex"
[ $rc = 0 ] || { cat err; fail "winregdump"; }
cat >want <<'WANT'
product Windows 11 Pro
edition Professional
version 10.0
release 23H2
build 22631.2847
type Client
arch AMD64
hostname web-01
domain example.org
timezone W. Europe Standard Time
installed 1694498816
program {AAAA-1}|Zürich Editor|1.2.3|Ünïted 日本|20240131|00
program Part|A part||||10
program Old|Thirty-two||||01
service nginx|nginx server|C:\nginx\nginx.exe -x|LocalSystem|2|16
service Tcpip||Sys\t||0|1
WANT
same_tree want got
# either hive alone
: >none
winregdump none system | grep -q '^hostname web-01' || fail "SYSTEM alone"
winregdump software none | grep -q '^product Windows 11' || fail "SOFTWARE alone"
# one byte changed, cut short, no hive at all
winregdump software system 1500 1 | tail -1 | grep '^read' || fail "flips"
for n in 1 100 4095 4096 5000 8191; do head -c $n software >cut; expect_rc 4 winregdump cut system 2>/dev/null; done
expect_rc 4 winregdump software.reg system 2>/dev/null
