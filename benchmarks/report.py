"""Results as tables: for the terminal, and as Markdown beside the JSON."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table as RichTable

from benchmarks import machine

Results = dict[str, dict[str, Any]]  #: What :func:`benchmarks.runner.measure` gives, by key.

NOTHING = "-"


@dataclass(frozen=True)
class Table:
    """Rows of text below headings."""

    title: str
    headings: list[str]
    rows: list[list[str]]


def tables(section: dict[str, Any]) -> list[Table]:
    """One table for each quantity, contenders against cases, and one of the comparisons."""
    cases = section["cases"]
    names = [case["case"] for case in cases]
    made = []
    for quantity, unit in section["quantities"].items():
        contenders = dict.fromkeys(name for case in cases for name in case["results"][quantity])
        if not contenders:
            continue
        rows = [
            [name, *[_cell(case["results"][quantity].get(name), unit) for case in cases]]
            for name in contenders
        ]
        headings = [quantity, *names]
        exponents = section["exponents"].get(quantity)
        if exponents:
            headings.append("exponent")
            for row in rows:
                slope = exponents[row[0]]
                row.append(NOTHING if slope is None else f"{slope:.2f}")
        made.append(Table(section["title"], headings, rows))
    compared = dict.fromkeys(name for case in cases for name in case["comparisons"])
    if compared:
        rows = [
            [name, *[_ratio(case["comparisons"].get(name)) for case in cases]] for name in compared
        ]
        made.append(Table(section["title"], ["ratio", *names], rows))
    return made


def absent(section: dict[str, Any]) -> list[str]:
    """A line for each contender that was skipped or failed, with the reason."""
    lines: dict[str, None] = {}
    for case in section["cases"]:
        for name, reason in case["skipped"].items():
            lines[f"{name} was skipped: {reason}"] = None
        for name, reason in case["failed"].items():
            lines[f"{name} failed at {case['case']}: {reason}"] = None
    return list(lines)


def failures(section: dict[str, Any]) -> int:
    """How often a contender broke off or computed something else than the others."""
    return sum(len(case["failed"]) for case in section["cases"])


_PREFIXES = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "B": ((1e6, "MB"), (1e3, "kB"), (1.0, "B")),
    "": ((1.0, ""),),
}


def text_of(value: float, unit: str) -> str:
    """With three digits, in the prefix that suits it."""
    scale, symbol = next(
        (pair for pair in _PREFIXES[unit] if abs(value) >= pair[0]), _PREFIXES[unit][-1]
    )
    scaled = value / scale
    return (
        f"{scaled:.0f} {symbol}".strip() if abs(scaled) >= 100 else f"{scaled:.3g} {symbol}".strip()
    )


def _cell(result: dict[str, Any] | None, unit: str) -> str:
    """The median and, in percent of it, how far the quartiles lie off."""
    if result is None:
        return NOTHING
    text = text_of(result["median"], unit)
    if not result["median"]:
        return text
    off = max(result["high"] - result["median"], result["median"] - result["low"])
    return f"{text} ±{100 * off / abs(result['median']):.0f}%"


def _ratio(comparison: dict[str, Any] | None) -> str:
    if comparison is None:
        return NOTHING
    return f"{comparison['median']:.2f} ({comparison['low']:.2f} to {comparison['high']:.2f})"


# --- Where they go ------------------------------------------------------------------------


def for_terminal(table: Table) -> RichTable:
    made = RichTable(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    for position, heading in enumerate(table.headings):
        made.add_column(heading, justify="right" if position else "left")
    for row in table.rows:
        made.add_row(*row)
    return made


def markdown(results: Results) -> str:
    """All tables, each section with its machine, its command, and who was absent."""
    parts = []
    for section in results.values():
        parts.append(f"## {section['title']}\n\n{conditions(section)}\n")
        parts += [markdown_table(table.headings, table.rows) for table in tables(section)]
        parts += [f"{line}.\n" for line in absent(section)]
    return "\n".join(parts)


def conditions(section: dict[str, Any]) -> str:
    """The machine, versions and command of a section."""
    described = section["machine"]
    parts = [
        machine.in_words(described),
        *sorted({about["gpu"] for about in section["about"].values() if "gpu" in about}),
    ]
    versions: dict[str, str] = {}
    for about in section["about"].values():
        versions |= about.get("versions", {})
    if versions:
        parts.append(", ".join(f"{name} {version}" for name, version in versions.items()))
    parts += machine.circumstances(described)
    parts.append(f"medians of {section['repeats']} rounds, {section['date'][:10]}")
    return f"{'; '.join(parts)}: `{section['command']}`"


def markdown_table(headings: list[str], rows: list[list[str]]) -> str:
    """A table with its first column to the left, and the others, of numbers, to the right."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def load(folder: Path) -> Results:
    """The results that earlier runs have left in ``folder``."""
    path = folder / "results.json"
    loaded: Results = json.loads(path.read_text()) if path.exists() else {}
    return loaded


def save(folder: Path, results: Results) -> None:
    """Write results.json and results.md."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "results.md").write_text(markdown(results))
