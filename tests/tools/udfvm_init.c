/* SPDX-License-Identifier: Apache-2.0 */
/* The init of a throw-away guest that has Linux's UDF driver, which this
 * machine's kernel may lack; see tests/tools/udfvm. Loads the modules of its
 * initramfs, mounts each disk, fills it or prints every entry of it on the
 * console in the form of tests/tools/treedump.py, powers off. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static void complain(const char *what)
{
	printf("ERROR %s: %s\n", what, strerror(errno));
}

#define MUST(x)                                                                \
	do {                                                                   \
		if ((x) < 0)                                                   \
			complain(#x);                                          \
	} while (0)

static void load(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/%s.ko", name);
	fd = open(path, O_RDONLY);
	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		complain(path);
	close(fd);
}

static void escaped(const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c <= ' ' || c == '\\' || c >= 0x7f)
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

static void sum(const char *path, char hex[65])
{
	static unsigned char buf[65536];
	unsigned char out[32];
	SHA256_CTX c;
	ssize_t n;
	int fd = open(path, O_RDONLY);

	snprintf(hex, 65, "unreadable");
	if (fd < 0)
		return;
	SHA256_Init(&c);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		SHA256_Update(&c, buf, (size_t)n);
	close(fd);
	SHA256_Final(out, &c);
	if (n < 0)
		return;
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", out[i]);
}

static void dump(const char *root, const char *path)
{
	const char *rel = path + strlen(root);
	char hex[65] = "-", link[8192];
	struct stat st;
	struct dirent *d;
	ssize_t n;
	DIR *dir;
	char k;

	if (lstat(path, &st)) {
		complain(path);
		return;
	}
	k = S_ISREG(st.st_mode) ? 'f' : S_ISDIR(st.st_mode) ? 'd'
	    : S_ISLNK(st.st_mode) ? 'l' : S_ISCHR(st.st_mode) ? 'c'
	    : S_ISBLK(st.st_mode) ? 'b' : S_ISFIFO(st.st_mode) ? 'p' : 's';
	if (k == 'f')
		sum(path, hex);
	n = k == 'l' ? readlink(path, link, sizeof(link) - 1) : 0;
	link[n < 0 ? 0 : n] = 0;
	printf("%c %04o %u %u %lld %lld.%09ld %u %u:%u %s ", k,
		st.st_mode & 07777, st.st_uid, st.st_gid,
		k == 'f' ? (long long)st.st_size : (long long)n,
		(long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
		k == 'd' ? 1 : (unsigned)st.st_nlink,
		k == 'c' || k == 'b' ? major(st.st_rdev) : 0,
		k == 'c' || k == 'b' ? minor(st.st_rdev) : 0, hex);
	escaped(*rel ? rel : "/");
	if (k == 'l') {
		printf(" -> ");
		escaped(link);
	}
	putchar('\n');
	if (k != 'd')
		return;
	dir = opendir(path);
	if (!dir) {
		complain(path);
		return;
	}
	while ((d = readdir(dir))) {
		char sub[8192];

		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, d->d_name);
		dump(root, sub);
	}
	closedir(dir);
}

static char *at(const char *fmt, ...)
{
	static char path[8][8192];
	static unsigned turn;
	char *p = path[turn++ % 8];
	va_list ap;
	int n = snprintf(p, 8192, "/mnt/");

	va_start(ap, fmt);
	vsnprintf(p + n, (size_t)(8192 - n), fmt, ap);
	va_end(ap);
	return p;
}

static unsigned rnd_state = 1;
static unsigned rnd(void)
{
	rnd_state = rnd_state * 1103515245u + 12345;
	return rnd_state >> 8;
}

static void file(const char *path, size_t size, int kind)
{
	unsigned char *b = malloc(size + 1);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0) {
		complain(path);
		return;
	}
	for (size_t i = 0; i < size; i++)
		b[i] = kind ? (unsigned char)rnd() : (unsigned char)('a' + i % 23);
	MUST(write(fd, b, size));
	close(fd);
	free(b);
}

static void populate(void)
{
	char name[256];
	int a, b, s;
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	for (int i = 0; i < 12; i++)
		file(at("size%d", i), (size_t[]){ 0, 1, 100, 255, 256, 300, 1800,
			2047, 2048, 2049, 6000, 20000 }[i], i & 1);
	MUST(mkdir(at("names"), 0755));
	for (int i = 0; i < 11; i++)
		file(at("names/%s", (const char *[]){ "UPPER", "lower",
			"\xc3\xbcml\xc3\xa4ut", "\xe6\x97\xa5\xe6\x9c\xac.txt",
			"semi;colon;1", "new\nline", "back\\slash", ".hidden",
			"trailing.", "sp ace", "emoji \xf0\x9f\x98\x80 x" }[i]),
			20, 0);
	memset(name, 'n', 254);
	name[253] = 0;
	file(at("names/%s", name), 3, 0);
	for (int i = 0; i < 126; i++)
		memcpy(name + 2 * i, "\xd0\xb6", 2);
	name[252] = 0;
	file(at("names/%s", name), 3, 0);
	MUST(mkdir(at("many"), 0750));
	for (int i = 0; i < 300; i++)
		file(at("many/file number %03d.dat", i), (size_t)(i % 7), 0);
	for (int i = 0; i < 300; i += 3)
		MUST(unlink(at("many/file number %03d.dat", i)));
	for (int i = 0; i < 20; i++)
		file(at("many/again%d", i), 5, 1);
	MUST(mkdir(at("d0"), 0755));
	snprintf(name, sizeof(name), "d0");
	for (int i = 1; i < 20; i++) {
		size_t n = strlen(name);

		snprintf(name + n, sizeof(name) - n, "/d%d", i);
		MUST(mkdir(at("%s", name), 0755));
	}
	file(at("%s/bottom", name), 7, 0);
	MUST(symlink("size1", at("sl")));
	MUST(symlink("/abs/../path/./to", at("sl-abs")));
	MUST(symlink("../../up/", at("sl-up")));
	MUST(symlink("/", at("sl-root")));
	MUST(symlink("n\xc3\xa4me/\xe6\x97\xa5", at("sl-utf")));
	memset(name, 'z', 200);
	name[200] = 0;
	MUST(symlink(at("%s/%s/%s", name, name, name), at("sl-long")));
	MUST(link(at("size10"), at("hard1")));
	MUST(link(at("size10"), at("d0/hard2")));
	MUST(link(at("size2"), at("hard3")));
	MUST(mkfifo(at("fifo"), 0640));
	MUST(mknod(at("char"), S_IFCHR | 0620, makedev(4, 65)));
	MUST(mknod(at("block"), S_IFBLK | 0600, makedev(253, 200)));
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(un.sun_path, sizeof(un.sun_path), "/mnt/socket");
	MUST(bind(s, (struct sockaddr *)&un, sizeof(un)));
	close(s);
	MUST(chmod(at("size3"), 06751));
	MUST(chown(at("size4"), 1234, 567890));
	MUST(mkdir(at("sticky"), 0755));
	MUST(chmod(at("sticky"), 01777));
	for (int i = 0; i < 5; i++) {
		struct timespec t[2] = { { 0, 0 }, { (time_t[]){ 0, 1,
			951782400, 1700000000, 4102444800 }[i], 123456789 } };

		file(at("time%d", i), 2, 0);
		MUST(utimensat(AT_FDCWD, at("time%d", i), t, 0));
	}
	/* holes, before, in between and behind; fragments of two files */
	a = open(at("sparse"), O_WRONLY | O_CREAT, 0644);
	MUST(pwrite(a, "middle", 6, 500000));
	MUST(pwrite(a, "later", 5, 900001));
	MUST(ftruncate(a, 2000003));
	close(a);
	a = open(at("frag1"), O_WRONLY | O_CREAT, 0644);
	b = open(at("frag2"), O_WRONLY | O_CREAT, 0644);
	for (int i = 0; i < 400; i++) {
		char buf[4096];

		memset(buf, 'A' + i % 26, sizeof(buf));
		MUST(write(i & 1 ? a : b, buf, sizeof(buf)));
		fsync(i & 1 ? a : b);
	}
	close(a);
	close(b);
	file(at("gone"), 100000, 1);
	MUST(unlink(at("gone")));
	MUST(mkdir(at("gone-dir"), 0755));
	MUST(rmdir(at("gone-dir")));
	MUST(rename(at("size5"), at("names/moved")));
	sync();
}

