/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual appliances (DMTF DSP0243, Open Virtualization Format): an OVF text
 * that describes a machine, a manifest of digests, disks; in a tar file (OVA)
 * or side by side in a folder. Nothing is unpacked: files in the tar are
 * windows on it, except that a gzip-compressed disk goes to an unnamed
 * temporary file. */
#ifndef STRATA_DISK_OVA_H
#define STRATA_DISK_OVA_H

#include "disk/disk.h"

struct ova;
struct ovf_keep;

struct ova_args {
	struct source *file; /* borrowed: the OVA, or the OVF text itself */
	/* For an OVF: name is the file's own name ("x.ovf"), by which the
	 * manifest is found, and the resolver (borrowed until ova_close)
	 * opens what it names, always by plain names; NOTFOUND is its answer
	 * for a manifest that is not there. Both NULL for an OVA. */
	const char *name;
	const struct disk_resolver *resolver;
	const struct finding_sink *findings; /* borrowed until ova_close */
};

struct ova_disk {
	const char *id;     /* diskId */
	const char *file;   /* the file's name; "" for a disk without one */
	uint64_t file_size; /* as stored */
	uint64_t capacity;  /* bytes, as the OVF says; 0: it does not */
	bool gzip;
};

/* Is it a tar file with an OVF in it? */
bool ova_probe(struct source *file);
/* Is it the text of an OVF (an XML file with an Envelope near its start)? */
bool ovf_probe(struct source *file);

/* Reads the list of files, the OVF and the manifest. CORRUPT (a member that is
 * absolute, has "..", is a link, is there twice; a file that is missing; the
 * message names it), UNSUPPORTED, LIMIT, NOMEM, IO. */
int ova_open(const struct ova_args *args, struct ova **out, struct error *e);
void ova_close(struct ova *o); /* NULL is fine */
DEFINE_CLEANUP_PTR(ova, struct ova, ova_close)
#define AUTO_OVA CLEANUP(cleanup_ova) struct ova *

/* The OVF's bytes; borrowed until ova_close. */
const char *ova_text(const struct ova *o, size_t *out_len);
/* Disks in the order of the OVF; borrowed until ova_close. */
size_t ova_disk_count(const struct ova *o);
const struct ova_disk *ova_disk(const struct ova *o, size_t i);

/* The virtual disk i. Files that its container names are looked for in the
 * appliance only. A disk without a file is zeros. Any thread. */
int ova_disk_open(struct ova *o, size_t i, struct source **out,
	struct disk_info *info, struct error *e);

/* Reads every file that the manifest names and compares digests (SHA-1,
 * SHA-256, SHA-512). CORRUPT names the first that differs; 0 where there is no
 * manifest (a finding said so at opening). progress as in disk_write_args, in
 * bytes read. */
int ova_verify(struct ova *o, int (*progress)(void *ctx, uint64_t done),
	void *ctx, struct error *e);

/* --- writing --- */

struct ova_write_args {
	struct source *const *disks; /* borrowed */
	size_t n;                    /* 1 to 15 */
	struct sink *out;            /* borrowed; must be seekable */
	const uint8_t *id;           /* as disk_write_args */
	const char *name;            /* the machine's; or NULL */
	unsigned cpus, memory_mib;   /* 0: 2 and 2048 */
	bool efi;
	/* A machine to be described in place of a new one, for as many disks
	 * (ova_keep.h; then the three above are not looked at); or NULL. */
	const struct ovf_keep *keep; /* borrowed */
	uint64_t mtime;              /* of the tar's members, seconds */
	/* Progress in bytes of the virtual disks, together. */
	int (*progress)(void *ctx, uint64_t done);
	void *progress_ctx;
};

/* Writes an OVA: OVF, manifest (SHA-256), disks as streamOptimized VMDK. The
 * disks are written first, behind room kept for the OVF, which is then filled
 * up with blanks: one pass and no temporary file, though digests and sizes
 * come before what they are of. */
int ova_write(const struct ova_write_args *args, struct error *e);

/* "ova" as a format of one disk: several are UNSUPPORTED here, and callers
 * that take several use the functions above. Verifies at opening. */
extern const struct disk_ops disk_ova;

/* --- between ova*.c --- */

#include "base/vec.h"

struct ova_member {
	char *name; /* owned */
	uint64_t off, size;
	/* 'S': sparse in GNU's own format, '1': in pax 1.0, '?': in another
	 * one; 0: not. real_size: of pax. Never in an appliance. */
	char sparse;
	uint64_t real_size;
	uint64_t lists; /* 'S': bytes of lists, at off; its data is behind */
};

struct ova_members {
	VEC(struct ova_member) list;
};

/* All members of a tar file. */
int ova_tar_read(struct source *file, struct ova_members *out,
	struct error *e);
void ova_members_release(struct ova_members *m);
/* Is it a tar file, of whatever kind? */
bool ova_tar_probe(struct source *file);
/* The regular files of any tar, which may hold links and repeat names. */
int ova_tar_list(struct source *file, struct ova_members *out, struct error *e);
/* A number of a header. */
bool ova_tar_number(const char *p, size_t n, uint64_t *out);
/* The header of a regular file's member, 512 bytes. */
void ova_tar_header(uint8_t out[512], const char *name, uint64_t size,
	uint64_t mtime);

struct ovf_file {
	char *id, *href;
	uint64_t size, chunk; /* 0: not said */
	bool has_size, gzip, other_compression;
};

struct ovf_disk {
	char *id, *file_ref;
	uint64_t capacity;
	bool has_parent;
};

struct ovf {
	VEC(struct ovf_file) files;
	VEC(struct ovf_disk) disks;
};

int ovf_parse(const char *text, size_t len, struct ovf *out, struct error *e);
void ovf_release(struct ovf *o);

#endif
