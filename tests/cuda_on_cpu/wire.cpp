// wire.cpp - messages by MPI (wire.h). Whatever comes is taken in at once, so that nothing of ours
// stays in MPI, and handed on in the order in which it was sent.

#include "tests/cuda_on_cpu/wire.h"

#include <limits.h>
#include <time.h>

#include <algorithm>
#include <deque>

#include "tests/cuda_on_cpu/streams.h"

namespace cuda_on_cpu
{

enum { IDLE_NANOSECONDS = 100000 }; // ranks share cores

struct Outgoing {
    Letter letter;
    MPI_Request request;
    std::shared_ptr<Posted> posted;
};

struct Incoming {
    int from, tag;
    Letter letter;
    MPI_Request request; // null once all of it is there
};

static MPI_Comm wire = MPI_COMM_NULL;
static int own_rank;
static std::deque<std::unique_ptr<Outgoing>> outgoing;
static std::deque<std::unique_ptr<Incoming>> incoming; // in the order in which they came

bool wire_is_open()
{
    return wire != MPI_COMM_NULL;
}

int wire_rank()
{
    return own_rank;
}

void wire_open()
{
    PMPI_Comm_dup(MPI_COMM_WORLD, &wire);
    PMPI_Comm_rank(wire, &own_rank);
    process_rank = own_rank;
    streams_idle = wire_idle;
}

std::shared_ptr<const Posted> wire_send(int to, int tag, const Letter &letter)
{
    if (letter.size() > INT_MAX)
        wrong("a message of %zu bytes", letter.size());
    std::unique_ptr<Outgoing> out(
        new Outgoing{letter, MPI_REQUEST_NULL, std::make_shared<Posted>(Posted{false})});
    PMPI_Isend(out->letter.data(), static_cast<int>(letter.size()), MPI_BYTE, to, tag, wire,
               &out->request);
    std::shared_ptr<const Posted> posted = out->posted;
    outgoing.push_back(std::move(out));
    return posted;
}

// ---- what goes and comes ------------------------------------------------------------------------

static bool outgoing_poll()
{
    size_t before = outgoing.size();
    for (std::unique_ptr<Outgoing> &out : outgoing) {
        int gone = 0;
        PMPI_Test(&out->request, &gone, MPI_STATUS_IGNORE);
        out->posted->gone = gone;
    }
    outgoing.erase(
        std::remove_if(outgoing.begin(), outgoing.end(),
                       [](const std::unique_ptr<Outgoing> &out) { return out->posted->gone; }),
        outgoing.end());
    return outgoing.size() < before;
}

static bool incoming_begin()
{
    int found = 0, bytes;
    MPI_Message message;
    MPI_Status status;
    PMPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, wire, &found, &message, &status);
    if (!found)
        return false;
    PMPI_Get_count(&status, MPI_BYTE, &bytes);
    std::unique_ptr<Incoming> in(new Incoming{
        status.MPI_SOURCE, status.MPI_TAG, Letter(static_cast<size_t>(bytes)), MPI_REQUEST_NULL});
    PMPI_Imrecv(in->letter.data(), bytes, MPI_BYTE, &message, &in->request);
    incoming.push_back(std::move(in));
    return true;
}

bool wire_poll()
{
    if (!wire_is_open())
        return false;
    bool moved = outgoing_poll();
    while (incoming_begin())
        moved = true;
    for (std::unique_ptr<Incoming> &in : incoming) {
        int there = in->request == MPI_REQUEST_NULL;
        if (there)
            continue;
        PMPI_Test(&in->request, &there, MPI_STATUS_IGNORE);
        moved = moved || there;
    }
    return moved;
}

void wire_idle()
{
    struct timespec pause = {0, IDLE_NANOSECONDS};
    if (!wire_poll())
        nanosleep(&pause, NULL);
}

// The first one that fits, if all of it is there: one behind it may not overtake.
template <class Fits> static bool take(Fits fits, Letter *letter)
{
    auto first = std::find_if(incoming.begin(), incoming.end(),
                              [&](const std::unique_ptr<Incoming> &in) { return fits(*in); });
    if (first == incoming.end() || (*first)->request != MPI_REQUEST_NULL)
        return false;
    letter->swap((*first)->letter);
    incoming.erase(first);
    return true;
}

bool wire_take(int from, int tag, Letter *letter)
{
    return take([=](const Incoming &in) { return in.from == from && in.tag == tag; }, letter);
}

bool wire_take_any(int tag, Letter *letter)
{
    return take([=](const Incoming &in) { return in.tag == tag; }, letter);
}

// A rank whose messages have all gone says so; when all have, nothing is on its way any more
// (Hoefler, Siebert, Lumsdaine 2010).
void wire_close()
{
    MPI_Request all = MPI_REQUEST_NULL;
    bool said = false;
    for (int done = 0; !done;) {
        wire_idle();
        if (!said && outgoing.empty()) {
            PMPI_Ibarrier(wire, &all);
            said = true;
        }
        if (said)
            PMPI_Test(&all, &done, MPI_STATUS_IGNORE);
    }
    streams_idle = NULL;
    PMPI_Comm_free(&wire);
}

} // namespace cuda_on_cpu
