/* SPDX-License-Identifier: Apache-2.0 */
#include "base/finding.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
	const char *name;
	enum finding_severity severity;
	const char *sentence;
} table[] = {
#define X(id, name, severity, text)                                            \
	[FINDING_##id] = { name, FINDING_##severity, text },
	FINDING_TABLE(X)
#undef X
};

const char *finding_name(enum finding_id id)
{
	return table[id].name;
}

const char *finding_sentence(enum finding_id id)
{
	return table[id].sentence;
}

enum finding_severity finding_severity(enum finding_id id)
{
	return table[id].severity;
}

const char *finding_severity_name(enum finding_severity s)
{
	static const char *const names[] = { "note", "warning", "damage" };

	return names[s];
}

void finding_report(const struct finding_sink *sink, enum finding_id id,
	uint64_t offset, const char *where, const char *fmt, ...)
{
	char detail[512];
	va_list ap;

	if (!sink || !sink->report)
		return;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	sink->report(sink->ctx,
		&(struct finding){ .id = id,
			.offset = offset,
			.where = where ? where : "",
			.detail = detail });
}
