#include "tests/system/readme_chapters.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "tasks/fit.h"

// What config.json says of the published models, and the parameters that they are known to have.
typedef struct {
    const char *name;
    int width, feed_forward, layers, heads, kv_heads, vocabulary;
    bool tied;
    int64_t parameters;
} Published;

static const Published models[] = {
    {"0.5B", 896, 4864, 24, 14, 2, 151936, true, 494032768},
    {"1.5B", 1536, 8960, 28, 12, 2, 151936, true, 1543714304},
    {"3B", 2048, 11008, 36, 16, 2, 151936, true, 3085938688},
    {"7B", 3584, 18944, 28, 28, 4, 152064, false, 7615616512},
    {"14B", 5120, 13824, 48, 40, 8, 152064, false, 14770033664},
    {"32B", 5120, 27648, 64, 40, 8, 152064, false, 32763876352},
};
enum { MODELS = sizeof models / sizeof *models };

static const double gigabytes[] = {24, 40, 80, 141};
enum { SIZES = sizeof gigabytes / sizeof *gigabytes };

static ModelShape shape_of(const Published *model)
{
    ModelShape shape;
    Bytes text = {0};
    bytes_print(&text,
                "{\"architectures\": [\"Qwen2ForCausalLM\"], \"model_type\": \"qwen2\", "
                "\"hidden_act\": \"silu\", \"hidden_size\": %d, \"intermediate_size\": %d, "
                "\"num_hidden_layers\": %d, \"num_attention_heads\": %d, "
                "\"num_key_value_heads\": %d, \"vocab_size\": %d, \"tie_word_embeddings\": %s, "
                "\"max_position_embeddings\": 32768, \"rms_norm_eps\": 1e-06, "
                "\"rope_theta\": 1000000.0, \"use_sliding_window\": false}",
                model->width, model->feed_forward, model->layers, model->heads, model->kv_heads,
                model->vocabulary, model->tied ? "true" : "false");
    if (shape_parse(&shape, text.data, text.length, model->name) != 0)
        die_failed();
    CHECK(shape_parameters(&shape) == model->parameters, "%s has %lld parameters", model->name,
          (long long)shape_parameters(&shape));
    bytes_free(&text);
    return shape;
}

// The defaults, in bf16; caches as large as their limit.
static void read_settings(Settings *settings, const char *placement)
{
    Bytes text = {0}, faults = {0};
    bytes_print(&text, "[model]\ncompute = bf16\n[parallel]\nplacement = %s\n", placement);
    if (strcmp(placement, "split") == 0)
        bytes_append_text(&text, "learner_ranks = 1\nrollout_ranks = 1\n");
    if (settings_read_text(settings, text.data, text.length, placement, NULL, 0, &faults) != 0)
        die_failed();
    bytes_free(&text);
    bytes_free(&faults);
}

static FitQuestion question_of(const ModelShape *shape, const Settings *settings)
{
    static const AdapterShape none;
    int64_t positions = settings->data.max_prompt_tokens + settings->rollout.max_response_tokens;
    return (FitQuestion){.shape = shape,
                         .adapter = &none,
                         .settings = settings,
                         .reference = settings->algorithm.kl_coefficient > 0,
                         .demand = {.positions = positions, .slots = INT32_MAX}};
}

static void print_head(Bytes *out, const char *first)
{
    int columns = 0;
    bytes_print(out, "| model | %s |", first);
    for (int gpus = 1; gpus <= FIT_MOST_GPUS; gpus *= 2, columns++)
        bytes_print(out, " %d |", gpus);
    bytes_append_text(out, "\n|---|---|");
    while (columns-- > 0)
        bytes_append_text(out, "---|");
    bytes_append_text(out, "\n");
}

