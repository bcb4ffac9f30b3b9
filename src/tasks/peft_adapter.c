#include "tasks/peft_adapter.h"

#include <string.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "text/model_file.h"

static const char config_name[] = "adapter_config.json";

bool peft_adapter_is(const char *path)
{
    struct stat status;
    Bytes config = {0};
    bytes_print(&config, "%s/%s", path, config_name);
    bool is = stat(config.data, &status) == 0;
    bytes_free(&config);
    return is;
}

static bool is_off(const json_t *value)
{
    if (json_is_array(value) || json_is_object(value))
        return json_array_size(value) + json_object_size(value) == 0;
    return !value || json_is_null(value) || json_is_false(value);
}

// Variants that compute something else, or beside other layers, than one pair for each target.
static int refuse_variants(const json_t *config)
{
    static const char *const keys[] = {"use_rslora",
                                       "use_dora",
                                       "use_qalora",
                                       "use_bdlora",
                                       "lora_bias",
                                       "fan_in_fan_out",
                                       "modules_to_save",
                                       "rank_pattern",
                                       "alpha_pattern",
                                       "layers_to_transform",
                                       "layer_replication",
                                       "exclude_modules",
                                       "target_parameters",
                                       "trainable_token_indices",
                                       "alora_invocation_tokens",
                                       "arrow_config"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!is_off(json_object_get(config, keys[i])))
            return fail(EXIT_BAD_DATA, "'%s' is set, which is not supported", keys[i]);
    const char *type = json_string_value(json_object_get(config, "peft_type"));
    if (!type || strcmp(type, "LORA") != 0)
        return fail(EXIT_BAD_DATA, "'peft_type' is not LORA, the only one supported");
    const char *bias = json_string_value(json_object_get(config, "bias"));
    if (bias && strcmp(bias, "none") != 0)
        return fail(EXIT_BAD_DATA, "'bias' is '%s'; only 'none' is supported", bias);
    // Such as pissa: the pairs then belong to a base that was changed when they began.
    const char *start = json_string_value(json_object_get(config, "init_lora_weights"));
    if (start && strcmp(start, "gaussian") != 0)
        return fail(EXIT_BAD_DATA,
                    "'init_lora_weights' is '%s', which may change the base: convert the adapter "
                    "to plain LoRA first",
                    start);
    return 0;
}

static int read_targets(const json_t *config, AdapterShape *shape)
{
    const json_t *list = json_object_get(config, "target_modules");
    Bytes names = {0};
    if (json_array_size(list) == 0) // PEFT takes a pattern as well
        return fail(EXIT_BAD_DATA, "'target_modules' is no list of names");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        bytes_print(&names, "%s%s", i > 0 ? "," : "", name ? name : "");
    }
    int status = adapter_parse_targets(names.data, shape->targets);
    bytes_free(&names);
    if (status == 0)
        return 0;
    fail_context("'target_modules'");
    return fail_as(EXIT_BAD_DATA);
}

static int read_config(const json_t *config, StoredAdapter *stored)
{
    if (refuse_variants(config) != 0)
        return -1;
    const json_t *rank = json_object_get(config, "r"),
                 *alpha = json_object_get(config, "lora_alpha");
    if (!json_is_integer(rank) || json_integer_value(rank) < 1 ||
        json_integer_value(rank) > ADAPTER_RANK_MAXIMUM)
        return fail(EXIT_BAD_DATA, "'r' is not a whole number from 1 to %d", ADAPTER_RANK_MAXIMUM);
    if (!json_is_number(alpha) || !adapter_alpha_is_usable(json_number_value(alpha)))
        return fail(EXIT_BAD_DATA, "'lora_alpha' is not a number from 1e-6 to 1e6");
    const char *base = json_string_value(json_object_get(config, "base_model_name_or_path"));
    if (!base)
        return fail(EXIT_BAD_DATA,
                    "'base_model_name_or_path' is missing: put the base's path there");
    stored->shape.rank = json_integer_value(rank);
    stored->shape.alpha = json_number_value(alpha);
    stored->base = duplicate(base);
    return read_targets(config, &stored->shape);
}

int peft_adapter_read(StoredAdapter *stored, const char *directory)
{
    json_t *config;
    *stored = (StoredAdapter){0};
    if (model_file_read(directory, config_name, true, &config) != 0)
        return -1;
    int status = read_config(config, stored);
    json_decref(config);
    return status == 0 ? 0 : fail_context("%s/%s", directory, config_name);
}

int peft_adapter_load(const char *directory, const Parameters *parameters, float *values)
{
    Bytes path = {0};
    bytes_print(&path, "%s/adapter_model.safetensors", directory);
    int status = parameters_load(parameters, path.data, values);
    bytes_free(&path);
    return status;
}
