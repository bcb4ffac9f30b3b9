#include "tasks/job.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "files/directory.h"
#include "files/run_files.h"
#include "parallel/cores.h"
#include "tasks/state.h"

static ElementType element_type(Compute compute)
{
    return compute == COMPUTE_BF16 ? TYPE_BF16 : TYPE_F32;
}

ElementType job_element_type(const Settings *settings)
{
    return element_type(settings->model.compute);
}

OptimizerForm job_optimizer_form(const Settings *settings)
{
    return (OptimizerForm){.moments = element_type(settings->optimizer.moments),
                           .host = settings->optimizer.memory == OPTIMIZER_HOST};
}

// Where `path` has its configuration and its weights; both to be released. `*checkpoint` NULL: the
// path is a Hugging Face directory.
static int locate_model(const char *path, char **directory, char **checkpoint)
{
    Bytes config = {0};
    struct stat status;
    *directory = *checkpoint = NULL;
    bytes_print(&config, "%s/config.json", path);
    bool hugging_face = stat(config.data, &status) == 0;
    bytes_free(&config);
    if (hugging_face) {
        *directory = duplicate(path);
        return 0;
    }
    if (stat(path, &status) != 0)
        return fail(EXIT_NO_INPUT, "%s: there is no such file or directory", path);
    *checkpoint = run_files_resolve(path, false);
    if (!*checkpoint)
        return fail_context("%s has no config.json and is no run", path);
    // A run keeps the configuration and tokenizer of its model beside its checkpoints.
    char *run = directory_of(*checkpoint);
    Bytes model = {0};
    bytes_print(&model, "%s/model", run);
    *directory = model.data;
    release(run);
    return 0;
}

void job_set_threads(const Group *all, const Settings *settings)
{
    int threads = (int)settings->parallel.threads;
    Group node = group_of_node(all);
    int share = cores_share(&node);
    group_free(&node);
    if (threads == 0 && getenv("OMP_NUM_THREADS"))
        return;
    omp_set_num_threads(threads > 0 ? threads : share);
}

// An adapter that [model] names is trained on as it is: [adapter] may repeat its shape, or leave it
// open.
static int check_shape(const Job *job, const AdapterShape *stated)
{
    const AdapterShape *found = &job->stored.shape;
    if (stated->rank == 0 || adapter_same(found, stated))
        return 0;
    const char *path = job->settings->model.path;
    Bytes has = {0}, wants = {0};
    adapter_print_targets(found, &has);
    adapter_print_targets(stated, &wants);
    fail(
        EXIT_BAD_SETTINGS,
        "[model] path = %s holds an adapter of rank %lld, alpha %g, %s, and [adapter] wants one of "
        "rank %lld, alpha %g, %s: to train on what is there leave adapter.rank out; to begin "
        "another one merge it with its base first (l2a-convert)",
        path, (long long)found->rank, found->alpha, has.data, (long long)stated->rank,
        stated->alpha, wants.data);
    bytes_free(&has);
    bytes_free(&wants);
    return -1;
}

// The adapter that is trained: the one that [model] names, else a new one beside that model where
// [adapter] asks for it.
static int choose_adapter(Job *job)
{
    const Settings *settings = job->settings;
    AdapterShape stated = {.rank = settings->adapter.rank, .alpha = settings->adapter.alpha};
    if (adapter_parse_targets(settings->adapter.targets, stated.targets) != 0)
        return -1;
    if (job->stored.shape.rank > 0)
        return check_shape(job, &stated);
    job->begins_adapter = stated.rank > 0;
    if (job->begins_adapter)
        job->stored = (StoredAdapter){.shape = stated, .base = duplicate(settings->model.path)};
    return 0;
}

static int locate_base(Job *job)
{
    if (locate_model(job->stored.base, &job->base_directory, &job->base_checkpoint) != 0)
        return fail_context("[model] path = %s: the base that its %s names",
                            job->settings->model.path,
                            job->peft ? "adapter_config.json" : "checkpoint");
    release(job->stored.base);
    job->stored.base =
        realpath(job->base_checkpoint ? job->base_checkpoint : job->base_directory, NULL);
    if (job->peft) // the pairs alone
        job->directory = duplicate(job->base_directory);
    return 0;
}

// What [model] names: a model, or an adapter with its base.
static int locate(Job *job)
{
    const char *path = job->settings->model.path;
    if (peft_adapter_is(path))
        job->peft = duplicate(path);
    else if (locate_model(path, &job->directory, &job->checkpoint) != 0)
        return fail_context("[model] path");
    if (job->peft && peft_adapter_read(&job->stored, job->peft) != 0)
        return -1;
    if (job->checkpoint && stored_adapter_read(&job->stored, job->checkpoint) != 0)
        return -1;
    if (job->trains && choose_adapter(job) != 0)
        return -1;
    return job->stored.shape.rank > 0 ? locate_base(job) : 0;
}

static int open_model_text(Job *job)
{
    const Settings *settings = job->settings;
    if (locate(job) != 0)
        return -1;
    if (settings->model.random && (job->checkpoint || job->peft))
        return fail(EXIT_BAD_SETTINGS, "[model] random = yes, but %s is trained already",
                    settings->model.path);
    if (shape_read(&job->shape, job->directory, NULL) != 0 ||
        tensor_slice_check(&job->shape, settings->rollout.tensor_parallel,
                           "[rollout] tensor_parallel") != 0)
        return -1;
    job->tokenizer = tokenizer_open(job->directory);
    if (!job->tokenizer)
        return -1;
    job->chat =
        chat_open(job->tokenizer, job->directory, settings->model.chat, settings->model.thinking);
    if (!job->chat)
        return -1;
    if (tokenizer_size(job->tokenizer) > job->shape.vocabulary)
        return fail(EXIT_BAD_DATA, "%s: the tokenizer has %lld ids, the model only %lld",
                    job->directory, (long long)tokenizer_size(job->tokenizer),
                    (long long)job->shape.vocabulary);
    return react_open(&job->react, settings, job->chat, job->tokenizer);
}

