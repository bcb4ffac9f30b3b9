#include "tests/model/tiny.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/random.h"

const char *const tiny_names[TINY_COUNT] = {"llama", "smollm",     "llama3",
                                            "qwen2", "qwen2-tied", "qwen3"};

#define COMMON                                                                                     \
    "\"hidden_act\": \"silu\", \"vocab_size\": 211, \"max_position_embeddings\": 128, "            \
    "\"initializer_range\": 0.15, "

const char *const tiny_configs[TINY_COUNT] = {
    [TINY_LLAMA] =
        "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", " COMMON
        "\"hidden_size\": 48, \"intermediate_size\": 104, \"num_hidden_layers\": 2, "
        "\"num_attention_heads\": 6, \"num_key_value_heads\": 2, \"rms_norm_eps\": 1e-05, "
        "\"rope_theta\": 10000.0, \"tie_word_embeddings\": false}",
    [TINY_SMOLLM] =
        "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", " COMMON
        "\"hidden_size\": 48, \"intermediate_size\": 96, \"num_hidden_layers\": 3, "
        "\"num_attention_heads\": 3, \"num_key_value_heads\": 1, \"rms_norm_eps\": 1e-05, "
        "\"rope_theta\": 100000.0, \"rope_scaling\": null, \"tie_word_embeddings\": true}",
    [TINY_LLAMA3] =
        "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", " COMMON
        "\"hidden_size\": 32, \"intermediate_size\": 64, \"num_hidden_layers\": 2, "
        "\"num_attention_heads\": 2, \"num_key_value_heads\": 1, \"head_dim\": 32, "
        "\"rms_norm_eps\": 1e-05, \"tie_word_embeddings\": true, \"rope_parameters\": "
        "{\"rope_type\": \"llama3\", \"rope_theta\": 500.0, \"factor\": 8.0, \"low_freq_factor\": "
        "1.0, \"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 32}}",
    [TINY_QWEN2] =
        "{\"architectures\": [\"Qwen2ForCausalLM\"], \"model_type\": \"qwen2\", " COMMON
        "\"hidden_size\": 40, \"intermediate_size\": 72, \"num_hidden_layers\": 2, "
        "\"num_attention_heads\": 4, \"num_key_value_heads\": 4, \"rms_norm_eps\": 1e-06, "
        "\"rope_theta\": 1000000.0, \"use_sliding_window\": false, "
        "\"tie_word_embeddings\": false}",
    [TINY_QWEN2_TIED] =
        "{\"architectures\": [\"Qwen2ForCausalLM\"], \"model_type\": \"qwen2\", " COMMON
        "\"hidden_size\": 48, \"intermediate_size\": 80, \"num_hidden_layers\": 2, "
        "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"rms_norm_eps\": 1e-06, "
        "\"rope_theta\": 1000000.0, \"tie_word_embeddings\": true}",
    [TINY_QWEN3] = "{\"architectures\": [\"Qwen3ForCausalLM\"], \"model_type\": \"qwen3\", " COMMON
                   "\"hidden_size\": 40, \"intermediate_size\": 88, \"num_hidden_layers\": 2, "
                   "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"head_dim\": 24, "
                   "\"rms_norm_eps\": 1e-06, \"attention_bias\": false, \"rope_theta\": 1000000.0, "
                   "\"tie_word_embeddings\": true}",
};

ModelShape tiny_shape(TinyFamily family)
{
    ModelShape shape;
    const char *text = tiny_configs[family];
    if (shape_parse(&shape, text, strlen(text), tiny_names[family]) != 0)
        die_failed();
    return shape;
}

// Normal number `element` of tensor `tensor`.
static double normal_of(uint64_t seed, int64_t tensor, int64_t element)
{
    double normal[2];
    draw_normal((Draw){.seed = seed,
                       .purpose = PURPOSE_GENERATE,
                       .session = (uint32_t)tensor,
                       .position = (uint32_t)element},
                normal);
    return normal[0];
}

