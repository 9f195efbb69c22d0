#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""jsoncheck.py NAME <OBJECT: is what a command printed with --json one object of the schema strata/NAME/1, with every field that is
promised for it, of its type? Numbers are whole and exact but for "seconds", times RFC 3339 in UTC, bytes in base64."""
import base64, json, re, sys

OID, TIME = re.compile(r"[0-9a-f]{64}$"), re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$")


class Wrong(Exception):
    pass


def need(ok, at, what):
    if not ok:
        raise Wrong("%s: %s" % (at, what))


def num(v, at):
    need(type(v) is int, at, "not a whole number: %r" % (v,))


def size(v, at):
    num(v, at)
    need(0 <= v < 1 << 64, at, "not of 64 bits: %r" % v)


def real(v, at):
    need(type(v) in (int, float), at, "not a number: %r" % (v,))


def flag(v, at):
    need(type(v) is bool, at, "not true or false: %r" % (v,))


def text(v, at):
    need(type(v) is str, at, "not a text: %r" % (v,))


def name(v, at):
    if type(v) is dict:
        need(list(v) == ["bytes"], at, "not {bytes}: %r" % v)
        b = base64.b64decode(v["bytes"], validate=True)
        try:
            b.decode()
        except UnicodeDecodeError:
            return
        raise Wrong(at + ": is UTF-8, but given as bytes")
    text(v, at)


def oid(v, at):
    need(type(v) is str and OID.match(v), at, "not an id: %r" % (v,))


def time(v, at):
    need(type(v) is str and TIME.match(v), at, "not a time: %r" % (v,))


def word(*words):
    def check(v, at):
        need(v in words, at, "%r is none of %s" % (v, words))
    return check


def like(regex):
    def check(v, at):
        need(type(v) is str and re.fullmatch(regex, v), at, "%r is not like %s" % (v, regex))
    return check


def null(check):
    return lambda v, at: v is None or check(v, at)


def each(check):
    def go(v, at):
        need(type(v) is list, at, "not a list: %r" % (v,))
        for i, x in enumerate(v):
            check(x, "%s[%d]" % (at, i))
    return go


def obj(_=None, /, **fields):
    """Fields that end in _ may be missing."""
    def go(v, at):
        need(type(v) is dict, at, "not an object: %r" % (v,))
        for k, check in fields.items():
            k, may = k.rstrip("_"), k.endswith("_")
            need(may or k in v, at, "no '%s'" % k)
            if k in v:
                check(v[k], at + "." + k)
        more = set(v) - {k.rstrip("_") for k in fields} - {"schema"}
        need(not more, at, "what nobody promised: %s" % more)
    return go


def texts(v, at):
    need(type(v) is dict, at, "not an object")
    for k, x in v.items():
        name(x, at + "." + k)


digest = like(r"xxh3-128:[0-9a-f]{32}")
entry_fields = dict(type=word("file", "directory", "symlink", "char", "block", "fifo", "socket"), mode=like("[0-7]{4}"), uid=size, gid=size, size=null(size), mtime=time,
    sha256=null(oid), target=null(name), rdev=null(like(r"\d+:\d+")), nlink=size)
volume = obj(name=text, fs=text, uuid=text, label=name, size=size, offset_=size, partuuid_=text, parttype_=text, partname_=name, files=size, file_bytes=size,
    tree=null(oid), partial_=flag, subvolumes_=each(obj(id=size, path=name, flags=size)))
disk = dict(size=size, data=size, digest=digest, sha256_=oid, partitions_=text, volumes=each(volume))
finding = obj(id=text, severity=text, where=null(name), offset_=size, message=text, detail=null(name))
commit = dict(id=oid, parents=each(oid), author=name, date=time, message=name, image=oid, annotations=texts)
ref = obj(name=name, commit=oid)
imported = dict(commit=oid, branch=name, image=oid, disks=each(obj(**disk)), new_blobs=size, new_bytes=size, stored_bytes=size, discarded_bytes_=size,
    findings=each(finding), findings_total_=size, seconds=real)
gc = obj(dry_run=flag, deferred=flag, waiting_for=size, removed_objects=size, removed_bytes=size, kept_objects=size, packs_before=size, packs=size, stored_bytes_before=size,
    stored_bytes=size, freed_bytes=size, tmp_files=size, orphan_packs=size)
package = dict(version=text, source=null(text), source_version=null(text), status=text)
record = dict(name=name, commit=oid, branch=null(name), disk=size, path=null(name), backing=null(name), socket=null(name), base=null(name), head=null(oid), created=null(time))
lines = dict(qemu=name, libvirt=name, virt_install=name)
schemas = {
    "import": obj(**imported),
    "commit": obj(**imported, base=oid, parent=oid, changed_bytes=size, reused_files=size, whole=flag),
    "log": obj(commits=each(obj(**commit))),
    "ls": obj(commit=null(oid), root=name, entries=each(obj(path=name, **entry_fields))),
    "diff": obj(entries_=each(obj(path=name, status=word("A", "D", "M", "T", "R"), old_path_=name, old=null(obj(**entry_fields)), new=null(obj(**entry_fields)), changed=each(text))),
        manager_=null(text), packages_=each(obj(name=text, architecture=text, status=text, old=null(obj(**package)), new=null(obj(**package)))),
        ranges_=each(obj(disk=size, offset=size, length=size)), bytes_=size),
    "branch": obj(branches_=each(ref), deleted_=each(ref)),
    "tag": obj(tags_=each(ref), deleted_=each(ref)),
    "reflog": obj(entries=each(obj(branch=name, index=size, old=null(oid), new=oid, date=time, author=name, reason=name))),
    "verify": obj(ok=flag, read_data=flag, refs=size, commits=size, images=size, objects=size, unreachable=size, packs=size, orphan_packs=size, frames=size, bytes=size, disks=size,
        repair_=obj(indexes=size, packs=size, objects=size, lost_bytes=size, forgotten=size, packs_rewritten=size), damaged=each(obj(what=text, where=name, commits=each(oid), refs=each(name),
        paths=each(name), commits_total=size, paths_total=size)), damaged_total=size),
    "gc": gc, "repack": gc,
    "stats": obj(logical_bytes=size, data_bytes=size, unique_bytes=size, stored_bytes=size, images=size, commits=size, blobs=size, chunks=size, trees=size, packs=size, indexes=size,
        branches=size, tags=size, instances=size),
    "packages": obj(manager=null(text), packages=each(obj(name=text, architecture=text, **package))),
    "version": obj(version=text, format=size, features=each(text)),
    "init": obj(library=name, format=size),
    "instance-create": obj(**record, **lines, server=null(name)),
    "instance": obj(instances=each(obj(**record, state=text))),
    "nbd": obj(uri=name, export=name, commit=null(oid), disk=size, socket=null(name), host=null(text), port=null(size), read_only=flag, tls=flag, pid=size, overlay=name, **lines),
    "edit": obj(results=each(obj(branch=name, base=oid, status=word("committed", "unchanged", "failed", "error"), exit=null(num), commit=null(oid), changed_bytes=size, reused_files=size,
        new_blobs=size, stored_bytes=size, error=null(name), folder=null(name), seconds=real)), findings=each(finding)),
    "bisect": obj(steps=each(obj(commit=oid, verdict=word("good", "bad", "skip"), exit=num)), first_bad=null(oid), last_good=oid, candidates=each(oid), commits=size),
    "show": None,
    "inspect": obj(commit=null(oid), os=null(obj(type=text, id=null(name), name=null(name), version=null(name), version_id=null(name), codename=null(name), pretty_name=null(name),
        edition_=null(name), build_=null(name), registry_dirty_=flag)), hostname=null(name), architecture=null(text), timezone=null(name), kernels=each(obj(version=name, path=null(name), modules=flag)),
        bootloader=null(text), bootloaders=each(text), fstab=each(obj(spec=name, file=name, type=name, options=name, freq=size, passno=size)), users=each(obj(name=name, uid=size, gid=size,
        gecos=name, home=name, shell=name, password=word("set", "locked", "none", "unknown"))), services=each(name), packages=obj(manager=null(text), count=null(size)),
        programs_=each(obj(name=name, version=null(name), publisher=null(name), installed=null(name))), disks=each(obj(size=size, sector_size=size, partitions=text,
        partition_table_uuid=null(text), digest_=digest, container_=obj(format=text, detail=null(name), backing=null(name)), volumes=each(volume))), volumes_=each(volume),
        findings=each(finding), findings_total_=size),
}
show_commit = obj(**commit, disks=each(obj(size=size, sector_size=size, digest=digest, sha256_=oid, partitions=text, uuid_=text, volumes=each(volume))), volumes=each(volume),
    attachments=each(obj(name=name, size=size, sha256=oid)))
show_file = obj(commit=null(oid), path=name, volume=text, volume_path=name, tree_=oid, encrypted=flag, readable=flag,
    xattrs=each(obj(name=name, size=size, sha256_=oid, value_=name)), **entry_fields)


def no_twice(pairs):
    keys = [k for k, _ in pairs]
    need(len(keys) == len(set(keys)), "keys", "one is there twice: %s" % keys)
    return dict(pairs)


def main(what):
    raw = sys.stdin.buffer.read()
    try:
        need(raw.endswith(b"}\n") and raw.count(b"\n") == 1, "output", "not one line")
        v = json.loads(raw.decode(), object_pairs_hook=no_twice)
        need(list(v)[0] == "schema", "output", "the schema is not first")
        need(v["schema"] == "strata/%s/1" % what, "schema", v["schema"])
        check = schemas[what]
        if what == "show":
            check = show_file if "path" in v else show_commit
        check(v, what)
    except (Wrong, ValueError) as e:
        sys.exit("%s\n%s" % (e, raw[:2000].decode(errors="replace")))


main(sys.argv[1])
