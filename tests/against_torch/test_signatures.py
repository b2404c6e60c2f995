"""What has PyTorch's name takes PyTorch's parameters, in its order and with its defaults."""

import inspect

import pytest

from scratchgan import autograd, nn, optim

torch = pytest.importorskip("torch", reason="compares with PyTorch")

ROOMS = {
    "autograd.function": (autograd.function, torch.autograd.function),
    "autograd.functional": (autograd.functional, torch.autograd.functional),
    "nn": (nn, torch.nn),
    "nn.functional": (nn.functional, torch.nn.functional),
    "nn.init": (nn.init, torch.nn.init),
    "nn.utils": (nn.utils, torch.nn.utils),
    "optim": (optim, torch.optim),
    "optim.lr_scheduler": (optim.lr_scheduler, torch.optim.lr_scheduler),
}

#: Parameters that are not here, on purpose.
LEFT_OUT = {"nn.functional.normalize": {"out"}}


def parameters(function):
    """The parameters that have names: by position in order, and by keyword alone."""
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    named = [p for p in given if p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY)]
    alone = {p.name: p for p in given if p.kind == p.KEYWORD_ONLY}
    return named, alone


def pairs():
    for room, (ours, theirs) in ROOMS.items():
        for name, value in vars(ours).items():
            is_public = not name.startswith("_") and callable(value)
            if is_public and value.__module__.startswith("scratchgan.") and hasattr(theirs, name):
                yield f"{room}.{name}", value, getattr(theirs, name)


PAIRS = {name: (ours, theirs) for name, ours, theirs in pairs() if parameters(theirs)}


def test_there_are_many():
    assert len(PAIRS) > 130


@pytest.mark.parametrize("name", PAIRS)
def test_a_signature(name):
    (ours, our_words), (theirs, their_words) = map(parameters, PAIRS[name])
    missing = LEFT_OUT.get(name, set())
    theirs = [p for p in theirs if p.name not in missing]
    assert [p.name for p in ours][: len(theirs)] == [p.name for p in theirs]
    assert set(their_words) - missing <= set(our_words) | {p.name for p in ours}
    by_name = {p.name: p for p in ours} | our_words
    for p in (*theirs, *their_words.values()):
        if p.name in missing or p.default is p.empty:
            continue
        assert by_name[p.name].default == p.default, p.name
