/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored never changes, so the kernel may keep names, attributes and
 * content for as long as it likes, and files are not even opened: a read of a
 * node opens what is behind it (the kernel asks no more once open was answered
 * with ENOSYS). Only the folders of branches and tags are asked for again. */
#include "serve/mount_fuse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/checked.h"
#include "base/limits.h"
#include "serve/nodes.h"

/* Seconds: a year, and as long as a branch may be seen where it was. */
#define FOREVER (365.0 * 86400)
#define A_WHILE 1.0
/* A request is at most this long (the kernel's own limit: 256 pages). */
#define READ_MAX (1 * MIB)

static struct nodes *tree(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static struct node *node_at(fuse_req_t req, fuse_ino_t ino)
{
	return nodes_get(tree(req), ino);
}

static int errno_of(int r)
{
	switch (r) {
	case ERR_NOTFOUND:
		return ENOENT;
	case ERR_NOMEM:
		return ENOMEM;
	case ERR_UNSUPPORTED:
		return EOPNOTSUPP;
	case ERR_LIMIT:
		return EFBIG;
	default:
		return EIO;
	}
}

static mode_t type_of(enum entry_type t)
{
	static const mode_t types[ENTRY_TYPES] = { [ENTRY_FILE] = S_IFREG,
		[ENTRY_DIR] = S_IFDIR,
		[ENTRY_SYMLINK] = S_IFLNK,
		[ENTRY_CHAR] = S_IFCHR,
		[ENTRY_BLOCK] = S_IFBLK,
		[ENTRY_FIFO] = S_IFIFO,
		[ENTRY_SOCKET] = S_IFSOCK };

	return types[t];
}

static void set_times(struct stat *st, int64_t seconds, uint32_t ns)
{
	st->st_mtim = (struct timespec){ seconds, (long)ns };
	st->st_ctim = st->st_atim = st->st_mtim;
}

static void entry_stat(const struct entry *x, struct stat *st)
{
	st->st_mode = type_of(x->type) | (mode_t)x->mode;
	st->st_uid = x->uid;
	st->st_gid = x->gid;
	st->st_nlink = x->link_group ? x->nlink : 1;
	if (x->type == ENTRY_FILE)
		st->st_size = (off_t)x->size;
	else if (x->type == ENTRY_SYMLINK)
		st->st_size = (off_t)x->target.len;
	else if (x->type == ENTRY_DIR)
		st->st_size = 4096;
	if (x->type == ENTRY_CHAR || x->type == ENTRY_BLOCK)
		st->st_rdev = makedev(x->rdev_major, x->rdev_minor);
	set_times(st, x->mtime, x->mtime_ns);
}

static void node_stat(struct nodes *t, struct node *n, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	if (n->kind == NODE_ENTRY) {
		entry_stat(&n->x, st);
	} else {
		st->st_mode = n->kind == NODE_DISK ? S_IFREG | 0444
						   : S_IFDIR | 0555;
		st->st_uid = getuid();
		st->st_gid = getgid();
		st->st_nlink = 1;
		st->st_size = n->kind == NODE_DISK ? (off_t)node_size(t, n)
						   : 4096;
		set_times(st, n->date, 0);
	}
	st->st_ino = n->id;
	st->st_blksize = 128 * KIB;
	st->st_blocks = (blkcnt_t)div_ceil((uint64_t)st->st_size, 512);
}

/* Folders whose list may become another. */
static bool changes(const struct node *n)
{
	return n->kind == NODE_REFS || n->kind == NODE_COMMITS;
}

static void entry_param(struct nodes *t, struct node *n,
	struct fuse_entry_param *ep)
{
	memset(ep, 0, sizeof(*ep));
	ep->ino = n->id;
	node_stat(t, n, &ep->attr);
	ep->attr_timeout = FOREVER;
	ep->entry_timeout = n->moving || n->kind == NODE_REFS ? A_WHILE
							      : FOREVER;
}

/* --- names and attributes --- */

static void op_init(void *ctx, struct fuse_conn_info *conn)
{
	struct nodes *t = ctx;

	unsigned want = FUSE_CAP_ASYNC_READ | FUSE_CAP_SPLICE_WRITE |
			FUSE_CAP_READDIRPLUS | FUSE_CAP_PARALLEL_DIROPS |
			FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_NO_OPEN_SUPPORT |
			FUSE_CAP_EXPORT_SUPPORT;

	conn->want |= conn->capable & want;
	/* Nothing changes behind the kernel's back; who lists a folder mostly
	 * wants to know what is in it. */
	conn->want &= ~(unsigned)(FUSE_CAP_AUTO_INVAL_DATA |
				  FUSE_CAP_READDIRPLUS_AUTO);
	t->no_open = (conn->capable & FUSE_CAP_NO_OPEN_SUPPORT) != 0;
	/* Folders of refs change, so that they must be opened each time. */
	t->no_opendir = t->root->kind == NODE_ENTRY && t->listings &&
			(conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT);
	conn->max_readahead = READ_MAX;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct nodes *t = tree(req);
	struct node *dir = node_at(req, parent), *n = NULL;
	struct fuse_entry_param ep = { 0 };
	int r = ERR_NOTFOUND;

	if (!dir) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (!strcmp(name, "."))
		n = dir;
	else if (!strcmp(name, ".."))
		n = dir->parent ? dir->parent : dir;
	if (n && n != t->root) { /* for NFS */
		pthread_mutex_lock(&t->lock);
		if (!n->lookups++)
			n->refs++;
		pthread_mutex_unlock(&t->lock);
		r = 0;
	} else if (n) {
		r = 0;
	} else {
		r = nodes_lookup(t, dir, name, &n, NULL);
	}
	if (r == ERR_NOTFOUND && !changes(dir)) {
		/* It will not be there later either. */
		ep.entry_timeout = FOREVER;
		fuse_reply_entry(req, &ep);
		return;
	}
	if (r) {
		fuse_reply_err(req, errno_of(r));
		return;
	}
	entry_param(t, n, &ep);
	if (fuse_reply_entry(req, &ep))
		nodes_forget(t, n->id, 1); /* interrupted */
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	nodes_forget(tree(req), ino, nlookup);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count,
	struct fuse_forget_data *f)
{
	for (size_t i = 0; i < count; i++)
		nodes_forget(tree(req), f[i].ino, f[i].nlookup);
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
	struct fuse_file_info *fi ATTR_UNUSED)
{
	struct node *n = node_at(req, ino);
	struct stat st;

	if (!n) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	node_stat(tree(req), n, &st);
	fuse_reply_attr(req, &st, FOREVER);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct node *n = node_at(req, ino);
	char *s;

	if (!n || n->kind != NODE_ENTRY || n->x.type != ENTRY_SYMLINK) {
		fuse_reply_err(req, n ? EINVAL : ESTALE);
		return;
	}
	s = strndup((const char *)n->x.target.data, n->x.target.len);
	if (!s)
		fuse_reply_err(req, ENOMEM);
	else if (n->x.target.len > READ_MAX / 2)
		fuse_reply_err(req, ENAMETOOLONG);
	else
		fuse_reply_readlink(req, s);
	free(s);
}

/* --- folders --- */

struct handle {
	pthread_mutex_t lock; /* listing one handle from two threads */
	struct node_dir *d;
	off_t at;	   /* what the next one's cookie will be, less one */
	bool have, failed; /* a child that did not fit the last answer */
	struct child next;
	char *name; /* of next */
};

static struct handle *handle_new(struct nodes *t, struct node *dir,
	int *out_r)
{
	struct handle *h = calloc(1, sizeof(*h));

	*out_r = h ? node_dir_open(t, dir, &h->d, NULL) : ERR_NOMEM;
	if (*out_r) {
		free(h);
		return NULL;
	}
	pthread_mutex_init(&h->lock, NULL);
	return h;
}

static void handle_free(struct nodes *t, struct handle *h)
{
	if (!h)
		return;
	node_dir_close(t, h->d);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* --- listings without a handle --- */

#define LISTINGS 64

struct listings {
	pthread_mutex_t lock;
	uint64_t clock;
	struct listing {
		uint64_t ino, used_at;
		off_t at; /* the cookie that comes next */
		struct handle *h;
	} slots[LISTINGS];
};

struct listings *listings_new(void)
{
	struct listings *l = calloc(1, sizeof(*l));

	if (l)
		pthread_mutex_init(&l->lock, NULL);
	return l;
}

void listings_free(struct nodes *t, struct listings *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < LISTINGS; i++)
		handle_free(t, l->slots[i].h);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* The listing that goes on at this cookie, taken out; else a new one. */
static struct handle *listing_take(struct nodes *t, struct node *dir,
	off_t off, int *out_r)
{
	struct listings *l = t->listings;
	struct handle *h = NULL;

	*out_r = 0;
	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; off && i < LISTINGS && !h; i++)
		if (l->slots[i].h && l->slots[i].ino == dir->id &&
			l->slots[i].at == off) {
			h = l->slots[i].h;
			l->slots[i].h = NULL;
		}
	pthread_mutex_unlock(&l->lock);
	return h ? h : handle_new(t, dir, out_r);
}

/* Keeps it for who asks for what comes next; the oldest one goes. */
static void listing_keep(struct nodes *t, uint64_t ino, off_t at,
	struct handle *h)
{
	struct listings *l = t->listings;
	struct listing *s = &l->slots[0];
	struct handle *old;

	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < LISTINGS && s->h; i++)
		if (!l->slots[i].h || l->slots[i].used_at < s->used_at)
			s = &l->slots[i];
	old = s->h;
	*s = (struct listing){ ino, ++l->clock, at, h };
	pthread_mutex_unlock(&l->lock);
	handle_free(t, old);
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino,
	struct fuse_file_info *fi)
{
	struct nodes *t = tree(req);
	struct node *n = node_at(req, ino);
	struct handle *h;
	int r;

