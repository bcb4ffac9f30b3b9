#include "tasks/record.h"

#include <errno.h>
#include <math.h>
#include <omp.h>
#include <stdarg.h>
#include <string.h>

#include "base/activity.h"
#include "base/fail.h"
#include "base/metric_names.h"
#include "base/version.h"
#include "files/atomic.h"
#include "input/jsonl.h"
#include "parallel/cores.h"
#include "tasks/libraries.h"
#include "tasks/responses.h"
#include "tasks/session_tree.h"

static char *in_directory(const char *directory, const char *name)
{
    Bytes path = {0};
    bytes_print(&path, "%s/%s", directory, name);
    return path.data;
}

static EventFile *open_events(const char *directory, int64_t step)
{
    char *events = in_directory(directory, "tensorboard");
    EventFile *file = event_file_open(events, step + 1);
    release(events);
    return file;
}

int record_open(Record *record, const Settings *settings, int64_t step)
{
    const char *directory = settings->run.directory;
    *record =
        (Record){.directory = duplicate(directory), .samples_every = settings->run.samples_every};
    char *log = in_directory(directory, "log.txt");
    char *metrics = in_directory(directory, "metrics.jsonl");
    char *samples = in_directory(directory, "samples.jsonl");
    record->log = fopen(log, "a");
    int status = record->log ? 0 : fail(EXIT_CANNOT_CREATE, "%s: %s", log, strerror(errno));
    if (status == 0 && !(record->metrics = journal_open(metrics)))
        status = -1;
    if (status == 0 && !(record->samples = journal_open(samples)))
        status = -1;
    if (status == 0 && settings->run.tensorboard &&
        !(record->events = open_events(directory, step)))
        status = -1;
    release(log);
    release(metrics);
    release(samples);
    return status;
}

void record_close(Record *record)
{
    if (record->log)
        fclose(record->log);
    journal_close(record->metrics);
    journal_close(record->samples);
    event_file_close(record->events);
    release(record->directory);
    *record = (Record){0};
}

void record_say(const Record *record, const char *format, ...)
{
    if (!record->directory)
        return;
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    activity_clear();
    vprintf(format, arguments);
    putchar('\n');
    fflush(stdout);
    vfprintf(record->log, format, again);
    fputc('\n', record->log);
    fflush(record->log);
    va_end(arguments);
    va_end(again);
}

// Of GPUs those that the run has loaded.
static void say_libraries(const Record *record, const Backend *backend)
{
    if (!record->directory)
        return;
    Bytes lines = {0};
    libraries_print(!backend->kernels->host_is_device, backend->collective != &collective_mpi,
                    &lines);
    lines.data[lines.length - 1] = 0;
    record_say(record, "%s", lines.data);
    bytes_free(&lines);
}

// Collective over all ranks.
static void say_cores(const Record *record, const World *world)
{
    RankCores *ranks = cores_gather(&world->all, omp_get_max_threads(), world->first[ROLE_LEARNER]);
    Bytes line = {0}, advice = {0};
    if (!ranks)
        return;
    cores_describe(ranks, world->all.size, &line, &advice);
    record_say(record, "cores      %s", line.data);
    if (advice.length > 0)
        warn("%s", advice.data);
    bytes_free(&line);
    bytes_free(&advice);
    release(ranks);
}

void record_step_begins(const Record *record, int64_t step, int64_t total)
{
    char context[48];
    if (!record->directory)
        return;
    snprintf(context, sizeof context, "step %lld/%lld", (long long)step, (long long)total);
    activity_show(context);
}

void record_step_ends(void)
{
    activity_clear();
    activity_show(NULL);
}