int main(void)
{
	static char line[4096];
	char *save = NULL;
	FILE *f;

	MUST(mkdir("/proc", 0755));
	MUST(mkdir("/dev2", 0755));
	MUST(mount("proc", "/proc", "proc", 0, ""));
	MUST(mount("devtmpfs", "/dev2", "devtmpfs", 0, ""));
	for (int i = 0; i < 9; i++)
		load((const char *[]){ "virtio_ring", "virtio",
			"virtio_pci_modern_dev", "virtio_pci_legacy_dev",
			"virtio_pci", "virtio_blk", "cdrom", "crc-itu-t",
			"udf" }[i]);
	MUST(mkdir("/mnt", 0755));
	f = fopen("/proc/cmdline", "r");
	if (!f || !fgets(line, sizeof(line), f))
		complain("cmdline");
	/* do=vda:w,vdb:r ...: the disks, to be filled or only read */
	for (char *p = strstr(line, "do=") ? strtok_r(strstr(line, "do=") + 3,
					       ", \n", &save) : NULL;
		p && !strncmp(p, "vd", 2); p = strtok_r(NULL, ", \n", &save)) {
		char dev[32];
		bool write = p[4] == 'w';

		snprintf(dev, sizeof(dev), "/dev2/%.3s", p);
		printf("\nBEGIN %.3s\n", p);
		if (write) {
			if (mount(dev, "/mnt", "udf", 0, "")) {
				complain(dev);
				goto end;
			}
			populate();
			MUST(umount("/mnt"));
		}
		if (mount(dev, "/mnt", "udf", MS_RDONLY, "")) {
			complain(dev);
			goto end;
		}
		dump("/mnt", "/mnt");
		MUST(umount("/mnt"));
	end:
		printf("END %.3s\n", p);
		fflush(stdout);
	}
	sync();
	reboot(RB_POWER_OFF);
	return 0;
}
