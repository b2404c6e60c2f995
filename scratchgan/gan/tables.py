"""The tables of a run, metrics.csv and timings.csv: how they are written, and read back."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from scratchgan.gan.files import RunError, read, whole
from scratchgan.gan.trainer import Row


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Write these columns of all rows as CSV, with six digits; what a row lacks stays empty.

    Raises:
        RunError: It cannot be written.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({name: f"{x:.6g}" if isinstance(x, float) else x for name, x in row.items()})
    with whole(path) as file:
        file.write(text.getvalue().encode())


def read_table(path: Path) -> list[Row]:
    """The rows of a table, of each the numbers that it has; none if there is no file.

    Raises:
        RunError: It cannot be read, or holds something else than numbers in rows with a step.
    """
    if not path.exists():
        return []
    try:
        table = csv.DictReader(io.StringIO(read(path, f"{path}: is not there").decode()))
        rows = [{name: float(x) for name, x in row.items() if x} for row in table]
    except RunError:
        raise
    except (TypeError, ValueError, AttributeError, csv.Error):
        raise RunError(f"{path}: is no table of numbers") from None
    if not all(math.isfinite(row.get("step", math.nan)) for row in rows):
        raise RunError(f"{path}: is no table of this program, a row has no step")
    return rows
