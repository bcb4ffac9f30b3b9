// test_emulator.cpp - the emulator itself: small kernels that are wrong must be found out, with the
// place named, and right ones must give right results, whatever the seed.

#include <stdlib.h>

#include "tests/cuda_on_cpu/cases.h"
#include "tests/cuda_on_cpu/small_kernels.h"

// ---- runs: whether what a kernel gave is right --------------------------------------------------

static int *numbers_make(size_t count)
{
    if (!kernels_cuda(0))
        abort();
    return static_cast<int *>(memory_make_cuda(count * sizeof(int)));
}

// Whether out[i] is right(i) for all threads.
template <class Right> static bool all_are(int *out, int count, Right right)
{
    queue_wait_cuda(NULL);
    for (int i = 0; i < count; i++) {
        if (out[i] != right(i))
            return false;
    }
    return true;
}

template <class Kernel, class Right> static bool simple_run(Kernel *kernel, Right right)
{
    int *out = numbers_make(THREADS);
    LAUNCH(kernel, 1, THREADS, 0, NULL, out);
    return all_are(out, THREADS, right);
}

static int one(int)
{
    return 1;
}

template <class Kernel> static bool offset_run(Kernel *kernel, size_t bytes, int offset)
{
    int *out = numbers_make(THREADS);
    LAUNCH(kernel, 1, THREADS, bytes, NULL, out, offset);
    return all_are(out, THREADS, [](int) { return 7; });
}

template <bool WAIT, bool BARRIER> static bool copies_run()
{
    int *out = numbers_make(THREADS), *from = numbers_make(4 * THREADS);
    for (int i = 0; i < 4 * THREADS; i++)
        from[i] = i;
    LAUNCH((copies<WAIT, BARRIER>), 1, THREADS, 0, NULL, out, from);
    return all_are(out, THREADS, [](int i) {
        int copied = (i + 7) % THREADS;
        return copied == 9 ? 0 : 4 * ((copied + 1) % THREADS) + 3;
    });
}

static bool small_product_run()
{
    float *c = reinterpret_cast<float *>(numbers_make(16 * 8));
    LAUNCH(small_product, 1, 32, 0, NULL, c);
    queue_wait_cuda(NULL);
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 8; j++) {
            float sum = 1.0f;
            for (int k = 0; k < 16; k++)
                sum += static_cast<float>((i * 16 + k) * 7 % 11 - 5) *
                       static_cast<float>((k * 8 + j) * 5 % 13 - 6);
            if (c[i * 8 + j] != sum)
                return false;
        }
    }
    return true;
}

static bool counter_run()
{
    unsigned *out = reinterpret_cast<unsigned *>(numbers_make(1));
    LAUNCH(counter, dim3(3, 2), dim3(7, 5), 0, NULL, out);
    queue_wait_cuda(NULL);
    return *out == 6 * 5 * 21;
}

static bool no_blocks_run()
{
    LAUNCH(counter, 0, 32, 0, NULL, static_cast<unsigned *>(NULL));
    return true;
}

static int after_rounds(int i, int step, int size)
{
    return i / size * size + (i + 5 * step) % size;
}

