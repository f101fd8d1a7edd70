#!/usr/bin/env python3
"""Builds the workspace's tests and runs their programs, several at a time: most of them wait most of the
time, for clocks and for each other. Run by ./test.

As root, each program has a network of its own, so that none takes another's ports. A program that has
passed is one line; of one that has failed, everything is shown that it printed. The status is 1 if any
has failed, and none is left out for that.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

# Those that wait the longest begin first.
FIRST = ["lab", "relay", "front", "ports"]
# A test of its own network sees that of the machine otherwise.
OWN_NETWORK = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
printing = threading.Lock()


def programs():
    """What cargo would run: a name, a command and a folder each."""
    build = ["cargo", "test", "--workspace", "--quiet", "--no-run"]
    build.append("--message-format=json-render-diagnostics")
    built = subprocess.run(build, stdout=subprocess.PIPE, text=True)
    if built.returncode:
        sys.exit(built.returncode)
    found = []
    for line in built.stdout.splitlines():
        said = json.loads(line)
        if said["reason"] == "compiler-artifact" and said["executable"] and said["profile"]["test"]:
            folder = os.path.dirname(said["manifest_path"])
            name = f"{os.path.basename(folder)}/{said['target']['name']}"
            found.append((name, [said["executable"]], folder))
    rank = {package: place for place, package in enumerate(FIRST)}
    found.sort(key=lambda one: (rank.get(one[0].split("/")[0], len(FIRST)), one[0]))
    docs = ["cargo", "test", "--workspace", "--doc", "--quiet"]
    return [*found, ("examples in documentation", docs, os.getcwd())]


def run(one):
    """Whether it has passed."""
    name, command, folder = one
    if os.geteuid() == 0 and command[0] != "cargo":
        command = [*OWN_NETWORK, *command, "--quiet"]
    began = time.monotonic()
    ended = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
    )
    took = time.monotonic() - began
    passed = sum(map(int, re.findall(r"^test result: ok\. (\d+) passed", ended.stdout, re.M)))
    skipped = [line for line in ended.stdout.splitlines() if line.startswith("skipped: ")]
    with printing:
        if ended.returncode:
            print(f"\n{name} FAILED after {took:.0f} s\n{ended.stdout}", flush=True)
        else:
            print("\n".join([f"{took:6.1f} s {passed:4} passed  {name}", *skipped]), flush=True)
    return name if ended.returncode else None


def main():
    jobs = int(os.environ.get("JARYQ_TEST_JOBS") or (os.cpu_count() or 1) + 1)
    with ThreadPoolExecutor(jobs) as pool:
        failed = [name for name in pool.map(run, programs()) if name]
    if failed:
        sys.exit(f"\nFailed: {', '.join(failed)}")


main()
