/* SPDX-License-Identifier: Apache-2.0 */
/* A stored image as block sources: the reverse of an import. */
#ifndef STRATA_VIEW_VIEW_H
#define STRATA_VIEW_VIEW_H

#include "library/library.h"
#include "os/source.h"

/* A disk of an image as a source. Zero extents are known from the layout. The
 * library is borrowed and must outlive it. Thread-safe; a read touches only
 * the frames that it needs. */
int view_disk(struct library *l, const struct image_disk *d,
	struct source **out, struct error *e);

/* A volume of an image, made of pieces of its disks. RANGE where a piece is
 * outside its disk. */
int view_volume(struct library *l, const struct image *im,
	const struct image_volume *v, struct source **out, struct error *e);

#endif
