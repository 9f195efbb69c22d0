/* SPDX-License-Identifier: Apache-2.0 */
/* Writes appliances, as VirtualBox and VMware take them: ustar, the OVF first,
 * the manifest second, then the disks in the order in which the OVF lists
 * them, each a streamOptimized VMDK. */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/limits.h"
#include "disk/ova.h"
#include "disk/ova_keep.h"
#include "disk/vmdk.h"

#define MAX_DISKS 15u /* units of one SCSI controller, 7 is its own */
#define NAME_MAX_LEN 60u /* with suffixes still in tar's 100 bytes */

struct ova_out {
	const struct ova_write_args *a;
	char name[NAME_MAX_LEN + 1];
	uint64_t size[MAX_DISKS]; /* of the VMDKs */
	uint8_t sum[MAX_DISKS][32];
	uint64_t done; /* bytes of the disks before this one */
};

/* --- a sink at an offset of another, that sums what goes through --- */

struct sum_sink {
	struct sink s;
	struct sink *out;
	uint64_t base, at;
	EVP_MD_CTX *md;
};

static int sum_pwrite(struct sink *s, const void *buf, size_t len, uint64_t off,
	struct error *e)
{
	static const uint8_t zeros[65536];
	struct sum_sink *t = (struct sum_sink *)s;
	int r = 0;

	if (off < t->at)
		return error_set(e, ERR_ARG, "ova: a disk cannot go back");
	while (t->at < off && !r) {
		size_t n = (size_t)u64_min(sizeof(zeros), off - t->at);

		r = sum_pwrite(s, zeros, n, t->at, e);
	}
	if (r)
		return r;
	if (!EVP_DigestUpdate(t->md, buf, len))
		return error_nomem(e);
	r = sink_pwrite(t->out, buf, len, t->base + t->at, e);
	t->at += len;
	return r;
}

static int sum_truncate(struct sink *s, uint64_t size, struct error *e)
{
	uint8_t none = 0;

	return size > ((struct sum_sink *)s)->at
		       ? sum_pwrite(s, &none, 0, size, e)
		       : 0;
}

static const struct sink_ops sum_ops = {
	.pwrite = sum_pwrite,
	.truncate = sum_truncate,
};

static int disk_progress(void *ctx, uint64_t done)
{
	struct ova_out *o = ctx;

	return o->a->progress
		       ? o->a->progress(o->a->progress_ctx, o->done + done)
		       : 0;
}

static int put_disk(struct ova_out *o, size_t i, uint64_t at, struct error *e)
{
	char name[NAME_MAX_LEN + 32];
	uint8_t id[16];
	struct sum_sink t = { .s = { .ops = &sum_ops },
		.out = o->a->out,
		.base = at,
		.md = EVP_MD_CTX_new() };
	struct disk_write_args a = { .disk = o->a->disks[i],
		.out = &t.s,
		.compress = true,
		.progress = disk_progress,
		.progress_ctx = o,
		.id = id,
		.name = name };
	int r;

	/* Each disk its own content id. */
	memset(id, 0, sizeof(id));
	if (o->a->id)
		memcpy(id, o->a->id, sizeof(id));
	id[0] = (uint8_t)(id[0] + i);
	snprintf(name, sizeof(name), "%s-disk%zu.vmdk", o->name, i + 1);
	if (!t.md || !EVP_DigestInit_ex(t.md, EVP_sha256(), NULL))
		r = error_nomem(e);
	else
		r = vmdk_stream_writer.write(&a, e);
	if (!r && !EVP_DigestFinal_ex(t.md, o->sum[i], NULL))
		r = error_nomem(e);
	EVP_MD_CTX_free(t.md);
	o->size[i] = t.at;
	o->done += o->a->disks[i]->size;
	return r;
}

/* --- the texts --- */

static void item(struct buf *b, const char *inner)
{
	buf_printf(b, "      <Item>\n%s      </Item>\n", inner);
}

/* Elements of an Item stand in alphabetical order (CIM), as the schema
 * wants. */
