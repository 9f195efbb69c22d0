/* SPDX-License-Identifier: Apache-2.0 */
/* A scratch folder that comes and goes with a test:
 *
 *	cmocka_unit_test_setup_teardown(test_x, scratch_make, scratch_remove)
 */
#ifndef STRATA_TESTS_UNIT_SCRATCH_H
#define STRATA_TESTS_UNIT_SCRATCH_H

#include <stdio.h>
#include <stdlib.h>

static char dir[64];

static inline int scratch_make(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/strata-unit.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static inline int scratch_remove(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

#endif
