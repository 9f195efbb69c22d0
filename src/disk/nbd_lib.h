/* SPDX-License-Identifier: Apache-2.0 */
/* libnbd, loaded when it is first needed: it brings TLS, XML and Unicode
 * libraries along, and to link it would cost every command 5 ms. */
#ifndef STRATA_DISK_NBD_LIB_H
#define STRATA_DISK_NBD_LIB_H

#include <libnbd.h>
#include "base/error.h"

#define NBD_LIB_FUNCTIONS(X)                                                   \
	X(create)                                                              \
	X(close)                                                               \
	X(get_error)                                                           \
	X(add_meta_context)                                                    \
	X(connect_socket)                                                      \
	X(get_size)                                                            \
	X(pread)                                                               \
	X(block_status)

struct nbd_lib {
#define X(name) __typeof__(nbd_##name) *name;
	NBD_LIB_FUNCTIONS(X)
#undef X
};
extern struct nbd_lib nbd_lib;

/* Fills in nbd_lib, once; any thread. UNSUPPORTED where it is not there. */
int nbd_lib_load(struct error *e);

#endif
