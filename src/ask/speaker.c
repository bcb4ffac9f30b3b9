#include "ask/speaker.h"

#include <string.h>

#include "base/clock.h"
#include "base/fail.h"

int speaker_open_text(Speaker *speaker, const SpeakerSettings *settings)
{
    *speaker = (Speaker){.settings = *settings};
    if (shape_read(&speaker->shape, settings->path, NULL) != 0 ||
        tensor_slice_check(&speaker->shape, settings->ranks, "tensor_parallel") != 0)
        return -1;
    speaker->tokenizer = tokenizer_open(settings->path);
    if (speaker->tokenizer)
        speaker->chat =
            chat_open(speaker->tokenizer, settings->path, settings->chat, settings->thinking);
    if (!speaker->chat) {
        speaker_close(speaker);
        return -1;
    }
    int64_t positions = settings->max_prompt_tokens + settings->max_answer_tokens;
    if (positions > speaker->shape.positions) {
        fail(EXIT_BAD_SETTINGS,
             "%s has %lld positions, but max_prompt_tokens + max_tokens are %lld", settings->path,
             (long long)speaker->shape.positions, (long long)positions);
        speaker_close(speaker);
        return -1;
    }
    if (tokenizer_size(speaker->tokenizer) <= speaker->shape.vocabulary)
        return 0;
    fail(EXIT_BAD_DATA, "%s: the tokenizer has %lld ids, the model only %lld", settings->path,
         (long long)tokenizer_size(speaker->tokenizer), (long long)speaker->shape.vocabulary);
    speaker_close(speaker);
    return -1;
}

static int64_t positions_of(const SpeakerSettings *settings)
{
    return settings->max_prompt_tokens + settings->max_answer_tokens;
}

static int64_t slots_of(const SpeakerSettings *settings)
{
    int64_t slots = settings->cache_tokens > 0 ? settings->cache_tokens : SPEAKER_SLOTS;
    int64_t least = 2 * slots_aligned(positions_of(settings)) + 4 * SLOT_ALIGNMENT;
    return slots_aligned(slots > least ? slots : least);
}

// Units on their way from a file to packed weights.
typedef struct {
    const Kernels *kernels;
    Weights *weights;
    const Parameters *parameters;
    float *flat; // device, of the largest; NULL where the host's is the device's
} Loading;

static void take_unit(void *context, int64_t unit, const float *flat)
{
    Loading *loading = context;
    if (loading->flat) {
        size_t bytes = (size_t)loading->parameters->units[unit].shard.padded * sizeof *flat;
        loading->kernels->copy_in(NULL, loading->flat, flat, bytes);
        flat = loading->flat;
    }
    weights_load_unit(loading->weights, unit, elements_f32(flat));
}

static int load_weights(Speaker *speaker, const Kernels *kernels)
{
    Loading loading = {
        .kernels = kernels, .weights = speaker->weights, .parameters = &speaker->parameters};
    if (!kernels->host_is_device)
        loading.flat = kernels->memory_make((size_t)speaker->parameters.largest * sizeof(float));
    int status =
        parameters_stream(&speaker->parameters, speaker->settings.path, take_unit, &loading);
    kernels->queue_wait(NULL);
    if (loading.flat)
        kernels->memory_free(loading.flat);
    return status;
}

int speaker_build(Speaker *speaker, const Backend *backend, const Group *team)
{
    const Kernels *kernels = backend->kernels;
    const SpeakerSettings *settings = &speaker->settings;
    CHECK(team->size == settings->ranks, "an engine of %d on %d ranks", settings->ranks,
          team->size);
    parameters_make(&speaker->parameters, &speaker->shape, 0, 1);
    model_make(&speaker->whole, &speaker->parameters, NULL, kernels, settings->type,
               positions_of(settings));
    speaker->slice = tensor_slice_of(&speaker->shape, team, backend->collective);
    speaker->model = model_cut(&speaker->whole, &speaker->slice);
    speaker->weights =
        weights_make_slice(&speaker->parameters, &speaker->slice, kernels, settings->type);
    engine_make(&speaker->engine, &speaker->model, speaker->weights, SPEAKER_ROWS,
                slots_of(settings));
    return load_weights(speaker, kernels);
}

size_t speaker_bytes(const Speaker *speaker, const Kernels *kernels)
{
    const SpeakerSettings *settings = &speaker->settings;
    Parameters parameters;
    parameters_make(&parameters, &speaker->shape, 0, 1);
    const Group team = {.size = settings->ranks};
    TensorSlice slice = tensor_slice_of(&speaker->shape, &team, &collective_mpi);
    Model whole = {.parameters = &parameters,
                   .kernels = kernels,
                   .type = settings->type,
                   .positions = positions_of(settings)};
    Model model = model_cut(&whole, &slice);
    size_t bytes = weights_slice_bytes(&parameters, &slice, kernels, settings->type) +
                   engine_bytes(&model, SPEAKER_ROWS, slots_of(settings)) +
                   (size_t)parameters.largest * sizeof(float);
    parameters_free(&parameters);
    return bytes;
}

