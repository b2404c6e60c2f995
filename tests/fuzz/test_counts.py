"""How many files are tried, over all readers: what docs/security.md says."""

from hypothesis import settings

from fuzz import harness, test_data, test_object_files, test_runs, test_weights


def test_the_tries_add_up():
    modules = (test_data, test_object_files, test_runs, test_weights)
    found = [x for module in modules for x in vars(module).values() if type(x) is harness.Reader]
    readers = {id(reader): reader for reader in found}.values()
    total = sum(reader.tries for reader in readers) * settings().max_examples // 50
    assert total >= harness.IN_ALL * settings().max_examples // 50
