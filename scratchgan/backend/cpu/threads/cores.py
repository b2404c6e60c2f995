"""How many cores this process may use, and what sets their number."""

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def usable() -> tuple[int, str]:
    """The number of cores that this process may keep busy, and a phrase that says why."""
    count = os.cpu_count() or 1
    found = count, "the cores of this machine"
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
        if allowed < count:
            found = allowed, "the cores that this process is bound to"
    limit = quota()
    if limit is not None and limit < found[0]:
        found = max(1, math.ceil(limit)), f"its control group allows {limit:g} cores"
    return found


def quota() -> float | None:
    """How many cores' worth of time the control groups of this process allow; None for no limit.

    A container's limit is such a one (Linux, Documentation/admin-guide/cgroup-v2.rst, cpu.max, and
    Documentation/scheduler/sched-bwc.rst for version 1).
    """
    limits = []
    for folder in _folders():
        try:
            limit, period = (folder / "cpu.max").read_text().split()
        except (OSError, ValueError):
            try:
                limit = (folder / "cpu.cfs_quota_us").read_text().strip()
                period = (folder / "cpu.cfs_period_us").read_text().strip()
            except OSError:
                continue
        if limit.isdecimal() and period.isdecimal() and int(period):  # else it is "max" or -1
            limits.append(int(limit) / int(period))
    return min(limits, default=None)


def _folders() -> list[Path]:
    """Where the limits of this process may stand: its groups, and those above them."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    folders: dict[Path, None] = {}
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = _CGROUPS / controllers if controllers else _CGROUPS
        inside = Path(group.lstrip("/"))
        for part in (inside, *inside.parents):  # a container sees its own group as the root
            folders[root / part] = None
    return list(folders)