static void hardware(const struct ova_out *o, struct buf *b)
{
	unsigned cpus = o->a->cpus ? o->a->cpus : 2;
	unsigned mem = o->a->memory_mib ? o->a->memory_mib : 2048;
	char t[1024];

	buf_printf(b,
		"    <VirtualHardwareSection>\n"
		"      <Info>Virtual hardware requirements</Info>\n"
		"      <System>\n"
		"        <vssd:ElementName>Virtual Hardware Family"
		"</vssd:ElementName>\n"
		"        <vssd:InstanceID>0</vssd:InstanceID>\n"
		"        <vssd:VirtualSystemIdentifier>%s"
		"</vssd:VirtualSystemIdentifier>\n"
		"        <vssd:VirtualSystemType>vmx-10"
		"</vssd:VirtualSystemType>\n"
		"      </System>\n",
		o->name);
	snprintf(t, sizeof(t),
		"        <rasd:AllocationUnits>hertz * 10^6"
		"</rasd:AllocationUnits>\n"
		"        <rasd:Description>Number of virtual CPUs"
		"</rasd:Description>\n"
		"        <rasd:ElementName>%u virtual CPU(s)"
		"</rasd:ElementName>\n"
		"        <rasd:InstanceID>1</rasd:InstanceID>\n"
		"        <rasd:ResourceType>3</rasd:ResourceType>\n"
		"        <rasd:VirtualQuantity>%u</rasd:VirtualQuantity>\n",
		cpus, cpus);
	item(b, t);
	snprintf(t, sizeof(t),
		"        <rasd:AllocationUnits>byte * 2^20"
		"</rasd:AllocationUnits>\n"
		"        <rasd:Description>Memory size</rasd:Description>\n"
		"        <rasd:ElementName>%u MiB of memory"
		"</rasd:ElementName>\n"
		"        <rasd:InstanceID>2</rasd:InstanceID>\n"
		"        <rasd:ResourceType>4</rasd:ResourceType>\n"
		"        <rasd:VirtualQuantity>%u</rasd:VirtualQuantity>\n",
		mem, mem);
	item(b, t);
	item(b, "        <rasd:Address>0</rasd:Address>\n"
		"        <rasd:Description>SCSI controller</rasd:Description>\n"
		"        <rasd:ElementName>SCSI controller 0"
		"</rasd:ElementName>\n"
		"        <rasd:InstanceID>3</rasd:InstanceID>\n"
		"        <rasd:ResourceSubType>lsilogic"
		"</rasd:ResourceSubType>\n"
		"        <rasd:ResourceType>6</rasd:ResourceType>\n");
	for (size_t i = 0; i < o->a->n; i++) {
		snprintf(t, sizeof(t),
			"        <rasd:AddressOnParent>%zu"
			"</rasd:AddressOnParent>\n"
			"        <rasd:ElementName>disk%zu"
			"</rasd:ElementName>\n"
			"        <rasd:HostResource>ovf:/disk/vmdisk%zu"
			"</rasd:HostResource>\n"
			"        <rasd:InstanceID>%zu</rasd:InstanceID>\n"
			"        <rasd:Parent>3</rasd:Parent>\n"
			"        <rasd:ResourceType>17</rasd:ResourceType>\n",
			i < 7 ? i : i + 1, i + 1, i + 1, i + 10);
		item(b, t);
	}
	item(b, "        <rasd:AddressOnParent>7</rasd:AddressOnParent>\n"
		"        <rasd:AutomaticAllocation>true"
		"</rasd:AutomaticAllocation>\n"
		"        <rasd:Connection>NAT</rasd:Connection>\n"
		"        <rasd:ElementName>ethernet0</rasd:ElementName>\n"
		"        <rasd:InstanceID>4</rasd:InstanceID>\n"
		"        <rasd:ResourceSubType>E1000</rasd:ResourceSubType>\n"
		"        <rasd:ResourceType>10</rasd:ResourceType>\n");
	if (o->a->efi)
		buf_addstr(b, "      <vmw:Config ovf:required=\"false\" "
			      "vmw:key=\"firmware\" vmw:value=\"efi\"/>\n");
	buf_addstr(b, "    </VirtualHardwareSection>\n");
}

