/* SPDX-License-Identifier: Apache-2.0 */
/* Dates that are stored as year, month and day. */
#ifndef STRATA_FS_DAYS_H
#define STRATA_FS_DAYS_H

#include <stdint.h>

/* Days from 1970-01-01 to a day of the Gregorian calendar, also before its
 * time; m is 1 to 12. Eras of 400 years are equal, and a year that begins in
 * March has the odd day at its end. */
static inline int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
	int64_t era;
	unsigned yoe, doy;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = (unsigned)(y - era * 400);
	doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

#endif
