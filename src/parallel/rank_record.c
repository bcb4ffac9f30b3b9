#include "parallel/rank_record.h"

#include <stddef.h>

const RecordedCall *rank_record_call(const RankRecord *record, int64_t number)
{
    const RecordedCall *call = &record->ring[number % RECORD_CALLS];
    return number > 0 && call->number == number ? call : NULL;
}

const RecordedCall *rank_record_waiting(const RankRecord *record)
{
    return rank_record_call(record, atomic_load(&record->waiting));
}

const RecordedGroup *rank_record_group(const RankRecord *record, uint64_t id)
{
    for (int g = 0; g < RECORD_GROUPS; g++)
        if (id != 0 && record->groups[g].id == id)
            return &record->groups[g];
    return NULL;
}

const RecordedCall *rank_record_collective(const RankRecord *record, uint64_t id, int64_t sequence)
{
    for (int c = 0; c < RECORD_CALLS; c++) {
        const RecordedCall *call = &record->ring[c];
        if (call->number > 0 && call->group == id && call->sequence == sequence)
            return call;
    }
    return NULL;
}

int64_t rank_record_sign(const RankRecord *record)
{
    int64_t last = atomic_load(&record->activity.sign);
    const RecordedCall *call = rank_record_call(record, atomic_load(&record->calls));
    if (call && call->entered > last)
        last = call->entered;
    for (int c = 0; c < RECORD_CALLS; c++)
        if (record->ring[c].left > last)
            last = record->ring[c].left;
    return last;
}
