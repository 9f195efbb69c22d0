/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the things in a back end: lists of them, and new ones. */
#ifndef STRATA_STORE_NAMES_H
#define STRATA_STORE_NAMES_H

#include "base/vec.h"
#include "store/backend.h"

typedef VEC(char *) name_list; /* owns the strings */

void names_release(name_list *v);
#define AUTO_NAMES __attribute__((cleanup(names_release))) name_list

/* Appends name, which the list takes over (NULL: there was no memory); the
 * name is freed where it fails. NOMEM. */
int names_take(name_list *v, char *name, struct error *e);
void names_sort(name_list *v);

/* The names in a folder of a back end, sorted, added to the list: to work on
 * them while what is there changes. NOMEM, IO. */
int backend_names(struct backend *be, const char *folder, name_list *out,
	struct error *e);

/* FOLDER/ID and a suffix, where ID is 32 random hex digits. IO. */
int backend_new_name(const char *folder, const char *suffix, char out[64],
	struct error *e);

#endif
