"""``scratchgan sweep``: what it tells and how it ends."""

import pytest

from scratchgan.gan.sweep import Result


def test_a_sweep_is_told_as_it_goes(scratchgan, tmp_path, monkeypatch):
    (tmp_path / "lr.toml").write_text("[vary]\nlr = [1e-3, 1e-2, 1e-4]\n")
    measures = dict.fromkeys(("precision", "recall", "imbalance"), 0.5)

    def run(trials, folder, workers, scheduler):
        assert (folder, workers, scheduler) == (tmp_path / "out", 3, None)
        yield Result(trials[0], {**measures, "frechet_distance": 2.0})
        yield Result(trials[1], None, "it diverged")
        yield Result(trials[2], {**measures, "frechet_distance": 1.5})

    monkeypatch.setattr("scratchgan.gan.sweep.run_sweep", run)
    options = ("--out", tmp_path / "out", "--workers", 3)
    code, text, _ = scratchgan("sweep", tmp_path / "lr.toml", *options)
    assert code == 0
    assert "2/3 002-lr=0.01: it diverged\n" in text
    assert "1/3 001-lr=0.001: Fréchet 2.000, precision 0.500" in text
    rows = [line.split() for line in text.splitlines() if line.startswith("│")]
    assert [row[1] for row in rows] == ["0.0001", "0.001"]
    assert text.endswith(f"The best is {tmp_path / 'out' / '003-lr=0.0001'}\n")


def test_a_sweep_of_which_nothing_came(scratchgan, tmp_path, monkeypatch):
    (tmp_path / "lr.toml").write_text("[vary]\nlr = [1e-3]\n")
    monkeypatch.setattr(
        "scratchgan.gan.sweep.run_sweep", lambda trials, *_: [Result(trials[0], None, "bad luck")]
    )
    code, text, _ = scratchgan("sweep", tmp_path / "lr.toml", "--out", tmp_path / "out")
    assert code == 1
    assert text.endswith("No training came to its end\n")


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_a_sweep_that_is_stopped(scratchgan, tmp_path, monkeypatch, stop, code):
    (tmp_path / "many.toml").write_text("[vary]\nlr = [0.1, 0.2]\n")

    def run(trials, *_):
        yield Result(trials[0], None, "bad luck")
        raise stop

    monkeypatch.setattr("scratchgan.gan.sweep.run_sweep", run)
    found, out, _ = scratchgan("sweep", tmp_path / "many.toml", "--out", tmp_path / "out")
    assert found == code
    assert out.endswith("Stopped after 1 of 2; the same command goes on\n")


def test_a_sweep_that_is_none(refused, tmp_path):
    message = refused("sweep", tmp_path / "nowhere.toml")
    assert message == f"{tmp_path / 'nowhere.toml'}: cannot be read (No such file or directory)"
