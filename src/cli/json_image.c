/* SPDX-License-Identifier: Apache-2.0 */
/* Images and findings as JSON. */
#include "cli/cli.h"
#include "cli/json.h"
#include "model/image.h"
#include "model/tree.h"

static void one_volume(struct json *j, const struct image_volume *v)
{
	struct cursor at = cursor_make(v->root.data, v->root.len);
	struct entry root;

	json_object(j, NULL);
	json_str(j, "name", v->name);
	json_str(j, "fs", v->fs);
	json_str(j, "uuid", v->uuid);
	json_str(j, "label", v->label);
	json_u64(j, "size", v->size);
	if (v->segments.len)
		json_u64(j, "offset", v->segments.items[0].off);
	if (*v->part_uuid)
		json_str(j, "partuuid", v->part_uuid);
	if (*v->part_type)
		json_str(j, "parttype", v->part_type);
	if (*v->part_name)
		json_str(j, "partname", v->part_name);
	json_u64(j, "files", v->files);
	json_u64(j, "file_bytes", v->file_bytes);
	if (v->has_tree && !entry_decode(&at, &root, NULL))
		json_oid(j, "tree", &root.id);
	else
		json_null(j, "tree");
	if (v->partial)
		json_bool(j, "partial", true);
	if (v->subvolumes.len) {
		json_array(j, "subvolumes");
		for (size_t i = 0; i < v->subvolumes.len; i++) {
			json_object(j, NULL);
			json_u64(j, "id", v->subvolumes.items[i].number);
			json_str(j, "path", v->subvolumes.items[i].path);
			json_u64(j, "flags", v->subvolumes.items[i].flags);
			json_object_end(j);
		}
		json_array_end(j);
	}
	json_object_end(j);
}

void json_volumes(struct json *j, const struct image *im, uint32_t disk)
{
	for (size_t i = 0; i < im->volumes.len; i++) {
		const struct image_volume *v = &im->volumes.items[i];
		uint32_t on = v->segments.len ? v->segments.items[0].disk
					      : UINT32_MAX;

		if (on == disk)
			one_volume(j, v);
	}
}

void json_findings(struct json *j, const struct cli_findings *f)
{
	json_array(j, "findings");
	for (size_t i = 0; i < f->len; i++) {
		const struct cli_finding *x = &f->items[i];

		json_object(j, NULL);
		json_str(j, "id", finding_name(x->id));
		json_str(j, "severity",
			finding_severity_name(finding_severity(x->id)));
		json_str(j, "where", x->where);
		if (x->offset != FINDING_NO_OFFSET)
			json_u64(j, "offset", x->offset);
		json_str(j, "message", finding_sentence(x->id));
		json_str(j, "detail", x->detail);
		json_object_end(j);
	}
	json_array_end(j);
	if (f->count > f->len)
		json_u64(j, "findings_total", f->count);
}
