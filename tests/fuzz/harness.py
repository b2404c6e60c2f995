"""What is demanded of a reader, whatever the file that it is given."""

import random
import resource
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import settings

#: Files that are tried over all readers; ``test_counts.py`` adds up their parts.
IN_ALL = 20_000
#: Seconds of the processor that one file may take, and bytes beyond some times its own.
MOST_SECONDS, MOST_BYTES = 5.0, 32 << 20
#: Of so many files, the memory of one is measured, which takes twice as long as to read it.
MEASURED = 3
#: Addresses beyond those of this process at the start: what is asked for in one piece counts here,
#: also where no page of it is ever touched, or where it is not Python that asks.
MOST_ADDRESSES = 8 << 30


@dataclass
class Reader:
    """A reader, and how it is tried.

    Attributes:
        read: Reads a file or folder.
        errors: All that it may raise.
        tries: Its part of :data:`IN_ALL`.
        name: Of the file that it is given.
        expansion: How many bytes of memory one of the file may become.
        state: What must be as before where ``read`` raises.
        must_name: Whether an error names the file.
    """

    read: Callable[[Path], Any]
    errors: tuple[type[Exception], ...]
    tries: int
    name: str = "file"
    expansion: int = 64
    state: Callable[[], Any] = lambda: None
    must_name: bool = True
    counts: dict[str, int] = field(default_factory=lambda: {"read": 0, "refused": 0})


def tries(reader: Reader) -> int:
    """How many files; 50 times as many in the deep profile."""
    return reader.tries * settings().max_examples // 50


def check(
    reader: Reader, folder: Path, contents: Iterable[bytes], put: Callable[[Path, bytes], None]
) -> None:
    """Give ``reader`` each of ``contents``, as ``put`` writes it to a path.

    Raises:
        AssertionError: It raised something else than it may, said it in more than a sentence,
            warned, took too long or too much, or left something half done.
    """
    path = folder / reader.name
    with limited_addresses():
        for number, content in enumerate(contents):
            put(path, content)
            if number % MEASURED:
                _check_one(reader, path, content)
                continue
            tracemalloc.start(1)
            try:
                _check_one(reader, path, content)
            finally:
                tracemalloc.stop()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def seeded(name: str) -> random.Random:
    """The same numbers in every run, others for each reader."""
    return random.Random(f"scratchgan {name}")


def _read(reader: Reader, path: Path) -> tuple[BaseException | None, float]:
    """What reading a file raised, and the processor's seconds that it took."""
    begin = time.process_time()
    fault: BaseException | None = None
    try:
        reader.read(path)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # Rust's panics are no Exceptions
        fault = error
    return fault, time.process_time() - begin


def _check_one(reader: Reader, path: Path, content: bytes) -> None:
    before = reader.state()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        held, _ = tracemalloc.get_traced_memory()  # 0, as the peak, if it is not measured
        fault, seconds = _read(reader, path)
        peak = tracemalloc.get_traced_memory()[1] - held
    if seconds > MOST_SECONDS:
        # Measuring memory makes some files take a hundred times as long, and a virtual machine may
        # have stood still, which counts as work: neither is the reader's.
        tracemalloc.stop()
        seconds = min(seconds, _read(reader, path)[1])
    shown = content if len(content) < 3000 else content[:1500] + b" ... " + content[-1500:]
    about = f"\ncontent ({len(content)} bytes): {shown!r}"
    reader.counts["read" if fault is None else "refused"] += 1
    if fault is not None:
        if not isinstance(fault, reader.errors):
            raise AssertionError(f"{type(fault).__name__} escaped: {fault}{about}") from fault
        said = str(fault)
        assert "\n" not in said, f"more than a sentence: {said!r}{about}"
        assert len(said) < 2000, f"a long sentence: {said!r}{about}"
        assert not reader.must_name or str(path) in said, f"names no file: {said!r}{about}"
        assert reader.state() == before, f"partly applied ({said}){about}"
    assert not warned, f"warned: {[str(x.message) for x in warned]}{about}"
    assert seconds < MOST_SECONDS, f"took {seconds:.1f} s{about}"
    most = MOST_BYTES + reader.expansion * len(content)
    assert peak < most, f"took {peak:,} bytes, not {most:,}{about}"


@contextmanager
def limited_addresses() -> Iterator[None]:
    """Within the ``with`` block this process may not ask for terabytes."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MOST_ADDRESSES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
