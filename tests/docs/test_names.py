"""docs/pytorch.md lists the names that there are; run this file to write the list anew."""

import inspect
import re
import textwrap
from pathlib import Path
from types import ModuleType

import scratchgan as sg
from scratchgan import autograd, nn, optim, utils
from scratchgan.autograd import function, functional
from scratchgan.utils import data
from scratchgan.vision import datasets, transforms
from scratchgan.vision import utils as pictures

PAGE = Path(__file__).parents[2] / "docs" / "pytorch.md"
BEGIN = "<!-- names: made by tests/docs/test_names.py -->\n"
END = "<!-- end of names -->\n"


def public(module: ModuleType) -> list[str]:
    """What a module offers: its ``__all__``, or what is defined there."""
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if not inspect.ismodule(getattr(module, name))]
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]


def methods() -> list[str]:
    tensor = sg.Tensor
    return [name for name in dir(tensor) if not name.startswith("_") and hasattr(tensor, name)]


ROOMS = {
    "`scratchgan`": lambda: public(sg),
    "`Tensor`": methods,
    "`autograd`": lambda: public(autograd),
    "`autograd.function`": lambda: public(function),
    "`autograd.functional`": lambda: public(functional),
    "`nn`": lambda: public(nn),
    "`nn.functional`": lambda: public(nn.functional),
    "`nn.init`": lambda: public(nn.init),
    "`nn.utils`": lambda: public(nn.utils),
    "`optim`": lambda: public(optim),
    "`optim.lr_scheduler`": lambda: public(optim.lr_scheduler),
    "`utils.data`": lambda: public(data),
    "`vision.datasets`": lambda: public(datasets),
    "`vision.transforms`": lambda: public(transforms),
    "`vision.utils`": lambda: public(pictures),
}


def listing() -> str:
    parts = []
    for room, names in ROOMS.items():
        words = " ".join(f"`{name}`" for name in sorted(names(), key=str.lower))
        parts.append(f"{room}:\n{textwrap.fill(words, 118, break_long_words=False)}\n")
    return "\n".join(parts)


def with_names(page: str) -> str:
    found = re.search(f"{re.escape(BEGIN)}.*?{re.escape(END)}", page, re.DOTALL)
    assert found
    return page.replace(found[0], f"{BEGIN}\n{listing()}\n{END}")


def test_the_page_lists_the_names_that_there_are():
    page = PAGE.read_text()
    assert page == with_names(page), "run python tests/docs/test_names.py"
    assert utils.data is data


if __name__ == "__main__":
    PAGE.write_text(with_names(PAGE.read_text()))
