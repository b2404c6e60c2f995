"""A name that PyTorch has and this project has not: the error says so, and what to use instead."""

import re
from typing import Any

import pytest

import scratchgan as sg
from scratchgan import autograd, missing, nn, optim, vision
from scratchgan.utils import data

#: Some of each kind of advice, with a word of it.
ADVICE = [
    (sg, "compile", "jit"),
    (sg, "dropout", "nn.functional.dropout"),
    (sg, "sparse_coo_tensor", "sparse"),
    (sg, "complex64", "complex"),
    (sg, "inverse", "numpy.linalg"),
    (nn, "Conv2d", "fully connected"),
    (nn, "MaxPool2d", "fully connected"),
    (nn, "LSTM", "fully connected"),
    (nn, "ZeroPad2d", "nn.functional.pad"),
    (nn.functional, "conv2d", "fully connected"),
    (nn.functional, "max_pool2d", "fully connected"),
    (nn.init, "xavier_uniform", "underscore"),
    (nn.utils, "weight_norm", "spectral_norm"),
    (optim, "LBFGS", "Adam"),
    (optim.lr_scheduler, "OneCycleLR", "LambdaLR"),
    (autograd, "gradcheck", "scratchgan.testing"),
    (data, "WeightedRandomSampler", "Sampler"),
    (vision.transforms, "RandomCrop", "__call__"),
    (sg.zeros(2), "grad_fn", "node"),
    (sg.zeros(2), "unsqueeze_", "use unsqueeze"),
    (sg.zeros(2), "half", "float32"),
]


def says(owner: Any) -> str:
    is_tensor = isinstance(owner, sg.Tensor)
    return "'Tensor' object has no attribute" if is_tensor else f"{owner.__name__} has no"


@pytest.mark.parametrize(("owner", "name", "word"), ADVICE)
def test_what_to_use_instead(owner: Any, name: str, word: str) -> None:
    with pytest.raises(AttributeError, match=f"^{says(owner)} '{name}': .*{re.escape(word)}"):
        getattr(owner, name)


@pytest.mark.parametrize(
    "owner", [sg, nn, nn.functional, nn.init, nn.utils, optim, autograd, data, vision, sg.zeros(2)]
)
def test_of_other_names_nothing_is_said(owner: Any) -> None:
    for name in ("colour", "__wrapped__", "_hidden"):
        with pytest.raises(AttributeError, match=f"^{says(owner)} '{name}'$"):
            getattr(owner, name)


def test_no_advice_for_what_there_is() -> None:
    places = (sg, sg.Tensor, nn, nn.functional, optim, optim.lr_scheduler, data, vision.transforms)
    for name in missing.INSTEAD:
        assert not any(hasattr(place, name) for place in places), name


def test_names_that_tensors_lack_are_not_offered() -> None:
    """Nor is one among them without a word, or one that a method took the place of."""
    for name in missing.OF_TENSORS:
        assert not hasattr(sg.Tensor, name)
        assert name not in dir(sg.zeros(2))
        with pytest.raises(AttributeError, match=f"^'Tensor' object has no attribute '{name}': "):
            getattr(sg.zeros(2), name)


def test_a_class_may_have_what_the_one_above_it_lacks() -> None:
    class Wide(sg.Tensor):
        def half(self) -> str:
            return "half"

    wide = Wide(sg.zeros(2).array)
    assert wide.half() == "half"
    assert "half" in dir(wide)
    assert "grad_fn" not in dir(wide)


def test_advice_names_what_there_is() -> None:
    for advice in missing.INSTEAD.values():
        for path in re.findall(r"scratchgan((?:\.\w+)+)", advice):
            found: Any = sg
            for part in path[1:].split("."):
                if part == "testing":
                    import scratchgan.testing  # noqa: F401
                found = getattr(found, part)