void tiny_randomise(const Parameters *parameters, uint64_t seed, float *values)
{
    parameters_randomise(parameters, seed, values);
    for (int64_t i = 0; i < parameters->tensor_count; i++) {
        Piece piece = parameters_piece(parameters, i);
        for (int64_t j = 0; j < piece.count && piece.tensor->rows == 0; j++)
            values[piece.local + j] += (float)(0.2 * normal_of(seed, i, piece.first + j));
    }
}

void tiny_perturb(const Parameters *parameters, uint64_t seed, double scale, float *values)
{
    for (int64_t i = 0; i < parameters->tensor_count; i++) {
        Piece piece = parameters_piece(parameters, i);
        for (int64_t j = 0; j < piece.count; j++)
            values[piece.local + j] += (float)(scale * normal_of(seed, i, piece.first + j));
    }
}

void tiny_publish(Tiny *tiny)
{
    const Kernels *kernels = tiny->model.kernels;
    size_t bytes = (size_t)tiny->parameters.local * sizeof *tiny->values;
    float *values = kernels->memory_make(bytes);
    kernels->copy_in(NULL, values, tiny->values, bytes);
    weights_load(tiny->weights, elements_f32(values));
    kernels->queue_wait(NULL);
    kernels->memory_free(values);
}

void tiny_make(Tiny *tiny, TinyFamily family, const Kernels *kernels, ElementType type,
               uint64_t seed)
{
    *tiny = (Tiny){.group = {.comm = MPI_COMM_SELF, .size = 1}};
    ModelShape shape = tiny_shape(family);
    parameters_make(&tiny->parameters, &shape, 0, 1);
    model_make(&tiny->model, &tiny->parameters, NULL, kernels, type, TINY_POSITIONS);
    tiny->values = allocate((size_t)tiny->parameters.local, sizeof *tiny->values);
    tiny->weights = weights_make(&tiny->parameters, kernels, type, true);
    tiny_randomise(&tiny->parameters, seed, tiny->values);
    tiny_publish(tiny);
}

void tiny_free(Tiny *tiny)
{
    weights_free(tiny->weights);
    release(tiny->values);
    model_free(&tiny->model);
    parameters_free(&tiny->parameters);
}

AdapterShape tiny_adapter_shape(bool all)
{
    AdapterShape shape = {.rank = 4, .alpha = 6};
    for (int i = 0; i < LINEAR_COUNT; i++)
        shape.targets[i] = all || i == LINEAR_V || i == LINEAR_UP || i == LINEAR_DOWN;
    return shape;
}

void tiny_start_adapter(const Parameters *parameters, double noise, float *values)
{
    enum { SEED = 21 };
    parameters_start_adapter(parameters, SEED, values);
    for (int64_t i = 1; i < parameters->tensor_count; i += 2) { // each B
        Piece piece = parameters_piece(parameters, i);
        for (int64_t j = 0; j < piece.count; j++)
            values[piece.local + j] = (float)(noise * normal_of(SEED, i, piece.first + j));
    }
}

void tiny_adapter_publish(TinyAdapter *adapter)
{
    weights_load(adapter->pairs, elements_f32(adapter->values));
}

void tiny_adapter_make(TinyAdapter *adapter, Tiny *tiny, const AdapterShape *shape, double noise)
{
    const Kernels *kernels = tiny->model.kernels;
    parameters_make_adapter(&adapter->parameters, tiny->model.shape, shape, 0, 1);
    model_make(&adapter->model, &tiny->parameters, &adapter->parameters, kernels, tiny->model.type,
               TINY_POSITIONS);
    adapter->values = allocate((size_t)adapter->parameters.local, sizeof(float));
    adapter->pairs = weights_make(&adapter->parameters, kernels, TYPE_F32, true);
    adapter->weights = weights_make_adapted(tiny->weights, adapter->pairs);
    int64_t count = tiny->parameters.local;
    adapter->base = allocate((size_t)count, type_bytes(tiny->model.type));
    kernels->convert(NULL, adapter->base, tiny->model.type, elements_f32(tiny->values), count);
    tiny_start_adapter(&adapter->parameters, noise, adapter->values);
    tiny_adapter_publish(adapter);
}

