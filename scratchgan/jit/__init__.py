"""jit: run a step once and write down its kernel calls; plan them; run the plan from then on.

function, capture   what the user calls; one call of it, as it is recorded
arguments           what distinguishes arguments, and the stand-ins for them
names, scope        what code mentions, what it rests on
places, guards      where it looks, and whether the same still stands there
record, context     the kernel calls; what a replay must read again
opaque_calls        a user's own code on arrays, which is called again
gradients           who looks at ``grad``
array_watch         who looks at arrays past the recording
makers, outcome     what a call reads anew and leaves behind, and how that is made again
replay              a recording that is ready to run
passes, lower       what to run and where results lie; the fused loops as source
executor            a plan bound to memory
explain             the page that tells of a recording

A replay gives what the function itself would give at that moment: values returned, gradients left
in ``grad``, parameters, optimizer state, running statistics and streams of noise all move on as
they do without jit.
"""

from scratchgan.jit.context import JitError
from scratchgan.jit.function import Jitted, RecordingInfo, jit

__all__ = ["JitError", "Jitted", "RecordingInfo", "jit"]
