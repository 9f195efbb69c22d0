/* SPDX-License-Identifier: Apache-2.0 */
/* LZO1X by its description in the kernel's Documentation/staging/lzo.rst (the
 * stream's version 0; the run-length version is the kernel's own and is in no
 * file system).
 *
 * A stream is a row of instructions. What the values 0 to 15 mean depends on
 * how many literals the instruction before copied: none, 1 to 3, or a run.
 */
#include "codec/lzo.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum before {
	BEFORE_NONE = 0, /* a match without literals; 1 to 3: with so many */
	BEFORE_RUN = 4,	 /* a run of literals */
};

struct lzo {
	const uint8_t *in;
	size_t in_len, ip;
	uint8_t *out;
	size_t max, op;
	bool bad;
};

static unsigned next(struct lzo *z)
{
	if (z->ip == z->in_len) {
		z->bad = true;
		return 0;
	}
	return z->in[z->ip++];
}

/* A length that does not fit into its bits (which are 0 then): 255 for every
 * zero byte, and the first other byte. Grows by no more than 255 a byte of
 * input, so it cannot overflow. */
static size_t length(struct lzo *z, size_t bits, size_t base)
{
	size_t n = base;
	unsigned b;

	if (bits)
		return bits;
	while (!(b = next(z)) && !z->bad)
		n += 255;
	return n + b;
}

static void literals(struct lzo *z, size_t n)
{
	if (z->bad || n > z->in_len - z->ip || n > z->max - z->op) {
		z->bad = true;
		return;
	}
	memcpy(z->out + z->op, z->in + z->ip, n);
	z->ip += n;
	z->op += n;
}

/* A match may reach into what it writes itself: byte by byte then. */
static void match(struct lzo *z, size_t distance, size_t n)
{
	uint8_t *to = z->out + z->op;

	if (z->bad || distance > z->op || n > z->max - z->op) {
		z->bad = true;
		return;
	}
	if (distance >= n)
		memcpy(to, to - distance, n);
	else
		for (size_t i = 0; i < n; i++)
			to[i] = to[i - distance];
	z->op += n;
}

/* One instruction. True: it was the end mark. Consumes at least a byte. */
static bool step(struct lzo *z, unsigned *before)
{
	unsigned t = next(z), low = t;
	size_t n, distance;

	if (t >= 64) {
		n = t >= 128 ? 5 + (t >> 5 & 3) : 3 + (t >> 5 & 1);
		distance = 1 + (t >> 2 & 7) + ((size_t)next(z) << 3);
	} else if (t >= 32) {
		n = 2 + length(z, t & 31, 31);
		low = next(z);
		distance = 1 + (low >> 2) + ((size_t)next(z) << 6);
	} else if (t >= 16) {
		n = 2 + length(z, t & 7, 7);
		low = next(z);
		distance = (low >> 2) + ((size_t)next(z) << 6) +
			   ((size_t)(t & 8) << 11);
		if (!distance)
			return true;
		distance += 16384;
	} else if (*before == BEFORE_NONE) {
		literals(z, 3 + length(z, t, 15));
		*before = BEFORE_RUN;
		return false;
	} else {
		n = *before == BEFORE_RUN ? 3 : 2;
		distance = (*before == BEFORE_RUN ? 2049 : 1) + (t >> 2) +
			   ((size_t)next(z) << 2);
	}
	match(z, distance, n);
	*before = low & 3;
	literals(z, *before);
	return false;
}

int lzo1x_decode(const void *in, size_t in_len, void *out, size_t max,
	size_t *out_len, struct error *e)
{
	struct lzo z = { .in = in, .in_len = in_len, .out = out, .max = max };
	unsigned before = BEFORE_NONE;
	bool end = false;

	/* The first byte may be a run of literals that is not otherwise
	 * possible: 1 to 238 of them. */
	if (in_len && z.in[0] > 17) {
		size_t n = next(&z) - 17u;

		literals(&z, n);
		before = n < 4 ? (unsigned)n : BEFORE_RUN;
	}
	while (!z.bad && !end)
		end = step(&z, &before);
	if (z.bad || z.ip != in_len)
		return error_at(e, ERR_CORRUPT, z.ip,
			"lzo: %s", !z.bad ? "bytes behind the end mark"
				   : z.ip == in_len
					   ? "cut off"
					   : "a length or distance that "
					     "cannot be");
	*out_len = z.op;
	return 0;
}
