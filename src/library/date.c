/* SPDX-License-Identifier: Apache-2.0 */
/* Dates as people write them: what git's approxidate takes, but a word that
 * means nothing is refused. Times without a zone are UTC, as all that is
 * printed. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "library/library.h"

/* What a date says; -1: nothing of it. */
struct said {
	int year, month, day; /* month from 0 */
	int hour, minute, second;
	int zone; /* minutes east of UTC */
	bool zoned;
	int weekday;  /* the last one of that name */
	int64_t back; /* seconds ago */
	int64_t months_back;
	int64_t count; /* a number that waits for its unit */
};

/* Numbers and counts beyond this are no dates. */
#define LARGEST 1000000

static const char *const months[] = { "january", "february", "march", "april",
	"may", "june", "july", "august", "september", "october", "november",
	"december" };
static const char *const weekdays[] = { "sunday", "monday", "tuesday",
	"wednesday", "thursday", "friday", "saturday" };
static const char *const numbers[] = { "zero", "one", "two", "three", "four",
	"five", "six", "seven", "eight", "nine", "ten" };

/* The entry that the word is, or begins with at least three letters. */
static int name_of(const char *word, size_t n, const char *const *names,
	size_t count, bool shortened)
{
	for (size_t i = 0; i < count; i++)
		if (!strncasecmp(word, names[i], n) &&
			(!names[i][n] || (shortened && n >= 3)))
			return (int)i;
	return -1;
}

static bool is_word(const char *word, size_t n, const char *what)
{
	return strlen(what) == n && !strncasecmp(word, what, n);
}

static bool take_unit(struct said *s, const char *word, size_t n)
{
	static const struct {
		const char *name;
		int seconds, months;
	} units[] = { { "second", 1, 0 }, { "minute", 60, 0 },
		{ "hour", 3600, 0 }, { "day", 86400, 0 },
		{ "week", 604800, 0 }, { "month", 0, 1 }, { "year", 0, 12 },
		{ "sec", 1, 0 }, { "min", 60, 0 } };

	if (n > 1 && tolower((unsigned char)word[n - 1]) == 's')
		n--;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (!is_word(word, n, units[i].name))
			continue;
		if (s->count < 0)
			return false;
		s->back += s->count * units[i].seconds;
		s->months_back += s->count * units[i].months;
		s->count = -1;
		return true;
	}
	return false;
}

static void take_time(struct said *s, int hour, int minute, int second)
{
	s->hour = hour;
	s->minute = minute;
	s->second = second;
}

static bool take_word(struct said *s, const char *word, size_t n)
{
	static const struct {
		const char *name;
		int hour;
	} times[] = { { "midnight", 0 }, { "noon", 12 }, { "tea", 17 } };
	int i;

	if (is_word(word, n, "now") || is_word(word, n, "today") ||
		is_word(word, n, "ago") || is_word(word, n, "at") ||
		is_word(word, n, "on") || is_word(word, n, "and") ||
		is_word(word, n, "t"))
		return true;
	if (is_word(word, n, "yesterday")) {
		s->back += 86400;
		return true;
	}
	for (size_t k = 0; k < ARRAY_LEN(times); k++)
		if (is_word(word, n, times[k].name)) {
			take_time(s, times[k].hour, 0, 0);
			return true;
		}
	if (is_word(word, n, "z") || is_word(word, n, "utc") ||
		is_word(word, n, "gmt")) {
		s->zoned = true;
		return true;
	}
	if (is_word(word, n, "am") || is_word(word, n, "pm")) {
		bool pm = tolower((unsigned char)*word) == 'p';

		if (s->count >= 0)
			take_time(s, (int)s->count, 0, 0);
		s->count = -1;
		if (s->hour < 1 || s->hour > 12)
			return false;
		s->hour = s->hour % 12 + (pm ? 12 : 0);
		return true;
	}
	i = name_of(word, n, numbers, ARRAY_LEN(numbers), false);
	if (i < 0 && (is_word(word, n, "last") || is_word(word, n, "a") ||
			     is_word(word, n, "an")))
		i = 1;
	if (i >= 0) {
		s->count = i;
		return true;
	}
	i = name_of(word, n, months, ARRAY_LEN(months), true);
	if (i >= 0) {
		s->month = i;
		if (s->count >= 1 && s->count <= 31 && s->day < 0) {
			s->day = (int)s->count;
			s->count = -1;
		}
		return true;
	}
	i = name_of(word, n, weekdays, ARRAY_LEN(weekdays), true);
	if (i >= 0) {
		s->weekday = i;
		s->count = -1; /* "last friday" */
		return true;
	}
	return take_unit(s, word, n);
}

static bool take_day(struct said *s, long a, long b, long c, char sep)
{
	/* 2026-11-22, 2026/11/22, 22.11.2026, 11/22/2026; as git, the American
	 * order where there are slashes, and 22/11/2026 where that cannot be. */
	if (a > 31)
		s->year = (int)a, s->month = (int)b - 1, s->day = (int)c;
	else if (sep == '/' && a <= 12)
		s->month = (int)a - 1, s->day = (int)b, s->year = (int)c;
	else
		s->day = (int)a, s->month = (int)b - 1, s->year = (int)c;
	return s->year >= 1900 && s->year <= 9999 && s->month >= 0 &&
	       s->month < 12 && s->day >= 1 && s->day <= 31;
}

