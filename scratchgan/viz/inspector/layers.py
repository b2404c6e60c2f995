"""Boxes in layers, each below what it is made of."""

from collections.abc import Sequence

Point = tuple[float, float]

#: Pixels: between two boxes of a layer, from one layer to the next, and the width of an edge.
_GAP, LAYER, _NARROW = 16.0, 90.0, 8.0

_SWEEPS = 12


def layered(
    inputs: Sequence[Sequence[int]], widths: Sequence[float]
) -> tuple[list[Point], list[list[list[Point]]]]:
    """Where boxes lie, and which way their edges go, so that edges are short and cross little.

    A box is as far from the last as its longest path there (longest-path layering); in its layer it
    lies where its neighbours do on average (the barycenter method of Sugiyama, Tagawa and Toda,
    1981), pushed aside by those to its left. An edge over several layers keeps a place in each.

    Args:
        inputs: For each box the numbers of those above it, all smaller than its own.
        widths: Of the boxes, in pixels.

    Returns:
        The middle of each box, and for each of its inputs the middles on the way up there, that of
        the input last.
    """
    count = len(inputs)
    layer = [0] * count
    for box in reversed(range(count)):
        for above in inputs[box]:
            layer[above] = max(layer[above], layer[box] + 1)
    # From here on there are places too: in which an edge passes through a layer.
    wide, up = [*widths], [[*above] for above in inputs]
    place: dict[tuple[int, int], int] = {}  # of the edges from a box, in a layer below it
    for box in range(count):
        for position, above in enumerate(inputs[box]):
            before = above
            for level in range(layer[above] - 1, layer[box], -1):
                if (above, level) not in place:
                    place[above, level] = len(up)
                    layer.append(level)
                    wide.append(_NARROW)
                    up.append([before])
                before = place[above, level]
            up[box][position] = before
    down: list[list[int]] = [[] for _ in up]
    rows: list[list[int]] = [[] for _ in range(max(layer, default=0) + 1)]
    for one, those in enumerate(up):
        rows[layer[one]].append(one)
        for other in those:
            down[other].append(one)
    x = [0.0] * len(up)
    for sweep in range(_SWEEPS):
        near, order = (up, rows[::-1]) if sweep % 2 else (down, rows)
        for row in order:
            wish = {one: _mean([x[other] for other in near[one]] or [x[one]]) for one in row}
            row.sort(key=wish.__getitem__)
            edge = -float("inf")
            for one in row:
                x[one] = max(wish[one], edge + wide[one] / 2)
                edge = x[one] + wide[one] / 2 + _GAP
            shift = _mean([wish[one] - x[one] for one in row])
            for one in row:
                x[one] += shift
    left = min((x[one] - wide[one] / 2 for one in range(len(up))), default=0.0)
    points = [(x[one] - left, (len(rows) - 1 - layer[one]) * LAYER) for one in range(len(up))]

    def way(one: int) -> list[Point]:
        found = [one]
        while found[-1] >= count:
            found += up[found[-1]]
        return [points[each] for each in found]

    return points[:count], [[way(one) for one in up[box]] for box in range(count)]


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)
