#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# btrfs on one device with 20,000 files: all that the kernel shows, and no more.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/btrfs.inc"

check plain 20000 noatime 1
