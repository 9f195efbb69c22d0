#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# btrfs over several devices, each profile, plain and compressed extents.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/btrfs.inc"

check single 200 noatime 2 -d single -m raid1
check raid0 200 compress=zstd 3 -d raid0 -m raid0
check raid1 200 noatime 2 -d raid1 -m raid1
check raid10 200 compress=lzo 4 -d raid10 -m raid10
check raid1c3 200 noatime 4 -d raid1c3 -m raid1c4
check raid1c4 200 noatime 4 -d raid1c4 -m raid0
check raid5 200 noatime 3 -d raid5 -m raid5
check raid6 200 noatime 4 -d raid6 -m raid6
