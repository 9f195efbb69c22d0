/* SPDX-License-Identifier: Apache-2.0 */
#include "store/frame_room.h"

#include <stdlib.h>
#include <sys/mman.h>
#include "base/checked.h"
#include "base/limits.h"

#define UNIT (64 * KIB)
#define HUGE_PAGE (2 * MIB)
/* Beyond the budget: frames that are held, and what lies between pieces. */
#define BEYOND (64 * MIB)
#define ROOM_MAX (4 * GIB)

/* Tools that look for bad accesses look at pieces of the heap. */
#if defined(__SANITIZE_ADDRESS__)
#define USE_MAP false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define USE_MAP false
#endif
#endif
#ifndef USE_MAP
#define USE_MAP true
#endif

static void make(struct frame_room *m, size_t budget)
{
	uint64_t size = budget + (uint64_t)budget / 4 + BEYOND;
	size_t units = (size_t)(round_down(size, HUGE_PAGE) / UNIT), skip;
	uint8_t *p;

	m->tried = true;
	if (!USE_MAP || size > ROOM_MAX)
		return;
	p = mmap(NULL, units * UNIT + HUGE_PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return;
	/* Whole huge pages only. */
	skip = (size_t)(-(uintptr_t)p % HUGE_PAGE);
	if (skip)
		munmap(p, skip);
	munmap(p + skip + units * UNIT, HUGE_PAGE - skip);
	m->map = p + skip;
	m->units = units;
	m->used = calloc(div_ceil(units, 64), sizeof(*m->used));
	if (!m->used) {
		frame_room_release(m);
		m->tried = true;
		return;
	}
	madvise(m->map, units * UNIT, MADV_HUGEPAGE);
}

static bool is_used(const struct frame_room *m, size_t i)
{
	return m->used[i / 64] >> i % 64 & 1;
}

static void mark(struct frame_room *m, size_t at, size_t n, bool used)
{
	for (size_t i = at; i < at + n; i++)
		if (used)
			m->used[i / 64] |= UINT64_C(1) << i % 64;
		else
			m->used[i / 64] &= ~(UINT64_C(1) << i % 64);
}

void *frame_room_get(struct frame_room *m, size_t size, size_t budget)
{
	size_t n = (size_t)div_ceil(size, UNIT), run = 0;

	if (!m->tried)
		make(m, budget);
	/* The first that fits, so that what is in use stays together. */
	for (size_t i = m->lowest; m->map && i < m->units; i++) {
		run = is_used(m, i) ? 0 : run + 1;
		if (run == n) {
			size_t at = i + 1 - n;

			mark(m, at, n, true);
			if (at == m->lowest)
				m->lowest += n;
			return m->map + at * UNIT;
		}
	}
	return NULL;
}

bool frame_room_put(struct frame_room *m, void *p, size_t size)
{
	uintptr_t at = (uintptr_t)p, map = (uintptr_t)m->map;
	size_t unit;

	if (!m->map || at < map || at - map >= m->units * UNIT)
		return false;
	unit = (at - map) / UNIT;
	mark(m, unit, (size_t)div_ceil(size, UNIT), false);
	m->lowest = size_min(m->lowest, unit);
	return true;
}

void frame_room_release(struct frame_room *m)
{
	if (m->map)
		munmap(m->map, m->units * UNIT);
	free(m->used);
	*m = (struct frame_room){ 0 };
}
