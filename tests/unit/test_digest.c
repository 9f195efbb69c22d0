/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of many buffers at once is what libcrypto says of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include "codec/digest.h"

static void check(const struct sha256_job *jobs, size_t n)
{
	sha256_many(jobs, n);
	for (size_t i = 0; i < n; i++) {
		struct oid want, alone;

		assert_true(EVP_Digest(jobs[i].data, jobs[i].len, want.b, NULL,
			EVP_sha256(), NULL));
		sha256(jobs[i].data, jobs[i].len, &alone);
		assert_true(oid_equal(jobs[i].out, &want));
		assert_true(oid_equal(&alone, &want));
	}
}

static void test_many(void **state)
{
	static uint8_t b[200000];
	struct sha256_job jobs[20];
	struct oid out[20];
	uint32_t x = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
	check(NULL, 0);
	for (unsigned turn = 0; turn < 600; turn++) {
		size_t n = turn % 20 + 1, most = turn % 7 ? 300 : 60000;

		for (size_t i = 0; i < n; i++) {
			x = x * 1664525 + 1013904223;
			jobs[i] = (struct sha256_job){ b + i * 7,
				turn < 300 ? i * turn : (x >> 8) % most,
				&out[i] };
		}
		check(jobs, n);
	}
	for (size_t i = 0; i < 300; i++) {
		jobs[0] = (struct sha256_job){ b + i, i, &out[0] };
		jobs[1] = (struct sha256_job){ b, 300 - i, &out[1] };
		check(jobs, 2);
		check(jobs, 1);
	}
	jobs[0] = (struct sha256_job){ b, sizeof(b), &out[0] };
	jobs[1] = (struct sha256_job){ b + 1, 70, &out[1] };
	check(jobs, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
