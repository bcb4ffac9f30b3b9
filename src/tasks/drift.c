#include "tasks/drift.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"

static const char files_folder[] = "/files/";

static void add(Drift *drift, SettingChange change, const char *what)
{
    Bytes *list = &drift->changes[change];
    bytes_print(list, "%s%s", list->length > 0 ? "; " : "", what);
}

static int compare_settings(Drift *drift, const Settings *settings, const Checkpoint *checkpoint)
{
    Settings before;
    Bytes faults = {0};
    const char *text;
    if (checkpoint_text(checkpoint, "settings", &text) != 0)
        return -1;
    int status = settings_read_text(&before, text, strlen(text), "the checkpoint's settings", NULL,
                                    0, &faults);
    if (status == 0) {
        for (SettingChange change = 0; change < CHANGE_COUNT; change++)
            settings_compare(&before, settings, change, &drift->changes[change]);
        settings_free(&before);
    } else {
        add(drift, CHANGE_ON_REQUEST,
            "the settings themselves: the checkpoint is of another version of this program");
    }
    bytes_free(&faults);
    return 0;
}

// Another type of machine, backend or setting: what is learned differs by rounding. A checkpoint of
// a version that did not record it is taken as it is.
static void compare_arithmetic(Drift *drift, const StateOwner *owner, const Checkpoint *checkpoint)
{
    const char *now = owner->kernels->arithmetic;
    const CheckpointAttribute *before = checkpoint_attribute(checkpoint, "arithmetic");
    if (!before || before->kind != ATTRIBUTE_TEXT || strcmp(before->text, now) == 0)
        return;
    Bytes text = {0};
    bytes_print(&text, "products from %s to %s, which round otherwise", before->text, now);
    add(drift, CHANGE_FREE, text.data);
    bytes_free(&text);
}

static int compare_data(Drift *drift, const StateOwner *owner, const Checkpoint *checkpoint)
{
    char now[STATE_CHECKSUM_BYTES];
    const char *before;
    state_print_checksum(owner->data_checksum, now);
    if (checkpoint_text(checkpoint, "data_checksum", &before) != 0)
        return -1;
    if (strcmp(before, now) != 0)
        add(drift, CHANGE_ON_REQUEST,
            "the contexts and labels of data.train (its lines, the system prompt, the tools or the "
            "chat template)");
    return 0;
}

// Ids of tokens mean nothing under another tokenizer.
static SettingChange change_of_file(const char *name)
{
    static const char *const vocabularies[] = {"tokenizer.json", "vocab.json", "merges.txt"};
    for (size_t i = 0; i < sizeof vocabularies / sizeof *vocabularies; i++)
        if (strcmp(name, vocabularies[i]) == 0)
            return CHANGE_NEVER;
    return CHANGE_ON_REQUEST;
}

static void add_file(Drift *drift, const char *name, const char *how)
{
    Bytes text = {0};
    bytes_print(&text, "the model's %s%s", name, how);
    add(drift, change_of_file(name), text.data);
    bytes_free(&text);
}

static int compare_file(Drift *drift, const SideFile *file, Checkpoint *checkpoint)
{
    Bytes path = {0}, stored = {0};
    bytes_print(&path, "%s%s", files_folder, file->name);
    const CheckpointTensor *tensor = checkpoint_tensor(checkpoint, path.data);
    int status = 0;
    if (!tensor) {
        add_file(drift, file->name, ", which is new");
    } else {
        status = state_load_bytes(checkpoint, path.data, &stored);
        if (status == 0 && (stored.length != file->bytes.length ||
                            memcmp(stored.data, file->bytes.data, stored.length) != 0))
            add_file(drift, file->name, "");
    }
    bytes_free(&path);
    bytes_free(&stored);
    return status;
}

static bool has_file(const StateOwner *owner, const char *name)
{
    for (int64_t i = 0; i < owner->file_count; i++)
        if (strcmp(owner->files[i].name, name) == 0)
            return true;
    return false;
}

static int compare_files(Drift *drift, const StateOwner *owner, Checkpoint *checkpoint)
{
    int status = 0;
    for (int64_t i = 0; i < owner->file_count && status == 0; i++)
        status = compare_file(drift, &owner->files[i], checkpoint);
    for (int64_t i = 0; i < checkpoint_count(checkpoint) && status == 0; i++) {
        const char *path = checkpoint_tensor_at(checkpoint, i)->name;
        const char *name = path + strlen(files_folder);
        if (strncmp(path, files_folder, strlen(files_folder)) == 0 && !has_file(owner, name))
            add_file(drift, name, ", which is gone");
    }
    return status;
}

static int judge(const Drift *drift, const Settings *settings, const Checkpoint *checkpoint)
{
    int64_t step;
    const Bytes *never = &drift->changes[CHANGE_NEVER];
    const Bytes *asked = &drift->changes[CHANGE_ON_REQUEST];
    if (checkpoint_integer(checkpoint, "step", &step) != 0)
        return -1;
    if (never->length > 0)
        return fail(EXIT_BAD_SETTINGS,
                    "the run cannot go on from step %lld with other values: %s; set them back, or "
                    "begin another run with model.path = %s",
                    (long long)step, never->data, settings->run.directory);
    if (asked->length > 0 && !settings->run.accept_changes)
        return fail(EXIT_BAD_SETTINGS,
                    "since step %lld this was changed: %s; set it back, or go on with it by --set "
                    "run.accept_changes=yes",
                    (long long)step, asked->data);
    return 0;
}

int drift_check(Drift *drift, const StateOwner *owner, const Settings *settings,
                Checkpoint *checkpoint)
{
    drift_free(drift);
    compare_arithmetic(drift, owner, checkpoint);
    if (compare_settings(drift, settings, checkpoint) != 0 ||
        compare_data(drift, owner, checkpoint) != 0 || compare_files(drift, owner, checkpoint) != 0)
        return -1;
    return judge(drift, settings, checkpoint);
}

bool drift_changes_course(const Drift *drift)
{
    return drift->changes[CHANGE_ON_REQUEST].length > 0;
}

void drift_free(Drift *drift)
{
    for (int i = 0; i < CHANGE_COUNT; i++)
        bytes_free(&drift->changes[i]);
}