	if (!n) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (n->kind == NODE_DISK ||
		(n->kind == NODE_ENTRY && n->x.type != ENTRY_DIR)) {
		fuse_reply_err(req, ENOTDIR);
		return;
	}
	if (t->no_opendir) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	h = handle_new(t, n, &r);
	if (!h) {
		fuse_reply_err(req, errno_of(r));
		return;
	}
	fi->fh = (uintptr_t)h;
	if (!changes(n)) {
		fi->cache_readdir = 1;
		fi->keep_cache = 1;
	}
	if (fuse_reply_open(req, fi))
		handle_free(t, h);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino ATTR_UNUSED,
	struct fuse_file_info *fi)
{
	handle_free(tree(req), (struct handle *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

/* The child at the cookie; 1, 0 at the end, or an error. "." and ".." are the
 * first two. */
static int child_at(struct nodes *t, struct handle *h, struct node *dir,
	off_t off, struct child *out)
{
	int r = 1;

	if (off < h->at || h->failed) { /* rewound */
		struct node_dir *d;

		r = node_dir_open(t, dir, &d, NULL);
		if (r)
			return r;
		node_dir_close(t, h->d);
		h->d = d;
		h->at = 0;
		h->have = h->failed = false;
		r = 1;
	}
	while (r > 0 && (h->at < off || !h->have)) {
		if (h->have)
			h->at++;
		h->have = false;
		r = node_dir_next(h->d, &h->next, NULL);
		h->have = r > 0;
	}
	if (r < 0)
		h->failed = true;
	*out = h->next;
	return r;
}

static mode_t child_mode(const struct child *c)
{
	if (c->kind == NODE_ENTRY && c->x.type)
		return type_of(c->x.type);
	return c->kind == NODE_DISK ? S_IFREG : S_IFDIR;
}

/* Adds a child to the answer; 0 where there is no more room. */
static size_t put_child(fuse_req_t req, struct node *dir, struct child *c,
	bool plus, off_t cookie, char *p, size_t left)
{
	struct nodes *t = tree(req);
	struct stat st = { .st_mode = child_mode(c) };
	struct fuse_entry_param ep = { 0 };
	struct node *n;
	size_t used;

	if (!plus) {
		st.st_ino = nodes_number(t, dir, c);
		return fuse_add_direntry(req, p, left, c->name, &st, cookie);
	}
	/* Asked for its size first: making the node is the costly part. */
	if (fuse_add_direntry_plus(req, NULL, 0, c->name, NULL, 0) > left)
		return SIZE_MAX;
	if (changes(dir) || nodes_make(t, dir, c, &n, NULL)) {
		/* Of refs and commits there may be many, and each costs what it
		 * costs to open an image. Where a node cannot be made the name
		 * is listed all the same; in both cases a lookup follows. */
		ep.attr = st;
		ep.attr.st_ino = nodes_number(t, dir, c);
		return fuse_add_direntry_plus(req, p, left, c->name, &ep,
			cookie);
	}
	entry_param(t, n, &ep);
	used = fuse_add_direntry_plus(req, p, left, c->name, &ep, cookie);
	if (used > left)
		nodes_forget(t, n->id, 1);
	return used;
}

static size_t put_dots(fuse_req_t req, struct node *dir, off_t off, bool plus,
	char *p, size_t left)
{
	struct node *n = off && dir->parent ? dir->parent : dir;
	/* A number of 0 in a long answer: no lookup is counted. */
	struct fuse_entry_param ep = { .attr = { .st_mode = S_IFDIR,
					       .st_ino = n->id } };
	const char *name = off ? ".." : ".";

	return plus ? fuse_add_direntry_plus(req, p, left, name, &ep, off + 1)
		    : fuse_add_direntry(req, p, left, name, &ep.attr, off + 1);
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	struct fuse_file_info *fi, bool plus)
{
	struct nodes *t = tree(req);
	struct handle *h = (struct handle *)(uintptr_t)fi->fh;
	struct node *dir = node_at(req, ino);
	char *out = malloc(size);
	size_t len = 0;
	int r = 0;

	if (out && dir && t->no_opendir)
		h = listing_take(t, dir, off, &r);
	if (!out || !dir || r) {
		free(out);
		fuse_reply_err(req, r ? errno_of(r) : dir ? ENOMEM : ESTALE);
		return;
	}
	r = 1;
	pthread_mutex_lock(&h->lock);
	for (;; off++) {
		struct child c;
		size_t n;

		if (off < 2) {
			n = put_dots(req, dir, off, plus, out + len, size - len);
		} else {
			r = child_at(t, h, dir, off - 2, &c);
			if (r <= 0)
				break;
			n = put_child(req, dir, &c, plus, off + 1, out + len,
				size - len);
		}
		if (n > size - len)
			break;
		len += n;
	}
	pthread_mutex_unlock(&h->lock);
	if (t->no_opendir && (len || r > 0))
		listing_keep(t, ino, off, h);
	else if (t->no_opendir)
		handle_free(t, h); /* the end was told */
	/* What was listed is given; the failure comes with the next call. */
	if (r < 0 && !len)
		fuse_reply_err(req, errno_of(r));
	else
		fuse_reply_buf(req, out, len);
	free(out);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	struct fuse_file_info *fi)
{
	list(req, ino, size, off, fi, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
	off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, fi, true);
}

/* --- content --- */

static void op_open(fuse_req_t req, fuse_ino_t ino ATTR_UNUSED,
	struct fuse_file_info *fi)
{
	struct nodes *t = tree(req);

	if ((fi->flags & O_ACCMODE) != O_RDONLY) {
		fuse_reply_err(req, EROFS);
		return;
	}
	/* "Do not ask again", where the kernel knows that. */
	if (t->no_open) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void scratch_init(void)
{
	pthread_key_create(&scratch_key, free);
}

/* A buffer of READ_MAX bytes for each thread. */
static uint8_t *scratch(void)
{
	uint8_t *p;

	pthread_once(&scratch_once, scratch_init);
	p = pthread_getspecific(scratch_key);
	if (!p) {
		p = malloc(READ_MAX);
		pthread_setspecific(scratch_key, p);
	}
	return p;
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off_arg,
	struct fuse_file_info *fi ATTR_UNUSED)
{
	struct nodes *t = tree(req);
	struct node *n = node_at(req, ino);
	uint64_t off = (uint64_t)off_arg;
	uint8_t *buf = scratch();
	struct source *src;
	int r;

	if (!n || !buf) {
		fuse_reply_err(req, n ? ENOMEM : ESTALE);
		return;
	}
	r = node_open(t, n, &src, NULL);
	if (r) {
		fuse_reply_err(req, errno_of(r));
		return;
	}
	size = size_min(size, READ_MAX);
	size = off < src->size ? (size_t)u64_min(size, src->size - off) : 0;
	if (size)
		readahead_note(n->ra, off, size);
	r = size ? source_pread(src, buf, size, off, NULL) : 0;
	if (r)
		fuse_reply_err(req, EIO);
	else
		fuse_reply_buf(req, (char *)buf, size);
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off_arg, int whence,
	struct fuse_file_info *fi ATTR_UNUSED)
{
	struct node *n = node_at(req, ino);
	struct source *src;
	uint64_t off = (uint64_t)off_arg;
	struct source_extent x = { 0 };
	enum source_kind want = whence == SEEK_DATA ? SOURCE_DATA
						    : SOURCE_ZERO;
	int r = n ? node_open(tree(req), n, &src, NULL) : ERR_IO;

	if (r || (whence != SEEK_DATA && whence != SEEK_HOLE)) {
		fuse_reply_err(req, r ? errno_of(r) : EINVAL);
		return;
	}
	if (off >= src->size) {
		fuse_reply_err(req, ENXIO);
		return;
	}
	while (off < src->size) {
		if (source_extent_at(src, off, &x, NULL)) {
			fuse_reply_err(req, EIO);
			return;
		}
		if (x.kind == want)
			break;
		off = x.off + x.len;
	}
	if (off >= src->size && whence == SEEK_DATA)
		fuse_reply_err(req, ENXIO);
	else
		fuse_reply_lseek(req, (off_t)u64_min(off, src->size));
}

/* --- extended attributes --- */

static void reply_bytes(fuse_req_t req, const struct buf *b, size_t size)
{
	if (b->oom)
		fuse_reply_err(req, ENOMEM);
	else if (!size)
		fuse_reply_xattr(req, b->len);
	else if (b->len > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, (const char *)b->data, b->len);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
	size_t size)
{
	struct node *n = node_at(req, ino);
	size_t len = strlen(name);
	AUTO_BUF value = BUF_INIT;
	struct cursor c;
	struct xattr x;

	if (!n || n->kind != NODE_ENTRY) {
		fuse_reply_err(req, n ? ENODATA : ESTALE);
		return;
	}
	c = cursor_make(n->x.xattrs.data, n->x.xattrs.len);
	while (xattr_next(&c, &x)) {
		int r;

		if (x.name.len != len || memcmp(x.name.data, name, len) != 0)
			continue;
		if (x.is_blob && x.size > LIMIT_XATTR) {
			fuse_reply_err(req, E2BIG);
			return;
		}
		r = view_xattr_value(n->view->files, &x, &value, NULL);
		if (r)
			fuse_reply_err(req, errno_of(r));
		else
			reply_bytes(req, &value, size);
		return;
	}
	fuse_reply_err(req, c.bad ? EIO : ENODATA);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct node *n = node_at(req, ino);
	AUTO_BUF names = BUF_INIT;
	struct cursor c = cursor_make(NULL, 0);
	struct xattr x;

	if (n && n->kind == NODE_ENTRY)
		c = cursor_make(n->x.xattrs.data, n->x.xattrs.len);
	while (xattr_next(&c, &x)) {
		/* Longer lists than the kernel takes are cut. */
		if (names.len + x.name.len + 1 > LIMIT_XATTR)
			break;
		buf_add(&names, x.name.data, x.name.len);
		buf_addch(&names, 0);
	}
	if (!n)
		fuse_reply_err(req, ESTALE);
	else
		reply_bytes(req, &names, size);
}

/* --- the rest --- */

static void op_statfs(fuse_req_t req, fuse_ino_t ino ATTR_UNUSED)
{
	struct nodes *t = tree(req);
	struct statvfs st = { .f_bsize = 4096,
		.f_frsize = 4096,
		.f_namemax = 255,
		.f_flag = ST_RDONLY | ST_NODEV | ST_NOSUID };

	if (t->root->view) {
		const struct image *im = &t->root->view->files->image;

		for (size_t i = 0; i < im->volumes.len; i++) {
			st.f_blocks += im->volumes.items[i].file_bytes / 4096;
			st.f_files += im->volumes.items[i].files;
		}
	}
	fuse_reply_statfs(req, &st);
}

const struct fuse_lowlevel_ops mount_fuse_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.open = op_open,
	.read = op_read,
	.lseek = op_lseek,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.statfs = op_statfs,
};
