#include "model/shape.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/mathematics.h"
#include "base/regular.h"

static const double ROTARY_MAXIMUM = 1e12; // of theta and what scales it: far beyond any model's

typedef struct {
    const json_t *object;
    const char *place;
    int status;
} Config;

static void refuse(Config *config, const char *key, const char *reason)
{
    if (config->status == 0)
        config->status = fail(EXIT_BAD_DATA, "%s: '%s' %s", config->place, key, reason);
}

// The least that is allowed stands in for what is refused: callers divide by some.
static int64_t integer(Config *config, const char *key, int64_t missing, int64_t low, int64_t high)
{
    const json_t *value = json_object_get(config->object, key);
    int64_t number = json_integer_value(value);
    bool absent = !value || json_is_null(value);
    if (absent && missing >= 0)
        return missing;
    if (!absent && json_is_integer(value) && number >= low && number <= high)
        return number;
    refuse(config, key,
           absent ? "is missing" : "is not a whole number in the range this program can use");
    return low;
}

static double real(Config *config, const json_t *object, const char *key, double missing,
                   double low, double high)
{
    const json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value))
        return missing;
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= low) || !(number <= high))
        refuse(config, key, "is not a number in the range this program can use");
    return number;
}

static bool flag(Config *config, const char *key, bool missing)
{
    const json_t *value = json_object_get(config->object, key);
    if (!value || json_is_null(value))
        return missing;
    if (!json_is_boolean(value))
        refuse(config, key, "is neither true nor false");
    return json_is_true(value);
}

static const char *text(const json_t *object, const char *key, const char *missing)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : missing;
}

static void parse_family(Config *config, ModelShape *shape)
{
    const json_t *list = json_object_get(config->object, "architectures");
    const char *name = json_string_value(json_array_get(list, 0));
    if (!name) {
        refuse(config, "architectures", "does not name an architecture");
        return;
    }
    snprintf(shape->architecture, sizeof shape->architecture, "%s", name);
    bool qwen2 = strcmp(name, "Qwen2ForCausalLM") == 0,
         qwen3 = strcmp(name, "Qwen3ForCausalLM") == 0;
    shape->qkv_bias = qwen2;
    shape->qk_norm = qwen3;
    if (!qwen2 && !qwen3 && strcmp(name, "LlamaForCausalLM") != 0) {
        config->status = fail(EXIT_BAD_DATA,
                              "%s: the architecture %s is not supported; Qwen2ForCausalLM, "
                              "Qwen3ForCausalLM and LlamaForCausalLM are",
                              config->place, name);
        return;
    }
    if (strcmp(text(config->object, "hidden_act", "silu"), "silu") != 0)
        refuse(config, "hidden_act", "is not 'silu', the only one supported");
    if (flag(config, "attention_bias", false))
        refuse(config, "attention_bias", "is true, which is not supported");
    if (flag(config, "mlp_bias", false))
        refuse(config, "mlp_bias", "is true, which is not supported");
    if (flag(config, "use_sliding_window", false))
        refuse(config, "use_sliding_window", "is true, which is not supported");
}

static void parse_rotary(Config *config, ModelShape *shape)
{
    // transformers 5 writes rope_parameters; earlier versions rope_theta and rope_scaling.
    const json_t *scaling = json_object_get(config->object, "rope_parameters");
    if (!json_is_object(scaling))
        scaling = json_object_get(config->object, "rope_scaling");
    double theta = real(config, config->object, "rope_theta", 10000.0, 1, ROTARY_MAXIMUM);
    shape->rope_theta = real(config, scaling, "rope_theta", theta, 1, ROTARY_MAXIMUM);
    const char *type = text(scaling, "rope_type", text(scaling, "type", "default"));
    if (strcmp(type, "llama3") == 0) {
        shape->rope_llama3 = true;
        shape->rope_factor = real(config, scaling, "factor", 8.0, 1, ROTARY_MAXIMUM);
        shape->rope_low = real(config, scaling, "low_freq_factor", 1.0, 1e-3, ROTARY_MAXIMUM);
        shape->rope_high = real(config, scaling, "high_freq_factor", 4.0, 1e-3, ROTARY_MAXIMUM);
        shape->rope_original =
            real(config, scaling, "original_max_position_embeddings", 8192.0, 1, ROTARY_MAXIMUM);
        if (shape->rope_high <= shape->rope_low)
            refuse(config, "high_freq_factor", "must exceed low_freq_factor");
    } else if (strcmp(type, "default") != 0) {
        refuse(config, "rope_scaling",
               "is of a type that is not supported (default and llama3 are)");
    }
}

