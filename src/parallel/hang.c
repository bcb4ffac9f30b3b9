#include "parallel/hang.h"

#include <string.h>

#include "base/fail.h"

static const int64_t SECOND = 1000000000;

// ---- what the records say -----------------------------------------------------------------------

static const RankRecord *record_of(const Watch *watch, int rank)
{
    return watch->ranks[rank].record;
}

// Nanoseconds since a time of that rank's clock.
static int64_t age(const Watch *watch, int rank, int64_t time)
{
    const RankRecord *mine = record_of(watch, watch->me), *its = record_of(watch, rank);
    return (watch->now - mine->origin) - (time - its->origin);
}

static bool is_silent(const Watch *watch, int rank)
{
    const RankRecord *record = record_of(watch, rank);
    return !record || age(watch, rank, rank_record_sign(record)) >= watch->limit;
}

// Its process does not run. That it is stopped at this moment does not say so: it may go on.
static bool is_down(const Watch *watch, int rank)
{
    const WatchedRank *watched = &watch->ranks[rank];
    return watched->process == PROCESS_GONE ||
           (watched->record &&
            age(watch, rank, atomic_load(&watched->record->beat)) >= watch->limit);
}

// NULL: the rank does not wait, or cannot.
static const RecordedCall *wait_of(const Watch *watch, int rank)
{
    const RankRecord *record = record_of(watch, rank);
    return record && !is_down(watch, rank) ? rank_record_waiting(record) : NULL;
}

// NULL: it is in another group; so may be a rank that cannot be read.
static const RecordedGroup *membership(const Watch *watch, int rank, uint64_t group)
{
    const RankRecord *record = record_of(watch, rank);
    return record ? rank_record_group(record, group) : NULL;
}

static bool has_entered(const Watch *watch, int rank, const RecordedCall *call)
{
    const RecordedGroup *group = membership(watch, rank, call->group);
    return group && group->sequence >= call->sequence;
}

// Whether `rank` holds up who waits in `call`: it is one of those who can end the wait, has not
// entered the collective, or has, but does not call MPI, which moves it on.
static bool is_missing(const Watch *watch, int rank, const RecordedCall *call)
{
    const RankRecord *record = record_of(watch, rank);
    if (!record || !membership(watch, rank, call->group))
        return !record;
    if (call->sequence == 0 || !has_entered(watch, rank, call))
        return true;
    const RecordedCall *its = rank_record_collective(record, call->group, call->sequence);
    return its && its->left == 0 && !wait_of(watch, rank);
}

// NULL: the rank has not entered that collective of the call's group, or it is long past.
static const RecordedCall *same_place(const Watch *watch, int rank, const RecordedCall *call)
{
    const RankRecord *record = record_of(watch, rank);
    return record ? rank_record_collective(record, call->group, call->sequence) : NULL;
}

static bool differs(const RecordedCall *one, const RecordedCall *other)
{
    return strcmp(one->what, other->what) != 0 || one->bytes != other->bytes;
}

// ---- who is lost --------------------------------------------------------------------------------

// Whether what rank waits for will not come, if those of `lost` [size] are lost.
static bool waits_in_vain(const Watch *watch, int rank, const RecordedCall *call, const bool *lost)
{
    int missing = 0, lost_missing = 0, lost_members = 0, members = 0;
    for (int other = 0; other < watch->size; other++) {
        if (other == rank || (record_of(watch, other) && !membership(watch, other, call->group)))
            continue;
        members++;
        lost_members += lost[other];
        bool holds = is_missing(watch, other, call);
        missing += holds;
        lost_missing += holds && lost[other];
    }
    if (call->sequence == 0)
        return lost_members == members;
    if (missing > 0)
        return lost_missing > 0;
    return lost_members == members; // all are there, but it does not end
}

// The largest set of ranks of which each is silent, and waits, if it does, for another of them.
static void find_lost(const Watch *watch, bool *lost)
{
    for (int rank = 0; rank < watch->size; rank++)
        lost[rank] = is_silent(watch, rank) || is_down(watch, rank);
    for (bool changed = true; changed;) {
        changed = false;
        for (int rank = 0; rank < watch->size; rank++) {
            const RecordedCall *call = wait_of(watch, rank);
            if (!lost[rank] || !call || waits_in_vain(watch, rank, call, lost))
                continue;
            lost[rank] = false;
            changed = true;
        }
    }
}

// ---- words --------------------------------------------------------------------------------------

