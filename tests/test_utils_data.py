"""Datasets, samplers, collation and the DataLoader, against PyTorch where that is installed."""

import inspect
import warnings
from collections import OrderedDict, namedtuple
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchgan as sg
from scratchgan.utils import data
from scratchgan.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    default_collate,
    default_convert,
    random_split,
)

Point = namedtuple("Point", "x y")


class Stream(IterableDataset):
    def __init__(self, count):
        self.count = count

    def __iter__(self):
        return iter(range(self.count))


class SizedStream(Stream):
    def __len__(self):
        return self.count


def pairs(count):
    """A dataset of (number, its square)."""
    numbers = sg.arange(count)
    return TensorDataset(numbers, numbers * numbers)


def values(batches):
    return [batch.tolist() for batch in batches]


def joined(lists):
    return list(chain.from_iterable(lists))


# --- Datasets -----------------------------------------------------------------------------


def test_a_tensor_dataset_has_slices_of_each_tensor():
    dataset = TensorDataset(sg.arange(6).reshape(3, 2), sg.tensor([0.5, 1.5, 2.5]))
    assert len(dataset) == 3
    x, y = dataset[1]
    assert x.tolist() == [2, 3] and y.item() == 1.5
    assert [y.item() for _, y in (dataset[i] for i in (0, -1))] == [0.5, 2.5]


@pytest.mark.parametrize(
    "tensors", [(), (sg.zeros(2), sg.zeros(3)), (sg.tensor(1.0),), (sg.zeros(2), sg.tensor(1.0))]
)
def test_tensors_of_a_dataset_have_one_length(tensors):
    with pytest.raises(ValueError, match="TensorDataset: of one or more tensors of one size"):
        TensorDataset(*tensors)


def test_a_tensor_dataset_is_of_tensors():
    with pytest.raises(TypeError, match=r"TensorDataset: of tensors, not of ndarray"):
        TensorDataset(np.zeros(3))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=5))
def test_datasets_one_after_another(lengths):
    parts = [list(range(10 * i, 10 * i + n)) for i, n in enumerate(lengths)]
    whole = ConcatDataset(parts)
    expected = joined(parts)
    assert len(whole) == len(expected)
    assert [whole[i] for i in range(len(whole))] == expected
    assert [whole[i - len(whole)] for i in range(len(whole))] == expected
    for index in (len(whole), -len(whole) - 1):
        with pytest.raises(IndexError, match=f"ConcatDataset: {index} is out of range"):
            whole[index]


def test_datasets_are_added():
    both = pairs(2) + pairs(3)
    assert isinstance(both, ConcatDataset)
    assert [x.item() for x, _ in (both[i] for i in range(5))] == [0, 1, 0, 1, 2]
    streams = SizedStream(2) + SizedStream(3)
    assert isinstance(streams, ChainDataset)
    assert list(streams) == [0, 1, 0, 1, 2]
    assert len(streams) == 5


def test_datasets_that_cannot_be_put_together():
    with pytest.raises(ValueError, match="ConcatDataset: there are no datasets"):
        ConcatDataset([])
    with pytest.raises(TypeError, match=r"ConcatDataset: .* use ChainDataset"):
        ConcatDataset([pairs(2), Stream(2)])
    with pytest.raises(TypeError, match=r"ChainDataset: .*not of TensorDataset; use ConcatDataset"):
        list(ChainDataset([Stream(2), pairs(2)]))


def test_what_a_subclass_has_to_write():
    with pytest.raises(NotImplementedError, match="Dataset has no __getitem__"):
        Dataset()[0]
    with pytest.raises(NotImplementedError, match="Sampler has no __iter__"):
        iter(Sampler())
    with pytest.raises(TypeError, match="__iter__"):
        IterableDataset()


def test_a_subset():
    subset = Subset(pairs(10), [7, 3, 5])
    assert len(subset) == 3
    assert [x.item() for x, _ in (subset[i] for i in range(3))] == [7, 3, 5]
    (rows,) = values(subset[[0, 2]][:1])
    assert rows == [7, 5]
    x, y = next(iter(DataLoader(Subset(subset, [2, 0]), 2)))
    assert values([x, y]) == [[5, 7], [25, 49]]


def test_a_subset_with_items_of_its_own_needs_both_methods():
    class Half(Subset):
        def __getitem__(self, index):
            return "own"

    class Whole(Half):
        def __getitems__(self, indices):
            return [self[i] for i in indices]

    with pytest.raises(NotImplementedError, match="Half: has its own __getitem__"):
        Half(pairs(3), [0])
    assert next(iter(DataLoader(Whole(pairs(3), [0, 1]), 2))) == ["own", "own"]


