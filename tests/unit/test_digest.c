/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of two buffers at once is what libcrypto says of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include "codec/digest.h"

static void one(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	struct oid x, y, want;

	sha256_two(a, a_len, b, b_len, &x, &y);
	assert_true(EVP_Digest(a, a_len, want.b, NULL, EVP_sha256(), NULL));
	assert_true(oid_equal(&x, &want));
	assert_true(EVP_Digest(b, b_len, want.b, NULL, EVP_sha256(), NULL));
	assert_true(oid_equal(&y, &want));
	sha256(b, b_len, &y);
	assert_true(oid_equal(&y, &want));
}

static void test_two(void **state)
{
	static uint8_t b[200000];
	uint32_t x = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
	one(b, 0, b, 0);
	for (size_t i = 0; i < 300; i++) {
		one(b + i, i, b + 300, i);
		one(b + 3, i, b + 1000 + i, 128 + i % 7);
		one(b, 64 * i, b + 5, 300 - i);
	}
	one(b, sizeof(b), b + 1, sizeof(b) - 1);
	one(b, 70, b + 1, sizeof(b) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