/* A machine of our own making. */
static void new_text(const struct ova_out *o, const uint64_t *capacity,
	const uint64_t *size, struct buf *b)
{
	buf_addstr(b,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<Envelope ovf:version=\"1.0\" "
		"xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\" "
		"xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\" "
		"xmlns:rasd=\"http://schemas.dmtf.org/wbem/wscim/1/"
		"cim-schema/2/CIM_ResourceAllocationSettingData\" "
		"xmlns:vssd=\"http://schemas.dmtf.org/wbem/wscim/1/"
		"cim-schema/2/CIM_VirtualSystemSettingData\" "
		"xmlns:vmw=\"http://www.vmware.com/schema/ovf\" "
		"xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n"
		"  <References>\n");
	for (size_t i = 0; i < o->a->n; i++)
		buf_printf(b,
			"    <File ovf:href=\"%s-disk%zu.vmdk\" "
			"ovf:id=\"file%zu\" ovf:size=\"%" PRIu64 "\"/>\n",
			o->name, i + 1, i + 1,
			size[i]);
	buf_addstr(b, "  </References>\n  <DiskSection>\n"
		      "    <Info>Virtual disks</Info>\n");
	for (size_t i = 0; i < o->a->n; i++)
		buf_printf(b,
			"    <Disk ovf:diskId=\"vmdisk%zu\" "
			"ovf:capacity=\"%" PRIu64 "\" "
			"ovf:capacityAllocationUnits=\"byte\" "
			"ovf:fileRef=\"file%zu\" "
			"ovf:format=\"" OVF_FORMAT_STREAM "\"/>\n",
			i + 1, capacity[i], i + 1);
	buf_addstr(b,
		"  </DiskSection>\n  <NetworkSection>\n"
		"    <Info>Logical networks</Info>\n"
		"    <Network ovf:name=\"NAT\">\n"
		"      <Description>NAT</Description>\n"
		"    </Network>\n  </NetworkSection>\n"
		"  <VirtualSystem ovf:id=\"");
	ovf_escape(b, o->name);
	buf_addstr(b, "\">\n    <Info>A virtual machine</Info>\n    <Name>");
	ovf_escape(b, o->name);
	buf_addstr(b, "</Name>\n"
		      "    <OperatingSystemSection ovf:id=\"101\" "
		      "vmw:osType=\"otherLinux64Guest\">\n"
		      "      <Info>The guest's operating system</Info>\n"
		      "      <Description>Linux (64-bit)</Description>\n"
		      "    </OperatingSystemSection>\n");
	hardware(o, b);
	buf_addstr(b, "  </VirtualSystem>\n</Envelope>\n");
}

/* final: with the sizes of the files; else with the widest there can be. */
static void ovf_text(const struct ova_out *o, bool final, struct buf *b)
{
	uint64_t capacity[MAX_DISKS], size[MAX_DISKS];

	for (size_t i = 0; i < o->a->n; i++) {
		capacity[i] = round_up(o->a->disks[i]->size, 512);
		size[i] = final ? o->size[i] : UINT64_MAX;
	}
	if (o->a->keep)
		ovf_keep_text(o->a->keep, o->name, capacity, size, b);
	else
		new_text(o, capacity, size, b);
}

static void manifest_line(struct buf *b, const char *name, const char *suffix,
	size_t n, const uint8_t sum[32])
{
	buf_printf(b, "SHA256(%s", name);
	if (n)
		buf_printf(b, "-disk%zu", n);
	buf_printf(b, "%s)= ", suffix);
	for (int i = 0; i < 32; i++)
		buf_printf(b, "%02x", sum[i]);
	buf_addch(b, '\n');
}

