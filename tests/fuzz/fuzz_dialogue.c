// A file of sessions or samples, read as both, with bad lines left out.

#include "base/fail.h"
#include "dialogue/samples.h"
#include "dialogue/sessions.h"
#include "tests/fuzz/fuzz.h"

static void check_groups(const SampleSet *set)
{
    int64_t next = 0;
    for (int64_t i = 0; i < set->group_count; i++) {
        CHECK(set->groups[i].first_sample == next, "groups do not tile the samples");
        next += set->groups[i].sample_count;
    }
    CHECK(next == set->count, "groups do not hold all samples");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SessionSet sessions;
    SampleSet samples;
    const char *path = fuzz_file((FuzzPart){(const char *)data, size});
    if (sessions_read(&sessions, path, true) == 0)
        sessions_free(&sessions);
    if (samples_read(&samples, path, (SampleOptions){true, size & 1}) == 0) {
        check_groups(&samples);
        samples_free(&samples);
    }
    return 0;
}
