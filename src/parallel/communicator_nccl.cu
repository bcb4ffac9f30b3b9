#include "parallel/communicator_nccl.h"

#include <stdio.h>
#include <unistd.h>

extern "C" {
#include "base/clock.h"
#include "parallel/deadline.h"
#include "parallel/recorder.h"
#include "parallel/watchdog.h"
}

enum { MOST_OPERATIONS = 64 };
static const double LOOK_SECONDS = 0.001, // between two looks at what is under way
    TIER_SECONDS = 10; // a rank that has nothing of its own to tell lets another one end them all

static int keyval = MPI_KEYVAL_INVALID;
static Communicator *communicators; // by `next`
static cudaStream_t stream;
static Operation operations[MOST_OPERATIONS]; // a ring
static int first, count;
static double looked;

// ---- failures -----------------------------------------------------------------------------------

// "rank 3 (node17, GPU 1)"
static const char *own_name(void)
{
    static char text[160];
    char host[64] = "";
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    gethostname(host, sizeof host - 1);
    snprintf(text, sizeof text, "rank %d (%s, GPU %d)", rank, host, kernels_cuda_gpu()->device);
    return text;
}

// Kernels of NCCL that wait for a lost rank would keep the device, and this process.
static void abort_all(void)
{
    for (Communicator *c = communicators; c; c = c->next)
        ncclCommAbort(c->comm);
}

[[noreturn]] static void die_of(ncclResult_t result, const char *doing, int64_t bytes,
                                const Communicator *communicator)
{
    char last[512];
    if (result == ncclRemoteError)
        clock_sleep(TIER_SECONDS);
    snprintf(last, sizeof last, "%s", ncclGetLastError(communicator->comm));
    abort_all();
    die(EXIT_UNAVAILABLE, "%s: NCCL failed in the %s of %lld bytes over %d ranks: %s%s%s",
        own_name(), doing, static_cast<long long>(bytes), communicator->size,
        ncclGetErrorString(result), last[0] ? ": " : "", last);
}

void nccl_check(ncclResult_t result, const char *call)
{
    if (result == ncclSuccess || result == ncclInProgress)
        return;
    abort_all();
    die(EXIT_UNAVAILABLE, "%s: NCCL refused %s: %s", own_name(), call, ncclGetErrorString(result));
}

// Communicators do not block: a call may be going on behind its return.
static void settle(Communicator *communicator, const char *what, int64_t bytes)
{
    double since = clock_now();
    for (;;) {
        ncclResult_t state;
        NCCL(ncclCommGetAsyncError(communicator->comm, &state));
        if (state == ncclSuccess)
            return;
        if (state != ncclInProgress)
            die_of(state, what, bytes, communicator);
        if (clock_now() - since > deadline_seconds()) {
            abort_all();
            die(EXIT_UNAVAILABLE, "%s: the %s over %d ranks has not begun within %.0f s",
                own_name(), what, communicator->size, deadline_seconds());
        }
        clock_sleep(0.0001);
    }
}

// ---- communicators ------------------------------------------------------------------------------

static int forget(MPI_Comm comm, int key, void *value, void *extra)
{
    (void)comm, (void)key, (void)extra;
    Communicator *gone = static_cast<Communicator *>(value), **place = &communicators;
    device_wait(stream);
    operations_watch();
    while (*place != gone)
        place = &(*place)->next;
    *place = gone->next;
    NCCL(ncclCommFinalize(gone->comm));
    settle(gone, "end of the communicator", 0);
    NCCL(ncclCommDestroy(gone->comm));
    release(gone);
    return MPI_SUCCESS;
}

static Communicator *find(const Group *group)
{
    void *value = NULL;
    int found = 0;
    if (keyval != MPI_KEYVAL_INVALID)
        MPI_Comm_get_attr(group->comm, keyval, &value, &found);
    return found ? static_cast<Communicator *>(value) : NULL;
}

static void prepare(void)
{
    if (keyval != MPI_KEYVAL_INVALID)
        return;
    MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, forget, &keyval, NULL);
    CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    device_set_watch(operations_watch);
}

void communicator_join(const Group *group)
{
    if (group->size <= 1)
        return;
    prepare();
    if (find(group))
        return;
    Communicator *made = static_cast<Communicator *>(allocate(1, sizeof *made));
    ncclUniqueId id = {};
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    if (group->rank == 0)
        NCCL(ncclGetUniqueId(&id));
    group_broadcast(group, &id, sizeof id, 0);
    made->rank = group->rank;
    made->size = group->size;
    NCCL(ncclCommInitRankConfig(&made->comm, group->size, id, group->rank, &config));
    settle(made, "start of a communicator", 0);
    made->next = communicators;
    communicators = made;
    MPI_Comm_set_attr(group->comm, keyval, made);
}

Communicator *communicator_of(const Group *group)
{
    Communicator *found = find(group);
    CHECK(found, "a collective of a group of %d ranks that was not joined", group->size);
    return found;
}

// ---- operations ---------------------------------------------------------------------------------

cudaStream_t operations_stream(void)
{
    return stream;
}

static bool has_come(cudaEvent_t event)
{
    cudaError_t status = cudaEventQuery(event);
    if (status != cudaErrorNotReady)
        CUDA(status);
    return status == cudaSuccess;
}

static void retire(void)
{
    while (count > 0 && operations[first].ended && has_come(operations[first].done)) {
        recorder_leave(operations[first].call);
        first = (first + 1) % MOST_OPERATIONS;
        count--;
    }
}

// The oldest operation that has not come to its end: the others wait for it.
static Operation *oldest(void)
{
    for (int i = 0; i < count; i++) {
        Operation *operation = &operations[(first + i) % MOST_OPERATIONS];
        if (!has_come(operation->done))
            return operation;
    }
    return NULL;
}

void operations_watch(void)
{
    double now = clock_now();
    if (now - looked < LOOK_SECONDS)
        return;
    looked = now;
    retire();
    Operation *operation = oldest();
    for (Communicator *c = communicators; c; c = c->next) {
        ncclResult_t state;
        NCCL(ncclCommGetAsyncError(c->comm, &state));
        if (state != ncclSuccess && state != ncclInProgress)
            die_of(state, operation ? operation->what : "last collective",
                   operation ? operation->bytes : 0, c);
    }
    if (!operation || !has_come(operation->ready))
        return;
    recorder_wait_device(operation->call);
    watchdog_look(abort_all);
}

Operation *operation_begin(const Group *group, const char *what, int64_t bytes)
{
    retire();
    while (count == MOST_OPERATIONS) { // all ended: the host is far ahead of the device
        operations_watch();
        retire();
    }
    Operation *operation = &operations[(first + count++) % MOST_OPERATIONS];
    if (!operation->ready) {
        CUDA(cudaEventCreateWithFlags(&operation->ready, cudaEventDisableTiming));
        CUDA(cudaEventCreateWithFlags(&operation->done, cudaEventDisableTiming));
    }
    operation->communicator = communicator_of(group);
    operation->what = what;
    operation->call = recorder_enter(group->record, what, bytes);
    operation->bytes = bytes;
    operation->ended = false;
    CUDA(cudaEventRecord(operation->ready, stream_of(NULL)));
    return operation;
}

void operation_given(Operation *operation)
{
    settle(operation->communicator, operation->what, operation->bytes);
    CUDA(cudaEventRecord(operation->done, stream));
}

void operation_end(Operation *operation)
{
    operation->ended = true;
}