static bool take_zone(struct said *s, const char **at)
{
	const char *p = *at + 1;
	size_t n = strspn(p, "0123456789");
	int v = atoi(p);

	if (n == 2 && p[2] == ':' && isdigit((unsigned char)p[3]) &&
		isdigit((unsigned char)p[4]) && !isdigit((unsigned char)p[5])) {
		v = v * 100 + atoi(p + 3);
		n = 5;
	} else if (n == 2) {
		v *= 100;
	} else if (n != 4) {
		return false;
	}
	if (v / 100 > 14 || v % 100 > 59)
		return false;
	s->zone = (v / 100 * 60 + v % 100) * (**at == '-' ? -1 : 1);
	s->zoned = true;
	*at = p + n;
	return true;
}

/* A number, and what belongs to it: a time, a day, a year, a count. */
static bool take_number(struct said *s, const char **at)
{
	char *end;
	long a = strtol(*at, &end, 10), b, c = 0;
	char sep = *end;

	if (a > LARGEST || end - *at > 7)
		return false;
	if (sep == ':') {
		b = strtol(end + 1, &end, 10);
		if (*end == ':') {
			c = strtol(end + 1, &end, 10);
			if (*end == '.') /* fractions */
				end += 1 + strspn(end + 1, "0123456789");
		}
		if (a > 24 || b < 0 || b > 59 || c < 0 || c > 60)
			return false;
		take_time(s, (int)a, (int)b, (int)c);
		s->count = -1;
	} else if ((sep == '-' || sep == '/' || sep == '.') &&
		   isdigit((unsigned char)end[1])) {
		b = strtol(end + 1, &end, 10);
		if (*end != sep || !isdigit((unsigned char)end[1]))
			return false;
		c = strtol(end + 1, &end, 10);
		if (!take_day(s, a, b, c, sep))
			return false;
	} else if (a >= 1900 && a <= 9999 && s->month >= 0 && s->year < 0) {
		s->year = (int)a;
	} else if (s->month >= 0 && s->day < 0 && a >= 1 && a <= 31) {
		s->day = (int)a;
		/* "Nov 22nd" */
		if (!strncasecmp(end, "st", 2) || !strncasecmp(end, "nd", 2) ||
			!strncasecmp(end, "rd", 2) || !strncasecmp(end, "th", 2))
			end += 2;
	} else {
		s->count = a;
	}
	*at = end;
	return true;
}

static bool read_words(struct said *s, const char *p)
{
	if (!*p)
		return false;
	while (*p) {
		size_t n = 0;

		while (isalpha((unsigned char)p[n]))
			n++;
		if (n) {
			if (!take_word(s, p, n))
				return false;
			p += n;
		} else if (isdigit((unsigned char)*p)) {
			if (!take_number(s, &p))
				return false;
		} else if ((*p == '+' || *p == '-') && s->hour >= 0 &&
			   isdigit((unsigned char)p[1])) {
			if (!take_zone(s, &p))
				return false;
		} else if (strchr(" .,_-", *p)) {
			p++;
		} else {
			return false;
		}
	}
	/* "5" alone, or "3 blue moons" */
	return s->count < 0;
}

static int64_t reckon(const struct said *s, int64_t now)
{
	time_t t = (time_t)(now - s->back);
	struct tm tm;
	int64_t out;

	if (!gmtime_r(&t, &tm))
		return now;
	if (s->weekday >= 0 && s->day < 0) {
		int days = (tm.tm_wday - s->weekday + 7) % 7;

		tm.tm_mday -= days ? days : 7;
	}
	if (s->year >= 0)
		tm.tm_year = s->year - 1900;
	if (s->month >= 0)
		tm.tm_mon = s->month;
	if (s->day >= 0)
		tm.tm_mday = s->day;
	else if (s->month >= 0 && s->year >= 0)
		tm.tm_mday = 1;
	tm.tm_year -= (int)(s->months_back / 12);
	tm.tm_mon -= (int)(s->months_back % 12);
	if (s->hour >= 0) {
		tm.tm_hour = s->hour;
		tm.tm_min = s->minute;
		tm.tm_sec = s->second;
	}
	out = timegm(&tm) - s->zone * 60;
	/* "noon" before noon, "Dec 24" in November: the last one there was. */
	if (out > now && s->hour >= 0 && s->day < 0 && s->month < 0 &&
		s->weekday < 0 && !s->zoned)
		out -= 86400;
	if (out > now && s->month >= 0 && s->year < 0) {
		tm.tm_year--;
		out = timegm(&tm) - s->zone * 60;
	}
	return out;
}

int parse_date(const char *text, int64_t now, int64_t *out, struct error *e)
{
	struct said s = { .year = -1, .month = -1, .day = -1, .hour = -1,
		.weekday = -1, .count = -1 };
	const char *p = text + (*text == '@');
	size_t n = strlen(p);
	char *end;

	/* Seconds since 1970. */
	if (n && strspn(p, "0123456789") == n &&
		(*text == '@' || n > 8) && n < 13) {
		*out = strtoll(p, &end, 10);
		return 0;
	}
	if (is_word(text, strlen(text), "never")) {
		*out = 0;
		return 0;
	}
	if (!read_words(&s, text) || s.months_back > LARGEST)
		return error_set(e, ERR_ARG, "'%s' is not a date", text);
	*out = reckon(&s, now);
	return 0;
}
