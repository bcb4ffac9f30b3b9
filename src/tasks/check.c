// check.c - what would run, without running it: no MPI, and every fault that can be found.

#include <stdio.h>

#include "base/fail.h"
#include "tasks/checked.h"
#include "tasks/fit.h"
#include "tasks/probe.h"
#include "tasks/statistics.h"
#include "tasks/tasks.h"

static void print_data(const char *label, const Dataset *dataset)
{
    Bytes text = {0};
    samples_describe(&dataset->set, &text);
    printf("%-11s%s\n", label, text.data);
    if (dataset->tokens > 0) // else a served policy's: its tokens are not ours to count
        printf("%-11s%lld usable contexts of %.1f tokens on average, longest %lld; %lld exceed "
               "max_prompt_tokens\n",
               "", (long long)dataset->usable,
               (double)dataset->tokens / (double)(dataset->usable > 0 ? dataset->usable : 1),
               (long long)dataset->longest, (long long)dataset->too_long);
    bytes_clear(&text);
    statistics_print(dataset, &text);
    fputs(text.data, stdout);
    bytes_free(&text);
}

static void print_prepare(const Checked *checked)
{
    const PreparedSet *set = &checked->prepared;
    int64_t missing = 0;
    for (int64_t i = 0; i < set->count; i++)
        missing += set->rounds[i].info_state == INFO_MISSING;
    printf("prepare    %lld rounds of %s, %lld of them without facts", (long long)set->count,
           checked->settings->prepare.input, (long long)missing);
    if (checked->extractor.kind != ASKED_NOBODY)
        printf(", which the extractor is asked for");
    if (checked->extractor.kind == ASKED_MODEL)
        printf("; it takes %.0f MiB a rank",
               (double)answerer_bytes(&checked->extractor, kernels_cpu()) / 0x1p20);
    printf("\n");
}

static void print_model(const Checked *checked)
{
    const ModelShape *shape = &checked->job.shape;
    printf("model      %s: %s, %.2f M parameters, %lld layers of %lld, %d and %d heads of %d, "
           "vocabulary %lld%s, chat %s\n",
           checked->settings->model.path, shape->architecture,
           (double)shape_parameters(shape) / 1e6, (long long)shape->layers, (long long)shape->width,
           shape->heads, shape->kv_heads, shape->head_width, (long long)shape->vocabulary,
           shape->tied ? ", tied" : "", chat_name(checked->job.chat));
    if (checked->settings->model.products == PRODUCTS_NATIVE) {
        const Kernels *native = kernels_cpu_native();
        printf("products   native: %s\n", native ? native->name : fail_message());
    }
}

static void print_adapter(const Checked *checked)
{
    Bytes text = {0};
    if (checked->job.stored.shape.rank == 0)
        return;
    job_describe_adapter(&checked->job, &text);
    printf("adapter    %s\n", text.data);
    bytes_free(&text);
    printf("base       %s", checked->job.stored.base);
    if (checked->job.stored.checksum != 0)
        printf("; its weights must still have the checksum %016llx",
               (unsigned long long)checked->job.stored.checksum);
    printf("\n");
}

static void print_reference(const Checked *checked)
{
    Reference reference = checked_reference(checked);
    if (reference == REFERENCE_BASE)
        printf("reference  the base alone, which takes no memory\n");
    if (reference == REFERENCE_COPY)
        printf("reference  a frozen copy of the %s %s\n",
               checked->job.stored.shape.rank > 0 ? "adapter" : "model",
               checked->stages[STAGE_WARMUP].steps > 0 ? "as the warm-up leaves it"
                                                       : "that [model] path names");
}

static void print_judge(const Checked *checked)
{
    Bytes text = {0};
    grading_describe(checked->job.grading, &text);
    printf("judge      %s\n", text.data);
    bytes_free(&text);
}

static void print_steps(Checked *checked)
{
    const Settings *settings = checked->settings;
    StagePlan *warmup = &checked->stages[STAGE_WARMUP], *plan = &checked->stages[STAGE_MAIN];
    int32_t longest = (int32_t)settings->rollout.max_response_tokens;
    printf("steps      %lld warm-up of %lld contexts, %lld %s of %lld contexts",
           (long long)warmup->steps, (long long)warmup->schedule.batch_contexts,
           (long long)plan->steps, plan->step.algorithm->name,
           (long long)plan->schedule.batch_contexts);
    if (plan->samples)
        printf(" x %lld responses of at most %lld tokens", (long long)settings->rollout.group_size,
               (long long)longest);
    printf("\n");
    if (!plan->samples || settings->rollout.workflow == WORKFLOW_REACT || plan->steps == 0)
        return;
    TreeCosts costs;
    int64_t steps = statistics_tree_costs(plan, settings, longest, &costs);
    printf("trees      %lld rows a step if all responses are that long, %.1f times fewer than the "
           "%lld tokens of independent sequences\n",
           (long long)(costs.rows / steps), (double)costs.independent / (double)costs.rows,
           (long long)(costs.independent / steps));
}

