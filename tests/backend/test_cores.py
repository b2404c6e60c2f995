"""How many cores a process may use: the machine's, those it is bound to, a container's limit."""

import os
from pathlib import Path

import pytest

from scratchgan.backend.cpu.threads import cores


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Eight cores, and control groups in the folder that this gives."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "_CGROUPS", tmp_path)
    return tmp_path


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def belongs_to(monkeypatch: pytest.MonkeyPatch, groups: str) -> None:
    """What /proc says of this process."""
    read = Path.read_text

    def read_text(self: Path, *arguments: object, **keywords: object) -> str:
        if str(self) == "/proc/self/cgroup":
            return groups
        return read(self, *arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_text", read_text)


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {}, 8),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "10000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "1600000 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "nonsense\n"}, 8),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
        ("0::/a/b\n", {"a/b/cpu.max": "100000 50000\n", "a/cpu.max": "300000 100000\n"}, 2),
        ("0::/seen/from/outside\n", {"cpu.max": "400000 100000\n"}, 4),
        (
            "4:memory:/x\n3:cpu,cpuacct:/y\n",
            {
                "cpu,cpuacct/y/cpu.cfs_quota_us": "250000\n",
                "cpu,cpuacct/y/cpu.cfs_period_us": "100000\n",
                "memory/x/cpu.max": "1 100000\n",
            },
            3,
        ),
        (
            "3:cpu:/y\n",
            {"cpu/y/cpu.cfs_quota_us": "-1\n", "cpu/y/cpu.cfs_period_us": "100000\n"},
            8,
        ),
        ("", {"cpu.max": "100000 100000\n"}, 8),
    ],
)
def test_a_control_group_limits_the_cores(
    groups: str,
    files: dict[str, str],
    expected: int,
    machine: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(machine, files)
    belongs_to(monkeypatch, groups)
    count, reason = cores.usable()
    assert count == expected
    assert ("control group" in reason) == (expected < 8)


def test_the_smaller_limit_counts(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    belongs_to(monkeypatch, "0::/\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
    assert cores.usable() == (3, "the cores that this process is bound to")
    write(machine, {"cpu.max": "350000 100000"})
    assert cores.usable() == (3, "the cores that this process is bound to")
    write(machine, {"cpu.max": "50000 100000"})
    assert cores.usable() == (1, "its control group allows 0.5 cores")


def test_a_machine_without_any_of_this(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(cores, "_folders", list)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.usable() == (1, "the cores of this machine")