void tiny_adapter_free(TinyAdapter *adapter)
{
    weights_free(adapter->weights);
    weights_free(adapter->pairs);
    release(adapter->values);
    release(adapter->base);
    model_free(&adapter->model);
    parameters_free(&adapter->parameters);
}

static int64_t find_tensor(const Parameters *parameters, const char *name)
{
    int64_t i = 0;
    while (strcmp(parameters->tensors[i].name, name) != 0)
        i++;
    return i;
}

void tiny_merge(const Tiny *tiny, const TinyAdapter *adapter, float *values)
{
    const Parameters *pairs = &adapter->parameters;
    double scale = pairs->adapter.alpha / (double)pairs->adapter.rank;
    memcpy(values, tiny->values, (size_t)tiny->parameters.local * sizeof *values);
    for (int64_t i = 0; i < pairs->tensor_count; i += 2) {
        static const char prefix[] = "base_model.model.", suffix[] = "lora_A.weight";
        char name[TENSOR_NAME_BYTES];
        const char *full = pairs->tensors[i].name;
        snprintf(name, sizeof name, "%.*sweight",
                 (int)(strlen(full) - strlen(prefix) - strlen(suffix)), full + strlen(prefix));
        Piece w = parameters_piece(&tiny->parameters, find_tensor(&tiny->parameters, name));
        const float *a = adapter->values + parameters_piece(pairs, i).local;
        const float *b = adapter->values + parameters_piece(pairs, i + 1).local;
        int64_t width = w.tensor->width, rank = pairs->adapter.rank;
        for (int64_t e = 0; e < w.count; e++) {
            double sum = 0;
            for (int64_t r = 0; r < rank; r++)
                sum += (double)b[e / width * rank + r] * (double)a[r * width + e % width];
            values[w.local + e] = (float)((double)values[w.local + e] + scale * sum);
        }
    }
}

// A stream of draws for the shape and content of trees.
typedef struct {
    uint64_t seed;
    uint32_t position;
} Stream;

static int32_t below(Stream *stream, int64_t bound)
{
    Draw draw = {.seed = stream->seed, .purpose = PURPOSE_GENERATE, .step = 1};
    draw.position = stream->position++;
    return (int32_t)draw_below(draw, (uint64_t)bound);
}

static void fill_branch(Branch *branch, int64_t vocabulary, Stream *stream)
{
    enum { STEPS = 4096 };
    for (int32_t i = 0; i < branch->forced + branch->count; i++)
        branch->tokens[i] = below(stream, vocabulary);
    for (int32_t i = 0; i < branch->count; i++) {
        double drift = 4.0 * below(stream, STEPS) / STEPS - 2;
        branch->logprobs[i] = (float)(drift - 5.35); // log(211)
        branch->scored[i] = below(stream, 8) > 0;
    }
    branch->reward = (float)(4.0 * below(stream, STEPS) / STEPS - 2);
    branch_set_advantage(branch, (double)branch->reward);
    branch->graded = below(stream, 12) > 0;
}

static void make_tree(Tree *tree, int64_t session, int64_t vocabulary, Stream *stream)
{
    enum { ROUNDS = 3, GROUP = 5, LONGEST = 9, TRUNK = 60 };
    int32_t trunk[TRUNK], length = 4 + below(stream, TRUNK - 4);
    for (int32_t i = 0; i < length; i++)
        trunk[i] = below(stream, vocabulary);
    tree_make(tree, session, trunk, length, ROUNDS * GROUP);
    for (int32_t round = 0; round < ROUNDS; round++) {
        int32_t attach = round + 1 == ROUNDS ? length : 1 + below(stream, length);
        int32_t forced = round == 1 ? below(stream, 4) : 0;
        for (int32_t g = 0; g < GROUP; g++) {
            int32_t count = round == 0 && session % 2 == 0 ? 1 : 1 + below(stream, LONGEST);
            Branch *branch = tree_add_branch(tree, attach, forced, LONGEST);
            branch->count = count;
            branch->sample = (int32_t)session * ROUNDS + round;
            branch->round = round + 1;
            branch->repeat = g;
            fill_branch(branch, vocabulary, stream);
            // A group shares its context.
            memcpy(branch->tokens, tree->branches[round * GROUP].tokens,
                   (size_t)forced * sizeof *branch->tokens);
        }
    }
}

