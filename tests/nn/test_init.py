"""Initial distributions beyond their golden quantiles: in place, reproducible, errors."""

import numpy as np
import pytest

import scratchgan as sg
from scratchgan import nn
from scratchgan.nn import init

RANDOM = [
    *(init.uniform_, init.normal_, init.xavier_uniform_, init.xavier_normal_),
    *(init.kaiming_uniform_, init.kaiming_normal_),
]


@pytest.mark.parametrize("fill", RANDOM)
def test_in_place_and_from_the_stream_that_is_given(fill):
    parameter = nn.Parameter(sg.zeros(3, 4))
    array, version = parameter.array, parameter.version[0]

    assert fill(parameter, generator=sg.Generator(7)) is parameter
    assert parameter.array is array
    assert parameter.is_leaf
    assert parameter.version[0] > version
    drawn = parameter.tolist()
    sg.manual_seed(7)
    assert fill(nn.Parameter(sg.zeros(3, 4))).tolist() == drawn  # the default stream's seed
    assert fill(nn.Parameter(sg.zeros(3, 4))).tolist() != drawn


def test_a_part_of_a_tensor_is_filled_alone():
    whole = sg.zeros(4, 4)
    init.uniform_(whole[:, 1:3], 1.0, 2.0)
    values = whole.numpy()
    assert (values[:, [0, 3]] == 0).all()
    assert ((values[:, 1:3] >= 1) & (values[:, 1:3] <= 2)).all()


def test_constants():
    parameter = nn.Parameter(sg.empty(2))
    assert init.constant_(parameter, 0.5).tolist() == [0.5, 0.5]
    assert init.ones_(parameter).tolist() == [1, 1]
    assert init.zeros_(parameter) is parameter
    assert parameter.tolist() == [0, 0]


@pytest.mark.parametrize("sizes", [(1, 1), (7, 3), (64, 784)])
def test_linear_starts_within_one_over_the_root_of_its_inputs(sizes):
    layer = nn.Linear(*sizes)
    values = np.concatenate([p.numpy(force=True).ravel() for p in layer.parameters()])
    bound = 1 / np.sqrt(sizes[0])
    assert np.abs(values).max() <= bound * (1 + 1e-6)
    # Of n uniform numbers the largest is below x of the bound with probability x ** n.
    assert np.abs(values).max() > bound * 1e-6 ** (1 / len(values))


def test_layers_without_inputs_or_outputs_can_be_made():
    assert nn.Linear(0, 2)(sg.zeros(3, 0)).tolist() == [[0, 0]] * 3
    assert nn.Linear(2, 0)(sg.zeros(3, 2)).shape == (3, 0)


@pytest.mark.parametrize("fill", RANDOM[2:])
def test_fans_need_two_dimensions(fill):
    with pytest.raises(ValueError, match=rf"{fill.__name__}: a tensor of shape \(3,\) has no inp"):
        fill(sg.zeros(3))


def test_what_is_unknown_is_named():
    with pytest.raises(ValueError, match="kaiming_normal_: there is no mode 'fan_all'"):
        init.kaiming_normal_(sg.zeros(2, 2), mode="fan_all")
    with pytest.raises(ValueError, match="calculate_gain: no gain for 'swish'; choose one of lin"):
        init.calculate_gain("swish")


def test_matrices_of_a_special_form():
    sg.manual_seed(0)
    for shape in ((3, 5), (5, 3), (2, 3, 2)):
        rows = init.orthogonal_(sg.empty(*shape, dtype=sg.float64), gain=2).numpy()
        rows = rows.reshape(shape[0], -1)
        rows = rows if rows.shape[0] <= rows.shape[1] else rows.T
        np.testing.assert_allclose(rows @ rows.T, 4 * np.eye(len(rows)), atol=1e-12)
    assert init.eye_(nn.Parameter(sg.zeros(2, 3))).tolist() == [[1, 0, 0], [0, 1, 0]]
    sparse = init.sparse_(sg.empty(10, 4), 0.25, std=2.0).numpy()
    assert ((sparse == 0).sum(0) == 3).all()
    for fill in (init.eye_, lambda x: init.sparse_(x, 0.5), init.orthogonal_):
        with pytest.raises(ValueError, match=r"(eye|sparse|orthogonal)_: "):
            fill(sg.zeros(3))


def test_truncated_normal():
    sg.manual_seed(0)
    values = init.trunc_normal_(sg.empty(20_000), mean=1.0, std=2.0, a=0.0, b=2.0).numpy()
    assert values.min() >= 0
    assert values.max() <= 2
    assert abs(values.mean() - 1) < 0.02
    # Of a standard normal number within half a standard deviation of its mean.
    assert abs(values.std() - 2 * 0.28386) < 0.01
    with pytest.raises(ValueError, match="trunc_normal_: a is 1, not below b"):
        init.trunc_normal_(sg.empty(2), a=1, b=1)
