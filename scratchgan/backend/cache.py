"""Where generated source and its compiled code are kept, so that only the first start compiles.

Every module that Numba compiles is written into the cache folder under a name with a hash of its
content, with the machine code beside it. Code that changes gets another name, so nothing stale is
ever run, and the package itself may lie where nothing can be written.
"""

import functools
import hashlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import platformdirs

_HERE = Path(__file__).parent


@functools.cache
def folder() -> Path:
    """The cache folder: ``$SCRATCHGAN_CACHE_DIR``, or the user's, or one for this process alone."""
    chosen = os.environ.get("SCRATCHGAN_CACHE_DIR") or platformdirs.user_cache_dir("scratchgan")
    path = Path(chosen) / "kernels"
    try:
        path.mkdir(parents=True, exist_ok=True)
        if os.access(path, os.W_OK):
            return path
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="scratchgan-kernels-"))


@functools.cache
def digest_of_functions() -> str:
    """What is inlined into every loop without standing in its source."""
    content = b"".join(
        (_HERE / f"{name}.py").read_bytes()
        for name in ("amx", "float32", "float64", "native", "noise", "simd")
    )
    return hashlib.sha256(content).hexdigest()[:16]


def load(name: str, source: str) -> ModuleType:
    """Import ``source`` as a module from the cache folder, where its compiled code is kept too."""
    source = f"# Made by scratchgan for functions {digest_of_functions()}.\n{source}"
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    path = folder() / f"{name}_{digest}.py"
    if not path.exists():
        write(path, source.encode())
    spec = importlib.util.spec_from_file_location(f"scratchgan_kernel_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # Numba finds the code it cached by this name
    spec.loader.exec_module(module)
    return module


def write(path: Path, content: bytes) -> None:
    """A file that appears whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    os.replace(file.name, path)


def source_for(name: str, dtype: str) -> str:
    """The source of the module ``name`` of this folder, which is for float32, for another type."""
    return (_HERE / f"{name}.py").read_text().replace("float32", dtype)
