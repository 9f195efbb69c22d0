# SPDX-License-Identifier: Apache-2.0
"""What the programs of this folder share: running commands, rows, goals, the closing table and JSON."""
import json, os, statistics, subprocess, sys, time

top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
env = dict(os.environ, LC_ALL="C", STRATA_AUTHOR="Bench <bench@example.org>")
rows, checks = [], []


def run(cmd, out=subprocess.DEVNULL, check=True, cwd=None):
    """Seconds, peak memory (MiB) and processor seconds of a command and what it started."""
    before, t = os.times(), time.perf_counter()
    p = subprocess.Popen(cmd, stdout=out, stderr=subprocess.PIPE, env=env, cwd=cwd, shell=isinstance(cmd, str))
    err = p.stderr.read()
    _, st, ru = os.wait4(p.pid, 0)
    s, after = time.perf_counter() - t, os.times()
    p.returncode = os.waitstatus_to_exitcode(st)
    if check and p.returncode:
        sys.exit("bench: %s: exit %d: %s" % (cmd, p.returncode, err.decode(errors="replace")[-400:]))
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return s, ru.ru_maxrss / 1024, cpu


def middle(runs):
    """Medians of what several runs gave; of what run() gives, the largest peak of memory."""
    columns = list(zip(*runs))
    return tuple(max(c) if i == 1 and len(columns) == 3 else statistics.median(c) for i, c in enumerate(columns))


def turns(runs, *sides):
    """Runs several commands in turn; sides: (prepare or None, command). See middle()."""
    got = [[] for _ in sides]
    for _ in range(runs):
        for g, (prepare, cmd) in zip(got, sides):
            if prepare:
                prepare()
            g.append(cmd() if callable(cmd) else run(cmd))
    return [middle(g) for g in got]


def report(what, who, seconds=None, mem=None, note="", cpu=None):
    rows.append(dict(what=what, who=who, seconds=seconds, peak_mib=mem, cpu_seconds=cpu, note=note))
    print("%-38s %-18s %9s %9s %9s  %s" % (what, who, "" if seconds is None else "%.3f s" % seconds,
                                          "" if cpu is None else "%.2f cpu" % cpu,
                                          "" if mem is None else "%.0f MiB" % mem, note), flush=True)


def goal(name, value, limit, unit="x", at_least=False):
    ok = value >= limit if at_least else value <= limit
    checks.append(dict(goal=name, value=value, limit=limit, at_least=at_least, reached=ok))
    print("  %-62s %8.3f %s (%s %g) %s" % (name, value, unit, "at least" if at_least else "at most", limit,
                                           "ok" if ok else "NOT REACHED"), flush=True)


def finish(path):
    missed = [c for c in checks if not c["reached"]]
    print("\n%d of %d goals reached%s" % (len(checks) - len(missed), len(checks), "; missed: " + "; ".join(
        "%s = %.3f" % (c["goal"], c["value"]) for c in missed) if missed else ""))
    with open(path, "w") as f:
        json.dump(dict(schema="strata/bench/1", machine=dict(cores=os.cpu_count()), rows=rows, goals=checks), f, indent=1)
    print("JSON: " + path)
