"""One self-contained HTML file: it needs no network, and opens from disk."""

import html
import inspect as python
import json
import os
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scratchgan.autograd.primitive import Primitive
from scratchgan.autograd.source import place_of, source_of
from scratchgan.autograd.tensor import Tensor
from scratchgan.files import atomic_write
from scratchgan.viz.inspector import formulas
from scratchgan.viz.inspector.naming import Names, or_variables
from scratchgan.viz.inspector.recording import (
    Backward,
    Call,
    Forward,
    Recording,
    Value,
    record,
    record_backward,
)
from scratchgan.viz.inspector.summary import Shape, summary

_FOLDER = Path(__file__).parent


def inspect(
    tensor_or_function: Tensor | Callable[[], Any],
    path: str | os.PathLike[str] = "inspector.html",
    *,
    names: Names = None,
    image: Shape | None = None,
    title: str = "Backpropagation, step by step",
) -> Path:
    """Write a page on which one steps through a computation: forward, backward and update.

    Args:
        tensor_or_function: A function without arguments, which is run once: a forward, and what
            follows of ``backward`` and optimizers. Or a tensor: the page shows how gradients go
            back from it, and of its forward what the tape has kept.
        path: The file, ``*.html``.
        names: Of modules, after which their parts and parameters are named, and of inputs; or a
            module alone. If there are none, those of the variables where this is called.
        image: Height and width of images, as which rows of that many numbers are shown.
        title: Of the page.

    Returns:
        The file.

    Raises:
        ValueError: No primitive ran, or ``image`` is no size.
        TapeError: The tensor requires no gradient or is a leaf, or its tape was freed.
        TypeError: One of them is something else.
        OSError: The file cannot be written.
    """
    if image is not None and not _is_size(image):
        raise ValueError(
            f"inspect: image must be the height and width of images, as in (28, 28), not {image!r}"
        )
    names = or_variables(names)
    if isinstance(tensor_or_function, Tensor):
        recording = record_backward(tensor_or_function, names)
    else:
        recording = record(tensor_or_function, names)
    if not recording.calls:
        raise ValueError("inspect: the function computed nothing that could be shown")
    return write_page(path, {"all": recording}, image=image, title=title)


def _is_size(image: Any) -> bool:
    return (
        isinstance(image, Sequence)
        and len(image) == 2
        and all(isinstance(size, int) and size > 0 for size in image)
    )


def write_page(
    path: str | os.PathLike[str],
    recordings: Mapping[str, Recording],
    *,
    image: Shape | None = None,
    title: str = "Backpropagation, step by step",
) -> Path:
    """Write recordings as one page, each under its name.

    Raises:
        OSError: The file cannot be written.
    """
    path = Path(path)
    text = page(recordings, image=image, title=title)
    with atomic_write(path) as file:
        # The name of a folder may hold what has no code in UTF-8.
        file.write(text.encode(errors="xmlcharrefreplace"))
    return path


def page(recordings: Mapping[str, Recording], *, image: Shape | None, title: str) -> str:
    """The page itself, as HTML."""
    calls = [call for recording in recordings.values() for call in recording.calls]
    primitives = {call.primitive.name: call.primitive for call in calls}
    data = {
        "primitives": {name: _primitive(x) for name, x in primitives.items()},
        "tapes": [_tape(name, recording, image) for name, recording in recordings.items()],
    }
    # No text within a script may end it, or begin another.
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    parts = {
        **{"title": html.escape(title), "data": text, "style": _file("page.css")},
        **{"dagre": _file("dagre.min.js"), "script": _file("page.js")},
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _file("page.html"))


def _file(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def _primitive(x: Primitive) -> dict[str, Any]:
    """A row of the table: its forward and its VJPs, as they stand there."""
    positions = {name: i for i, name in enumerate((*x.inputs, x.variadic))}
    vjps = [
        {
            **{"input": name, "position": positions[name], "variadic": name == x.variadic},
            **{"formula": formulas.of_vjp(vjp), "text": source_of(vjp), "place": place_of(vjp)},
        }
        for name, vjp in x.vjps.items()
    ]
    shared = [
        {"name": name, "text": _source(function), "place": place_of(function)}
        for name, function in x.shared.items()
    ]
    inputs = [*x.inputs, *[x.variadic] * (x.variadic is not None)]
    return {
        **{"formula": formulas.of_forward(x), "source": _source(x.declared)},
        **{"place": place_of(x.declared), "inputs": inputs, "vjps": vjps, "shared": shared},
    }


def _source(function: Callable[..., Any]) -> str:
    """The text of a function, with what decorates it; ``""`` where there is no file."""
    try:
        return textwrap.dedent(python.getsource(function))
    except (OSError, TypeError):
        return ""


def _tape(title: str, recording: Recording, image: Shape | None) -> dict[str, Any]:
    values = [_value(value, image) for value in recording.values]
    for call in recording.calls:
        if (share := _dead_share(call, recording.values[call.output])) > 0:
            values[call.output]["dead"] = share
    moments: list[list[Any]] = []
    for moment in recording.moments:
        if isinstance(moment, Forward):
            moments.append(["f", moment.call])
        elif isinstance(moment, Backward):
            moments.append(["b", moment.call, moment.arrived, moment.left])
        else:
            before, after = (recording.values[x].array for x in (moment.before, moment.after))
            assert before is not None
            assert after is not None
            # Of integers and booleans too; inf - inf is nan, and shown as that.
            with np.errstate(over="ignore", invalid="ignore"):
                change = np.subtract(after, before, dtype=np.result_type(after, np.float32))
            shown = summary(change, image)
            moments.append(["u", moment.before, moment.after, moment.gradient, shown])
    calls = [_call(call) for call in recording.calls]
    modules = {".".join(group): name for group, name in recording.modules.items()}
    return {
        **{"title": title, "values": values, "calls": calls, "moments": moments},
        "modules": modules,
    }


def _value(value: Value, image: Shape | None) -> dict[str, Any]:
    about = {"name": value.name, "kind": value.kind}
    if value.array is None:
        return {**about, "shape": list(value.shape), "dtype": str(value.dtype), "gone": True}
    return {**about, **summary(value.array, image)}


def _call(call: Call) -> dict[str, Any]:
    return {
        **{"primitive": call.primitive.name, "group": call.group, "inputs": call.inputs},
        "keywords": {name: _as_text(x) for name, x in call.keywords.items()},
        **{"output": call.output, "needs": call.needs},
    }


def _as_text(keyword: Any) -> str:
    return keyword if isinstance(keyword, str) else f"{keyword!r:.60}"


def _dead_share(call: Call, output: Value) -> float:
    """The share of units of a ReLU that are off for every row of the batch."""
    is_relu = call.primitive.name == "relu" or call.keywords.get("activation") == "relu"
    if not is_relu or output.array is None or output.array.ndim < 2:
        return 0.0
    return float(np.mean((output.array <= 0).all(axis=0)))
