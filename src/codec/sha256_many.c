/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of many buffers, two at a time. A round of the processor's
 * instructions waits for the one before: one stream leaves half of the unit
 * idle. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "codec/digest.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>

#define LANES 2
#define TARGET __attribute__((target("sha,sse4.1")))

/* FIPS 180-4, 4.2.2 */
static const uint32_t k[64] __attribute__((aligned(16))) = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool have_instructions;

static void look(void)
{
	unsigned a, b = 0, c, d;

	__builtin_cpu_init();
	have_instructions = __builtin_cpu_supports("sse4.1") &&
			    __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
			    b & UINT32_C(1) << 29; /* SHA */
}

/* n blocks of each. The instructions want the state as (A B E F) and
 * (C D G H), highest first. */
TARGET static void compress(uint32_t h[LANES][8], const uint8_t *p[LANES],
	size_t n)
{
	const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6,
		7, 0, 1, 2, 3);
	__m128i abef[LANES], cdgh[LANES];

	for (int l = 0; l < LANES; l++) {
		abef[l] = _mm_set_epi32((int)h[l][0], (int)h[l][1],
			(int)h[l][4], (int)h[l][5]);
		cdgh[l] = _mm_set_epi32((int)h[l][2], (int)h[l][3],
			(int)h[l][6], (int)h[l][7]);
	}
	for (size_t at = 0; at < n; at++) {
		__m128i w[LANES][4], abef0[LANES], cdgh0[LANES];

		for (int l = 0; l < LANES; l++) {
			const uint8_t *from = p[l] + 64 * at;

			for (int i = 0; i < 4; i++)
				w[l][i] = _mm_shuffle_epi8(
					_mm_loadu_si128((const __m128i *)(const
						void *)(from + 16 * i)),
					swap);
			abef0[l] = abef[l];
			cdgh0[l] = cdgh[l];
		}
#pragma GCC unroll 16
		for (int i = 0; i < 16; i++) {
			const __m128i ki = _mm_load_si128(
				(const __m128i *)(const void *)(k + 4 * i));

#pragma GCC unroll 2
			for (int l = 0; l < LANES; l++) {
				__m128i *x = w[l];
				__m128i m = _mm_add_epi32(x[i & 3], ki);

				cdgh[l] = _mm_sha256rnds2_epu32(cdgh[l],
					abef[l], m);
				abef[l] = _mm_sha256rnds2_epu32(abef[l],
					cdgh[l], _mm_shuffle_epi32(m, 0x0e));
				if (i >= 12)
					continue;
				/* the words of four rounds, 16 rounds on */
				m = _mm_add_epi32(
					_mm_sha256msg1_epu32(x[i & 3],
						x[(i + 1) & 3]),
					_mm_alignr_epi8(x[(i + 3) & 3],
						x[(i + 2) & 3], 4));
				x[i & 3] = _mm_sha256msg2_epu32(m,
					x[(i + 3) & 3]);
			}
		}
		for (int l = 0; l < LANES; l++) {
			abef[l] = _mm_add_epi32(abef[l], abef0[l]);
			cdgh[l] = _mm_add_epi32(cdgh[l], cdgh0[l]);
		}
	}
	for (int l = 0; l < LANES; l++) {
		h[l][0] = (uint32_t)_mm_extract_epi32(abef[l], 3);
		h[l][1] = (uint32_t)_mm_extract_epi32(abef[l], 2);
		h[l][4] = (uint32_t)_mm_extract_epi32(abef[l], 1);
		h[l][5] = (uint32_t)_mm_extract_epi32(abef[l], 0);
		h[l][2] = (uint32_t)_mm_extract_epi32(cdgh[l], 3);
		h[l][3] = (uint32_t)_mm_extract_epi32(cdgh[l], 2);
		h[l][6] = (uint32_t)_mm_extract_epi32(cdgh[l], 1);
		h[l][7] = (uint32_t)_mm_extract_epi32(cdgh[l], 0);
	}
}

/* A stream that has a lane. */
struct lane {
	const struct sha256_job *job;
	const uint8_t *p;
	size_t blocks; /* left */
};

static void begin(struct lane *l, uint32_t h[8], const struct sha256_job *j)
{
	SHA256_CTX ctx;

	*l = (struct lane){ j, j->data, j->len / 64 };
	SHA256_Init(&ctx);
	for (int i = 0; i < 8; i++)
		h[i] = ctx.h[i];
}

/* What is left of the stream, by itself. */
static void end(const struct lane *l, const uint32_t h[8])
{
	const uint8_t *from = l->job->data;
	uint64_t done = (uint64_t)(l->p - from);
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	for (int i = 0; i < 8; i++)
		ctx.h[i] = h[i];
	/* the length so far, in bits */
	ctx.Nl = (uint32_t)(done << 3);
	ctx.Nh = (uint32_t)(done >> 29);
	SHA256_Update(&ctx, l->p, l->job->len - (size_t)done);
	SHA256_Final(l->job->out->b, &ctx);
}

static bool together(const struct sha256_job *jobs, size_t n)
{
	struct lane l[LANES];
	uint32_t h[LANES][8];
	size_t next = LANES;

	pthread_once(&once, look);
	if (!have_instructions || n < LANES)
		return false;
	for (size_t i = 0; i < LANES; i++)
		begin(&l[i], h[i], &jobs[i]);
	for (;;) {
		size_t m = l[0].blocks < l[1].blocks ? l[0].blocks
						     : l[1].blocks;
		int done;

		compress(h, (const uint8_t *[]){ l[0].p, l[1].p }, m);
		for (int i = 0; i < LANES; i++) {
			l[i].p += 64 * m;
			l[i].blocks -= m;
		}
		done = l[0].blocks ? 1 : 0;
		end(&l[done], h[done]);
		if (next == n) {
			end(&l[!done], h[!done]);
			return true;
		}
		begin(&l[done], h[done], &jobs[next++]);
	}
}
#else
static bool together(const struct sha256_job *jobs, size_t n)
{
	(void)jobs;
	(void)n;
	return false;
}
#endif

void sha256_many(const struct sha256_job *jobs, size_t n)
{
	if (together(jobs, n))
		return;
	for (size_t i = 0; i < n; i++)
		sha256(jobs[i].data, jobs[i].len, jobs[i].out);
}
