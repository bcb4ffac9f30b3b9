// What a language model says: scores, facts, calls of tools.

#include <math.h>

#include "base/fail.h"
#include "dialogue/facts.h"
#include "reward/verdict.h"
#include "tests/fuzz/fuzz.h"
#include "text/tool_format.h"

static void read_facts(const char *text, size_t length)
{
    json_t *facts = facts_parse(text, length);
    if (!facts)
        return;
    // Comparing two long lists takes the cube of their length; one of the two is never long.
    enum { COMPARED = 32 };
    double same = json_array_size(facts) <= COMPARED ? facts_f1(facts, facts) : 1;
    CHECK(same >= 1 && same <= 1, "facts do not agree with themselves: %g", same);
    json_decref(facts);
}

static void read_calls(const char *text, size_t length)
{
    ToolCall *calls;
    int64_t count = tool_format_calls(text, length, &calls);
    CHECK(count <= TOOL_CALLS_LIMIT + 1, "%lld calls", (long long)count);
    for (int64_t i = 0; i < count; i++)
        CHECK(calls[i].problem || (calls[i].name && json_is_object(calls[i].arguments)),
              "a call without name and arguments");
    tool_format_free(calls, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    Verdict verdict, lenient;
    bool good = verdict_parse(text, size, false, &verdict);
    CHECK(verdict_parse(text, size, true, &lenient), "a lenient reading refuses");
    CHECK(isfinite(lenient.content) && isfinite(lenient.format), "a score is not finite");
    CHECK(!good || (verdict.content >= 0 && verdict.content <= 1 && verdict.format >= 0 &&
                    verdict.format <= 1),
          "a score is outside [0, 1]");
    read_facts(text, size);
    read_calls(text, size);
    Bytes result = {(char *)(uintptr_t)text, size, size}, observation = {0};
    tool_format_observation(&result, 1, &observation);
    bytes_free(&observation);
    return 0;
}
