"""save and load: tensors, and what is made of them, in a file that is safe to open.

The file is a safetensors file, which other programs read too. How the tensors belong together, and
the numbers and texts beside them, stand in its metadata as JSON, with a checksum of the whole file.
Nothing is ever unpickled.
"""

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from scratchgan import nn
from scratchgan.autograd.tensor import Tensor
from scratchgan.creation import as_tensor
from scratchgan.files import atomic_write
from scratchgan.messages import one_line

File = str | os.PathLike[str] | BinaryIO

_KEY = "scratchgan"
#: The text in the place of the checksum while that is computed.
_NO_CHECKSUM = "0" * 64
_PLAIN = (str, int, float, bool, type(None))


class LoadError(ValueError):
    """A file does not hold what :func:`save` writes; one sentence says why."""


def save(obj: Any, f: File) -> None:
    """Write an object into a file, which appears whole or not at all.

    Args:
        obj: A tensor or an array; a number, text or None; or dicts, lists and tuples of these, as
            the state dicts of modules and optimizers are. Parameters come back as tensors.
        f: The file's name, or a file that is open for writing bytes.

    Raises:
        TypeError: There is something else in it: a module, say, of which its ``state_dict()``
            is saved.
        OSError: The file cannot be written.
    """
    from safetensors.numpy import save as to_bytes

    arrays: dict[str, np.ndarray[Any, Any]] = {}
    described = _described(obj, arrays, "")
    about = {"sha256": _NO_CHECKSUM, "content": described}
    content = to_bytes(arrays, {_KEY: json.dumps(about)})
    # The metadata come first in the file, so that no other zeros are taken for the checksum's.
    checksum = hashlib.sha256(content).hexdigest()
    content = content.replace(_NO_CHECKSUM.encode(), checksum.encode(), 1)
    if isinstance(f, str | os.PathLike):
        with atomic_write(Path(f)) as file:
            file.write(content)
    else:
        f.write(content)


def _described(value: Any, arrays: dict[str, np.ndarray[Any, Any]], at: str) -> Any:
    """``value`` as JSON, with its tensors in ``arrays``."""
    if isinstance(value, Tensor | np.ndarray):
        name = at.removeprefix(".") or "tensor"
        while name in arrays:
            name += "_"
        array = value.numpy(force=True) if isinstance(value, Tensor) else value
        # safetensors writes memory as it lies, whatever the strides say.
        arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
        return {"tensor": name}
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) in _PLAIN:
        return value
    if isinstance(value, dict):
        kind = "OrderedDict" if isinstance(value, OrderedDict) else "dict"
        for key in value:
            if type(key) not in (str, int):
                raise TypeError(f"save: a key of a dict is a text or an integer, not {key!r:.80}")
        return {kind: [[k, _described(v, arrays, f"{at}.{k}")] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_described(v, arrays, f"{at}.{i}") for i, v in enumerate(value)]}
    if isinstance(value, nn.Module):
        raise TypeError("save: a module is code, which is not saved; save its state_dict()")
    raise TypeError(
        f"save: {at.removeprefix('.') or 'it'} is a {type(value).__name__}; only tensors, numbers, "
        "texts, and dicts, lists and tuples of these are saved"
    )


def load(f: File, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """The object that :func:`save` wrote; of another program's file a dict of its tensors.

    A file of :func:`save` of which a byte has changed is refused.

    Args:
        f: The file's name, or a file that is open for reading bytes.
        map_location: The device where the tensors are to lie; by default the CPU.
        weights_only: Nothing: a file is never more than that.

    Raises:
        LoadError: It is no such file, or damaged.
        OSError: It cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    if isinstance(f, str | os.PathLike):
        name = str(f)
        if not os.path.isfile(f) and not os.path.isdir(f) and os.path.exists(f):
            # It would be waited for, or have no end.
            raise LoadError(f"load: {name} is a pipe or a device; give what is read from it")
        content = Path(f).read_bytes()
    else:
        name, content = "the file", f.read()
    try:
        arrays = from_bytes(content)
        size = int.from_bytes(content[:8], "little")
        about = json.loads(content[8 : 8 + size]).get("__metadata__", {}).get(_KEY)
        described = None if about is None else _checked(json.loads(about), content)
        tensors = {key: as_tensor(array).to(device=map_location) for key, array in arrays.items()}
        return tensors if about is None else _restored(described, tensors)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as fault:
        raise LoadError(
            f"load: {name} is no file that save wrote, or it is damaged ({one_line(fault)})"
        ) from None


def _checked(about: Any, content: bytes) -> Any:
    """The description of a file's content in its metadata, whose checksum is right.

    Raises:
        ValueError: It is wrong.
    """
    checksum = about["sha256"]
    if isinstance(checksum, str) and len(checksum) == len(_NO_CHECKSUM):
        without = content.replace(checksum.encode(), _NO_CHECKSUM.encode(), 1)
        if hashlib.sha256(without).hexdigest() == checksum:
            return about["content"]
    raise ValueError("its checksum is wrong")


_KINDS: dict[str, Callable[[list[Any]], Any]] = {
    "dict": dict,
    "OrderedDict": OrderedDict,
    "list": list,
    "tuple": tuple,
}


def _restored(described: Any, tensors: dict[str, Tensor]) -> Any:
    """The reverse of :func:`_described`."""
    if not isinstance(described, dict):
        return described
    ((kind, content),) = described.items()
    if kind == "tensor":
        return tensors[content]
    if kind in ("dict", "OrderedDict"):
        return _KINDS[kind]([(key, _restored(value, tensors)) for key, value in content])
    return _KINDS[kind]([_restored(value, tensors) for value in content])
