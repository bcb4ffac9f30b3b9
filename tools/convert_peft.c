// convert_peft.c - the adapter_config.json of an adapter; see convert_source.h.

#include "tools/convert_source.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/memory.h"

static json_t *split_list(const char *text)
{
    json_t *list = json_array();
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, ",");
        json_array_append_new(list, json_stringn(at, length));
        at += length + (at[length] == ',');
    }
    return list;
}

int source_adapter_config(const Source *source, Bytes *out)
{
    const CheckpointAttribute *rank = checkpoint_file_attribute(source->file, "adapter_rank");
    const CheckpointAttribute *alpha = checkpoint_file_attribute(source->file, "adapter_alpha");
    const CheckpointAttribute *targets = checkpoint_file_attribute(source->file, "adapter_targets");
    const CheckpointAttribute *base = checkpoint_file_attribute(source->file, "base_path");
    if (rank->kind != ATTRIBUTE_INTEGER || !alpha || alpha->kind != ATTRIBUTE_REAL || !targets ||
        targets->kind != ATTRIBUTE_TEXT || !base || base->kind != ATTRIBUTE_TEXT)
        return fail(EXIT_BAD_DATA, "%s: the attributes of its adapter are incomplete",
                    checkpoint_file_path(source->file));
    // PEFT has alpha as a whole number where it is one.
    json_int_t whole = (json_int_t)alpha->real;
    bool is_whole = !((double)whole < alpha->real) && !((double)whole > alpha->real);
    json_t *root = json_pack(
        "{s:s,s:s,s:s,s:I,s:o,s:f,s:o,s:s,s:b,s:b,s:b,s:b,s:n}", "peft_type", "LORA", "task_type",
        "CAUSAL_LM", "base_model_name_or_path", base->text, "r", (json_int_t)rank->integer,
        "lora_alpha", is_whole ? json_integer(whole) : json_real(alpha->real), "lora_dropout", 0.0,
        "target_modules", split_list(targets->text), "bias", "none", "fan_in_fan_out", 0,
        "inference_mode", 1, "use_rslora", 0, "use_dora", 0, "modules_to_save");
    CHECK(root, "adapter_config.json cannot be made");
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    bytes_print(out, "%s\n", text);
    free(text); // jansson's
    json_decref(root);
    return 0;
}
