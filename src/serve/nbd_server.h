/* SPDX-License-Identifier: Apache-2.0 */
/* Starting nbdkit with our plugin: what 'strata nbd' does. */
#ifndef STRATA_SERVE_NBD_SERVER_H
#define STRATA_SERVE_NBD_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/buf.h"
#include "base/error.h"
#include "serve/private_dir.h"

struct nbd_server_args {
	const char *library; /* folder */
	const char *rev;     /* default export; NULL: none, all by name */
	unsigned disk;
	const char *socket; /* NULL: a private one, unless port */
	unsigned mode;	    /* of socket; 0: only its owner may connect */
	unsigned port;	    /* TCP; 0: none */
	const char *listen; /* TCP: address; NULL: 127.0.0.1, "*": any */
	const char *writable; /* export name; writes are lost at the end */
	uint64_t cache;	      /* bytes, 0: by the memory */
	const char *bootset;  /* NULL, or as the plugin's parameter */
	const char *tls;      /* NULL, "on", "require" */
	/* NULL, or nbdkit's: a folder, a file of keys */
	const char *tls_certificates, *tls_psk;
	bool tls_verify_peer;
	const char *const *filters; /* ended by NULL, or NULL */
	const char *const *params;  /* KEY=VALUE of filters, the same */
	bool background; /* it goes on when the caller ends */
	const char *pidfile; /* NULL: none is left */
	const atomic_bool *cancel; /* stops waiting; may be NULL */
};

struct nbd_server {
	pid_t pid;     /* of nbdkit */
	bool child;    /* it is ours to wait for */
	char *socket;  /* path, NULL: TCP */
	struct private_dir dir; /* of socket, if that is private */
	struct private_dir disks; /* writable: for what is written */
	char *host;
	unsigned port;
	char *export;  /* name to ask for, "" = the default */
	/* What a client on this host may use: a folder, or a file of keys and
	 * whose key to take. NULL: none, or nbdkit's own defaults. */
	char *tls_certificates, *tls_psk, *tls_user;
	char *uri;
};

/* Starts it and waits until it listens. ARG (both socket and port, a path that
 * is too long, a file of keys without one), BUSY (somebody listens there),
 * NOTFOUND (no nbdkit, no such certificates or keys), IO, CANCELLED. nbdkit
 * says on stderr what it does not like. */
int nbd_server_start(const struct nbd_server_args *a, struct nbd_server *out,
	struct error *e);
/* Waits until it ends, or *cancel. 0 where it ended well, else IO. */
int nbd_server_wait(struct nbd_server *s, const atomic_bool *cancel,
	struct error *e);
/* Ends it if it is ours, removes what is private, frees what s owns. */
void nbd_server_stop(struct nbd_server *s);
#define AUTO_NBD_SERVER                                                        \
	__attribute__((cleanup(nbd_server_stop))) struct nbd_server

#endif
