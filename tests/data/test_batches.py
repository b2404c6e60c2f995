"""batches: the order is a permutation that (seed, epoch) decides; the floats are in [-1, 1]."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchgan.data import batches
from scratchgan.data.batches import shuffled, to_float

words = st.integers(0, 2**64 - 1)


def numbered(count):
    """Images of one pixel, each of another value, by which a batch can be told."""
    return np.arange(count, dtype=np.uint8).reshape(count, 1, 1)


def taken(count, batch_size, **options):
    """The numbers of the images in each batch, read back from the floats."""
    made = batches(numbered(count), batch_size, **options)
    return [np.rint((b + 1) * 127.5).astype(int).ravel().tolist() for b in made]


@given(count=st.integers(1, 300), seed=words, epoch=words)
def test_shuffled_is_a_permutation(count, seed, epoch):
    order = shuffled(count, seed=seed, epoch=epoch)
    assert sorted(order.tolist()) == list(range(count))
    np.testing.assert_array_equal(order, shuffled(count, seed=seed, epoch=epoch))


def test_each_seed_and_epoch_has_its_own_order():
    # (0, 1) and (1, 0) among them: seed and epoch are no sum.
    orders = {
        tuple(shuffled(100, seed=seed, epoch=epoch))
        for seed, epoch in itertools.product([0, 1, 2, 2**64 - 1], repeat=2)
    }
    assert len(orders) == 16


def test_the_order_is_the_same_for_ever():
    # A run is a function of its seed: should this fail, runs can no longer be repeated.
    assert shuffled(10, seed=3, epoch=5).tolist() == [0, 6, 2, 1, 3, 4, 7, 8, 5, 9]
    assert shuffled(60_000, seed=0, epoch=0)[:4].tolist() == [47848, 34552, 24994, 32827]


def test_every_place_is_equally_likely():
    orders = np.array([shuffled(4, seed=0, epoch=epoch) for epoch in range(2400)])
    for place in range(4):
        counts = np.bincount(orders[:, place], minlength=4)
        # 600 expected with a standard deviation of 21; the draw is fixed, 5 deviations hold.
        assert np.abs(counts - 600).max() < 105


@given(data=st.data(), count=st.integers(1, 200), seed=words, epoch=words)
def test_an_epoch_takes_each_image_at_most_once(data, count, seed, epoch):
    size = data.draw(st.integers(1, count), label="batch_size")

    got = taken(count, size, seed=seed, epoch=epoch)

    assert [len(batch) for batch in got] == [size] * (count // size)
    flat = list(itertools.chain(*got))
    assert len(set(flat)) == len(flat)
    assert flat == shuffled(count, seed=seed, epoch=epoch)[: len(flat)].tolist()


@given(data=st.data(), count=st.integers(1, 100), seed=words, epoch=words)
def test_a_resumed_epoch_is_the_tail(data, count, seed, epoch):
    size = data.draw(st.integers(1, count), label="batch_size")
    start = data.draw(st.integers(0, count // size), label="start")
    whole = taken(count, size, seed=seed, epoch=epoch)
    assert taken(count, size, seed=seed, epoch=epoch, start=start) == whole[start:]


def test_batches_are_float_images_with_a_channel():
    images = np.random.default_rng(0).integers(0, 256, (10, 28, 28), np.uint8)
    before = images.copy()

    first, second = batches(images, 5, seed=0, epoch=0)

    for batch in (first, second):
        assert batch.dtype == np.float32
        assert batch.shape == (5, 1, 28, 28)
        assert batch.flags.c_contiguous
    # Each is an array of its own: a tape that saved the first does not see the second.
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(images, before)
    order = shuffled(10, seed=0, epoch=0)
    np.testing.assert_array_equal(np.concatenate([first, second])[:, 0], to_float(images[order]))


def test_to_float_maps_bytes_onto_the_range_of_tanh():
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)

    floats = to_float(every)

    assert floats.dtype == np.float32
    assert floats.shape == every.shape
    assert (floats[0, 0], floats[-1, -1]) == (-1, 1)
    assert (np.diff(floats.ravel()) > 0).all()
    np.testing.assert_allclose(floats, every / 127.5 - 1, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(every.ravel(), np.arange(256))


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"batch_size": 0}, "batch_size is 0; it must be 1 to 10"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"batch_size": 11}, "batch_size is 11; it must be 1 to 10"),
        ({"start": -1}, "start is -1; it must be 0 to 3"),
        ({"start": 4}, "start is 4; it must be 0 to 3"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**64}, "seed is 18446744073709551616"),
        ({"epoch": -1}, "epoch is -1"),
        ({"epoch": 2**64}, "epoch is 18446744073709551616"),
    ],
)
def test_refuses_at_once_what_is_out_of_range(options, fault):
    arguments = {"batch_size": 3, "seed": 0, "epoch": 0, "start": 0} | options
    with pytest.raises(ValueError, match=fault):
        batches(numbered(10), **arguments)


def test_epoch_and_seed_may_be_numpy_integers():
    plain = shuffled(50, seed=7, epoch=9)
    np.testing.assert_array_equal(shuffled(50, seed=np.int64(7), epoch=np.uint8(9)), plain)
