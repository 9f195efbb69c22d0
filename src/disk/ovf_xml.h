/* SPDX-License-Identifier: Apache-2.0 */
/* The one reader of an OVF's XML. It has no document type and so no entities:
 * nothing to expand, nothing outside to fetch. Elements and depth are capped,
 * and what stops it says the line and the byte. */
#ifndef STRATA_DISK_OVF_XML_H
#define STRATA_DISK_OVF_XML_H

#include <expat.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

#define OVF_XML_DEPTH 64u

/* Embedded first in what the callbacks work on. */
struct ovf_xml {
	/* depth: of this element, 1 is the Envelope. Names as written, with
	 * their prefix. Not called any more once stopped. */
	void (*start)(struct ovf_xml *x, const char *name, const char **attrs);
	void (*end)(struct ovf_xml *x); /* or NULL */
	bool utf8_only; /* the text is to be cut at byte offsets */
	/* for the callbacks to read */
	XML_Parser parser;
	struct error *e;
	unsigned depth;
	/* its own */
	unsigned elements;
	int code;
};

/* LIMIT (over LIMIT_OVF bytes, too many elements, too deep), CORRUPT,
 * UNSUPPORTED (utf8_only, and it says another encoding), NOMEM, or what stopped
 * it. */
int ovf_xml_read(struct ovf_xml *x, const char *text, size_t len,
	struct error *e);
/* From a callback: the first one counts. */
void ovf_xml_stop(struct ovf_xml *x, int code, const char *why);
/* The name without its namespace prefix: tools differ in those. */
const char *ovf_xml_local(const char *name);

#endif
