"""Print pip's constraints for the oldest versions that pyproject.toml admits."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
for requirement in (*project["dependencies"], *project["optional-dependencies"]["dev"]):
    if bound := re.fullmatch(r"([\w-]+)(?:\[[\w,]+\])?>=([\d.]+)(;.*)?", requirement):
        name, version, marker = bound.groups()
        print(f"{name}=={version}.*{marker or ''}")
