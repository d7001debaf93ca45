#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the floors of the daemon.

A floor includes only lower ones; floors of one height never include each other; a file of C++ stays
within 500 lines. Usage: floors.py DAEMON_DIRECTORY; prints every fault as file:line and exits 1.
"""
import pathlib
import re
import sys

HEIGHT = {
    "base": 0, "model": 1, "config": 2, "journal": 2, "intake": 3, "host": 3, "relay": 3,
    "outbox": 4, "desk": 4, "bus": 5, "serve": 6, "app": 7, "cli": 7, "console": 7,
}
# The command and the console speak to the daemon as any consumer does, over HTTP. Of its own code
# the command has what works without a daemon: `try` starts a host, `journal verify` reads a journal.
ONLY = {"cli": {"base", "model", "config", "host", "journal", "serve"}, "console": {"base", "model", "config"}}
MAX_LINES = 500
SOURCES = {".cpp", ".hpp", ".h", ".c", ".ipp"}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


def faults_of_include(floor, target):
    """Why `floor` must not include "target", or nothing."""
    first = target.split("/")[0]
    if target.startswith("."):
        return f'"{target}" is relative: write includes from daemon/'
    if "/" not in target:
        return f'"{target}" names no floor: write "{floor}/{target}"'
    if first == "voxbus":  # the SDK's own headers stand outside the building
        return None
    if first == "kit" and floor == "intake":  # a stranger's HTML is read by one reader in all of Voxbus
        return None
    if first not in HEIGHT:
        return f'"{target}" is below no floor that is known here'
    if first == floor:
        return None
    if floor in ONLY:
        if first in ONLY[floor]:
            return None
        allowed = ", ".join(sorted(ONLY[floor]))
        return f'{floor} may include only {allowed}; "{target}" belongs to the daemon'
    if HEIGHT[first] > HEIGHT[floor]:
        return f'{floor} ({HEIGHT[floor]}) includes upwards: "{target}" ({HEIGHT[first]})'
    if HEIGHT[first] == HEIGHT[floor]:
        return f'{floor} includes its neighbour: "{target}" (both {HEIGHT[floor]})'
    return None


def faults(daemon):
    daemon = pathlib.Path(daemon)
    found, seen = [], 0
    for path in sorted(p for p in daemon.rglob("*") if p.suffix in SOURCES):
        seen += 1
        floor = path.relative_to(daemon).parts[0]
        if floor not in HEIGHT:
            found.append(f"{path}:1: '{floor}' is no floor (they are: {', '.join(HEIGHT)})")
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) > MAX_LINES:
            found.append(f"{path}:{MAX_LINES + 1}: {len(lines)} lines; split it by purpose "
                         f"(at most {MAX_LINES})")
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            fault = match and faults_of_include(floor, match.group(1))
            if fault:
                found.append(f"{path}:{number}: {fault}")
    if not seen:
        found.append(f"{daemon}: no source found")
    return found


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: floors.py DAEMON_DIRECTORY")
    problems = faults(sys.argv[1])
    print("\n".join(problems) if problems else "the floors stand")
    sys.exit(1 if problems else 0)