static void print_rank(const Watch *watch, int rank, Bytes *out)
{
    const RankRecord *record = record_of(watch, rank);
    bytes_print(out, "rank %d", rank);
    if (record)
        bytes_print(out, " (%s, process %d)", record->host, (int)record->pid);
}

// "the all-gather of 4096 bytes of unit 3, collective 12 of the learner ranks". `caller` has it.
static void print_call(const Watch *watch, int caller, const RecordedCall *call, Bytes *out)
{
    const RecordedGroup *group = membership(watch, caller, call->group);
    bytes_print(out, "the %s", call->what);
    if (call->bytes > 0)
        bytes_print(out, " of %lld bytes", (long long)call->bytes);
    if (call->unit >= 0)
        bytes_print(out, " of unit %lld", (long long)call->unit);
    if (call->sequence > 0)
        bytes_print(out, ", collective %lld", (long long)call->sequence);
    if (group)
        bytes_print(out, " of %s", group->name);
}

static double seconds(int64_t nanoseconds)
{
    return (double)nanoseconds / (double)SECOND;
}

// Why a rank that does not wait is taken for lost.
static void print_state(const Watch *watch, int rank, Bytes *out)
{
    const RankRecord *record = record_of(watch, rank);
    if (!record) {
        bytes_append_text(out, "what it does cannot be read");
        return;
    }
    double ago = seconds(age(watch, rank, rank_record_sign(record)));
    const char *process = watch->ranks[rank].process == PROCESS_STOPPED ? "its process is stopped"
                          : watch->ranks[rank].process == PROCESS_GONE  ? "its process is gone"
                          : is_down(watch, rank) ? "its host or its process does not run"
                                                 : "its process runs";
    bytes_print(out, "%s, and its last sign of life was %.1f s ago (%s)", process, ago,
                record->activity.name);
}

static int count_waiting(const Watch *watch, const RecordedCall *call)
{
    int count = 0;
    for (int rank = 0; rank < watch->size; rank++) {
        const RecordedCall *its = wait_of(watch, rank);
        count += its && its->group == call->group && its->sequence == call->sequence;
    }
    return count;
}

// That `rank` is lost, and `waiting` waits for it.
static void print_lost(const Watch *watch, int rank, int waiting, Bytes *out)
{
    const RecordedCall *call = wait_of(watch, waiting);
    print_rank(watch, rank, out);
    bytes_append_text(out, call->sequence == 0               ? " has sent none of "
                           : !has_entered(watch, rank, call) ? " never entered "
                                                             : " does not get on with ");
    print_call(watch, waiting, call, out);
    int count = count_waiting(watch, call);
    bytes_print(out, ", which %d rank%s wait%s in for %.1f s: ", count, count == 1 ? "" : "s",
                count == 1 ? "s" : "", seconds(age(watch, waiting, call->waited)));
    print_state(watch, rank, out);
}

// ---- what a hang is due to ----------------------------------------------------------------------

// A member that entered something else than most of them as the same collective; -1: none did.
static int odd_one(const Watch *watch, const RecordedCall *call)
{
    int odd = -1, fewest = watch->size + 1;
    bool different = false;
    for (int rank = 0; rank < watch->size; rank++) {
        const RecordedCall *its = same_place(watch, rank, call);
        if (!its)
            continue;
        int alike = 0;
        for (int other = 0; other < watch->size; other++) {
            const RecordedCall *that = same_place(watch, other, call);
            alike += that && !differs(its, that);
        }
        different |= differs(its, call);
        // Of two that stand alone the later one is the odd one: some order there must be.
        if (alike <= fewest) {
            fewest = alike;
            odd = rank;
        }
    }
    return different ? odd : -1;
}

static bool print_mismatch(const Watch *watch, int waiting, Bytes *out)
{
    const RecordedCall *call = wait_of(watch, waiting);
    int odd = call && call->sequence > 0 ? odd_one(watch, call) : -1;
    if (odd < 0)
        return false;
    const RecordedCall *its = same_place(watch, odd, call);
    for (int rank = 0; rank < watch->size; rank++) {
        const RecordedCall *other = same_place(watch, rank, call);
        if (!other || !differs(its, other))
            continue;
        print_rank(watch, odd, out);
        bytes_append_text(out, " entered ");
        print_call(watch, odd, its, out);
        bytes_append_text(out, ", where ");
        print_rank(watch, rank, out);
        bytes_append_text(out, " entered ");
        print_call(watch, rank, other, out);
        bytes_append_text(out, ": the program is at fault, please report it");
        return true;
    }
    return false;
}