void speaker_close(Speaker *speaker)
{
    engine_free(&speaker->engine);
    weights_free(speaker->weights);
    if (speaker->whole.parameters)
        model_free(&speaker->whole);
    parameters_free(&speaker->parameters);
    chat_close(speaker->chat);
    tokenizer_close(speaker->tokenizer);
    *speaker = (Speaker){0};
}

int speaker_encode(const Speaker *speaker, const ChatMessage *messages, int64_t count,
                   Tokens *tokens)
{
    if (chat_encode(speaker->chat, messages, count, true, tokens) != 0)
        return -1;
    if (tokens->count <= speaker->settings.max_prompt_tokens)
        return 0;
    return fail(EXIT_BAD_DATA, "a question of %lld tokens, max_prompt_tokens is %lld",
                (long long)tokens->count, (long long)speaker->settings.max_prompt_tokens);
}

// Questions of one trunk that stand together, and how many tokens all of them begin with.
typedef struct {
    int64_t first, count, common;
} Cluster;

static Cluster cluster_at(Spoken *const *questions, int64_t count, int64_t first)
{
    const Tokens *tokens = &questions[first]->tokens;
    Cluster cluster = {.first = first, .count = 1, .common = tokens->count};
    while (first + cluster.count < count &&
           questions[first + cluster.count]->trunk == questions[first]->trunk) {
        const Tokens *next = &questions[first + cluster.count]->tokens;
        int64_t common = tokens_common_prefix(tokens->ids, cluster.common, next->ids, next->count);
        cluster.common = common;
        cluster.count++;
    }
    return cluster;
}

static Tree tree_of(const Speaker *speaker, Spoken *const *questions, Cluster cluster)
{
    Tree tree;
    tree_make(&tree, 0, questions[cluster.first]->tokens.ids, (int32_t)cluster.common,
              (int32_t)cluster.count);
    for (int64_t i = cluster.first; i < cluster.first + cluster.count; i++) {
        const Spoken *question = questions[i];
        int32_t forced = (int32_t)(question->tokens.count - cluster.common);
        Branch *branch = tree_add_branch(&tree, (int32_t)cluster.common, forced,
                                         (int32_t)speaker->settings.max_answer_tokens);
        if (forced > 0)
            memcpy(branch->tokens, question->tokens.ids + cluster.common,
                   (size_t)forced * sizeof *branch->tokens);
        branch->sample = (int32_t)i;
        branch->session = question->session;
        branch->round = (int32_t)question->round;
        branch->repeat = (int32_t)question->repeat;
        branch->completion = (int32_t)question->completion;
        branch->attempt = (int32_t)question->attempt;
    }
    return tree;
}

static void take_answer(const Speaker *speaker, const Branch *branch, Spoken *question)
{
    bytes_clear(&question->answer);
    bytes_append(&question->answer, "", 0);
    tokenizer_decode(speaker->tokenizer, branch->tokens + branch->forced,
                     branch->count - branch->finished, true, &question->answer);
    question->whole = branch->finished != 0;
}

// One call of speaker_answer.
typedef struct {
    const Speaker *speaker;
    Spoken *const *questions;
    SpeakerAnswered *answered;
    void *context;
} Answering;

static void on_ended(void *context, Tree *tree, Branch *branch)
{
    (void)tree;
    const Answering *answering = context;
    Spoken *question = answering->questions[branch->sample];
    take_answer(answering->speaker, branch, question);
    answering->answered(answering->context, question);
}

void speaker_answer(Speaker *speaker, Spoken *const *questions, int64_t count,
                    const Generation *generation, SpeakerAnswered *answered, void *context)
{
    double since = clock_now();
    const Tokens *ends = chat_end_tokens(speaker->chat);
    Answering answering = {speaker, questions, answered, context};
    Generation own = *generation;
    own.max_response_tokens = (int32_t)speaker->settings.max_answer_tokens;
    own.end_tokens = ends->ids;
    own.end_token_count = ends->count;
    own.ended = on_ended;
    own.context = &answering;
    Tree *trees = allocate((size_t)count, sizeof *trees);
    int64_t tree_count = 0;
    for (int64_t first = 0; first < count; tree_count++) {
        Cluster cluster = cluster_at(questions, count, first);
        trees[tree_count] = tree_of(speaker, questions, cluster);
        first += cluster.count;
    }
    engine_generate(&speaker->engine, trees, tree_count, &own);
    for (int64_t t = 0; t < tree_count; t++)
        tree_free(&trees[t]);
    release(trees);
    speaker->seconds += clock_now() - since;
}

void spoken_free(Spoken *spoken)
{
    tokens_free(&spoken->tokens);
    bytes_free(&spoken->answer);
}