static void parse_sizes(Config *config, ModelShape *shape)
{
    shape->layers = integer(config, "num_hidden_layers", -1, 1, 1024);
    shape->width = integer(config, "hidden_size", -1, 1, 65536);
    shape->feed_forward = integer(config, "intermediate_size", -1, 1, 1 << 20);
    shape->vocabulary = integer(config, "vocab_size", -1, 2, 1 << 24);
    shape->positions = integer(config, "max_position_embeddings", 2048, 1, 1 << 24);
    if (shape->positions > SHAPE_POSITIONS_LIMIT)
        shape->positions = SHAPE_POSITIONS_LIMIT;
    shape->heads = (int32_t)integer(config, "num_attention_heads", -1, 1, 1024);
    shape->kv_heads = (int32_t)integer(config, "num_key_value_heads", shape->heads, 1, 1024);
    shape->head_width = (int32_t)integer(config, "head_dim", shape->width / shape->heads, 1, 1024);
    if (shape->heads % shape->kv_heads != 0)
        refuse(config, "num_attention_heads", "is not a multiple of num_key_value_heads");
    if (shape->head_width < 2 || shape->head_width % 2 != 0)
        refuse(config, "head_dim", "is not an even number of at least 2");
    shape->tied = flag(config, "tie_word_embeddings", false);
    shape->epsilon = (float)real(config, config->object, "rms_norm_eps", 1e-6, 1e-30, 1);
    shape->initializer_range = real(config, config->object, "initializer_range", 0.02, 1e-30, 1e3);
}

int shape_parse(ModelShape *shape, const char *bytes, size_t length, const char *place)
{
    *shape = (ModelShape){0};
    json_error_t error;
    json_t *object = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(object)) {
        json_decref(object);
        return fail(EXIT_BAD_DATA, "%s:%d: not a JSON object: %s", place, error.line, error.text);
    }
    Config config = {.object = object, .place = place};
    parse_family(&config, shape);
    if (config.status == 0)
        parse_sizes(&config, shape);
    if (config.status == 0)
        parse_rotary(&config, shape);
    json_decref(object);
    return config.status;
}

int shape_read(ModelShape *shape, const char *directory, Bytes *out)
{
    Bytes path = {0}, content = {0};
    bytes_print(&path, "%s/config.json", directory);
    int status = regular_read(path.data, SHAPE_FILE_LIMIT, &content);
    if (status != 0)
        fail_context("a model is a Hugging Face directory");
    else
        status = shape_parse(shape, content.data, content.length, path.data);
    if (out && status == 0)
        bytes_append(out, content.data, content.length);
    bytes_free(&content);
    bytes_free(&path);
    return status;
}

int64_t shape_layer_products(const ModelShape *shape)
{
    int64_t query = (int64_t)shape->heads * shape->head_width;
    int64_t key = (int64_t)shape->kv_heads * shape->head_width;
    return shape->layers * shape->width * (2 * query + 2 * key + 3 * shape->feed_forward);
}

int64_t shape_parameters(const ModelShape *shape)
{
    int64_t query = (int64_t)shape->heads * shape->head_width;
    int64_t key = (int64_t)shape->kv_heads * shape->head_width;
    int64_t vectors = 2 * shape->width + (shape->qkv_bias ? query + 2 * key : 0) +
                      (shape->qk_norm ? 2 * shape->head_width : 0);
    return shape->vocabulary * shape->width * (shape->tied ? 1 : 2) + shape->width +
           shape->layers * vectors + shape_layer_products(shape);
}

// Llama 3.1: long wavelengths are stretched by `factor`, short ones kept, those between blended.
static float llama3_frequency(const ModelShape *shape, float frequency)
{
    float wavelength = 6.2831855f / frequency;
    float factor = (float)shape->rope_factor, low = (float)shape->rope_low;
    if (wavelength < (float)(shape->rope_original / shape->rope_high))
        return frequency;
    if (wavelength > (float)(shape->rope_original / shape->rope_low))
        return frequency / factor;
    float smooth = ((float)shape->rope_original / wavelength - low) /
                   (float)(shape->rope_high - shape->rope_low);
    smooth = smooth < 0 ? 0 : smooth > 1 ? 1 : smooth; // factors that are almost equal
    return (1 - smooth) * frequency / factor + smooth * frequency;
}

void shape_rotary_table(const ModelShape *shape, float *table, int64_t positions)
{
    int32_t half = shape->head_width / 2;
    for (int32_t i = 0; i < half; i++) {
        // transformers rounds to fp32 after every operation, and far positions multiply what that
        // costs: so do we, for the same angles.
        float exponent = (float)(2 * i) / (float)shape->head_width;
        float frequency = 1 / (float)math_pow(shape->rope_theta, (double)exponent);
        if (shape->rope_llama3)
            frequency = llama3_frequency(shape, frequency);
        for (int64_t p = 0; p < positions; p++) {
            float angle = (float)p * frequency;
            table[p * shape->head_width + i] = (float)math_cos((double)angle);
            table[p * shape->head_width + half + i] = (float)math_sin((double)angle);
        }
    }
}