static void manifest(const struct ova_out *o, const uint8_t ovf_sum[32],
	struct buf *b)
{
	manifest_line(b, o->name, ".ovf", 0, ovf_sum);
	for (size_t i = 0; i < o->a->n; i++)
		manifest_line(b, o->name, ".vmdk", i + 1, o->sum[i]);
}

/* --- the tar --- */

static int put_member(struct ova_out *o, const char *suffix, size_t n,
	const struct buf *b, uint64_t at, uint64_t size, struct error *e)
{
	char name[100];
	uint8_t h[512];
	int r;

	if (n)
		snprintf(name, sizeof(name), "%s-disk%zu%s", o->name, n,
			suffix);
	else
		snprintf(name, sizeof(name), "%s%s", o->name, suffix);
	ova_tar_header(h, name, size, o->a->mtime);
	r = sink_pwrite(o->a->out, h, sizeof(h), at, e);
	return r || !b ? r
		       : sink_pwrite(o->a->out, b->data, b->len, at + 512, e);
}

/* Only what every file system, tar and URI takes as it is. */
static void safe_name(const char *in, char out[NAME_MAX_LEN + 1])
{
	size_t n = 0;

	for (; in && *in && n < NAME_MAX_LEN; in++) {
		char c = *in;
		bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			  (c >= '0' && c <= '9') || c == '-' || c == '_' ||
			  (c == '.' && n);

		out[n++] = ok ? c : '_';
	}
	out[n] = 0;
	if (!n)
		snprintf(out, NAME_MAX_LEN + 1, "disk");
}

static int run(struct ova_out *o, struct buf *ovf, struct buf *mf,
	struct error *e)
{
	static const uint8_t none[32];
	uint64_t room, mf_at, mf_len, at;
	uint8_t sum[32];
	int r = 0;

	ovf_text(o, false, ovf);
	manifest(o, none, mf);
	if (ovf->oom || mf->oom)
		return error_nomem(e);
	room = ovf->len;
	mf_len = mf->len;
	mf_at = 512 + round_up(room, 512);
	at = mf_at + 512 + round_up(mf_len, 512);
	for (size_t i = 0; i < o->a->n && !r; i++) {
		r = put_disk(o, i, at + 512, e);
		if (!r)
			r = put_member(o, ".vmdk", i + 1, NULL, at, o->size[i],
				e);
		at += 512 + round_up(o->size[i], 512);
	}
	if (r)
		return r;
	buf_clear(ovf);
	ovf_text(o, true, ovf);
	while (!ovf->oom && ovf->len < room)
		buf_addch(ovf, '\n');
	if (ovf->oom || !EVP_Digest(ovf->data, ovf->len, sum, NULL,
				EVP_sha256(), NULL))
		return error_nomem(e);
	buf_clear(mf);
	manifest(o, sum, mf);
	if (mf->oom)
		return error_nomem(e);
	r = put_member(o, ".ovf", 0, ovf, 0, ovf->len, e);
	if (!r)
		r = put_member(o, ".mf", 0, mf, mf_at, mf->len, e);
	/* Two blocks of zeros end it, and tar's blocking factor of 20. */
	return r ? r
		 : sink_truncate(o->a->out,
			   div_ceil(at + 1024, 10240) * 10240, e);
}

int ova_write(const struct ova_write_args *args, struct error *e)
{
	struct ova_out o = { .a = args };
	AUTO_BUF ovf = BUF_INIT;
	AUTO_BUF mf = BUF_INIT;

	if (!args->n || args->n > MAX_DISKS)
		return error_set(e, ERR_UNSUPPORTED,
			"ova: %zu disks; 1 to %u fit on its controller",
			args->n, MAX_DISKS);
	if (!args->out->seekable || args->out->keeps_old)
		return error_set(e, ERR_UNSUPPORTED,
			"ova: the digests stand before the disks, so it is "
			"written to a file, not to a pipe or device");
	safe_name(args->name, o.name);
	return run(&o, &ovf, &mf, e);
}
