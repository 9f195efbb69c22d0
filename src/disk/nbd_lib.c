/* SPDX-License-Identifier: Apache-2.0 */
#ifdef STRATA_NBD

#include "disk/nbd_lib.h"

#include <dlfcn.h>
#include <pthread.h>

struct nbd_lib nbd_lib;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *missing;

static void load(void)
{
	void *h = dlopen("libnbd.so.0", RTLD_NOW | RTLD_LOCAL);

	if (!h) {
		missing = "libnbd.so.0";
		return;
	}
#define X(name)                                                                \
	*(void **)&nbd_lib.name = dlsym(h, "nbd_" #name);                      \
	if (!nbd_lib.name)                                                     \
		missing = "nbd_" #name;
	NBD_LIB_FUNCTIONS(X)
#undef X
}

int nbd_lib_load(struct error *e)
{
	pthread_once(&once, load);
	return missing ? error_set(e, ERR_UNSUPPORTED,
				 "this image is read through libnbd, of which "
				 "%s is missing",
				 missing)
		       : 0;
}

#else
typedef int nbd_lib_is_not_built;
#endif
