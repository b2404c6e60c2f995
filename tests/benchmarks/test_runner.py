"""Turns, skipped and broken contenders, and the shape of the results."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import runner
from benchmarks.measurements import Case, Comparison, Contender, Measurement


def fake(name: str, log: Path, **settings: Any) -> Contender:
    return Contender(name, "fake", {"name": name, "log": str(log), **settings})


def measured(*contenders: Contender, batches=(1, 10), repeats=3, **options: Any) -> dict[str, Any]:
    measurement = Measurement(
        "fake",
        "A title",
        {"seconds": "s", "bytes": "B"},
        contenders,
        tuple(Case(f"batch {n}", {"batch": n}, n) for n in batches),
        (Comparison("B over A", ("B",), ("A",)),),
        **options,
    )
    return runner.measure(measurement, repeats)


def test_contenders_take_turns_within_a_case(log):
    measured(fake("A", log), fake("B", log), repeats=2)

    assert log.read_text().split() == ["A1", "B1", "A1", "B1", "A10", "B10", "A10", "B10"]


def test_sizes_take_turns_too_where_growth_is_fitted(log):
    measured(fake("A", log), fake("B", log), repeats=2, fits_growth=True)

    assert log.read_text().split() == ["A1", "B1", "A10", "B10"] * 2


def test_results_are_json_and_hold_samples_summaries_ratios_and_exponents(log):
    section = measured(fake("A", log), fake("B", log), fits_growth=True)

    assert json.loads(json.dumps(section)) == section
    assert section["quantities"] == {"seconds": "s", "bytes": "B"}
    assert section["about"]["A"] == {"versions": {"fake": "1"}, "threads": 2}
    case = section["cases"][1]
    assert (case["case"], case["size"]) == ("batch 10", 10)
    assert case["results"]["seconds"] == {
        "A": {"samples": [10.0, 20.0, 30.0], "median": 20.0, "low": 15.0, "high": 25.0},
        "B": {"samples": [20.0, 40.0, 60.0], "median": 40.0, "low": 30.0, "high": 50.0},
    }
    # Samples drift threefold; the ratio, taken in each round, does not.
    assert case["comparisons"]["B over A"] == {
        "median": 2.0,
        "low": 2.0,
        "high": 2.0,
        "over": "B",
        "under": "A",
    }
    assert section["exponents"]["seconds"]["A"] == pytest.approx(1.0)
    assert section["exponents"]["bytes"]["B"] == pytest.approx(1.0)


def test_a_missing_peer_is_skipped_by_name(log):
    peer = fake("B", log, needs="package_that_nobody_has")
    without_gpu = fake("C", log, skips="C finds no CUDA device")
    section = measured(fake("A", log), peer, without_gpu, batches=[1])

    (case,) = section["cases"]
    assert case["skipped"] == {
        "B": "package_that_nobody_has is not installed",
        "C": "C finds no CUDA device",
    }
    assert case["failed"] == {}
    assert list(case["results"]["seconds"]) == ["A"]
    assert case["comparisons"] == {}


@pytest.mark.parametrize(
    ("fails_at", "message"), [(0, "B does not start"), (2, "B has had enough")]
)
def test_a_contender_that_breaks_off_does_not_stop_the_others(log, monkeypatch, fails_at, message):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # so that what it prints may come late
    section = measured(fake("A", log), fake("B", log, fails_at=fails_at), batches=[1])

    (case,) = section["cases"]
    assert case["failed"] == {"B": f"ValueError: {message}"}
    assert list(case["results"]["seconds"]) == ["A"]
    assert case["results"]["seconds"]["A"]["samples"] == [1.0, 2.0, 3.0]


def test_who_computes_something_else_is_not_measured(log):
    honest = [fake(name, log, check=[0.5, 1 + 1e-7 * i]) for i, name in enumerate("AB")]
    section = measured(*honest, fake("C", log, check=[0.5, 1.001]), batches=[1])

    (case,) = section["cases"]
    assert list(case["failed"]) == ["C"]
    assert "1.001" in case["failed"]["C"]
    assert "C" not in case["results"]["seconds"]
    assert "C1" not in log.read_text()


def test_nan_is_something_else():
    checks = {"A": [1.0], "B": [1.0], "C": [float("nan")], "no step": None}

    assert list(runner.disagreeing(checks)) == ["C"]
