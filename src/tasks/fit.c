#include "tasks/fit.h"

#include <stdio.h>
#include <string.h>

enum { RANKS_OF_A_NODE = 8 };

const FitWord fit_words[] = {
    {"reshard", "parallel.reshard_after_forward = yes"},
    {"t2, t4, t8", "rollout.tensor_parallel"},
    {"elementwise, layer", "parallel.recompute"},
    {"all", "parallel.shard_group"},
    {"bf16", "optimizer.moments"},
    {"host", "optimizer.memory"},
    {NULL, NULL},
};

// ---- what may be given up -----------------------------------------------------------------------

// Each goes one step further where there is one.
static bool reshard(Settings *settings)
{
    bool was = settings->parallel.reshard_after_forward;
    settings->parallel.reshard_after_forward = true;
    return !was;
}

// Inside a node: its ranks exchange activations in every layer.
static bool divide_engines(Settings *settings)
{
    settings->rollout.tensor_parallel *= 2;
    return settings->rollout.tensor_parallel <= RANKS_OF_A_NODE;
}

static bool recompute(Settings *settings)
{
    bool goes_on = settings->parallel.recompute != RECOMPUTE_LAYER;
    settings->parallel.recompute += goes_on;
    return goes_on;
}

static bool share_with_all(Settings *settings)
{
    static char all[] = "all";
    bool was = settings_shard_group(settings) != SHARD_GROUP_ALL;
    settings->parallel.shard_group = all;
    return was;
}

static bool narrow_moments(Settings *settings)
{
    bool was = settings->optimizer.moments == COMPUTE_F32;
    settings->optimizer.moments = COMPUTE_BF16;
    return was;
}

static bool move_to_host(Settings *settings)
{
    bool was = settings->optimizer.memory == OPTIMIZER_DEVICE;
    settings->optimizer.memory = OPTIMIZER_HOST;
    return was;
}

static bool (*const economies[])(Settings *settings) = {
    reshard, divide_engines, recompute, share_with_all, narrow_moments, move_to_host,
};
enum { ECONOMIES = sizeof economies / sizeof *economies };

// ---- trying -------------------------------------------------------------------------------------

// The ranks of each role in the proportions of [parallel]; whether there is one of each.
static bool divide_ranks(Settings *settings, int gpus)
{
    int64_t *counts[] = {&settings->parallel.learner_ranks, &settings->parallel.grader_ranks,
                         &settings->parallel.rollout_ranks};
    int64_t total = *counts[0] + *counts[1] + *counts[2], left = gpus;
    if (settings->parallel.placement == PLACEMENT_SHARED)
        return true;
    for (int i = 0; i < 2; i++) {
        int64_t share = *counts[i] * gpus / total;
        *counts[i] = *counts[i] > 0 && share == 0 ? 1 : share;
        left -= *counts[i];
    }
    *counts[2] = left;
    return left > 0;
}

// Whether engines and groups of learners come out even.
static bool comes_out_even(const FitQuestion *question, const Settings *settings, int gpus)
{
    const ModelShape *shape = question->shape;
    bool shared = settings->parallel.placement == PLACEMENT_SHARED;
    int64_t rollouts = shared ? gpus : settings->parallel.rollout_ranks;
    int64_t learners = shared ? gpus : settings->parallel.learner_ranks;
    int64_t together = settings->rollout.tensor_parallel, group = settings_shard_group(settings);
    return rollouts % together == 0 && shape->heads % together == 0 &&
           shape->kv_heads % together == 0 && shape->feed_forward % together == 0 &&
           (group <= 0 || group >= learners || learners % group == 0);
}

static Fit try_settings(const FitQuestion *question, Settings settings, int gpus, size_t bytes)
{
    Fit fit = {.settings = settings};
    fit.possible =
        divide_ranks(&fit.settings, gpus) && comes_out_even(question, &fit.settings, gpus);
    if (!fit.possible)
        return fit;
    fit.kind_count = sizes_kinds(&fit.settings, gpus, fit.kinds);
    for (int i = 0; i < fit.kind_count; i++) {
        MemoryQuestion memory = {
            .shape = question->shape,
            .adapter = question->adapter,
            .settings = &fit.settings,
            .sizes = sizes_share(&fit.settings, question->demand, fit.kinds[i].engines),
            .kind = fit.kinds[i],
            .reference = question->reference,
            .grading = question->grading,
            .loaded = question->loaded,
            .gpu = true};
        fit.parts[i] = sizes_memory(&memory);
        fit.most = fit.parts[i].total > fit.most ? fit.parts[i].total : fit.most;
    }
    fit.fits = fit.most <= bytes;
    return fit;
}

Fit fit_as_set(const FitQuestion *question, int gpus, size_t bytes)
{
    return try_settings(question, *question->settings, gpus, bytes);
}

// Tries the settings with each economy taken so many steps; false where there are not so many.
static bool try_levels(const FitQuestion *question, const int *levels, int gpus, size_t bytes,
                       Fit *fit)
{
    Settings settings = *question->settings;
    for (int e = 0; e < ECONOMIES; e++)
        for (int step = 0; step < levels[e]; step++)
            if (!economies[e](&settings))
                return false;
    Fit tried = try_settings(question, settings, gpus, bytes);
    if (tried.possible)
        *fit = tried;
    return tried.possible;
}

