"""Which GAN draws the best digits: every objective and recipe, and PyTorch's of the same networks.

:mod:`contenders` is the table of them; each trains in a process of its own (:mod:`with_scratchgan`,
:mod:`with_torch`), which a :mod:`record` follows; two :mod:`judges` measure its digits, and
:mod:`report` makes tables and pictures of all that was measured.
"""
