#include "tasks/stored_adapter.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

static const char *text_of(const CheckpointAttribute *attribute)
{
    return attribute && attribute->kind == ATTRIBUTE_TEXT ? attribute->text : NULL;
}

// What stored_adapter_list writes, and nothing else: a text that is cut must not read as "unknown".
static bool read_checksum(const char *text, uint64_t *checksum)
{
    enum { DIGITS = 16 };
    *checksum = strtoull(text, NULL, 16);
    return strspn(text, "0123456789abcdef") == DIGITS && text[DIGITS] == 0;
}

int stored_adapter_take(StoredAdapter *stored, FindAttribute *find, const void *file)
{
    *stored = (StoredAdapter){0};
    const CheckpointAttribute *rank = find(file, "adapter_rank");
    const CheckpointAttribute *alpha = find(file, "adapter_alpha");
    const char *targets = text_of(find(file, "adapter_targets"));
    const char *base = text_of(find(file, "base_path"));
    const char *checksum = text_of(find(file, "base_checksum"));
    if (!rank)
        return 0;
    if (rank->kind != ATTRIBUTE_INTEGER || rank->integer < 1 ||
        rank->integer > ADAPTER_RANK_MAXIMUM || !alpha || alpha->kind != ATTRIBUTE_REAL ||
        !adapter_alpha_is_usable(alpha->real) || !targets || !base || !checksum ||
        !read_checksum(checksum, &stored->checksum))
        return fail(EXIT_BAD_DATA, "the attributes of its adapter are incomplete or damaged");
    if (adapter_parse_targets(targets, stored->shape.targets) != 0) {
        fail_context("adapter_targets");
        return fail_as(EXIT_BAD_DATA);
    }
    stored->shape.rank = rank->integer;
    stored->shape.alpha = alpha->real;
    stored->base = duplicate(base);
    return 0;
}

static const CheckpointAttribute *find_in_file(const void *file, const char *name)
{
    return checkpoint_file_attribute(file, name);
}

int stored_adapter_read(StoredAdapter *stored, const char *path)
{
    *stored = (StoredAdapter){0};
    CheckpointFile *file = checkpoint_file_open(path, CHECKPOINT_VERIFY_STRUCTURE);
    if (!file)
        return -1;
    int status = stored_adapter_take(stored, find_in_file, file);
    checkpoint_file_close(file);
    return status == 0 ? 0 : fail_context("%s", path);
}

void stored_adapter_free(StoredAdapter *stored)
{
    release(stored->base);
    *stored = (StoredAdapter){0};
}

void stored_adapter_list(const StoredAdapter *stored, CheckpointAttribute *attributes,
                         Bytes *targets, Bytes *checksum)
{
    adapter_print_targets(&stored->shape, targets);
    bytes_print(checksum, "%016llx", (unsigned long long)stored->checksum);
    const CheckpointAttribute list[STORED_ADAPTER_ATTRIBUTES] = {
        {.name = "adapter_rank", .kind = ATTRIBUTE_INTEGER, .integer = stored->shape.rank},
        {.name = "adapter_alpha", .kind = ATTRIBUTE_REAL, .real = stored->shape.alpha},
        {.name = "adapter_targets", .kind = ATTRIBUTE_TEXT, .text = targets->data},
        {.name = "base_path", .kind = ATTRIBUTE_TEXT, .text = stored->base},
        {.name = "base_checksum", .kind = ATTRIBUTE_TEXT, .text = checksum->data},
    };
    memcpy(attributes, list, sizeof list);
}
