#include "input/settings_change.h"

#include <string.h>

#include "base/fail.h"
#include "input/settings_table.h"

typedef struct {
    const char *section, *key; // key NULL: all others of the section
    SettingChange change;
} ChangeRow;

// Exceptions stand before their section. Paths of what is compared by its content are free: files
// may be moved.
static const ChangeRow table[] = {
    {"run", "seed", CHANGE_NEVER},
    {"run", NULL, CHANGE_FREE},
    {"model", "path", CHANGE_FREE},
    {"model", "compute", CHANGE_ON_REQUEST},
    {"model", "products", CHANGE_ON_REQUEST},
    {"model", NULL, CHANGE_NEVER},
    {"data", "train", CHANGE_FREE},
    {"data", "system_prompt", CHANGE_FREE},
    {"data", NULL, CHANGE_ON_REQUEST},
    {"parallel", NULL, CHANGE_FREE},
    {"rollout", "cache_tokens", CHANGE_FREE},
    {"rollout", "tensor_parallel", CHANGE_FREE},
    {"rollout", NULL, CHANGE_ON_REQUEST},
    {"react", NULL, CHANGE_ON_REQUEST},
    {"reward", NULL, CHANGE_ON_REQUEST},
    {"algorithm", NULL, CHANGE_ON_REQUEST},
    {"optimizer", "memory", CHANGE_FREE},
    {"optimizer", NULL, CHANGE_ON_REQUEST},
    {"adapter", NULL, CHANGE_NEVER},
    {"train", "not_finite", CHANGE_FREE},
    {"train", NULL, CHANGE_ON_REQUEST},
    {"warmup", "steps", CHANGE_NEVER}, // where the main stage begins
    {"warmup", "epochs", CHANGE_NEVER},
    {"warmup", "batch_contexts", CHANGE_NEVER},
    {"warmup", NULL, CHANGE_ON_REQUEST},
    {"judge", "cache_tokens", CHANGE_FREE},
    {"judge", "tensor_parallel", CHANGE_FREE},
    {"judge", "url", CHANGE_FREE},
    {"judge", "key_variable", CHANGE_FREE},
    {"judge", "in_flight", CHANGE_FREE},
    {"judge", "timeout", CHANGE_FREE},
    {"judge", "retries", CHANGE_FREE},
    {"judge", "backoff", CHANGE_FREE},
    {"judge", NULL, CHANGE_ON_REQUEST},
    {"evaluate", NULL, CHANGE_FREE},
    {"checkpoint", NULL, CHANGE_FREE},
    {"check", NULL, CHANGE_FREE},
    {"prepare", NULL, CHANGE_FREE},
    {"calibrate", NULL, CHANGE_FREE},
    {"extractor", NULL, CHANGE_FREE},
    {"policy", NULL, CHANGE_FREE},
    {"proposer", NULL, CHANGE_FREE},
};

SettingChange settings_change(const SettingRow *row)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].section, row->section) == 0 &&
            (!table[i].key || strcmp(table[i].key, row->key) == 0))
            return table[i].change;
    }
    CHECK(false, "settings_change.c says nothing of section [%s]", row->section);
}

const char *settings_change_name(SettingChange change)
{
    static const char *const names[] = {"freely", "on request", "never"};
    return names[change];
}

static void compare_row(const SettingRow *row, const Settings *before, const Settings *now,
                        Bytes *out)
{
    Bytes old = {0}, new = {0};
    setting_print_quoted(row, before, &old);
    setting_print_quoted(row, now, &new);
    if (strcmp(old.data, new.data) != 0)
        bytes_print(out, "%s%s.%s from %s to %s", out->length > 0 ? "; " : "", row->section,
                    row->key, old.data, new.data);
    bytes_free(&old);
    bytes_free(&new);
}

void settings_compare(const Settings *before, const Settings *now, SettingChange change, Bytes *out)
{
    for (int64_t i = 0; i < settings_count; i++)
        if (settings_change(&settings_table[i]) == change)
            compare_row(&settings_table[i], before, now, out);
}
