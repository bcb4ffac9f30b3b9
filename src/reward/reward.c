#include "reward/reward.h"

#include <string.h>

bool reward_stops(const char *response, size_t length)
{
    const size_t size = strlen(STOP_TEXT);
    for (size_t i = 0; i + size <= length; i++)
        if (memcmp(response + i, STOP_TEXT, size) == 0)
            return true;
    return false;
}

double reward_fuse(RewardSettings settings, double decision, double content, double format)
{
    switch (settings.mode) {
    case MODE_RA:
        return 2 * content + format;
    case MODE_RS:
        return 3 * decision + format;
    case MODE_RA_RS:
        break;
    }
    if (settings.fusion == FUSION_SUM)
        return decision + content + format;
    return decision * (1 + 2 * content) + format;
}

static Grade grade(RewardSettings settings, double decision, double content, double format)
{
    return (Grade){.decision = decision,
                   .content = content,
                   .format = format,
                   .reward = reward_fuse(settings, decision, content, format),
                   .graded = true};
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// Whether the response is the stop text and nothing else.
static bool is_bare_stop(const char *response, size_t length, bool trim)
{
    while (trim && length > 0 && is_space(response[length - 1]))
        length--;
    while (trim && length > 0 && is_space(*response))
        response++, length--;
    return length == strlen(STOP_TEXT) && memcmp(response, STOP_TEXT, length) == 0;
}

bool reward_settle(RewardSettings settings, Truth truth, const char *response, size_t length,
                   Grade *out)
{
    bool stops = reward_stops(response, length);
    if (stops != (truth == TRUTH_STOP)) {
        *out = grade(settings, 0, 0, 0);
        return true;
    }
    if (stops) {
        *out = grade(settings, 1, 1, is_bare_stop(response, length, settings.trim_stop));
        return true;
    }
    *out = (Grade){.decision = 1};
    return false;
}

Grade reward_judged(RewardSettings settings, double content, double format)
{
    return grade(settings, 1, content, format);
}
