// transfer.cpp - NCCL's operations: what ranks send each other, and what comes of it.
//
// Calls of one communicator become one operation, and a communicator's operations take turns. From
// the beginning to the end of an operation its destinations hold nonsense, and neither they nor its
// sources may change: whoever writes there meanwhile is found out at the end. What is sent is taken
// at the beginning, in one letter a call and a member, which says what the call is: calls that do
// not fit are found out as well.

#include <stdio.h>
#include <string.h>

#include <algorithm>

#include "tests/cuda_on_cpu/nccl_inside.h"

namespace cuda_on_cpu
{

enum { NONSENSE = 0xff, LOST = -1, MOST_LOOKS = 8 };

// What every letter begins with.
struct Header {
    int kind, type, operation, root; // kind LOST: the sender's part of the communicator has failed
    uint64_t count;
};

// A letter that a call waits for.
struct Awaited {
    int peer;
    bool there;
    Letter letter;
};

struct Part {
    Call call;
    std::vector<Awaited> awaited;
    Letter source, destination; // as they were when the operation began, nonsense included
};

struct Transfer {
    Communicator comm;
    int64_t turn;
    bool begun, hangs;
    bool lost; // a peer's part has failed
    std::vector<Part> parts;
    std::vector<std::shared_ptr<const Posted>> posted;
};

static const Transfer *under_way; // one of those that have begun, for `nccl_alone`

// ---- what calls say of themselves ---------------------------------------------------------------

static Header header_of(const Call &call)
{
    bool message = call.kind == Kind::SEND || call.kind == Kind::RECEIVE;
    return {static_cast<int>(message ? Kind::SEND : call.kind), call.type, call.operation,
            message ? 0 : call.peer, call.count};
}

static Letter letter_of(const Header &header)
{
    const char *first = reinterpret_cast<const char *>(&header);
    return Letter(first, first + sizeof header);
}

static const char *type_name(int type)
{
    switch (type) {
    case ncclUint8:
        return "ncclUint8";
    case ncclInt32:
        return "ncclInt32";
    case ncclInt64:
        return "ncclInt64";
    case ncclBfloat16:
        return "ncclBfloat16";
    case ncclFloat32:
        return "ncclFloat32";
    }
    return "";
}

static void header_tell(char (&to)[128], const Header &header)
{
    Kind kind = static_cast<Kind>(header.kind);
    int length = snprintf(to, sizeof to, "%s of %llu %s", call_name(kind),
                          static_cast<unsigned long long>(header.count), type_name(header.type));
    size_t used = static_cast<size_t>(length);
    if (kind == Kind::BROADCAST)
        snprintf(to + used, sizeof to - used, " from %d", header.root);
    else if (kind == Kind::ALL_REDUCE || kind == Kind::REDUCE_SCATTER)
        snprintf(to + used, sizeof to - used, " (operation %d)", header.operation);
}

// Ranks that do not do the same; NCCL would hang, or take the wrong bytes.
static void mismatch(Transfer *transfer, int own, const Header &wanted, int peer,
                     const Header &header)
{
    char here[128], there[128];
    header_tell(here, wanted);
    header_tell(there, header);
    if (!settings().nccl_hangs)
        wrong("rank %d's call does not fit rank %d's: %s, and %s", own, peer, here, there);
    transfer->hangs = true;
}

// ---- the beginning ------------------------------------------------------------------------------

// What a member gets of a call's source.
static Span piece_for(const Call &call, int member)
{
    Span source = source_of(call);
    size_t bytes = call.count * type_bytes(call.type);
    if (call.kind != Kind::REDUCE_SCATTER)
        return source;
    return {source.first + static_cast<size_t>(member) * bytes, bytes};
}

static Letter taken(Span span)
{
    return Letter(span.first, span.first + span.bytes);
}

static void part_send(Transfer *transfer, Part *part, int member)
{
    Header header = header_of(part->call);
    Letter letter = letter_of(header);
    Span piece = piece_for(part->call, member);
    letter.insert(letter.end(), piece.first, piece.first + piece.bytes);
    transfer->posted.push_back(
        wire_send(transfer->comm->members[static_cast<size_t>(member)].world_rank,
                  transfer->comm->tag, letter));
}

static void part_begin(Transfer *transfer, Part *part)
{
    const Call &call = part->call;
    if (call.kind == Kind::SEND)
        return part_send(transfer, part, call.peer);
    if (call.kind == Kind::RECEIVE) {
        part->awaited.push_back({call.peer, false, {}});
        return;
    }
    for (int member = 0; member < transfer->comm->self.size; member++) {
        part_send(transfer, part, member);
        part->awaited.push_back({member, false, {}});
    }
}

static bool overlap(Span a, Span b)
{
    return a.bytes > 0 && b.bytes > 0 && a.first < b.first + b.bytes && b.first < a.first + a.bytes;
}

// Within one call a destination may hold the source; calls of a group run at the same time.
static void overlaps_check(const Transfer &transfer)
{
    for (const Part &a : transfer.parts) {
        for (const Part &b : transfer.parts) {
            Span to = destination_of(a.call);
            if (&a != &b && (overlap(to, source_of(b.call)) || overlap(to, destination_of(b.call))))
                wrong("%s and %s of one group use the same memory", call_name(a.call.kind),
                      call_name(b.call.kind));
        }
    }
}

// The call that is to fail is among those that begin: nothing goes out but the news of it.
static bool fails(Transfer *transfer)
{
    static int begun;
    const Failure &failure = settings().nccl_fails;
    int before = begun;
    begun += static_cast<int>(transfer->parts.size());
    if (failure.rank != wire_rank() || failure.number <= before || failure.number > begun)
        return false;
    transfer->comm->error = refuse(ncclSystemError, "the call that CUDA_ON_CPU_NCCL_FAIL names");
    Header lost = {LOST, 0, 0, 0, 0};
    for (const Member &member : transfer->comm->members) {
        if (member.rank != transfer->comm->self.rank)
            wire_send(member.world_rank, transfer->comm->tag, letter_of(lost));
    }
    return true;
}

static void begin(Transfer *transfer)
{
    transfer->begun = true;
    under_way = transfer;
    overlaps_check(*transfer);
    if (fails(transfer))
        return;
    for (Part &part : transfer->parts)
        part_begin(transfer, &part);
    for (Part &part : transfer->parts) {
        Span to = destination_of(part.call);
        memset(to.first, NONSENSE, to.bytes);
    }
    for (Part &part : transfer->parts) {
        part.source = taken(source_of(part.call));
        part.destination = taken(destination_of(part.call));
    }
}

// ---- the middle ---------------------------------------------------------------------------------

static void letter_check(Transfer *transfer, const Part &part, const Awaited &awaited)
{
    int own = transfer->comm->self.rank;
    if (awaited.letter.empty())
        wrong("rank %d has finalised the communicator that rank %d uses: %s", awaited.peer, own,
              call_name(part.call.kind));
    Header header, wanted = header_of(part.call);
    memcpy(&header, awaited.letter.data(), sizeof header);
    if (header.kind == LOST)
        transfer->lost = true;
    else if (memcmp(&header, &wanted, sizeof header) != 0)
        mismatch(transfer, own, wanted, awaited.peer, header);
}

// Takes what has come; whether something has.
static bool letters_take(Transfer *transfer)
{
    bool came = false;
    ncclComm *comm = transfer->comm.get();
    for (Part &part : transfer->parts) {
        for (Awaited &awaited : part.awaited) {
            const Member &peer = comm->members[static_cast<size_t>(awaited.peer)];
            if (awaited.there || !wire_take(peer.world_rank, comm->tag, &awaited.letter))
                continue;
            came = awaited.there = true;
            letter_check(transfer, part, awaited);
        }
    }
    return came;
}

static bool complete(const Transfer &transfer)
{
    for (const Part &part : transfer.parts) {
        for (const Awaited &awaited : part.awaited) {
            if (!awaited.there)
                return false;
        }
    }
    return std::all_of(transfer.posted.begin(), transfer.posted.end(),
                       [](const std::shared_ptr<const Posted> &posted) { return posted->gone; });
}

// ---- the end ------------------------------------------------------------------------------------

static void unchanged_check(const Call &call, Span now, const Letter &before, const char *which)
{
    if (now.bytes > 0 && memcmp(now.first, before.data(), now.bytes) != 0)
        wrong("the %s of %s was written while it was under way (%zu bytes at %p)", which,
              call_name(call.kind), now.bytes, static_cast<void *>(now.first));
}

static void part_end(const Part &part)
{
    const Call &call = part.call;
    unchanged_check(call, source_of(call), part.source, "source");
    unchanged_check(call, destination_of(call), part.destination, "destination");
    size_t bytes = call.count * type_bytes(call.type);
    char *to = static_cast<char *>(call.to);
    for (const Awaited &awaited : part.awaited) {
        const char *from = awaited.letter.data() + sizeof(Header);
        size_t member = static_cast<size_t>(awaited.peer);
        if (call.kind == Kind::ALL_GATHER)
            memcpy(to + member * bytes, from, bytes);
        else if (call.kind == Kind::ALL_REDUCE || call.kind == Kind::REDUCE_SCATTER)
            combine(to, from, call, member == 0);
        else if (call.kind == Kind::RECEIVE || awaited.peer == call.peer)
            memcpy(to, from, bytes);
    }
}

// With the first seeds at once, else some looks later.
static Step peer_is_lost(Transfer *transfer)
{
    if (settings().seed < 2 || draw_turn(MOST_LOOKS) == 0)
        transfer->comm->error = refuse(ncclRemoteError, "a peer was lost");
    return Step::WAITS;
}

static Step ended(Transfer *transfer)
{
    if (under_way == transfer)
        under_way = NULL;
    transfer->comm->ended++;
    return Step::ENDED;
}

static Step advance(Transfer *transfer)
{
    ncclComm *comm = transfer->comm.get();
    if (comm->phase == Phase::ABORTED)
        return ended(transfer);
    if (comm->error != ncclSuccess || transfer->hangs || transfer->turn != comm->ended)
        return Step::WAITS;
    if (!transfer->begun) {
        if (settings().nccl_alone && under_way)
            return Step::WAITS;
        begin(transfer);
        return Step::BEGUN;
    }
    if (transfer->lost)
        return peer_is_lost(transfer);
    bool moved = wire_poll();
    moved = letters_take(transfer) || moved;
    if (transfer->lost || transfer->hangs || !complete(*transfer))
        return moved ? Step::BEGUN : Step::WAITS;
    for (const Part &part : transfer->parts)
        part_end(part);
    return ended(transfer);
}

Advance transfer_make(const std::vector<Call> &calls)
{
    std::shared_ptr<Transfer> transfer = std::make_shared<Transfer>();
    transfer->comm = calls[0].comm;
    transfer->turn = transfer->comm->issued++;
    for (const Call &call : calls)
        transfer->parts.push_back({call, {}, {}, {}});
    return [transfer] { return advance(transfer.get()); };
}

} // namespace cuda_on_cpu