static int open_served_policy(Job *job)
{
    const Settings *settings = job->settings;
    job->policy_asked = (Asked){.prompt = "",
                                .temperature = settings->evaluate.temperature,
                                .top_p = settings->evaluate.top_p,
                                .repetition_penalty = settings->evaluate.repetition_penalty,
                                .max_tokens = settings->evaluate.max_response_tokens,
                                .attempts = 1,
                                .path = "",
                                .chat = "auto",
                                .endpoint = settings->policy};
    return answerer_open(&job->policy, ASKED_SERVED, &job->policy_asked, "policy");
}

int job_open_text(Job *job)
{
    if ((job->served ? open_served_policy(job) : open_model_text(job)) != 0)
        return -1;
    return grading_open(&job->grading, job->settings);
}

// Ranks of an engine that samples; a served policy is asked by each rank for itself.
static int engine_ranks(const Job *job)
{
    return job->served ? 1 : (int)job->settings->rollout.tensor_parallel;
}

int job_engines(const Job *job, int rollout_ranks)
{
    return rollout_ranks / engine_ranks(job);
}

static bool is_cut(const Job *job)
{
    return job->team.inside.size > 1;
}

Weights *job_whole_weights(const Job *job)
{
    return is_cut(job) ? NULL : job->weights;
}

Weights *job_whole_base(const Job *job)
{
    return is_cut(job) ? NULL : job->base;
}

// Groups of learner ranks that share the parameters. Only what trains keeps them more than once.
static int make_shards(Job *job)
{
    const Group *learners = &job->world.group[ROLE_LEARNER];
    int64_t ranks = job->trains ? settings_shard_group(job->settings) : SHARD_GROUP_ALL;
    if (ranks == SHARD_GROUP_ALL)
        ranks = job->world.count[ROLE_LEARNER];
    if (ranks == SHARD_GROUP_NODE) {
        double mine = learners->size > 0 ? group_node_size(learners) : 0;
        ranks = (int64_t)group_maximum(&job->world.all, mine);
        bool even = learners->size == 0 || mine == (double)ranks;
        if (group_maximum(&job->world.all, !even) > 0)
            return fail(EXIT_BAD_SETTINGS,
                        "[parallel] shard_group = node, but nodes have different "
                        "numbers of learner ranks");
    }
    job->shard_count = (int)ranks;
    return team_make(&job->shards, learners, (int)ranks, "[parallel] shard_group");
}

int job_open(Job *job, const Settings *settings, JobOptions options)
{
    *job = (Job){.settings = settings, .served = options.served, .trains = options.trains};
    WorldPlan plan = {.split = options.split,
                      .rollout = (int)settings->parallel.rollout_ranks,
                      .grader = (int)settings->parallel.grader_ranks,
                      .learner = (int)settings->parallel.learner_ranks};
    if (world_make(&job->world, plan) != 0)
        return -1;
    job_set_threads(&job->world.all, settings);
    const Group *all = &job->world.all;
    if (backend_choose(&job->backend, settings, all) != 0)
        return -1;
    int status = team_make(&job->team, &job->world.group[ROLE_ROLLOUT], engine_ranks(job),
                           "[rollout] tensor_parallel");
    if (group_agree(all, status) != 0 || group_agree(all, make_shards(job)) != 0)
        return -1;
    return group_agree(all, job_open_text(job));
}

static int check_positions(const Job *job, JobSizes sizes)
{
    const Settings *settings = job->settings;
    if (sizes.positions > job->shape.positions)
        return fail(EXIT_BAD_SETTINGS,
                    "contexts and responses reach %lld tokens, the model has %lld positions: "
                    "lower [data] max_prompt_tokens or [rollout] max_response_tokens",
                    (long long)sizes.positions, (long long)job->shape.positions);
    if (sizes.positions > settings->parallel.micro_batch_tokens)
        return fail(EXIT_BAD_SETTINGS,
                    "a context with its response may have %lld tokens, which do not fit into "
                    "[parallel] micro_batch_tokens = %lld: raise it to %lld or more",
                    (long long)sizes.positions, (long long)settings->parallel.micro_batch_tokens,
                    (long long)sizes.positions);
    return 0;
}

int job_build(Job *job, JobSizes sizes)
{
    const Group *all = &job->world.all;
    if (job->served) {
        if (group_agree(all, answerer_build(&job->policy, &job->backend, &job->team.inside)) != 0)
            return -1;
    } else {
        if (group_agree(all, check_positions(job, sizes)) != 0)
            return -1;
        if (job_build_model(job, sizes) != 0)
            return -1;
    }
    return grading_build(job->grading, &job->world, &job->team, &job->backend);
}

void job_close(Job *job)
{
    scorer_free(&job->scorer);
    engine_free(&job->engine);
    job_free_weights(job);
    if (job->publication) {
        job->backend.collective->publication_free(job->publication);
        model_free(&job->model);
    }
    parameters_free(&job->parameters);
    parameters_free(&job->adapter);
    grading_close(job->grading);
    react_close(job->react);
    answerer_close(&job->policy);
    chat_close(job->chat);
    tokenizer_close(job->tokenizer);
    release(job->directory);
    release(job->checkpoint);
    release(job->peft);
    team_free(&job->team);
    team_free(&job->shards);
    release(job->base_directory);
    release(job->base_checkpoint);
    stored_adapter_free(&job->stored);
    if (job->world.all.size > 0)
        world_free(&job->world);
    *job = (Job){0};
}