void record_header(const Record *record, const Job *job, const Dataset *dataset)
{
    const World *world = &job->world;
    const ModelShape *shape = &job->shape;
    record_say(record, "learn2ask %s (%s), compiled by %s, %s", version_text, version_git,
               version_compiler, version_flags);
    say_libraries(record, &job->backend);
    record_say(record, "ranks      %d: %d rollout, %d grader, %d learner, placement %s",
               world->all.size, world->count[ROLE_ROLLOUT], world->count[ROLE_GRADER],
               world->count[ROLE_LEARNER],
               job->settings->parallel.placement == PLACEMENT_SPLIT ? "split" : "shared");
    say_cores(record, world);
    record_say(record, "backend    %s", job->backend.text);
    if (job->settings->rollout.tensor_parallel > 1)
        record_say(record, "engines    %d of %lld ranks",
                   job_engines(job, world->count[ROLE_ROLLOUT]),
                   (long long)job->settings->rollout.tensor_parallel);
    record_say(record,
               "model      %s: %s, %lld layers of %lld, vocabulary %lld, %.1f M parameters, "
               "compute %s, chat %s",
               job->settings->model.path, shape->architecture, (long long)shape->layers,
               (long long)shape->width, (long long)shape->vocabulary,
               (double)shape_parameters(shape) / 1e6, job->model.type == TYPE_BF16 ? "bf16" : "f32",
               chat_name(job->chat));
    Bytes counts = {0}, judge = {0}, adapter = {0};
    if (job->stored.shape.rank > 0) {
        job_describe_adapter(job, &adapter);
        record_say(record, "adapter    %s", adapter.data);
        record_say(record, "base       %s, checksum %016llx", job->stored.base,
                   (unsigned long long)job->stored.checksum);
        bytes_free(&adapter);
    }
    grading_describe(job->grading, &judge);
    record_say(record, "judge      %s", judge.data);
    bytes_free(&judge);
    samples_describe(&dataset->set, &counts);
    record_say(record, "data       %s: %s", job->settings->data.train, counts.data);
    record_say(record,
               "contexts   %lld usable, %lld tokens, longest %lld; %lld exceed "
               "max_prompt_tokens and are left out",
               (long long)dataset->usable, (long long)dataset->tokens, (long long)dataset->longest,
               (long long)dataset->too_long);
    bytes_free(&counts);
}

static void keep_line(Journal *journal, const Bytes *line)
{
    bool waited = journal->waiting.length > 0;
    if (journal_keep(journal, line->data, line->length) != 0)
        die_failed();
    if (!waited && journal->waiting.length > 0)
        warn("%s; the run goes on, and its lines wait in memory", fail_message());
}

int record_catch_up(Record *record)
{
    if (!record->directory)
        return 0;
    int status = journal_catch_up(record->metrics);
    return status == 0 ? journal_catch_up(record->samples) : -1;
}

void record_metrics(Record *record, const Metrics *metrics)
{
    if (!record->directory)
        return;
    Bytes line = {0};
    for (int64_t i = 0; i < metrics->count; i++)
        CHECK(metric_names_find(metrics->list[i].name), "metric '%s' is not in metric_names.c",
              metrics->list[i].name);
    metrics_print_json(metrics, &line);
    keep_line(record->metrics, &line);
    bytes_free(&line);
    int64_t step = (int64_t)metrics_get(metrics, "step");
    if (record->events && event_file_append(record->events, step, metrics) != 0) {
        warn("%s; TensorBoard will see no more of this run until its next start", fail_message());
        event_file_close(record->events);
        record->events = NULL;
    }
}

static void sample_line(const Sample *sample, const Branch *branch, int64_t step, Bytes *line)
{
    bytes_clear(line);
    bytes_print(line, "{\"step\": %lld, ", (long long)step);
    response_append_fields(sample, branch, line);
    // The first token's: most algorithms have one for all.
    double advantage = branch->count > 0 ? (double)branch->advantages[0] : 0;
    if (isfinite(advantage))
        bytes_print(line, ", \"advantage\": %.6g}", advantage);
    else
        bytes_append_text(line, ", \"advantage\": null}");
}

static void append_numbers(Bytes *line, const char *key, const float *list, int32_t count)
{
    bytes_print(line, ", \"%s\": [", key);
    for (int32_t i = 0; i < count; i++) {
        bytes_append_text(line, i > 0 ? ", " : "");
        if (isfinite(list[i]))
            bytes_print(line, "%.9g", (double)list[i]);
        else
            bytes_print(line, "\"%g\"", (double)list[i]); // JSON has no such number
    }
    bytes_append_text(line, "]");
}

