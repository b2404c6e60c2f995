"""This project and its peers, side by side, in one run: ``python -m benchmarks --help``.

:mod:`measurements` is the table of what is measured. :mod:`runner` starts a process for each
contender (a script in :mod:`workers`, which talks through :mod:`worker`) and lets them take turns;
:mod:`summary` makes medians and ratios of the samples, :mod:`report` and :mod:`plots` show them.
"""