static const Case CASES[] = {
    {"threads at different barriers",
     [] { return simple_run(two_barriers, one); },
     STOPPED,
     "40 threads at __syncthreads @DIFFERENT",
     NULL,
     {}},
    {"a barrier that some never reach",
     [] { return simple_run(barrier_after_an_end, one); },
     STOPPED,
     "40 threads at __syncthreads @UNREACHED; 24 threads ended",
     NULL,
     {}},
    {"lanes at different calls",
     [] { return simple_run(barrier_that_a_warp_waits_behind, one); },
     STOPPED,
     "1 threads at __syncwarp @ALONE",
     NULL,
     {}},
    {"a shuffle from outside the mask",
     [] { return simple_run(shuffle_from_outside, one); },
     STOPPED,
     "which is not in the mask 0000ffff",
     NULL,
     {}},
    {"a lane outside its own mask",
     [] { return simple_run(lane_outside, one); },
     STOPPED,
     "lane 20 is not in its own mask 0000ffff at @OWN",
     NULL,
     {}},
    {"dynamic shared memory beyond its end",
     [] { return offset_run(dynamic_access, 256, 64); },
     STOPPED,
     "dynamic shared memory of 256 bytes: byte 256 of it",
     "AddressSanitizer",
     {}},
    {"dynamic shared memory just beyond an odd end",
     [] { return offset_run(dynamic_access, 248, 62); },
     STOPPED,
     "dynamic shared memory of 248 bytes: memory behind it was written",
     "AddressSanitizer",
     {}},
    {"dynamic shared memory before its beginning",
     [] { return offset_run(dynamic_access, 256, -1); },
     STOPPED,
     "dynamic shared memory of 256 bytes: memory in front of it was written",
     "AddressSanitizer",
     {}},
    {"a shared variable beyond its end",
     [] { return offset_run(static_access, 0, 1); },
     STOPPED,
     "a shared variable of 256 bytes: byte 256 of it",
     "index 64 out of bounds",
     {}},
    {"device memory beyond its end",
     [] { return offset_run(device_access, 0, THREADS); },
     STOPPED,
     "device memory of 256 bytes: byte 256 of it",
     "AddressSanitizer",
     {}},
    {"device memory before its beginning",
     [] { return offset_run(device_access, 0, -1); },
     STOPPED,
     "device memory of 256 bytes: memory in front of it was written",
     "AddressSanitizer",
     {}},
    {"copies that are not waited for",
     copies_run<false, true>,
     STOPPED,
     "did not wait for",
     NULL,
     {}},
    {"more shared memory than was asked for",
     [] { return offset_run(dynamic_access, 50000, 0); },
     STOPPED,
     "cudaErrorInvalidValue",
     NULL,
     {}},
    {"a launch of no blocks", no_blocks_run, STOPPED, "cudaErrorInvalidConfiguration", NULL, {}},

    {"no barrier before a read",
     [] { return simple_run(neighbour<false>, [](int i) { return (i + 1) % THREADS; }); },
     OTHER_RESULT,
     NULL,
     NULL,
     {}},
    {"a barrier left out on demand",
     [] { return simple_run(neighbour<true>, [](int i) { return (i + 1) % THREADS; }); },
     OTHER_RESULT,
     NULL,
     NULL,
     {"CUDA_ON_CPU_DROP=kernel @NEIGHBOUR"}},
    {"no barrier before the next round's write",
     [] { return simple_run(rounds<false>, [](int i) { return after_rounds(i, 33, THREADS); }); },
     OTHER_RESULT,
     NULL,
     NULL,
     {}},
    {"no barrier of a warp before the next round's write",
     [] { return simple_run(warp_rounds<false>, [](int i) { return after_rounds(i, 17, 32); }); },
     OTHER_RESULT,
     NULL,
     NULL,
     {}},
    {"copies that others read too early", copies_run<true, false>, OTHER_RESULT, NULL, NULL, {}},
    {"shared memory that was not written",
     [] { return simple_run(unwritten, [](int i) { return i == 5 ? 0 : 7; }); },
     OTHER_RESULT,
     NULL,
     NULL,
     {}},

    {"additions that are not atomic",
     [] {
         int *out = numbers_make(1);
         LAUNCH(counter_without_atomics, 2, THREADS, 0, NULL, out);
         queue_wait_cuda(NULL);
         return true;
     },
     RACE,
     NULL,
     NULL,
     {}},

    {"a barrier before a read",
     [] { return simple_run(neighbour<true>, [](int i) { return (i + 1) % THREADS; }); },
     RIGHT,
     NULL,
     NULL,
     {}},
    {"barriers of rounds",
     [] { return simple_run(rounds<true>, [](int i) { return after_rounds(i, 33, THREADS); }); },
     RIGHT,
     NULL,
     NULL,
     {}},
    {"barriers of a warp's rounds",
     [] { return simple_run(warp_rounds<true>, [](int i) { return after_rounds(i, 17, 32); }); },
     RIGHT,
     NULL,
     NULL,
     {}},
    {"halves of a warp apart from each other",
     [] {
         return simple_run(half_warps, [](int i) {
             int lane = i % 32;
             int down = lane < 15 ? lane + 1 : lane, up = lane % 16 >= 2 ? lane - 2 : lane;
             return lane < 16 ? down + 16 + 2 : up + 16;
         });
     },
     RIGHT,
     NULL,
     NULL,
     {}},
    {"copies", copies_run<true, true>, RIGHT, NULL, NULL, {}},
    {"a product of small matrices", small_product_run, RIGHT, NULL, NULL, {}},
    {"atomic additions of blocks with gaps", counter_run, RIGHT, NULL, NULL, {}},
    {"all of dynamic shared memory",
     [] { return offset_run(dynamic_access, 256, 63); },
     RIGHT,
     NULL,
     NULL,
     {}},
};

int main()
{
    return CASES_RUN(CASES, KERNELS_FILE);
}
