#include "parallel/group.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "parallel/recorder.h"
#include "parallel/watchdog.h"

enum { CHUNK = 1 << 30 }; // bytes of one MPI call: counts are int

static void end_all_ranks(int code)
{
    int running = 0, finished = 0;
    MPI_Initialized(&running);
    MPI_Finalized(&finished);
    if (running && !finished)
        MPI_Abort(MPI_COMM_WORLD, code);
    exit(code);
}

static void on_mpi_error(MPI_Comm *comm, int *code, ...)
{
    (void)comm;
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(*code, text, &length);
    Bytes message = {0};
    bytes_print(&message, "MPI: %.*s", length, text);
    watchdog_explain(&message);
    die(EXIT_UNAVAILABLE, "%s", message.data);
}

static MPI_Errhandler handler;
static size_t start_bytes;

void group_start(int *argc, char ***argv)
{
    int provided = 0;
    size_t before = memory_peak();
    MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided);
    size_t after = memory_peak();
    start_bytes = after > before ? after - before : 0;
    MPI_Comm_create_errhandler(on_mpi_error, &handler);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, handler);
    die_set_end(end_all_ranks);
}

size_t group_start_bytes(void)
{
    return start_bytes;
}

void group_stop(void)
{
    MPI_Errhandler_free(&handler);
    MPI_Finalize();
    die_set_end(NULL);
}

static Group group_of(MPI_Comm comm, const char *name)
{
    Group group = {.comm = comm};
    if (comm == MPI_COMM_NULL)
        return group;
    MPI_Comm_set_errhandler(comm, handler);
    MPI_Comm_rank(comm, &group.rank);
    MPI_Comm_size(comm, &group.size);
    group.record = recorder_add_group(comm, group.size, name);
    return group;
}

Group group_world(void)
{
    MPI_Comm comm;
    MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    return group_of(comm, "the job");
}

// Enters what the rank then waits in.
static int64_t begin(const Group *group, const char *what, size_t bytes)
{
    int64_t call = recorder_enter(group->record, what, (int64_t)bytes);
    recorder_wait(call);
    return call;
}

Group group_split(const Group *group, int colour, const char *name)
{
    MPI_Comm comm;
    int64_t call = begin(group, "split", 0);
    MPI_Comm_split(group->comm, colour < 0 ? MPI_UNDEFINED : colour, group->rank, &comm);
    recorder_leave(call);
    return group_of(comm, name);
}

void group_free(Group *group)
{
    recorder_drop_group(group->record);
    if (group->comm != MPI_COMM_NULL && group->size > 0)
        MPI_Comm_free(&group->comm);
    *group = (Group){.comm = MPI_COMM_NULL};
}

Group group_of_node(const Group *group)
{
    MPI_Comm node;
    int64_t call = begin(group, "split by nodes", 0);
    MPI_Comm_split_type(group->comm, MPI_COMM_TYPE_SHARED, group->rank, MPI_INFO_NULL, &node);
    recorder_leave(call);
    return group_of(node, "the node");
}

int group_node_size(const Group *group)
{
    Group node = group_of_node(group);
    int size = node.size;
    group_free(&node);
    return size;
}

int group_agree(const Group *group, int status)
{
    int mine = status == 0 ? INT_MAX : group->rank;
    int first = INT_MAX;
    int64_t call = begin(group, "agreement", 0);
    MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, group->comm);
    recorder_leave(call);
    if (first == INT_MAX)
        return 0;
    int code = (int)fail_code();
    Bytes text = {0};
    if (group->rank == first)
        bytes_append_text(&text, fail_message());
    group_broadcast(group, &code, sizeof code, first);
    group_broadcast_bytes(group, &text, first);
    fail((ExitCode)code, "%s", text.data);
    bytes_free(&text);
    return -1;
}

void group_barrier(const Group *group)
{
    int64_t call = begin(group, "barrier", 0);
    MPI_Barrier(group->comm);
    recorder_leave(call);
}

void group_broadcast(const Group *group, void *data, size_t bytes, int root)
{
    int64_t call = begin(group, "broadcast", bytes);
    for (size_t done = 0; done < bytes; done += CHUNK) {
        size_t part = bytes - done < CHUNK ? bytes - done : CHUNK;
        MPI_Bcast((char *)data + done, (int)part, MPI_BYTE, root, group->comm);
    }
    recorder_leave(call);
}

void group_broadcast_bytes(const Group *group, Bytes *bytes, int root)
{
    uint64_t length = bytes->length;
    group_broadcast(group, &length, sizeof length, root);
    if (group->rank != root)
        bytes_clear(bytes);
    grow((void **)&bytes->data, &bytes->capacity, length + 1, 1);
    group_broadcast(group, bytes->data, length, root);
    bytes->length = length;
    bytes->data[length] = 0;
}

void group_gather(const Group *group, const void *send, size_t bytes, void *receive, int root)
{
    CHECK(bytes <= INT_MAX, "gather of %zu bytes", bytes);
    int64_t call = begin(group, "gather", bytes);
    MPI_Gather(send, (int)bytes, MPI_BYTE, receive, (int)bytes, MPI_BYTE, root, group->comm);
    recorder_leave(call);
}

void group_all_gather(const Group *group, const void *send, size_t bytes, void *receive)
{
    CHECK(bytes <= INT_MAX, "gather of %zu bytes", bytes);
    int64_t call = begin(group, "all-gather", bytes);
    MPI_Allgather(send, (int)bytes, MPI_BYTE, receive, (int)bytes, MPI_BYTE, group->comm);
    recorder_leave(call);
}

void group_all_gather_bytes(const Group *group, const Bytes *send, Bytes *receive, size_t *starts)
{
    uint64_t *lengths = allocate((size_t)group->size, sizeof *lengths);
    uint64_t mine = send->length;
    group_all_gather(group, &mine, sizeof mine, lengths);
    starts[0] = 0;
    for (int rank = 0; rank < group->size; rank++)
        starts[rank + 1] = starts[rank] + lengths[rank];
    size_t total = starts[group->size];
    grow((void **)&receive->data, &receive->capacity, total + 1, 1);
    if (send->length > 0)
        memcpy(receive->data + starts[group->rank], send->data, send->length);
    for (int rank = 0; rank < group->size; rank++)
        group_broadcast(group, receive->data + starts[rank], lengths[rank], rank);
    receive->length = total;
    receive->data[total] = 0;
    release(lengths);
}

void group_sum(const Group *group, double *values, int64_t count)
{
    size_t bytes = (size_t)count * sizeof *values;
    double *all = allocate((size_t)group->size, bytes);
    group_all_gather(group, values, bytes, all);
    for (int64_t i = 0; i < count; i++) {
        values[i] = 0;
        for (int rank = 0; rank < group->size; rank++)
            values[i] += all[rank * count + i];
    }
    release(all);
}

double group_maximum(const Group *group, double value)
{
    double largest = value;
    int64_t call = begin(group, "maximum", sizeof value);
    MPI_Allreduce(&value, &largest, 1, MPI_DOUBLE, MPI_MAX, group->comm);
    recorder_leave(call);
    return largest;
}
