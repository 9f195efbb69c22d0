/* SPDX-License-Identifier: Apache-2.0 */
#include "os/heap.h"

#include <malloc.h>

#define MIB (1024 * 1024)

void heap_tune(void)
{
	mallopt(M_ARENA_MAX, 4);
	mallopt(M_TOP_PAD, 4 * MIB);
	mallopt(M_MMAP_THRESHOLD, 4 * MIB);
	mallopt(M_TRIM_THRESHOLD, 128 * MIB);
}
