"""What MkDocs cannot do by itself: links to the code, and formulas as MathML.

On the pages a link to a file of the repository is a path, which GitHub follows. In the book there
is a page for each file that is linked, with its source; a link whose text is a name that the file
defines leads to its line.
"""

import ast
import html
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
#: A link with its text and its path; images are not links.
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#:\s]+)(#[^)\s]*)?\)")
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def linked_file(page: str, target: str) -> str | None:
    """The file of the repository that ``page`` of docs/ links to, if it lies outside docs/."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), target))
    return None if path.startswith("docs/") else path


def line_of(source: str, text: str) -> int | None:
    """The line on which ``source`` defines the name that a link's text says, as `` `name` ``."""
    for name, line in definitions(ast.parse(source).body):
        if f"`{name}`" in text:
            return line
    return None


def definitions(body: list[ast.stmt], within: str = "") -> Iterator[tuple[str, int]]:
    """The names that a module or class defines, with their lines; methods as ``Class.method``."""
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name):
                yield within + name, statement.lineno
            case ast.ClassDef(name=name):
                yield within + name, statement.lineno
                yield from definitions(statement.body, f"{name}.")
                if not within:  # a method may also be named alone
                    yield from definitions(statement.body)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield within + name, statement.lineno


def on_files(files: Any, config: Any) -> Any:
    """A page for each file of the repository that a page links to."""
    from mkdocs.structure.files import File, InclusionLevel

    for page in list(files.documentation_pages()):
        for _, target, _ in LINK.findall(page.content_string):
            path = linked_file(page.src_uri, target)
            uri = f"source/{path}.md"
            if path is None or files.get_file_from_path(uri):
                continue
            source = (ROOT / path).read_text(encoding="utf-8")
            language = "python" if path.endswith(".py") else "text"
            content = f"# {path}\n\n```````{{.{language} linenums=1}}\n{source}\n```````\n"
            file = File.generated(config, uri, content=content)
            file.inclusion = InclusionLevel.NOT_IN_NAV
            files.append(file)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links out of docs/ lead to the pages of their files."""
    here = page.file.src_uri
    if here.startswith("source/"):
        page.meta["search"] = {"exclude": True}
        page.meta["hide"] = ["toc", "navigation"]
        return markdown

    def led(link: re.Match[str]) -> str:
        text, target, _ = link.groups()
        path = linked_file(here, target)
        if path is None:
            return link[0]
        line = line_of((ROOT / path).read_text(encoding="utf-8"), text) if ".py" in path else None
        there = posixpath.relpath(f"source/{path}.md", posixpath.dirname(here) or ".")
        return f"[{text}]({there}{f'#__codelineno-0-{line}' if line else ''})"

    return LINK.sub(led, markdown)


def on_page_content(content: str, page: Any, config: Any, files: Any) -> str:
    """Formulas become MathML, which browsers draw without a script and without the network."""
    from latex2mathml.converter import convert

    def drawn(formula: re.Match[str]) -> str:
        display = "block" if formula[2] == "[" else "inline"
        math = convert(html.unescape(formula[3]), display=display)
        return f'<div class="formula">{math}</div>' if display == "block" else math

    return FORMULA.sub(drawn, content)