// What a step adds to the files that grow, as measured (samples: 250 bytes and the response).
static void print_disk(const Checked *checked)
{
    const Settings *settings = checked->settings;
    const StagePlan *warmup = &checked->stages[STAGE_WARMUP], *plan = &checked->stages[STAGE_MAIN];
    size_t each = sizeof(float) + 2 * type_bytes(job_optimizer_form(settings).moments);
    double checkpoint = (double)job_trained_elements(&checked->job) * (double)each;
    double journal = 2000 * (double)plan->steps + 600 * (double)warmup->steps, samples = 0;
    if (plan->samples && settings->run.samples_every > 0)
        samples = (double)(plan->steps / settings->run.samples_every *
                           plan->schedule.batch_contexts * settings->rollout.group_size) *
                  (250 + 4 * (double)settings->rollout.max_response_tokens);
    int64_t every = settings->checkpoint.keep_every;
    double kept = (double)settings->checkpoint.keep_last +
                  (settings->checkpoint.keep_best[0] != 0) +
                  (every > 0 ? (double)((plan->steps + warmup->steps) / every) : 0);
    printf("disk       a checkpoint %.1f MiB, every %lld steps, %lld kept; at the end about %.0f "
           "MiB, %.0f of them logs and at most %.0f samples\n",
           checkpoint / 0x1p20, (long long)settings->checkpoint.every,
           (long long)settings->checkpoint.keep_last,
           (kept * checkpoint + journal + samples) / 0x1p20, journal / 0x1p20, samples / 0x1p20);
}

// Whether the rank keeps to [parallel] memory.
static bool print_memory(Checked *checked, const RankKind *kind)
{
    bool gpu = checked->settings->parallel.backend == BACKEND_CUDA;
    MemoryQuestion question = checked_question(checked, kind, gpu);
    MemoryParts parts = sizes_memory(&question);
    printf("memory     each of %d %s rank%s: %.0f MiB a rank", kind->ranks, kind->name,
           kind->ranks > 1 ? "s" : "", (double)parts.total / 0x1p20);
    if (gpu)
        printf(" of its GPU, and %.0f MiB of the host", (double)parts.host / 0x1p20);
    printf("\n");
    for (int i = 0; i < PART_COUNT; i++)
        if (parts.bytes[i] > 0)
            printf("             %-35s %9.1f MiB%s\n", sizes_part_names[i],
                   (double)parts.bytes[i] / 0x1p20, parts.on_host[i] ? " (host)" : "");
    if (sizes_check(&question) == 0)
        return true;
    printf("             %s\n", fail_message());
    return false;
}

static void print_ranks(Checked *checked)
{
    RankKind kinds[RANK_KINDS];
    int least = checked_least_ranks(checked);
    bool split = checked->settings->parallel.placement == PLACEMENT_SPLIT, fits = false;
    for (int ranks = least; ranks <= (split ? least : 4 * least); ranks *= 2) {
        int count = sizes_kinds(checked->settings, ranks, kinds), fitting = 0;
        for (int i = 0; i < count; i++)
            fitting += print_memory(checked, &kinds[i]);
        fits = fits || fitting == count;
    }
    if (split && !fits) { // of shared ranks there may be more than were looked at
        fprintf(stderr, "error: %s\n", fail_message());
        checked->faults++;
    }
}

static void print_gpus(Checked *checked)
{
    double gigabytes[CHECK_GPUS];
    Bytes text = {0};
    int count = settings_gpus(checked->settings, gigabytes);
    if (count <= 0)
        return;
    FitQuestion question = {.shape = &checked->job.shape,
                            .adapter = &checked->job.stored.shape,
                            .settings = checked->settings,
                            .reference = checked_reference(checked) == REFERENCE_COPY,
                            .grading = checked->job.grading,
                            .loaded = checked->loaded,
                            .demand = checked_demand(checked)};
    fit_print(&question, gigabytes, count, &text);
    fputs(text.data, stdout);
    bytes_free(&text);
}

static void print_times(Checked *checked)
{
    Bytes text = {0};
    ProbeTimes times = probe_run(checked);
    probe_print(checked, &times, &text);
    fputs(text.data, stdout);
    bytes_free(&text);
}

static int check(const Settings *settings, bool probes)
{
    Checked checked;
    checked_open(&checked, settings);
    if (checked.prepares)
        print_prepare(&checked);
    if (checked.has_model && !checked.job.served) {
        print_model(&checked);
        print_adapter(&checked);
    }
    if (checked.trains || checked.evaluates)
        print_judge(&checked);
    if (checked.trains)
        print_data("training", &checked.dataset);
    if (checked.evaluates)
        print_data("evaluation", &checked.evaluation.dataset);
    if (checked.trains) {
        print_steps(&checked);
        print_disk(&checked);
        print_reference(&checked);
        print_ranks(&checked);
        print_gpus(&checked);
    }
    if (probes && checked.trains && checked.faults == 0)
        print_times(&checked);
    int faults = checked.faults;
    checked_close(&checked);
    if (faults == 0) {
        printf("check      no fault found\n");
        return EXIT_DONE;
    }
    fail(EXIT_BAD_SETTINGS, "%d fault%s; nothing was run", faults, faults > 1 ? "s" : "");
    return EXIT_BAD_SETTINGS;
}

int task_check(const Settings *settings)
{
    return check(settings, false);
}

int task_check_probed(const Settings *settings)
{
    return check(settings, true);
}
