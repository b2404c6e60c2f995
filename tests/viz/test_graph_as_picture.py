"""A graph in a notebook: a picture in which every box and edge is there, and nothing overlaps."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan import nn
from scratchgan.viz.inspector.layers import LAYER, layered

SVG = "{http://www.w3.org/2000/svg}"

#: For each of some operations the numbers of what it is given: of any before it, or leaves.
TAPES = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=25)


def picture_of(graph):
    """The root of the picture, its boxes as numbers, and its edges as pairs of boxes."""
    assert graph._repr_html_() is None
    root = ET.fromstring(graph._repr_svg_())
    boxes = {int(g.get("data-box")): g for g in root.iter(f"{SVG}g")}
    edges = [
        (int(path.get("data-from")), int(path.get("data-to"))) for path in root.iter(f"{SVG}path")
    ]
    return root, boxes, edges


def sides(box):
    rect = box.find(f"{SVG}rect")
    x, y, width, height = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
    return x, x + width, y, y + height


def text_of(box):
    return [text.text for text in box.iter(f"{SVG}text")]


@given(TAPES)
def test_every_box_and_edge_is_there_and_no_boxes_overlap(tape):
    known = [sg.tensor(float(i), requires_grad=True) for i in range(3)]
    inputs = {}
    for first, second in tape:
        a, b = (known[-1 - number % min(len(known), 4)] for number in (first, second))
        known.append(a + b)
        inputs[id(known[-1])] = (a, b)
    reached, stack = set(), [known[-1]]
    while stack:
        one = stack.pop()
        if id(one) not in reached:
            reached.add(id(one))
            stack += inputs.get(id(one), ())
    root, boxes, edges = picture_of(sg.graph(known[-1]))
    assert len(boxes) == len(reached)
    assert len(edges) == 2 * len(reached & inputs.keys())
    width, height = float(root.get("width")), float(root.get("height"))
    places = {number: sides(box) for number, box in boxes.items()}
    for number, (left, right, upper, lower) in places.items():
        assert left >= 0 and right <= width
        for other, (left_2, right_2, upper_2, lower_2) in places.items():
            beside = right < left_2 or right_2 < left
            assert other == number or beside or lower < upper_2 or lower_2 < upper
    assert max(lower for *_, lower in places.values()) - min(s[2] for s in places.values()) < height
    for source, target in edges:
        assert places[source][3] < places[target][2]  # what goes in lies above


def test_boxes_say_what_the_tree_says_and_edges_their_rules():
    x = sg.tensor([1.0, 2.0], requires_grad=True)
    w = sg.tensor([0.5, -1.0], requires_grad=True)
    graph = sg.graph(((w * x).tanh() * 5).sum(), {"w": w, "x": x})
    root, boxes, edges = picture_of(graph)
    assert [text_of(box) for box in boxes.values()] == [
        ["w (2)", "= [ 0.5, -1. ]", "∇ [3.9322, 0.7065]"],
        ["x (2)", "= [1., 2.]", "∇ [ 1.9661, -0.3533]"],
        ["mul (2)", "∇ [3.9322, 0.3533]"],
        ["tanh (2)", "= [ 0.4621, -0.964 ]", "∇ [5., 5.]"],
        ["5"],
        ["mul (2)", "∇ [1., 1.]"],
        ["sum ()", "= -2.5096", "∇ 1."],
    ]
    assert edges == [(0, 2), (1, 2), (2, 3), (3, 5), (4, 5), (5, 6)]
    titles = [title.text for title in root.iter(f"{SVG}title")]
    assert titles[:2] == ["← g * y", "← g * x"]
    assert [box.get("class") for box in boxes.values()] == [
        *("leaf", "leaf", "call", "call", "constant", "call", "call")
    ]


def test_names_are_escaped_and_long_ones_cut():
    x = sg.tensor(1.0, requires_grad=True)
    _, boxes, _ = picture_of(sg.graph(x.exp(), {'<b>&"': x}))
    assert text_of(boxes[0])[0] == '<b>&" ()'
    _, boxes, _ = picture_of(sg.graph(x.exp(), {"x" * 1000: x}))
    assert text_of(boxes[0])[0] == "x" * 43 + "…"
    _, boxes, _ = picture_of(sg.graph(x.exp(), {"数" * 1000: x}))
    assert text_of(boxes[0])[0] == "数" * 21 + "…"
    _, boxes, _ = picture_of(sg.graph(x.exp(), {"数" * 15: x}))
    left, right, *_ = sides(boxes[0])
    assert right - left > 30 * 7


@pytest.mark.parametrize("length", [300, 301, 3000])
def test_a_long_graph_is_a_tree(length):
    y = x = sg.tensor(1.0, requires_grad=True)
    for _ in range(length):
        y = y + x
    graph = sg.graph(y, {"<x>": x})
    if length == 300:
        assert len(picture_of(graph)[1]) == 301
        return
    assert graph._repr_svg_() is None
    html = graph._repr_html_()
    assert html.startswith("<pre>add () = ") or html.startswith("<pre>add ()")
    assert "&lt;x&gt; ()" in html and "<x>" not in html


def test_edges_over_several_layers_keep_clear_of_boxes():
    inputs = [[], [0], [1], [2], [0, 3]]
    places, ways = layered(inputs, [100.0] * 5)
    assert [y for _, y in places] == [i * LAYER for i in range(5)]
    way = ways[4][0]
    assert way[-1] == places[0]
    assert [y for _, y in way] == [3 * LAYER, 2 * LAYER, LAYER, 0]
    for x, y in way[:-1]:
        box = next(at for at, height in places if height == y)
        assert abs(x - box) > 50


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_in_a_browser(open_page, tmp_path, width, scheme):
    sg.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    loss = (model(sg.ones(4, 2)) - model(sg.zeros(4, 2))).square().mean()
    path = tmp_path / "graph.svg"
    path.write_text(sg.graph(loss, model)._repr_svg_(), "utf-8")
    with open_page(path, width=width, scheme=scheme) as page:
        assert page.locator("rect").count() == page.locator("g").count() > 10
        # No text is wider than its box.
        assert page.evaluate(
            "[...document.querySelectorAll('g')].every(g => [...g.querySelectorAll('text')].every("
            "t => t.getBBox().width < g.querySelector('rect').getBBox().width))"
        )
