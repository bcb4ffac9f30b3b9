// check.c - what would run, without running it: no MPI, and every fault that can be found.

#include <stdio.h>

#include "base/fail.h"
#include "tasks/extraction.h"
#include "tasks/sizes.h"
#include "tasks/tasks.h"

typedef struct {
    const Settings *settings;
    Job job; // text side only
    bool has_model, trains, evaluates, prepares;
    PreparedSet prepared;
    Answerer extractor;
    Dataset dataset;
    StagePlan stages[STAGE_COUNT];
    Evaluation evaluation;
    size_t loaded; // memory_peak once all was read
    int faults;
} Checked;

// Prints a recorded failure and goes on: a user wants to hear of all of them.
static bool good(Checked *checked, int status)
{
    if (status != 0) {
        fprintf(stderr, "error: %s\n", fail_message());
        checked->faults++;
    }
    return status == 0;
}

static void open_prepare(Checked *checked)
{
    const Settings *settings = checked->settings;
    PrepareSettings files = extraction_files(settings);
    if (!settings->prepare.input[0])
        return;
    checked->prepares = good(checked, prepare_read(&checked->prepared, &files));
    good(checked, answerer_open(&checked->extractor, settings->prepare.extractor,
                                &settings->extractor, "extractor"));
}

static void open_all(Checked *checked)
{
    const Settings *settings = checked->settings;
    open_prepare(checked);
    if (!settings->data.train[0] && !settings->evaluate.file[0])
        return;
    // Training needs a model of our own; what is only evaluated may be served.
    bool served = settings->policy.url[0] && !settings->data.train[0];
    checked->job =
        (Job){.settings = settings, .served = served, .trains = settings->data.train[0] != 0};
    checked->has_model = good(checked, job_open_text(&checked->job));
    if (!checked->has_model)
        return;
    if (settings->data.train[0]) {
        DatasetOptions options = {.path = settings->data.train,
                                  .system_prompt = settings->data.system_prompt,
                                  .tools = react_declarations(checked->job.react),
                                  .skip_bad = settings->data.skip_bad,
                                  .max_prompt_tokens = settings->data.max_prompt_tokens};
        checked->trains =
            good(checked, dataset_open(&checked->dataset, checked->job.chat, options));
        if (checked->trains) {
            stages_make(checked->stages, &checked->dataset, settings);
            good(checked, stages_check(checked->stages, &checked->dataset, settings->data.train));
        }
    }
    if (settings->evaluate.file[0])
        checked->evaluates = good(checked, evaluation_open(&checked->evaluation, &checked->job));
    checked->loaded = memory_peak();
}

static void close_all(Checked *checked)
{
    answerer_close(&checked->extractor);
    prepare_free(&checked->prepared);
    if (checked->evaluates)
        evaluation_close(&checked->evaluation);
    if (checked->trains) {
        stages_free(checked->stages);
        dataset_close(&checked->dataset);
    }
    job_close(&checked->job);
}

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
    if (checked->settings->model.products == PRODUCTS_NATIVE)
        printf("products   native: this machine %s dot products of bf16\n",
               kernels_cpu_native() ? "has" : "has no");
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

static Reference reference_of(const Checked *checked)
{
    return stages_reference(checked->stages, checked->job.begins_adapter);
}

static void print_reference(const Checked *checked)
{
    Reference reference = reference_of(checked);
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

static void print_steps(const Checked *checked)
{
    const Settings *settings = checked->settings;
    const StagePlan *warmup = &checked->stages[STAGE_WARMUP], *plan = &checked->stages[STAGE_MAIN];
    printf("steps      %lld warm-up of %lld contexts, %lld %s of %lld contexts",
           (long long)warmup->steps, (long long)warmup->schedule.batch_contexts,
           (long long)plan->steps, plan->step.algorithm->name,
           (long long)plan->schedule.batch_contexts);
    if (plan->samples)
        printf(" x %lld responses of at most %lld tokens", (long long)settings->rollout.group_size,
               (long long)settings->rollout.max_response_tokens);
    size_t each = sizeof(float) + 2 * type_bytes(job_moments_type(settings));
    printf("\ncheckpoint %.1f MiB on disk, every %lld steps, %lld kept\n",
           (double)job_trained_elements(&checked->job) * (double)each / 0x1p20,
           (long long)settings->checkpoint.every, (long long)settings->checkpoint.keep_last);
}

typedef struct {
    bool rollout, learner, grader;
} Roles;

static void print_memory(Checked *checked, const char *who, Roles roles, int engines, int learners)
{
    MemoryQuestion question = {
        .shape = &checked->job.shape,
        .adapter = &checked->job.stored.shape,
        .settings = checked->settings,
        .sizes = sizes_of(&checked->job, checked->stages,
                          checked->evaluates ? &checked->evaluation : NULL, engines),
        .rollout = roles.rollout,
        .learner = roles.learner,
        .grader = roles.grader,
        .learners = learners,
        .reference = reference_of(checked) == REFERENCE_COPY,
        .grading = checked->job.grading,
        .loaded = checked->loaded,
    };
    MemoryParts parts = sizes_memory(&question);
    printf("memory     %s: %.0f MiB a rank\n", who, (double)parts.total / 0x1p20);
    for (int i = 0; i < PART_COUNT; i++)
        if (parts.bytes[i] > 0)
            printf("             %-35s %9.1f MiB\n", sizes_part_names[i],
                   (double)parts.bytes[i] / 0x1p20);
}

static void print_ranks(Checked *checked)
{
    const Settings *settings = checked->settings;
    int rollouts = (int)settings->parallel.rollout_ranks;
    int graders = (int)settings->parallel.grader_ranks;
    int learners = (int)settings->parallel.learner_ranks;
    int engines = job_engines(&checked->job, rollouts);
    char who[64];
    if (settings->parallel.placement == PLACEMENT_SPLIT) {
        snprintf(who, sizeof who, "each of %d rollout ranks", rollouts);
        print_memory(checked, who, (Roles){.rollout = true, .grader = graders == 0}, engines,
                     learners);
        snprintf(who, sizeof who, "each of %d grader ranks", graders);
        if (graders > 0)
            print_memory(checked, who, (Roles){.grader = true}, engines, learners);
        snprintf(who, sizeof who, "each of %d learner ranks", learners);
        print_memory(checked, who, (Roles){.learner = true}, engines, learners);
        return;
    }
    int least = grading_ranks(checked->job.grading, (int)settings->rollout.tensor_parallel);
    for (int ranks = least; ranks <= 4 * least; ranks *= 2) {
        snprintf(who, sizeof who, "each of %d shared rank%s", ranks, ranks > 1 ? "s" : "");
        print_memory(checked, who, (Roles){true, true, true}, job_engines(&checked->job, ranks),
                     ranks);
    }
}

int task_check(const Settings *settings)
{
    Checked checked = {.settings = settings};
    open_all(&checked);
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
        print_reference(&checked);
        print_ranks(&checked);
    }
    int faults = checked.faults;
    close_all(&checked);
    if (faults == 0) {
        printf("check      no fault found\n");
        return EXIT_DONE;
    }
    fail(EXIT_BAD_SETTINGS, "%d fault%s; nothing was run", faults, faults > 1 ? "s" : "");
    return EXIT_BAD_SETTINGS;
}
