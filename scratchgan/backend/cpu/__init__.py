"""The fast path on the CPU, which could be deleted: the ``numpy`` backend computes without it."""
