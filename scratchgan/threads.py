"""How many threads compute on the CPU. PyTorch's names."""


def get_num_threads() -> int:
    """How many threads compute: those that may run at the same time, or what was set."""
    from scratchgan.backend.cpu.threads import pool

    return pool.get_num_threads()


def set_num_threads(n: int) -> None:
    """Compute with ``n`` threads from now on.

    Raises:
        ValueError: ``n`` is less than 1.
    """
    from scratchgan.backend.cpu.threads import pool

    pool.set_num_threads(n)
