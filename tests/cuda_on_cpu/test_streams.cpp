// test_streams.cpp - the emulator's streams, events, memory and devices: a wait that is missing
// must show with some seed, and one that is there must do, whatever the seed.

#include "tests/cuda_on_cpu/cases.h"
#include "tests/cuda_on_cpu/stream_arrays.h"

// ---- two streams --------------------------------------------------------------------------------

// One stream writes what the other reads.
static bool written_before_read()
{
    Pair p = pair_make();
    LAUNCH(fill, 1, COUNT, 0, p.first, p.x, 5);
    CUDA(cudaEventRecord(p.event, p.first));
    CUDA(cudaStreamWaitEvent(p.second, p.event, 0)); // READER
    LAUNCH(add_one, 1, COUNT, 0, p.second, p.y, p.x);
    return device_is(p.y, 6, p.second);
}

// One stream overwrites what the other is to have read.
static bool read_before_overwritten()
{
    Pair p = pair_make();
    for (int i = 0; i < 4; i++) {
        LAUNCH(add_one, 1, COUNT, 0, p.first, p.y, p.x);
        CUDA(cudaEventRecord(p.event, p.first));
        CUDA(cudaStreamWaitEvent(p.second, p.event, 0)); // WRITER
        LAUNCH(fill, 1, COUNT, 0, p.second, p.x, 9);
        CUDA(cudaStreamSynchronize(p.second));
        if (!device_is(p.y, 2, p.first))
            return false;
        LAUNCH(fill, 1, COUNT, 0, p.first, p.x, 1);
        CUDA(cudaDeviceSynchronize());
    }
    return true;
}

// A wait is for the record before it, not for one that comes behind what waits.
static bool waits_are_for_the_last_record()
{
    Pair p = pair_make();
    CUDA(cudaStreamWaitEvent(p.second, p.event, 0)); // never recorded: nothing
    LAUNCH(fill, 1, COUNT, 0, p.first, p.x, 5);
    CUDA(cudaEventRecord(p.event, p.first));
    CUDA(cudaStreamWaitEvent(p.second, p.event, 0));
    LAUNCH(add_one, 1, COUNT, 0, p.second, p.y, p.x);
    CUDA(cudaEventRecord(p.event, p.second));
    CUDA(cudaStreamWaitEvent(p.first, p.event, 0));
    CUDA(cudaEventDestroy(p.event)); // does not take the waits with it
    LAUNCH(add_one, 1, COUNT, 0, p.first, p.x, p.y);
    return device_is(p.x, 7, p.first);
}

static bool questions_are_answered()
{
    Pair p = pair_make();
    if (cudaEventQuery(p.event) != cudaSuccess || cudaStreamQuery(p.first) != cudaSuccess)
        return false;
    LAUNCH(fill, 1, COUNT, 0, p.first, p.x, 5);
    CUDA(cudaEventRecord(p.event, p.first));
    CUDA(cudaStreamWaitEvent(p.second, p.event, 0));
    LAUNCH(add_one, 1, COUNT, 0, p.second, p.y, p.x);
    while (cudaStreamQuery(p.second) == cudaErrorNotReady) {
    }
    return cudaEventQuery(p.event) == cudaSuccess && device_is(p.y, 6, p.first);
}

static bool an_event_ends_the_wait()
{
    Pair p = pair_make();
    int *host = host_make(0);
    LAUNCH(fill, 1, COUNT, 0, p.first, p.x, 5);
    copy(host, p.x, cudaMemcpyDeviceToHost, p.first);
    CUDA(cudaEventRecord(p.event, p.first));
    CUDA(cudaEventSynchronize(p.event));
    return all_are(host, 5);
}

static bool a_destroyed_stream_is_worked_off()
{
    Pair p = pair_make();
    LAUNCH(fill, 1, COUNT, 0, p.first, p.x, 5);
    CUDA(cudaEventRecord(p.event, p.first));
    CUDA(cudaStreamDestroy(p.first));
    CUDA(cudaEventSynchronize(p.event));
    return cudaStreamQuery(p.first) == cudaErrorInvalidResourceHandle &&
           device_is(p.x, 5, p.second);
}

// ---- copies -------------------------------------------------------------------------------------

// A source that changes before the stream is empty, page-locked or not.
template <bool LOCKED> static bool source_changes()
{
    cudaStream_t stream = stream_make();
    int *device = device_make(1), pageable[COUNT];
    int *host = LOCKED ? host_make(0) : pageable;
    for (int value = 2; value < 6; value++) {
        for (int i = 0; i < COUNT; i++)
            host[i] = value;
        copy(device, host, cudaMemcpyHostToDevice, stream);
    }
    for (int i = 0; i < COUNT; i++)
        host[i] = 9;
    return device_is(device, 5, stream);
}