static void print_fits(Bytes *out, const char *placement)
{
    Settings settings;
    read_settings(&settings, placement);
    bytes_print(out, "`placement = %s`:\n\n", placement);
    print_head(out, "GPUs of");
    for (int m = 0; m < MODELS; m++) {
        ModelShape shape = shape_of(&models[m]);
        FitQuestion question = question_of(&shape, &settings);
        for (int i = 0; i < SIZES; i++) {
            bytes_print(out, "| %s | %g GB |", i == 0 ? models[m].name : "", gigabytes[i]);
            for (int gpus = 1; gpus <= FIT_MOST_GPUS; gpus *= 2) {
                Bytes words = {0};
                Fit fit = fit_find(&question, gpus, (size_t)(gigabytes[i] * 1e9));
                fit_describe(&question, &fit, &words);
                bytes_print(out, " %s |", strcmp(words.data, "as set") == 0 ? "yes" : words.data);
                bytes_free(&words);
            }
            bytes_append_text(out, "\n");
        }
    }
    settings_free(&settings);
    bytes_append_text(out, "\n");
}

// Columns of the table of bytes: the parts that each adds up.
typedef struct {
    const char *name;
    MemoryPart parts[3];
    int count;
} Column;

static const Column columns[] = {
    {"weights", {PART_WEIGHTS}, 1},
    {"caches", {PART_CACHES}, 1},
    {"engine", {PART_ENGINE, PART_SCORER}, 2},
    {"masters", {PART_MASTERS}, 1},
    {"moments", {PART_MOMENTS}, 1},
    {"gradients", {PART_GRADIENTS}, 1},
    {"windows", {PART_WINDOWS, PART_UNIT}, 2},
    {"activations", {PART_ACTIVATIONS}, 1},
    {"reference", {PART_REFERENCE}, 1},
    {"workspace", {PART_SCRATCH}, 1},
    {"CUDA, NCCL", {PART_DRIVER}, 1},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

static void print_parts(Bytes *out, const char *model, int gpus, const Fit *fit, int kind)
{
    const MemoryParts *parts = &fit->parts[kind];
    bytes_print(out, "| %s | %d |", model, gpus);
    for (int c = 0; c < COLUMNS; c++) {
        size_t bytes = 0;
        for (int i = 0; i < columns[c].count; i++)
            bytes += parts->bytes[columns[c].parts[i]];
        bytes_print(out, bytes > 0 ? " %.1f |" : " |", (double)bytes / 1e9);
    }
    bytes_print(out, " **%.1f** | %.1f |\n", (double)parts->total / 1e9, (double)parts->host / 1e9);
}

// Each kind of ranks as set.
static void print_bytes(Bytes *out, const char *placement)
{
    Settings settings;
    RankKind kinds[RANK_KINDS];
    read_settings(&settings, placement);
    int count = sizes_kinds(&settings, 2, kinds);
    for (int kind = 0; kind < count; kind++) {
        bytes_print(out, "\nA %s rank, GB:\n\n| model | GPUs |", kinds[kind].name);
        for (int c = 0; c < COLUMNS; c++)
            bytes_print(out, " %s |", columns[c].name);
        bytes_append_text(out, " on the GPU | on the host |\n|---|---|");
        for (int c = 0; c < COLUMNS + 2; c++)
            bytes_append_text(out, "---|");
        bytes_append_text(out, "\n");
        for (int m = 0; m < MODELS; m++) {
            ModelShape shape = shape_of(&models[m]);
            FitQuestion question = question_of(&shape, &settings);
            for (int gpus = 1; gpus <= FIT_MOST_GPUS; gpus *= 2) {
                Fit fit = fit_as_set(&question, gpus, SIZE_MAX);
                if (fit.possible)
                    print_parts(out, models[m].name, gpus, &fit, kind);
            }
        }
    }
    settings_free(&settings);
}

void readme_print_fits(Bytes *out)
{
    bytes_append_text(
        out,
        "A cell says yes where it fits as set, else what has to be set otherwise, or - where it "
        "does not fit:");
    for (int i = 0; fit_words[i].words; i++)
        bytes_print(out, "%s %s is `%s`", i > 0 ? ";" : "", fit_words[i].words,
                    fit_words[i].setting);
    bytes_append_text(out, ".\n\n");
    print_fits(out, "shared");
    print_fits(out, "split");
    bytes_append_text(out, "<details><summary>Bytes of a rank, part by part, as set</summary>\n");
    print_bytes(out, "shared");
    print_bytes(out, "split");
    bytes_append_text(out, "\n</details>\n");
}
