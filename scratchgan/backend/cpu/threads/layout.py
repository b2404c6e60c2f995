"""The memory that threads share while they run tasks, and how it is laid out."""

#: Bytes that each thread has for itself while a task runs.
SCRATCH = 1 << 21
#: Number of LLVM alias scopes: the memories that a task can tell apart.
MEMORIES = 24

#: The shared is memory that all threads of a team read and write; its slots lie so far apart, in
#: bytes, that no two share a line of a cache. They hold the tasks, their count, how many threads
#: are at work, and the number of the last barrier before; then for each thread how many times work
#: was posted for it, whether its thread sleeps, the last posting that it has seen, the last barrier
#: that it has come to, and how long it waits before it gives its core away.
SLOT = 128
TASKS, COUNT, AT_WORK, FIRST, THREADS = (i * SLOT for i in range(5))
POSTED, SLEEPS, SEEN, BARRIERS, PATIENCE, THREAD = (i * SLOT for i in range(6))
#: The count that says that there will be no more.
END = -1
#: How often a waiting thread looks before it lets others have the core between looks: for about
#: half a millisecond, because a thread that gives its core away too soon loses it for milliseconds
#: where another process wants it. One that waited in vain so long is less patient from then on.
MOST_LOOKS, FEWEST_LOOKS = 10_000, 200
