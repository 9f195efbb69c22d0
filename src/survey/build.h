/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of survey_open share. */
#ifndef STRATA_SURVEY_BUILD_H
#define STRATA_SURVEY_BUILD_H

#include "survey/survey.h"

/* Adds a volume; src (transferred, also on failure) is its bytes. part may be
 * NULL. *out is valid until the next one is added. */
int survey_add_volume(struct survey *s, const char *name, uint32_t disk,
	struct source *src, const struct partition *part,
	struct survey_volume **out, struct error *e);

/* Asks the readers what it is; a damaged one is a finding. */
void survey_probe_volume(struct survey_volume *v,
	const struct finding_sink *findings);

/* Appends [off, off+len) of a volume as pieces of disks; false: it is not
 * inside, or NOMEM. */
bool survey_map_range(const survey_segments *from, uint64_t off, uint64_t len,
	survey_segments *out);

/* Adds the volumes that are files of other volumes, behind those. */
int survey_add_nested(struct survey *s, const struct finding_sink *findings,
	struct error *e);

#endif
