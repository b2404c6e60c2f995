"""``scratchgan gradcheck``: the largest errors, and exit 1 where a primitive fails."""

import sys

import pytest

import scratchgan as sg
from scratchgan import cli, ops
from scratchgan.testing.report import verdicts
from scratchgan.testing.samplers import SAMPLERS


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs it in this process: exit code, stdout, stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["scratchgan", "gradcheck", *arguments])
        with sg.use_backend(sg.get_backend()), pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def wrong_tanh(monkeypatch):
    monkeypatch.setitem(
        ops.tanh.primitive.vjps, "x", lambda g, out: ops.tanh_backward(g, 1.01 * out)
    )
    ops.tanh.primitive.rules.clear()
    yield
    ops.tanh.primitive.rules.clear()


@pytest.mark.parametrize("order", [1, 2])
def test_every_primitive_has_a_row_with_small_errors(order):
    rows = list(verdicts(order=order, examples=4))
    assert [row.primitive for row in rows] == list(SAMPLERS)
    assert all(row.passes for row in rows)
    for name, (differences, complex_steps), _ in rows:
        assert (differences is None) == (not getattr(ops, name).primitive.vjps)
        assert differences is None or differences < 1e-8
        assert complex_steps is None or (order == 1 and complex_steps < 2e-15)


def test_exit_0_and_the_errors(command):
    code, out, _ = command("tanh", "--backend", "numpy")
    assert code == 0
    assert "Derivatives of order 1, backend numpy" in out
    assert "tanh" in out and "passes" in out and "sigmoid" not in out
    code, out, _ = command("softplus", "--order", "2")
    assert code == 0
    assert "Derivatives of order 2, backend numba" in out


def test_all_names_fit_into_a_narrow_terminal(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    name = "binary_cross_entropy_with_logits"
    assert max(map(len, SAMPLERS)) == len(name)
    assert f" {name} " in command(name)[1]


def test_exit_1_where_a_primitive_fails(command, wrong_tanh):
    code, out, _ = command("tanh")
    assert code == 1
    assert "FAILS" in out
    (verdict,) = verdicts(["tanh"])
    assert not verdict.passes
    assert verdict.errors[0] == pytest.approx(verdict.errors[1], rel=1e-6)
    assert verdict.errors[0] > 1e-3


def test_mistakes_are_one_sentence(command):
    for arguments, sentence in (
        (("sine",), "no primitive is named 'sine'; there are add, sub"),
        (("sin", "--order", "3"), "--order"),
        (("sin", "--backend", "tpu"), "there is no backend named 'tpu'"),
        (("sin", "--device", "tpu"), "there is no device 'tpu'"),
    ):
        code, out, err = command(*arguments)
        assert code > 0
        assert out == ""
        assert sentence in err
        assert err.count("\n") == 1