// The ranks that hold this one up, from one to the next, each once, in `order` [size]; `from`
// [size] says who waits for each. How many.
static int follow(const Watch *watch, const bool *lost, int *order, int *from)
{
    int count = 0;
    for (int rank = 0; rank < watch->size; rank++)
        from[rank] = -1;
    order[count++] = watch->me;
    from[watch->me] = watch->me;
    for (int at = 0; at < count; at++) {
        const RecordedCall *call = wait_of(watch, order[at]);
        for (int rank = 0; call && rank < watch->size; rank++) {
            if (from[rank] >= 0 || !lost[rank] || !is_missing(watch, rank, call))
                continue;
            from[rank] = order[at];
            order[count++] = rank;
        }
    }
    return count;
}

static void print_cause(const Watch *watch, const bool *lost, Bytes *verdict)
{
    int *order = allocate((size_t)watch->size, sizeof *order);
    int *from = allocate((size_t)watch->size, sizeof *from);
    int count = follow(watch, lost, order, from);
    int found = 0, more = 0;
    for (int at = 1; at < count; at++) {
        if (wait_of(watch, order[at]))
            continue;
        if (found++ == 0)
            print_lost(watch, order[at], from[order[at]], verdict);
        else
            more++;
    }
    if (more > 0)
        bytes_print(verdict, "; %d more rank%s lost, too", more, more == 1 ? " is" : "s are");
    for (int at = 0; at < count && found == 0; at++)
        found = print_mismatch(watch, order[at], verdict);
    if (found == 0) {
        const RecordedCall *call = wait_of(watch, watch->me);
        print_rank(watch, watch->me, verdict);
        bytes_append_text(verdict, " waits in ");
        print_call(watch, watch->me, call, verdict);
        bytes_print(verdict, " for %.1f s, ", seconds(age(watch, watch->me, call->waited)));
        bytes_append_text(verdict, count > 1 ? "and ranks wait for each other: the program is at "
                                               "fault, please report it"
                                             : "which all ranks have entered: the network or its "
                                               "library has lost something");
    }
    release(order);
    release(from);
}

bool hang_find(const Watch *watch, Bytes *verdict, int64_t *again)
{
    const RecordedCall *call = wait_of(watch, watch->me);
    *again = watch->limit;
    if (!call)
        return false;
    int64_t waited = age(watch, watch->me, call->waited);
    if (waited < watch->limit) {
        *again = watch->limit - waited;
        return false;
    }
    bool *lost = allocate((size_t)watch->size, sizeof *lost);
    find_lost(watch, lost);
    bool hangs = lost[watch->me];
    if (hangs)
        print_cause(watch, lost, verdict);
    for (int rank = 0; rank < watch->size; rank++) {
        int64_t left =
            is_silent(watch, rank)
                ? watch->limit
                : watch->limit - age(watch, rank, rank_record_sign(record_of(watch, rank)));
        *again = left < *again ? left : *again;
    }
    release(lost);
    return hangs;
}

bool hang_find_mismatch(const Watch *watch, Bytes *verdict)
{
    return print_mismatch(watch, watch->me, verdict);
}

// ---- everything ---------------------------------------------------------------------------------

static void print_last_calls(const Watch *watch, int rank, Bytes *out)
{
    enum { PRINTED = 8 };
    const RankRecord *record = record_of(watch, rank);
    int64_t newest = atomic_load(&record->calls);
    for (int64_t number = newest; number > newest - PRINTED && number > 0; number--) {
        const RecordedCall *call = rank_record_call(record, number);
        if (!call)
            continue;
        bytes_print(out, "    entered %.3f s ago, ", seconds(age(watch, rank, call->entered)));
        if (call->left != 0)
            bytes_print(out, "left %.3f s ago: ", seconds(age(watch, rank, call->left)));
        else
            bytes_append_text(out, call->waited != 0 ? "waits in it: " : "not left: ");
        print_call(watch, rank, call, out);
        bytes_append_text(out, "\n");
    }
}

void hang_print(const Watch *watch, Bytes *out)
{
    for (int rank = 0; rank < watch->size; rank++) {
        print_rank(watch, rank, out);
        bytes_append_text(out, ": ");
        print_state(watch, rank, out);
        bytes_append_text(out, "\n");
        if (record_of(watch, rank))
            print_last_calls(watch, rank, out);
    }
}
