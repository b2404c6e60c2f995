// Runs a kernel's blocks one after another. Where its threads wait for each other, each of them has
// a stack of its own, and they change places at __syncthreads(); else a thread is a function call.

#include <ucontext.h>
#include <utility>
#include <vector>

struct Position { unsigned x, y, z; };

extern "C" {
Position threadIdx, blockIdx, blockDim, gridDim;
}

namespace {

constexpr size_t STACK = 64 * 1024;

struct Thread {
    ucontext_t context;
    Position index;
    bool done;
};

std::vector<Thread> threads;
std::vector<char> stacks;
std::vector<unsigned> order;
ucontext_t scheduler;
Thread* current;
void (*body)(void*);
void* arguments;

unsigned random()
{
    static unsigned state = 1;
    return (state = state * 1664525 + 1013904223) >> 8;
}

void run()
{
    body(arguments);
    current->done = true;
}

Position position(unsigned t)
{
    return {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
}

void run_block_with_barriers(unsigned count)
{
    threads.resize(count);
    stacks.resize(count * STACK);
    for (unsigned t = 0; t < count; t++) {
        Thread& thread = threads[t];
        thread.done = false;
        thread.index = position(t);
        getcontext(&thread.context);
        thread.context.uc_stack.ss_sp = &stacks[t * STACK];
        thread.context.uc_stack.ss_size = STACK;
        thread.context.uc_link = &scheduler;
        makecontext(&thread.context, run, 0);
    }
    order.resize(count);
    for (unsigned t = 0; t < count; t++) order[t] = t;
    // Round after round, every thread runs up to its next barrier, in an order of chance: a kernel
    // that forgets a barrier should not be saved by it.
    for (bool left = true; left;) {
        left = false;
        for (unsigned t = count - 1; t > 0; t--) std::swap(order[t], order[random() % (t + 1)]);
        for (unsigned t : order) {
            if (threads[t].done) continue;
            current = &threads[t];
            threadIdx = current->index;
            swapcontext(&scheduler, &current->context);
            left = left || !threads[t].done;
        }
    }
}

}  // namespace

extern "C" void emulator_wait()
{
    Thread* self = current;
    swapcontext(&self->context, &scheduler);
}

extern "C" void emulator_launch(
    void (*kernel)(void*), void* with, const unsigned* grid, const unsigned* block, bool waits)
{
    body = kernel;
    arguments = with;
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    const unsigned count = block[0] * block[1] * block[2];
    for (unsigned b = 0; b < grid[0] * grid[1] * grid[2]; b++) {
        blockIdx = {b % grid[0], b / grid[0] % grid[1], b / grid[0] / grid[1]};
        if (waits) {
            run_block_with_barriers(count);
            continue;
        }
        for (unsigned t = 0; t < count; t++) {
            threadIdx = position(t);
            kernel(with);
        }
    }
}