Fit fit_find(const FitQuestion *question, int gpus, size_t bytes)
{
    int levels[ECONOMIES] = {0};
    Fit fit = fit_as_set(question, gpus, bytes);
    for (int e = 0; e < ECONOMIES && fit.possible; e++) {
        while (!fit.fits) {
            levels[e]++;
            if (!try_levels(question, levels, gpus, bytes, &fit)) {
                levels[e]--;
                break;
            }
        }
    }
    // What came before may be more than is needed.
    for (int e = ECONOMIES - 1; e >= 0 && fit.fits; e--) {
        while (levels[e] > 0) {
            Fit less;
            levels[e]--;
            if (!try_levels(question, levels, gpus, bytes, &less) || !less.fits) {
                levels[e]++;
                break;
            }
            fit = less;
        }
    }
    return fit;
}

// ---- what is said of it -------------------------------------------------------------------------

static void add_word(Bytes *out, bool applies, const char *word)
{
    if (applies)
        bytes_print(out, "%s%s", out->length > 0 ? " " : "", word);
}

void fit_describe(const FitQuestion *question, const Fit *fit, Bytes *out)
{
    const Settings *set = question->settings, *now = &fit->settings;
    static const char *const recomputes[] = {"none", "elementwise", "layer"};
    Bytes words = {0};
    char engines[16];
    snprintf(engines, sizeof engines, "t%lld", (long long)now->rollout.tensor_parallel);
    add_word(&words, now->parallel.reshard_after_forward != set->parallel.reshard_after_forward,
             "reshard");
    add_word(&words, now->rollout.tensor_parallel != set->rollout.tensor_parallel, engines);
    add_word(&words, now->parallel.recompute != set->parallel.recompute,
             recomputes[now->parallel.recompute]);
    add_word(&words, strcmp(now->parallel.shard_group, set->parallel.shard_group) != 0, "all");
    add_word(&words, now->optimizer.moments != set->optimizer.moments, "bf16");
    add_word(&words, now->optimizer.memory != set->optimizer.memory, "host");
    bytes_append_text(out, !fit->fits ? "-" : words.length > 0 ? words.data : "as set");
    bytes_free(&words);
}

// Columns are as wide as words mostly are; nothing stands behind the last one.
static void print_cell(const char *text, bool last, Bytes *out)
{
    bytes_print(out, last ? "  %s" : "  %-21s", text);
}

static void print_fits(const FitQuestion *question, const double *gigabytes, int count, Bytes *out)
{
    char head[16];
    bytes_print(out, "fits       %-6s", "GPUs");
    for (int i = 0; i < count; i++) {
        snprintf(head, sizeof head, "%g GB", gigabytes[i]);
        print_cell(head, i + 1 == count, out);
    }
    for (int gpus = 1; gpus <= FIT_MOST_GPUS; gpus *= 2) {
        bytes_print(out, "\n           %-6d", gpus);
        for (int i = 0; i < count; i++) {
            Bytes words = {0};
            Fit fit = fit_find(question, gpus, (size_t)(gigabytes[i] * 1e9));
            fit_describe(question, &fit, &words);
            print_cell(words.data, i + 1 == count, out);
            bytes_free(&words);
        }
    }
    bytes_append_text(out, "\n");
    for (int i = 0; fit_words[i].words; i++)
        bytes_print(out, "           %-19s %s\n", fit_words[i].words, fit_words[i].setting);
}

// The parts of a kind of ranks, as set, for each number of GPUs.
static void print_parts(const Fit *fits, int columns, int kind, Bytes *out)
{
    bytes_print(out, "memory     GB of each %s rank, as set, on GPUs:\n             %-43s",
                fits[columns - 1].kinds[kind].name, "");
    for (int c = 0; c < columns; c++)
        bytes_print(out, " %8d", 1 << c);
    for (int part = 0; part <= PART_COUNT; part++) {
        const MemoryParts *last = &fits[columns - 1].parts[kind];
        size_t most = part < PART_COUNT ? last->bytes[part] : last->total;
        if (most == 0)
            continue;
        const char *name = part < PART_COUNT ? sizes_part_names[part] : "all on the GPU";
        bool host = part < PART_COUNT && last->on_host[part];
        bytes_print(out, "\n             %s%-*s", name, 43 - (int)strlen(name),
                    host ? " (host)" : "");
        for (int c = 0; c < columns; c++) {
            const MemoryParts *parts = &fits[c].parts[kind];
            size_t bytes = part < PART_COUNT ? parts->bytes[part] : parts->total;
            if (fits[c].possible)
                bytes_print(out, " %8.3f", (double)bytes / 1e9);
            else
                bytes_print(out, " %8s", "-");
        }
    }
    bytes_append_text(out, "\n");
}

void fit_print(const FitQuestion *question, const double *gigabytes, int count, Bytes *out)
{
    Fit fits[16];
    int columns = 0;
    print_fits(question, gigabytes, count, out);
    for (int gpus = 1; gpus <= FIT_MOST_GPUS; gpus *= 2)
        fits[columns++] = fit_as_set(question, gpus, SIZE_MAX);
    for (int kind = 0; kind < fits[columns - 1].kind_count; kind++)
        print_parts(fits, columns, kind, out);
}