int record_batch(const char *path, const Dataset *dataset, const TreeList *trees)
{
    Bytes text = {0};
    for (int64_t t = 0; t < trees->count; t++) {
        for (int32_t b = 0; b < trees->trees[t].branch_count; b++) {
            const Branch *branch = &trees->trees[t].branches[b];
            bytes_append_text(&text, "{");
            response_append_fields(&dataset->set.samples[branch->sample], branch, &text);
            bytes_append_text(&text, ", \"ids\": [");
            for (int32_t i = 0; i < branch->count; i++)
                bytes_print(&text, "%s%d", i > 0 ? ", " : "", branch->tokens[branch->forced + i]);
            bytes_append_text(&text, "]");
            append_numbers(&text, "logprobs", branch->logprobs, branch->count);
            append_numbers(&text, "reference", branch->reference, branch->count);
            append_numbers(&text, "advantages", branch->advantages, branch->count);
            bytes_append_text(&text, "}\n");
        }
    }
    int status = atomic_write_file(path, text.data, text.length);
    bytes_free(&text);
    return status;
}

void record_samples(Record *record, const Dataset *dataset, const TreeList *trees, int64_t step)
{
    if (!record->directory || record->samples_every == 0 || step % record->samples_every != 0)
        return;
    Bytes line = {0};
    for (int64_t t = 0; t < trees->count; t++) {
        for (int32_t b = 0; b < trees->trees[t].branch_count; b++) {
            const Branch *branch = &trees->trees[t].branches[b];
            sample_line(&dataset->set.samples[branch->sample], branch, step, &line);
            keep_line(record->samples, &line);
        }
    }
    bytes_free(&line);
}

// Mean, smallest and largest of what was added.
typedef struct {
    double sum, low, high, count;
} Range;

static void range_add(Range *range, double value)
{
    range->low = range->count == 0 || value < range->low ? value : range->low;
    range->high = range->count == 0 || value > range->high ? value : range->high;
    range->sum += value;
    range->count++;
}

static void range_report(const Range *range, const char *name, Metrics *metrics)
{
    const struct {
        const char *suffix;
        double value;
    } list[] = {{"mean", range->count > 0 ? range->sum / range->count : 0},
                {"max", range->high},
                {"min", range->low}};
    for (int i = 0; i < 3; i++) {
        char full[64];
        snprintf(full, sizeof full, "%s/%s", name, list[i].suffix);
        metrics_set(metrics, full, list[i].value);
    }
}

void record_advantages(const TreeList *trees, Metrics *metrics)
{
    Range advantage = {0};
    for (int64_t t = 0; t < trees->count; t++) {
        for (int32_t b = 0; b < trees->trees[t].branch_count; b++) {
            const Branch *branch = &trees->trees[t].branches[b];
            for (int32_t i = 0; branch->graded && i < branch->count; i++)
                if (branch->scored[i])
                    range_add(&advantage, (double)branch->advantages[i]);
        }
    }
    range_report(&advantage, "critic/advantages", metrics);
}

void record_rewards(const Dataset *dataset, const TreeList *trees, Metrics *metrics)
{
    Range reward = {0}, length = {0}, prompt = {0};
    double decision = 0, content = 0, format = 0, clipped = 0, ungraded = 0;
    TreeCosts costs = {0};
    for (int64_t t = 0; t < trees->count; t++) {
        session_tree_costs(dataset, &trees->trees[t], &costs);
        for (int32_t b = 0; b < trees->trees[t].branch_count; b++) {
            const Branch *branch = &trees->trees[t].branches[b];
            range_add(&length, branch->count);
            range_add(&prompt, dataset->contexts[branch->sample].count);
            clipped += !branch->finished;
            ungraded += !branch->graded;
            if (!branch->graded)
                continue;
            range_add(&reward, (double)branch->reward);
            decision += (double)branch->decision;
            content += (double)branch->content;
            format += (double)branch->format;
        }
    }
    double count = reward.count > 0 ? reward.count : 1;
    range_report(&reward, "critic/rewards", metrics);
    range_report(&length, "response_length", metrics);
    range_report(&prompt, "prompt_length", metrics);
    metrics_set(metrics, "reward/decision", decision / count);
    metrics_set(metrics, "reward/content", content / count);
    metrics_set(metrics, "reward/format", format / count);
    metrics_set(metrics, "reward/ungraded", ungraded);
    metrics_set(metrics, "response_length/clip_ratio",
                length.count > 0 ? clipped / length.count : 0);
    metrics_set(metrics, "perf/total_num_tokens", (double)costs.independent);
    metrics_set(metrics, "tree/rows", (double)costs.rows);
    metrics_set(metrics, "tree/forced_tokens", (double)costs.forced);
    metrics_set(metrics, "tree/over_trie", (double)costs.rows / (double)costs.trie);
    metrics_set(metrics, "tree/independent_over_rows",
                (double)costs.independent / (double)costs.rows);
}