void grove_make(Grove *grove, int64_t count, int64_t vocabulary, uint64_t seed)
{
    Stream stream = {.seed = seed};
    *grove = (Grove){.trees = allocate((size_t)count, sizeof *grove->trees), .count = count};
    for (int64_t t = 0; t < count; t++)
        make_tree(&grove->trees[t], t, vocabulary, &stream);
}

void grove_free(Grove *grove)
{
    for (int64_t t = 0; t < grove->count; t++)
        tree_free(&grove->trees[t]);
    release(grove->trees);
    *grove = (Grove){0};
}

// A new branch like `from`, with another place in its tree.
static Branch *copy_branch(Tree *tree, const Branch *from, int32_t attach, int32_t forced,
                           const int32_t *forced_tokens)
{
    size_t count = (size_t)from->count;
    Branch *to = tree_add_branch(tree, attach, forced, from->count);
    Branch kept = *to;
    *to = *from;
    to->attach = attach;
    to->forced = forced;
    to->tokens = kept.tokens;
    to->logprobs = kept.logprobs;
    to->scored = kept.scored;
    to->reference = kept.reference;
    to->proximal = kept.proximal;
    to->advantages = kept.advantages;
    memcpy(to->tokens, forced_tokens, (size_t)forced * sizeof *to->tokens);
    memcpy(to->tokens + forced, from->tokens + from->forced, count * sizeof *to->tokens);
    memcpy(to->logprobs, from->logprobs, count * sizeof *to->logprobs);
    memcpy(to->scored, from->scored, count);
    memcpy(to->advantages, from->advantages, count * sizeof *to->advantages);
    return to;
}

void grove_copy(Grove *to, const Grove *from)
{
    *to = (Grove){.trees = allocate((size_t)from->count, sizeof *to->trees), .count = from->count};
    for (int64_t t = 0; t < from->count; t++) {
        const Tree *tree = &from->trees[t];
        tree_make(&to->trees[t], tree->session, tree->trunk, tree->trunk_length,
                  tree->branch_count);
        for (int32_t b = 0; b < tree->branch_count; b++)
            copy_branch(&to->trees[t], &tree->branches[b], tree->branches[b].attach,
                        tree->branches[b].forced, tree->branches[b].tokens);
    }
}

void grove_separate(Grove *to, const Grove *from, bool all_forced)
{
    int64_t count = 0;
    for (int64_t t = 0; t < from->count; t++)
        count += from->trees[t].branch_count;
    *to = (Grove){.trees = allocate((size_t)count, sizeof *to->trees)};
    for (int64_t t = 0; t < from->count; t++) {
        for (int32_t b = 0; b < from->trees[t].branch_count; b++) {
            const Branch *branch = &from->trees[t].branches[b];
            int32_t length = branch->attach + branch->forced;
            int32_t *context = allocate((size_t)length, sizeof *context);
            memcpy(context, from->trees[t].trunk, (size_t)branch->attach * sizeof *context);
            memcpy(context + branch->attach, branch->tokens,
                   (size_t)branch->forced * sizeof *context);
            Tree *tree = &to->trees[to->count++];
            tree_make(tree, from->trees[t].session, context, all_forced ? 0 : length, 1);
            copy_branch(tree, branch, all_forced ? 0 : length, all_forced ? length : 0, context);
            release(context);
        }
    }
}

