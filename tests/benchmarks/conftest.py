"""Workers that measure nothing, as fast as possible."""

from pathlib import Path

import pytest

from benchmarks import runner

WORKER = """
import sys
from pathlib import Path
from benchmarks.worker import Ready, Skip, serve

def prepare(name, log, batch=1, fails_at=None, needs=None, skips=None, check=None):
    print("a library greets on stdout")
    if needs:
        __import__(needs)
    if skips:
        raise Skip(skips)
    count = 0
    def sample():
        nonlocal count
        count += 1
        if count == fails_at:
            raise ValueError(f"{name} has had enough")
        with Path(log).open("a") as file:
            file.write(f"{name}{batch} ")
        return {"seconds": batch * count * (1.0 if name == "A" else 2.0), "bytes": 100.0 * batch}
    if fails_at == 0:
        raise ValueError(f"{name} does not start")
    return Ready(sample, {"versions": {"fake": "1"}, "threads": 2}, check)

serve(prepare)
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes ``Contender(name, "fake", {"log": log, ...})`` possible; each sample is logged."""
    package = tmp_path / "fake_workers"
    package.mkdir()
    (package / "fake.py").write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(runner, "PACKAGE", "fake_workers")
    monkeypatch.setattr(runner, "PAUSE", 0)
    path = tmp_path / "log"
    path.touch()
    return path