// What the host finds, with or without waiting.
template <bool LOCKED, bool WAIT> static bool read_back()
{
    cudaStream_t stream = stream_make();
    int *device = device_make(1), pageable[COUNT];
    int *host = LOCKED ? host_make(0) : pageable;
    LAUNCH(fill, 1, COUNT, 0, stream, device, 5);
    copy(host, device, cudaMemcpyDeviceToHost, stream);
    if (WAIT)
        CUDA(cudaStreamSynchronize(stream));
    return all_are(host, 5);
}

// While a copy is under way, its destination does not hold what it held before.
static bool old_values_are_gone()
{
    cudaStream_t stream = stream_make();
    int *device = device_make(5), *host = host_make(5);
    for (int i = 0; i < 8; i++) {
        copy(host, device, cudaMemcpyDeviceToHost, stream);
        if (!all_are(host, 5))
            return false;
        CUDA(cudaStreamSynchronize(stream));
    }
    return true;
}

static bool copies_on_the_device()
{
    cudaStream_t stream = stream_make();
    int *x = device_make(1), *y = device_make(2);
    copy(x, y, cudaMemcpyDeviceToDevice, stream);
    CUDA(cudaMemsetAsync(y, 0, COUNT * sizeof *y, stream));
    return device_is(x, 2, stream) && device_is(y, 0, stream);
}

static bool beyond_locked_memory()
{
    int *host = host_make(0);
    LAUNCH(fill, 1, COUNT, 0, NULL, host + 1, 5);
    CUDA(cudaStreamSynchronize(NULL));
    return true;
}

static bool host_reads_device_memory()
{
    int *device = device_make(1);
    return device[2] == 1;
}

static bool beyond_device_memory()
{
    int *device = device_make(1);
    LAUNCH(fill, 1, COUNT, 0, NULL, device + 1, 5);
    CUDA(cudaStreamSynchronize(NULL));
    return true;
}

// Blocks come and go.
static bool memory_is_used_again()
{
    enum { BLOCKS = 8 };
    cudaStream_t stream = stream_make();
    int *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = device_make(i);
    for (int i = 0; i < BLOCKS; i += 2)
        CUDA(cudaFree(blocks[i]));
    for (int i = 0; i < BLOCKS; i += 2)
        blocks[i] = device_make(10 + i);
    for (int i = 0; i < BLOCKS; i++) {
        if (!device_is(blocks[i], i % 2 == 0 ? 10 + i : i, stream))
            return false;
    }
    return true;
}

// The third launch fails, and then everything.
static bool a_failure_stays()
{
    cudaStream_t stream;
    int *x = device_make(1); // the first launch
    LAUNCH(fill, 1, COUNT, 0, NULL, x, 2);
    cudaError_t third = cuda_on_cpu::launch("fill", fill, 1, COUNT, 0, NULL, x, 3);
    return third == cudaErrorUnknown && cudaStreamSynchronize(NULL) == cudaErrorUnknown &&
           cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaErrorUnknown &&
           cudaFree(x) == cudaErrorUnknown;
}

// ---- memory and devices -------------------------------------------------------------------------

static bool memory_has_an_end()
{
    enum { HALF = 1 << 19 };
    void *first, *second, *third;
    size_t left, total;
    CUDA(cudaMalloc(&first, HALF + 1));
    if (cudaMalloc(&second, HALF) != cudaErrorMemoryAllocation)
        return false;
    CUDA(cudaMemGetInfo(&left, &total));
    CUDA(cudaFree(first));
    CUDA(cudaMalloc(&third, 2 * HALF));
    return total == 2 * HALF && left == HALF - 256;
}

static bool devices_are_the_visible_ones()
{
    int count, current;
    cudaDeviceProp first, second;
    CUDA(cudaGetDeviceCount(&count));
    CUDA(cudaGetDeviceProperties(&first, 0));
    CUDA(cudaGetDeviceProperties(&second, 1));
    cudaStream_t of_first = stream_make();
    CUDA(cudaSetDevice(1));
    CUDA(cudaGetDevice(&current));
    return count == 2 && current == 1 && strcmp(first.uuid.bytes, "cuda-on-cpu-2") == 0 &&
           strcmp(second.uuid.bytes, "cuda-on-cpu-0") == 0 && first.pciBusID != second.pciBusID &&
           cudaSetDevice(2) == cudaErrorInvalidDevice &&
           cudaStreamSynchronize(of_first) == cudaErrorInvalidResourceHandle;
}