void grove_sprout(Grove *to, const Grove *from, int32_t capacity)
{
    *to = (Grove){.trees = allocate((size_t)from->count, sizeof *to->trees), .count = from->count};
    for (int64_t t = 0; t < from->count; t++) {
        const Tree *tree = &from->trees[t];
        tree_make(&to->trees[t], tree->session, tree->trunk, tree->trunk_length,
                  tree->branch_count);
        for (int32_t b = 0; b < tree->branch_count; b++) {
            const Branch *branch = &tree->branches[b];
            Branch *bud = tree_add_branch(&to->trees[t], branch->attach, branch->forced, capacity);
            bud->sample = branch->sample;
            bud->round = branch->round;
            bud->repeat = branch->repeat;
            bud->reward = branch->reward;
            memcpy(bud->tokens, branch->tokens, (size_t)branch->forced * sizeof *bud->tokens);
        }
    }
}

// The rewards of a grove are its advantages.
static int64_t take_rewards(const LossSettings *settings, Tree *trees, int64_t count)
{
    (void)settings;
    for (int64_t t = 0; t < count; t++)
        for (int32_t b = 0; b < trees[t].branch_count; b++)
            branch_set_advantage(&trees[t].branches[b], (double)trees[t].branches[b].reward);
    return 0;
}

StepSettings tiny_step_settings(void)
{
    static AlgorithmRow rewarded;
    rewarded = algorithm_table[ALGORITHM_GRPO];
    rewarded.advantage = take_rewards;
    return (StepSettings){
        .algorithm = &rewarded,
        .loss = {.clip_low = 0.2,
                 .clip_high = 0.25,
                 .clip_dual = 3,
                 .kl_coefficient = 0.1,
                 .kl_estimator = KL_K2,
                 .aggregation = AGGREGATE_TOKEN_MEAN},
        .optimizer = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .max_gradient_norm = 1},
        .temperature = 0.7,
        .passes = 1,
        .mini_batches = 1,
    };
}

void tiny_learner_make(Learner *learner, const Model *model, const Group *group, uint64_t seed,
                       int64_t micro_batch_tokens, Weights *resident)
{
    learner_make(learner, model, group, &collective_mpi,
                 (LearnerLayout){.micro_batch_tokens = micro_batch_tokens, .resident = resident});
    tiny_learner_fill(learner, seed);
}

void tiny_learner_fill(Learner *learner, uint64_t seed)
{
    const Kernels *kernels = learner->model->kernels;
    const Parameters *parameters = learner->model->parameters;
    size_t bytes = (size_t)parameters->local * sizeof(float);
    float *values = allocate(bytes, 1), *reference = kernels->memory_make(bytes);
    tiny_randomise(parameters, seed, values);
    kernels->copy_in(NULL, learner->optimizer.master, values, bytes);
    tiny_perturb(parameters, seed + 1, 0.02, values);
    kernels->copy_in(NULL, reference, values, bytes);
    learner_set_reference(learner, reference);
    kernels->queue_wait(NULL);
    kernels->memory_free(reference);
    release(values);
}

void tiny_adapter_learner_make(Learner *learner, Tiny *tiny, TinyAdapter *adapter, bool resident)
{
    learner_make(learner, &adapter->model, &tiny->group, &collective_mpi,
                 (LearnerLayout){.micro_batch_tokens = TINY_ADAPTER_ROWS,
                                 .resident = resident ? adapter->weights : NULL,
                                 .base = resident ? tiny->weights : NULL,
                                 .base_shards = resident ? NULL : adapter->base});
    memcpy(learner->optimizer.master, adapter->values,
           (size_t)adapter->parameters.local * sizeof(float));
}

double relative_distance(const float *a, const float *b, int64_t count)
{
    double difference = 0, length = 0;
    for (int64_t i = 0; i < count; i++) {
        double d = (double)a[i] - (double)b[i];
        difference += d * d;
        length += (double)b[i] * (double)b[i];
    }
    return difference == 0 ? 0 : sqrt(difference / length);
}

double gradient_distance(const Parameters *parameters, const float *a, const float *b)
{
    double largest = 0;
    for (int64_t i = 0; i < parameters->tensor_count; i++) {
        Piece piece = parameters_piece(parameters, i);
        double distance = relative_distance(a + piece.local, b + piece.local, piece.count);
        largest = distance > largest || isnan(distance) ? distance : largest;
    }
    return largest;
}
