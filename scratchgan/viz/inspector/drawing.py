"""A graph as an SVG: a box for each primitive and each leaf, and an edge for each input."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from unicodedata import east_asian_width

from scratchgan.viz.inspector.layers import LAYER, Point, layered

#: Pixels: a letter, a line of text, around the text of a box, and around the picture.
_LETTER, _LINE, _PADDING, _MARGIN = 7.3, 16, 8, 8

#: The height of a box with all of its lines.
_TALLEST = 3 * _LINE + _PADDING

#: Most letters in a line of a box.
_LONGEST = 44

_FILL = {"call": "#ffffff", "leaf": "#e3f0fa", "constant": "#f1f1f1"}
_COLOURS = ("#1a1a1a", "#555555", "#b34700")  # of what it is, of its value, of its gradient


@dataclass(frozen=True)
class Box:
    """A primitive that ran, or what it was given.

    Attributes:
        kind: ``"call"``, ``"leaf"`` or ``"constant"``.
        texts: What it is, its value, its gradient; ``""`` for what is not known.
        inputs: The numbers of the boxes that an edge comes from.
        rules: For each of them the VJP that its gradient comes from, or ``""``.
    """

    kind: str
    texts: tuple[str, str, str]
    inputs: tuple[int, ...] = ()
    rules: tuple[str, ...] = ()


def svg(boxes: Sequence[Box]) -> str:
    """The picture: inputs above, the result below; a rule is told by the title of its edge.

    Args:
        boxes: Each after its inputs.
    """
    lines = [[_cut(text) for text in box.texts if text] for box in boxes]
    widths = [max(map(_letters, those)) * _LETTER + 2 * _PADDING for those in lines]
    heights = [len(those) * _LINE + _PADDING for those in lines]
    places, ways = layered([box.inputs for box in boxes], widths)
    parts = []
    drawn: set[Point] = set()  # where edges pass through layers
    for number, box in enumerate(boxes):
        for position, way in enumerate(ways[number]):
            x, y = places[number]
            offset = (position + 1) / (len(ways[number]) + 1) - 0.5
            source = box.inputs[position]
            # Where other edges from there have been drawn, this one branches off.
            new = [at for at in way[:-1] if at not in drawn]
            x_end, y_end = way[len(new)]
            is_branch = len(new) < len(way) - 1
            end = (x_end, y_end + (_TALLEST if is_branch else heights[source]) / 2)
            drawn.update(new)
            # Upright past the boxes of the layers between.
            through = [(x, y + d) for x, y in new[::-1] for d in (-_TALLEST / 2, _TALLEST / 2)]
            start = (x + offset * widths[number], y - heights[number] / 2)
            title = f"<title>← {escape(box.rules[position])}</title>" if box.rules[position] else ""
            parts.append(
                f'<path class="edge" data-from="{source}" data-to="{number}" '
                f'd="{_curve([end, *through, start])}">{title}</path>'
            )
    for number, (box, (x, y)) in enumerate(zip(boxes, places, strict=True)):
        width, height = widths[number], heights[number]
        left, upper = x - width / 2, y - height / 2
        parts.append(
            f'<g class="{box.kind}" data-box="{number}"><rect x="{left:.1f}" y="{upper:.1f}" '
            f'width="{width:.1f}" height="{height}" rx="4" fill="{_FILL[box.kind]}"/>'
        )
        shown = [(text, fill) for text, fill in zip(box.texts, _COLOURS, strict=True) if text]
        for line, (text, fill) in enumerate(shown, start=1):
            parts.append(
                f'<text x="{x:.1f}" y="{upper + line * _LINE:.1f}" fill="{fill}">'
                f"{escape(_cut(text))}</text>"
            )
        parts.append("</g>")
    right = max(x + w / 2 for (x, _), w in zip(places, widths, strict=True)) + _MARGIN
    top = min(y - h / 2 for (_, y), h in zip(places, heights, strict=True)) - _MARGIN
    bottom = max(y + h / 2 for (_, y), h in zip(places, heights, strict=True)) + _MARGIN
    size = f"{right + _MARGIN:.0f}", f"{bottom - top:.0f}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" '
        f'viewBox="{-_MARGIN} {top:.1f} {size[0]} {size[1]}">'
        "<style>rect { stroke: #888888 } .edge { fill: none; stroke: #888888 } "
        "text { font: 12px monospace; text-anchor: middle }</style>"
        f"{''.join(parts)}</svg>"
    )


def _letters(text: str) -> int:
    """How wide a text is, in letters: those of Chinese and Japanese are as wide as two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _cut(text: str) -> str:
    if _letters(text) <= _LONGEST:
        return text
    kept = text[:_LONGEST]
    while _letters(kept) >= _LONGEST:
        kept = kept[:-1]
    return f"{kept}…"


def _curve(points: Sequence[Point]) -> str:
    """A line through the points, from one layer to the next upright at both ends."""
    (x, y), *others = points
    path = f"M{x:.1f} {y:.1f}"
    for next_x, next_y in others:
        bend = min(LAYER / 2, (next_y - y) / 2)
        path += (
            f"C{x:.1f} {y + bend:.1f} {next_x:.1f} {next_y - bend:.1f} {next_x:.1f} {next_y:.1f}"
        )
        x, y = next_x, next_y
    return path