static bool hidden_devices_cannot_be_used()
{
    int count;
    void *memory;
    return cudaGetDeviceCount(&count) == cudaErrorNoDevice && count == 0 &&
           cudaMalloc(&memory, 1) == cudaErrorNoDevice;
}

static bool blocking_streams_are_refused()
{
    cudaStream_t stream;
    return cudaStreamCreateWithFlags(&stream, cudaStreamDefault) == cudaErrorNotSupported;
}

static const Case CASES[] = {
    {"a write before another stream's read", written_before_read, RIGHT, NULL, NULL, {}},
    {"no wait before a read",
     written_before_read,
     OTHER_RESULT,
     NULL,
     NULL,
     {"CUDA_ON_CPU_DROP_WAIT=@READER"}},
    {"a read before another stream's write", read_before_overwritten, RIGHT, NULL, NULL, {}},
    {"no wait before a write",
     read_before_overwritten,
     OTHER_RESULT,
     NULL,
     NULL,
     {"CUDA_ON_CPU_DROP_WAIT=@WRITER"}},
    {"waits for the last record", waits_are_for_the_last_record, RIGHT, NULL, NULL, {}},
    {"questions", questions_are_answered, RIGHT, NULL, NULL, {}},
    {"a wait for an event", an_event_ends_the_wait, RIGHT, NULL, NULL, {}},
    {"a destroyed stream", a_destroyed_stream_is_worked_off, RIGHT, NULL, NULL, {}},

    {"a pageable source that changes", source_changes<false>, RIGHT, NULL, NULL, {}},
    {"a page-locked source that changes", source_changes<true>, OTHER_RESULT, NULL, NULL, {}},
    {"a pageable destination", read_back<false, false>, RIGHT, NULL, NULL, {}},
    {"a page-locked destination", read_back<true, true>, RIGHT, NULL, NULL, {}},
    {"a page-locked destination that is not waited for",
     read_back<true, false>,
     OTHER_RESULT,
     NULL,
     NULL,
     {}},
    {"a destination that held the same", old_values_are_gone, OTHER_RESULT, NULL, NULL, {}},
    {"copies on the device", copies_on_the_device, RIGHT, NULL, NULL, {}},
    {"page-locked memory beyond its end",
     beyond_locked_memory,
     STOPPED,
     "page-locked memory of 256 bytes: byte 256 of it",
     "AddressSanitizer",
     {}},

    {"a host that reads device memory",
     host_reads_device_memory,
     STOPPED,
     "the host touches device memory while no operation runs: device memory of 256 bytes: byte 8",
     "AddressSanitizer",
     {"CUDA_ON_CPU_STRICT=1"}},
    {"device memory beyond its end",
     beyond_device_memory,
     STOPPED,
     "device memory of 256 bytes: memory behind it was written",
     "AddressSanitizer",
     {"CUDA_ON_CPU_STRICT=1"}},
    {"device memory that only operations touch",
     written_before_read,
     RIGHT,
     NULL,
     NULL,
     {"CUDA_ON_CPU_STRICT=1"}},
    {"memory that is used again", memory_is_used_again, RIGHT, NULL, NULL, {}},
    {"memory that is used again, in the arena",
     memory_is_used_again,
     RIGHT,
     NULL,
     NULL,
     {"CUDA_ON_CPU_STRICT=1", "CUDA_ON_CPU_MEMORY_MIB=1"}},
    {"a failure", a_failure_stays, RIGHT, NULL, NULL, {"CUDA_ON_CPU_FAIL=0:cudaLaunchKernel:3"}},
    {"a failure of another rank",
     written_before_read,
     RIGHT,
     NULL,
     NULL,
     {"CUDA_ON_CPU_FAIL=1:cudaLaunchKernel:3"}},

    {"a device's memory", memory_has_an_end, RIGHT, NULL, NULL, {"CUDA_ON_CPU_MEMORY_MIB=1"}},
    {"visible devices",
     devices_are_the_visible_ones,
     RIGHT,
     NULL,
     NULL,
     {"CUDA_ON_CPU_DEVICES=3", "CUDA_VISIBLE_DEVICES=2,0,3,1"}},
    {"hidden devices", hidden_devices_cannot_be_used, RIGHT, NULL, NULL, {"CUDA_VISIBLE_DEVICES="}},
    {"a blocking stream", blocking_streams_are_refused, RIGHT, NULL, NULL, {}},
};

int main()
{
    return CASES_RUN(CASES, __FILE__);
}
