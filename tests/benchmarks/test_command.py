"""The command: what it refuses, and what it leaves in its folder."""

import json

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import report
from benchmarks.measurements import MEASUREMENTS, Case, Comparison, Contender, Measurement

app = typer.Typer()
app.command()(command.main)


@pytest.fixture
def run(log, monkeypatch):
    """Runs the command on two fake measurements; B, or everyone, gets the settings."""

    def measurement(key, *contenders, **options):
        cases = (Case("batch 1", {"batch": 1}, 1), Case("batch 10", {"batch": 10}, 10))
        quantities = {"seconds": "s", "bytes": "B"}
        ratio = Comparison("B over A", ("B",), ("A",))
        return (Measurement(key, f"Of {key}", quantities, contenders, cases, (ratio,), **options),)

    def contender(name, **settings):
        return Contender(name, "fake", {"name": name, "log": str(log), **settings})

    def run(*arguments, everyone=False, **settings):
        a, b = contender("A", **settings if everyone else {}), contender("B", **settings)
        table = {
            "duel": lambda quick, device: measurement("duel", a, b, floor="A"),
            "growing": lambda quick, device: measurement("growing", a, fits_growth=True),
        }
        monkeypatch.setattr(command, "MEASUREMENTS", table)
        return CliRunner().invoke(app, [*arguments, "--out", str(log.parent / "out")])

    return run


def test_tables_and_plots_are_written(run, log, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    result = run("--repeats", "3")

    assert result.exit_code == 0, result.output
    assert "B over A" in result.output
    out = log.parent / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "duel.png",
        "growing.png",
        "results.json",
        "results.md",
    ]
    assert (out / "duel.png").read_bytes().startswith(b"\x89PNG")
    markdown = (out / "results.md").read_text()
    assert "| A | 2 s ±25% | 20 s ±25% |" in markdown
    assert "| B over A | 2.00 (2.00 to 2.00) | 2.00 (2.00 to 2.00) |" in markdown
    assert "| A | 100 B ±0% | 1 kB ±0% | 1.00 |" in markdown
    for condition in (" cores, ", "fake 1; OPENBLAS_CORETYPE=Haswell; ", "medians of 3 rounds"):
        assert condition in markdown
    assert "`python -m benchmarks" in markdown


def test_nothing_measured_is_no_picture(run, log):
    run("duel", "--repeats", "1", needs="package_that_nobody_has")
    assert (log.parent / "out" / "duel.png").exists()
    (log.parent / "out" / "duel.png").unlink()
    result = run("duel", "--repeats", "1", everyone=True, needs="package_that_nobody_has")

    assert result.exit_code == 0, result.output
    assert not (log.parent / "out" / "duel.png").exists()
    assert "A was skipped" in (log.parent / "out" / "results.md").read_text()


def test_a_second_run_keeps_what_it_does_not_measure(run, log):
    run("--repeats", "1")
    first = json.loads((log.parent / "out" / "results.json").read_text())
    run("growing", "--repeats", "2")
    second = json.loads((log.parent / "out" / "results.json").read_text())

    assert list(second) == ["duel", "growing"]
    assert second["duel"] == first["duel"]
    assert second["growing"]["repeats"] == 2


def test_a_skipped_peer_is_named_and_a_failure_is_the_exit_code(run):
    skipped = run("duel", "--repeats", "1", needs="package_that_nobody_has")
    failed = run("duel", "--repeats", "1", fails_at=1)

    assert "B was skipped: package_that_nobody_has is not installed" in skipped.output
    assert skipped.exit_code == 0
    assert "B failed at batch 1: ValueError: B has had enough" in failed.output
    assert failed.exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("--device", "tpu"), ("--repeats", "0"), ("small", "--device=cuda")],
)
def test_what_there_is_not_is_refused(arguments):
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("name", MEASUREMENTS)
def test_the_table_of_measurements_is_consistent(name, device):
    """Every script exists, keys are unique, and comparisons name contenders."""
    for quick in (False, True):
        measurements = MEASUREMENTS[name](quick, device)
        assert len({m.key for m in measurements}) == len(measurements)
        for measurement in measurements:
            names = [contender.name for contender in measurement.contenders]
            assert len(set(names)) == len(names)
            for comparison in measurement.comparisons:
                assert {*comparison.over, *comparison.under} <= set(names)
            for contender in measurement.contenders:
                workers = command.runner.ROOT / "benchmarks" / "workers"
                assert (workers / f"{contender.script}.py").is_file()


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00631, "s", "6.31 ms"),
        (123.4, "s", "123 s"),
        (3.96e-5, "s", "39.6 µs"),
        (2e-8, "s", "0.02 µs"),
        (273e6, "B", "273 MB"),
        (-4096, "B", "-4.1 kB"),
        (0, "B", "0 B"),
        (12345, "", "12345"),
    ],
)
def test_numbers_are_written_with_three_digits(value, unit, text):
    assert report.text_of(value, unit) == text