# --- random_split ---------------------------------------------------------------------------


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.integers(0, 1000))
def test_a_split_has_each_item_once(lengths, seed):
    whole = list(range(100, 100 + sum(lengths)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of [1, 0], which are fractions
        parts, again = (random_split(whole, lengths, sg.Generator(seed)) for _ in range(2))
    assert [len(part) for part in parts] == lengths
    assert sorted(part[i] for part in parts for i in range(len(part))) == whole
    assert [part.indices for part in again] == [part.indices for part in parts]


def test_a_split_is_random():
    sg.manual_seed(0)
    first, second = (random_split(range(50), [25, 25])[0].indices for _ in range(2))
    assert sorted(first) != first != second
    sg.manual_seed(0)
    assert random_split(range(50), [25, 25], None)[0].indices == first


@pytest.mark.parametrize(
    ("count", "fractions", "lengths"),
    [
        (10, [0.7, 0.3], [7, 3]),
        (10, [0.33, 0.33, 0.34], [4, 3, 3]),  # 3.3, 3.3, 3.4: the one left over goes to the first
        (11, [0.25] * 4, [3, 3, 3, 2]),
        (7, [1], [7]),
        (3, [0.5, 0.5], [2, 1]),
    ],
)
def test_a_split_by_fractions(count, fractions, lengths):
    assert [len(part) for part in random_split(range(count), fractions)] == lengths


def test_a_split_warns_of_an_empty_part():
    with pytest.warns(UserWarning, match="random_split: part 1 of 1 items is empty"):
        random_split(range(1), [0.5, 0.5])


@pytest.mark.parametrize("lengths", [[3, 4], [0.5, 0.2, 0.2, 1], [], [5, 6]])
def test_a_split_must_add_up(lengths):
    error = TypeError if 0.5 in lengths else ValueError
    with pytest.raises(error, match=r"random_split: .* add up to"):
        random_split(range(10), lengths)


def test_a_length_is_not_negative():
    with pytest.raises(ValueError, match=r"random_split: the length -2 is negative"):
        random_split(range(10), [12, -2])


def test_fractions_are_from_0_to_1():
    with pytest.raises(ValueError, match="random_split: fractions are from 0 to 1"):
        random_split(range(10), [1.5, -0.5])


# --- Samplers -----------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(0, 99))
def test_a_random_order_has_each_index_once(count, seed):
    sampler = RandomSampler(range(count), generator=sg.Generator(seed))
    assert sorted(sampler) == list(range(count))
    assert len(sampler) == count


def test_two_epochs_differ_and_a_seed_repeats_them():
    for sampler in (
        RandomSampler(range(100)),
        RandomSampler(range(100), replacement=True),
        SubsetRandomSampler(range(100)),
    ):
        sg.manual_seed(3)
        first, second = list(sampler), list(sampler)
        assert first != second
        sg.manual_seed(3)
        assert list(sampler) == first
        assert list(sampler) == second


def test_every_order_is_about_equally_likely():
    sampler = RandomSampler(range(3), generator=sg.Generator(1))
    counts = {}
    for _ in range(1200):
        order = tuple(sampler)
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert all(150 < count < 250 for count in counts.values())  # 200 expected, 13 the deviation


def test_samples_beyond_the_length():
    sampler = RandomSampler(range(4), num_samples=10, generator=sg.Generator(0))
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == 10
    assert sorted(drawn[:4]) == sorted(drawn[4:8]) == [0, 1, 2, 3]
    assert len(list(RandomSampler(range(4), num_samples=3))) == 3


def test_samples_with_replacement():
    drawn = list(RandomSampler(range(5), True, 1000, sg.Generator(0)))
    assert len(drawn) == 1000
    counts = np.bincount(drawn, minlength=5)
    assert len(counts) == 5 and counts.min() > 150  # 200 expected, 13 the deviation


def test_a_subset_in_a_random_order():
    sampler = SubsetRandomSampler([5, 7, 9], sg.Generator(0))
    assert sorted(sampler) == [5, 7, 9]
    assert len(sampler) == 3


@pytest.mark.parametrize("count", [0, -1, 2.5, "3"])
def test_a_random_sampler_gives_at_least_one(count):
    with pytest.raises(ValueError, match="RandomSampler: num_samples is"):
        RandomSampler(range(3), num_samples=count)


def test_what_a_random_sampler_refuses():
    with pytest.raises(ValueError, match=r"num_samples is 0.* length of the dataset"):
        RandomSampler([])
    with pytest.raises(TypeError, match="RandomSampler: replacement is True or False, not 1"):
        RandomSampler([1], replacement=1)


@given(st.integers(0, 20), st.integers(1, 7), st.booleans())
def test_batches_of_indices(count, size, drop_last):
    sampler = BatchSampler(SequentialSampler(range(count)), size, drop_last)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    assert all(len(batch) == size for batch in batches[:-1])
    flat = joined(batches)
    assert flat == list(range(count // size * size if drop_last else count))


@pytest.mark.parametrize("size", [0, -1, 2.0, True, None])
def test_a_batch_has_at_least_one(size):
    with pytest.raises(ValueError, match=r"batch_size is .*; it must be an integer, 1 or more"):
        BatchSampler([1], size, False)


def test_drop_last_is_a_bool():
    with pytest.raises(ValueError, match="drop_last is 1; it must be True or False"):
        BatchSampler([1], 1, 1)


# --- Collation ----------------------------------------------------------------------------

BATCHES = [
    [1, 2],
    [True, False],
    [1.5, 2],
    [1, 2.5],
    ["a", "b"],
    [b"a", b"b"],
    [np.float32(1), np.float32(2)],
    [np.float64(1)],
    [np.int32(1), np.int32(7)],
    [np.bool_(True)],
    [np.uint8(3)],
    [np.array([1.0, 2.0]), np.array([3.0, 4.0])],
    [np.array([1], np.uint8)],
    [np.array(1.0), np.array(2.0)],
    [(1, "a"), (2, "b")],
    [[1, 2.0], [3, 4.0]],
    [Point(1, 2.0), Point(3, 4.0)],
    [{"a": 1, "b": [2.0]}, {"a": 3, "b": [4.0]}],
    [OrderedDict(a=1), OrderedDict(a=2)],
    [range(2), range(2)],
]


def same(ours, theirs):
    """Whether two batches are alike, in kinds, types and values."""
    if hasattr(theirs, "numpy"):
        theirs = theirs.numpy()
        assert isinstance(ours, sg.Tensor)
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_array_equal(ours.array, theirs)
    elif isinstance(theirs, dict):
        assert type(ours) is type(theirs) and ours.keys() == theirs.keys()
        for key in theirs:
            same(ours[key], theirs[key])
    elif isinstance(theirs, str | bytes | int | float):
        assert ours == theirs
    else:
        assert type(ours) is type(theirs) and len(ours) == len(theirs)
        for x, y in zip(ours, theirs, strict=True):
            same(x, y)


@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_collation_is_that_of_pytorch(batch):
    theirs = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    same(default_collate(batch), theirs.default_collate(batch))


@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_conversion_is_that_of_pytorch(batch):
    theirs = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    same(default_convert(batch[0]), theirs.default_convert(batch[0]))


def test_collation():
    """By hand what the comparison shows where PyTorch is."""
    integers, floats, texts = default_collate([(1, 0.5, "a"), (2, 1.5, "b")])
    assert integers.dtype == sg.int64 and integers.tolist() == [1, 2]
    assert floats.dtype == sg.float64 and floats.tolist() == [0.5, 1.5]
    assert texts == ("a", "b")
    point = default_collate([Point(np.float32(1), {"k": [2]}), Point(np.float32(3), {"k": [4]})])
    assert isinstance(point, Point)
    assert point.x.dtype == sg.float32 and point.x.tolist() == [1, 3]
    assert [x.tolist() for x in point.y["k"]] == [[2, 4]]


@given(st.lists(st.integers(0, 3), max_size=3), st.integers(1, 4))
def test_tensors_are_stacked(shape, count):
    items = [sg.randn(*shape) for _ in range(count)]
    batch = default_collate(items)
    assert batch.shape == (count, *shape) and batch.dtype == sg.float32
    np.testing.assert_array_equal(batch.array, np.stack([x.array for x in items]))


def test_a_gradient_goes_through_a_batch():
    x = sg.tensor([1.0, 2.0], requires_grad=True)
    default_collate([x, x * 3]).sum().backward()
    assert x.grad.tolist() == [4, 4]


@pytest.mark.parametrize("item", [None, object(), {1}, np.array(["a"]), np.array([None]), 1j])
def test_what_cannot_be_collated(item):
    kind = f"arrays of {item.dtype}" if isinstance(item, np.ndarray) else type(item).__name__
    with pytest.raises(TypeError) as caught:
        default_collate([item, item])
    assert str(caught.value).startswith("default_collate: ")
    assert f"not of {kind}; make tensors of the items" in str(caught.value)


def test_items_of_a_batch_are_alike():
    with pytest.raises(RuntimeError, match=r"default_collate: items of \[1, 2\] parts"):
        default_collate([[1], [1, 2]])
    with pytest.raises(RuntimeError, match=r"default_collate: tensors of the shapes \(2,\), \(3,"):
        default_collate([sg.zeros(3), sg.zeros(2)])
    with pytest.raises(RuntimeError, match="default_collate: tensors of the shapes"):
        default_collate([np.zeros(3), np.zeros(2)])


# --- The loader ---------------------------------------------------------------------------


@given(st.integers(0, 12), st.integers(1, 5), st.booleans())
def test_a_loader_goes_through_a_dataset(count, size, drop_last):
    loader = DataLoader(pairs(count), size, drop_last=drop_last)
    batches = list(loader)
    assert len(batches) == len(loader)
    assert all(isinstance(batch, list) for batch in batches)
    numbers = joined(x.tolist() for x, _ in batches)
    assert numbers == list(range(count // size * size if drop_last else count))
    assert all(y.tolist() == [i * i for i in x.tolist()] for x, y in batches)


def test_shuffling():
    loader = DataLoader(pairs(40), 10, shuffle=True)
    sg.manual_seed(7)
    epochs = [joined(x.tolist() for x, _ in loader) for _ in range(2)]
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(40))
    sg.manual_seed(7)
    assert joined(x.tolist() for x, _ in loader) == epochs[0]


def test_shuffling_by_a_generator_leaves_the_default_stream_alone():
    orders = []
    for _ in range(2):
        sg.manual_seed(0)
        loader = DataLoader(range(20), 20, shuffle=True, generator=sg.Generator(5))
        orders.append(values(loader))
        assert sg.rand(1).item() == sg.rand(1, generator=sg.Generator(0)).item()
    assert orders[0] == orders[1]


def test_two_loops_at_the_same_time():
    loader = DataLoader(range(3))
    assert [(x.item(), y.item()) for x, y in zip(loader, loader, strict=True)] == [
        (0, 0),
        (1, 1),
        (2, 2),
    ]


class Counting:
    """A tensor that counts how often it is indexed."""

    def __init__(self, numbers):
        self.numbers = numbers
        self.fetched = 0

    def __getitem__(self, index):
        self.fetched += 1
        return self.numbers[index]

    def __len__(self):
        return len(self.numbers)


def test_a_batch_of_a_tensor_dataset_is_fetched_once_and_is_a_copy():
    numbers = sg.arange(6)
    dataset = TensorDataset(numbers)
    dataset.tensors = (Counting(numbers),)
    (first,), (second,) = DataLoader(dataset, 3)
    assert dataset.tensors[0].fetched == 2
    first.zero_()
    assert numbers.tolist() == [0, 1, 2, 3, 4, 5] and second.tolist() == [3, 4, 5]


def test_items_of_a_subclass_are_its_own():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            (x,) = super().__getitem__(index)
            return 2 * x

    assert values(DataLoader(Doubled(sg.arange(4)), 2)) == [[0, 2], [4, 6]]


@pytest.mark.parametrize("indices", [[2, 0], [np.int64(2), 0], [sg.tensor(2), 0], [np.int8(2), 0]])
def test_indices_of_any_kind(indices):
    (batch,) = DataLoader(pairs(3), batch_sampler=[indices])
    assert values(batch) == [[2, 0], [4, 0]]


def test_lists_and_slices_as_indices():
    """A sampler may give what the items understand, as in PyTorch."""
    (batch,) = DataLoader(pairs(4), 2, sampler=[[0, 1], [2, 3]])
    assert values(batch) == [[[0, 1], [2, 3]], [[0, 1], [4, 9]]]
    (batch,) = DataLoader(pairs(4), 2, sampler=[slice(2), slice(2, 4)])
    assert values(batch) == [[[0, 1], [2, 3]], [[0, 1], [4, 9]]]


def test_an_own_function_gets_a_list_of_items():
    def collate(items):
        assert type(items) is list and type(items[0]) is tuple
        items.sort(key=lambda item: -item[0].item())
        return [x.item() for x, _ in items]

    assert list(DataLoader(pairs(4), 3, collate_fn=collate)) == [[2, 1, 0], [3]]


def test_a_sampler_and_a_batch_sampler():
    assert values(DataLoader(range(10), 2, sampler=[4, 6, 8])) == [[4, 6], [8]]
    loader = DataLoader(range(10), batch_sampler=[[1], [2, 3]])
    assert values(loader) == [[1], [2, 3]]
    assert len(loader) == 2 and loader.batch_size is None and loader.drop_last is False


def test_without_batches():
    dataset = [(1, np.float32(2)), (np.zeros(2), "a")]
    loader = DataLoader(dataset, batch_size=None)
    (one, two), (zeros, text) = loader
    assert (one, two.item(), text) == (1, 2.0, "a")
    assert isinstance(zeros, sg.Tensor) and zeros.dtype == sg.float64
    assert len(loader) == 2
    assert list(DataLoader(dataset, None, collate_fn=lambda item: item[0] is item)) == [False] * 2


@pytest.mark.parametrize("drop_last", [False, True])
def test_a_stream(drop_last):
    loader = DataLoader(SizedStream(5), 2, drop_last=drop_last)
    assert values(loader) == [[0, 1], [2, 3]] + ([] if drop_last else [[4]])
    assert len(loader) == 3 - drop_last
    assert list(DataLoader(Stream(3), None)) == [0, 1, 2]
    with pytest.raises(TypeError, match="has no len"):
        len(DataLoader(Stream(3)))


def test_an_empty_dataset():
    assert list(DataLoader([])) == [] and len(DataLoader([])) == 0
    assert list(DataLoader([], batch_sampler=[])) == []


def test_options_for_speed_change_nothing():
    options = {
        **{"num_workers": 4, "pin_memory": True, "timeout": 9, "prefetch_factor": 2},
        **{"worker_init_fn": print, "multiprocessing_context": "fork", "persistent_workers": True},
        **{"pin_memory_device": "cuda", "in_order": False},
    }
    loader = DataLoader(range(5), 2, **options)
    assert values(loader) == values(DataLoader(range(5), 2))
    assert {name: getattr(loader, name) for name in options} == options
    assert data.get_worker_info() is None


REFUSED = [
    {"shuffle": True, "sampler": [0]},
    {"batch_sampler": [[0]], "batch_size": 2},
    {"batch_sampler": [[0]], "batch_size": None},
    {"batch_sampler": [[0]], "shuffle": True},
    {"batch_sampler": [[0]], "sampler": [0]},
    {"batch_sampler": [[0]], "drop_last": True},
    {"batch_size": None, "drop_last": True},
    {"batch_size": 0},
    {"batch_size": -3},
    {"batch_size": 1.5},
    {"drop_last": 2},
    {"num_workers": -1},
    {"timeout": -1},
    {"prefetch_factor": 2},
    {"prefetch_factor": -2, "num_workers": 1},
    {"persistent_workers": True},
    {"multiprocessing_context": "fork"},
]


@pytest.mark.parametrize("options", REFUSED, ids=str)
def test_what_a_loader_refuses(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        DataLoader(range(3), **options)


@pytest.mark.parametrize("options", REFUSED, ids=str)
def test_pytorch_refuses_it_too(options):
    theirs = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    with pytest.raises(ValueError):
        theirs.DataLoader(range(3), **options)


@pytest.mark.parametrize("options", [{"shuffle": True}, {"sampler": []}, {"batch_sampler": [[0]]}])
def test_a_stream_has_its_own_order(options):
    with pytest.raises(ValueError, match="is not for an IterableDataset"):
        DataLoader(Stream(3), **options)
    DataLoader(Stream(3), shuffle=False)


def test_shuffling_nothing():
    with pytest.raises(ValueError, match="num_samples is 0"):
        DataLoader([], shuffle=True)


@pytest.mark.parametrize(
    "name", ["batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"]
)
def test_what_a_loader_was_made_of_stays(name):
    loader = DataLoader(range(3))
    with pytest.raises(ValueError, match=f"DataLoader: {name} cannot change"):
        setattr(loader, name, 2)
    loader.collate_fn = sum
    assert list(loader) == [0, 1, 2]


@pytest.mark.parametrize("name", sorted(set(data.__all__) - {"get_worker_info"}))
def test_the_signatures_are_those_of_pytorch(name):
    theirs = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    ours, theirs = (
        [(p.name, p.kind, p.default) for p in inspect.signature(made).parameters.values()]
        for made in (getattr(data, name), getattr(theirs, name))
    )
    if name == "random_split":  # each has its own default stream
        ours[-1], theirs[-1] = ours[-1][0], theirs[-1][0]
    assert ours == theirs
