#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# btrfs over several devices, each profile, plain and compressed extents.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/btrfs.inc"

check single 400 noatime 2 -d single -m raid1
check raid0 400 compress=zstd 3 -d raid0 -m raid0
check raid1 400 noatime 2 -d raid1 -m raid1
check raid10 400 compress=lzo 4 -d raid10 -m raid10
check raid1c3 400 noatime 4 -d raid1c3 -m raid1c4
check raid1c4 400 noatime 4 -d raid1c4 -m raid0
check raid5 400 noatime 3 -d raid5 -m raid5
check raid6 400 noatime 4 -d raid6 -m raid6
