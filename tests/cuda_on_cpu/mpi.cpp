// mpi.cpp - MPI as the program calls it: a call that waits lets the emulation's streams go on.
//
// A GPU works while its host sits in MPI; here nobody else would. Calls have their non-blocking
// form and ask again and again. Those that have none come behind a barrier that does, after which
// they wait for nobody.

#include <mpi.h>
#include <sched.h>
#include <time.h>

#include <utility>
#include <vector>

#include "tests/cuda_on_cpu/streams.h"
#include "tests/cuda_on_cpu/wire.h"

using namespace cuda_on_cpu;

enum {
    EAGER_ROUNDS = 20, // in which a call asks without sleeping
    LATE_ROUNDS = 40,  // after which even seed 0 lets streams go on
};

// A host that has asked so many times in vain.
static void host_waits(int rounds)
{
    bool late = settings().seed == 0 && rounds < LATE_ROUNDS;
    if (wire_poll() || (!late && streams_step(NULL)))
        return;
    struct timespec pause = {0, 50000};
    if (rounds < EAGER_ROUNDS)
        sched_yield();
    else
        nanosleep(&pause, NULL);
}

template <class Ask> static int ask_until(Ask ask)
{
    int done = 0;
    for (int rounds = 0;; rounds++) {
        int code = ask(&done);
        if (code != MPI_SUCCESS || done)
            return code;
        host_waits(rounds);
    }
}

// Completes the request that a call began.
static int complete(int begun, MPI_Request *request, MPI_Status *status)
{
    if (begun != MPI_SUCCESS)
        return begun;
    return ask_until([=](int *done) { return PMPI_Test(request, done, status); });
}

static int meet(MPI_Comm comm)
{
    MPI_Request request;
    return complete(PMPI_Ibarrier(comm, &request), &request, MPI_STATUS_IGNORE);
}

// ---- begin and end ------------------------------------------------------------------------------

int MPI_Init(int *count, char ***arguments)
{
    int code = PMPI_Init(count, arguments);
    wire_open();
    return code;
}

int MPI_Init_thread(int *count, char ***arguments, int wanted, int *provided)
{
    int code = PMPI_Init_thread(count, arguments, wanted, provided);
    wire_open();
    return code;
}

int MPI_Finalize()
{
    wire_close();
    return PMPI_Finalize();
}

// ---- collective calls ---------------------------------------------------------------------------

int MPI_Barrier(MPI_Comm comm)
{
    return meet(comm);
}

int MPI_Bcast(void *data, int count, MPI_Datatype type, int root, MPI_Comm comm)
{
    MPI_Request request;
    return complete(PMPI_Ibcast(data, count, type, root, comm, &request), &request,
                    MPI_STATUS_IGNORE);
}

int MPI_Gather(const void *from, int from_count, MPI_Datatype from_type, void *to, int to_count,
               MPI_Datatype to_type, int root, MPI_Comm comm)
{
    MPI_Request request;
    return complete(
        PMPI_Igather(from, from_count, from_type, to, to_count, to_type, root, comm, &request),
        &request, MPI_STATUS_IGNORE);
}

int MPI_Allgather(const void *from, int from_count, MPI_Datatype from_type, void *to, int to_count,
                  MPI_Datatype to_type, MPI_Comm comm)
{
    MPI_Request request;
    return complete(
        PMPI_Iallgather(from, from_count, from_type, to, to_count, to_type, comm, &request),
        &request, MPI_STATUS_IGNORE);
}

int MPI_Allreduce(const void *from, void *to, int count, MPI_Datatype type, MPI_Op operation,
                  MPI_Comm comm)
{
    MPI_Request request;
    return complete(PMPI_Iallreduce(from, to, count, type, operation, comm, &request), &request,
                    MPI_STATUS_IGNORE);
}

int MPI_Alltoall(const void *from, int from_count, MPI_Datatype from_type, void *to, int to_count,
                 MPI_Datatype to_type, MPI_Comm comm)
{
    MPI_Request request;
    return complete(
        PMPI_Ialltoall(from, from_count, from_type, to, to_count, to_type, comm, &request),
        &request, MPI_STATUS_IGNORE);
}

int MPI_Comm_dup(MPI_Comm comm, MPI_Comm *copy)
{
    meet(comm);
    return PMPI_Comm_dup(comm, copy);
}

int MPI_Comm_split(MPI_Comm comm, int colour, int key, MPI_Comm *part)
{
    meet(comm);
    return PMPI_Comm_split(comm, colour, key, part);
}

int MPI_Comm_split_type(MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm *part)
{
    meet(comm);
    return PMPI_Comm_split_type(comm, type, key, info, part);
}

// Windows, and the ranks that free each together.
static std::vector<std::pair<MPI_Win, MPI_Comm>> windows;

int MPI_Win_allocate_shared(MPI_Aint bytes, int unit, MPI_Info info, MPI_Comm comm, void *memory,
                            MPI_Win *window)
{
    meet(comm);
    MPI_Comm members;
    PMPI_Comm_dup(comm, &members);
    int code = PMPI_Win_allocate_shared(bytes, unit, info, comm, memory, window);
    windows.push_back({*window, members});
    return code;
}

int MPI_Win_free(MPI_Win *window)
{
    for (std::pair<MPI_Win, MPI_Comm> &known : windows) {
        if (known.first != *window)
            continue;
        meet(known.second);
        PMPI_Comm_free(&known.second);
        known = windows.back();
        windows.pop_back();
        break;
    }
    return PMPI_Win_free(window);
}

// ---- messages -----------------------------------------------------------------------------------

int MPI_Wait(MPI_Request *request, MPI_Status *status)
{
    return complete(MPI_SUCCESS, request, status);
}

int MPI_Waitall(int count, MPI_Request *requests, MPI_Status *statuses)
{
    return ask_until([=](int *done) { return PMPI_Testall(count, requests, done, statuses); });
}

int MPI_Mrecv(void *data, int count, MPI_Datatype type, MPI_Message *message, MPI_Status *status)
{
    MPI_Request request;
    return complete(PMPI_Imrecv(data, count, type, message, &request), &request, status);
}

// A question that the program asked.
static void asked(int code, int answer)
{
    wire_poll();
    streams_asked(code != MPI_SUCCESS || answer);
}

int MPI_Test(MPI_Request *request, int *done, MPI_Status *status)
{
    int code = PMPI_Test(request, done, status);
    asked(code, *done);
    return code;
}

int MPI_Improbe(int from, int tag, MPI_Comm comm, int *found, MPI_Message *message,
                MPI_Status *status)
{
    int code = PMPI_Improbe(from, tag, comm, found, message, status);
    asked(code, *found);
    return code;
}
