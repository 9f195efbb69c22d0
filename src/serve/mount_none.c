/* SPDX-License-Identifier: Apache-2.0 */
/* What takes the place of mount.c where there is no libfuse. */
#include "serve/mount.h"

int mount_run(const struct mount_args *a ATTR_UNUSED, struct error *e)
{
	return error_set(e, ERR_UNSUPPORTED,
		"this strata was built without FUSE");
}

int mount_end(const char *dir ATTR_UNUSED, bool lazy ATTR_UNUSED,
	struct error *e)
{
	return error_set(e, ERR_UNSUPPORTED,
		"this strata was built without FUSE");
}
