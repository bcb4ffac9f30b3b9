#include "engine/decode.h"

#include <string.h>

#include "base/fail.h"

enum {
    MOST_GRAPHS = 32, // a graph of some hundred kernels takes a few MB of the device
    MOST_STEP = 64,   // between numbers of rows
};

// Steps that ask for the same calls.
typedef struct {
    int64_t rows, launches; // launches: as attention_plan says
    Graph *graph;           // owned; NULL: run once, call by call
    int64_t used;           // the last step
} Bucket;

struct Decoder {
    const Kernels *kernels; // borrowed
    int64_t rows;           // of a step, at most
    int64_t steps;          // so far
    Sampling sampling;      // that the graphs have
    Bucket buckets[MOST_GRAPHS];
    int64_t bucket_count;
    void *host; // owned, page-locked: the copies' other side, [rows] each
    double *host_uniform;
    int32_t *host_tokens, *host_positions, *host_slots;
    int32_t *host_drawn;  // [2 * rows of the step]: tokens, then log-probabilities
    void *memory;         // owned, device
    double *uniform;      // [rows]
    int32_t *row_numbers; // [rows]: 0, 1, ...
    int32_t *drawn;       // as host_drawn
};

static bool is_of_use(const Model *model)
{
    bool several = model->slice && model->slice->group.size > 1;
    return !model->kernels->host_is_device && !several;
}

// Those that a step is rounded up to: 1, 2, 4, 8, 16, 32, 48, 64, 96, 128, then multiples of 64.
static int64_t rounded_rows(int64_t rows, int64_t most)
{
    int64_t step = rows <= 64 ? 16 : rows <= 128 ? 32 : MOST_STEP;
    int64_t rounded = (rows + step - 1) / step * step;
    while (rounded <= 16 && rounded / 2 >= rows)
        rounded /= 2;
    return rounded < most ? rounded : most;
}

int64_t decoder_slots(const Model *model)
{
    return is_of_use(model) ? MOST_STEP : 0;
}

size_t decoder_bytes(const Model *model, int64_t rows)
{
    size_t row = sizeof(double) + 3 * sizeof(int32_t);
    return is_of_use(model) ? (size_t)rows * row : 0;
}

Decoder *decoder_make(const Model *model, int64_t rows)
{
    const Kernels *kernels = model->kernels;
    if (!is_of_use(model))
        return NULL;
    Decoder *decoder = allocate(1, sizeof *decoder);
    *decoder = (Decoder){.kernels = kernels, .rows = rows};
    decoder->host = kernels->host_make((size_t)rows * (sizeof(double) + 5 * sizeof(int32_t)));
    decoder->host_uniform = decoder->host;
    decoder->host_tokens = (int32_t *)(decoder->host_uniform + rows);
    decoder->host_positions = decoder->host_tokens + rows;
    decoder->host_slots = decoder->host_positions + rows;
    decoder->host_drawn = decoder->host_slots + rows;
    decoder->memory = kernels->memory_make(decoder_bytes(model, rows));
    decoder->uniform = decoder->memory;
    decoder->row_numbers = (int32_t *)(decoder->uniform + rows);
    decoder->drawn = decoder->row_numbers + rows;
    for (int32_t r = 0; r < rows; r++)
        decoder->host_tokens[r] = r;
    kernels->copy_in(NULL, decoder->row_numbers, decoder->host_tokens,
                     (size_t)rows * sizeof(int32_t));
    kernels->queue_wait(NULL);
    return decoder;
}

static void bucket_free(const Kernels *kernels, Bucket *bucket)
{
    if (bucket->graph)
        kernels->graph_free(bucket->graph);
    bucket->graph = NULL;
}

static void forget_buckets(Decoder *decoder)
{
    for (int64_t b = 0; b < decoder->bucket_count; b++)
        bucket_free(decoder->kernels, &decoder->buckets[b]);
    decoder->bucket_count = 0;
}

void decoder_free(Decoder *decoder)
{
    if (!decoder)
        return;
    forget_buckets(decoder);
    decoder->kernels->host_free(decoder->host);
    decoder->kernels->memory_free(decoder->memory);
    release(decoder);
}

double *decoder_uniforms(Decoder *decoder)
{
    return decoder->host_uniform;
}

// The rows that nobody asked for are a sequence of their own in the spare slots.
static void pad_batch(Decoder *decoder, Engine *engine)
{
    static const int32_t tokens[MOST_STEP] = {0};
    Batch *batch = &engine->batch;
    int64_t padding = rounded_rows(batch->rows, decoder->rows) - batch->rows;
    for (int64_t r = batch->rows; r < batch->rows + padding; r++)
        decoder->host_uniform[r] = 0.5;
    batch_add_rows(batch, tokens, padding, 0, (Span){.own = engine->slots});
}

// The batch with its rows in memory that a graph can copy from.
static Batch locked_batch(Decoder *decoder, const Batch *batch)
{
    size_t bytes = (size_t)batch->rows * sizeof(int32_t);
    Batch locked = *batch;
    locked.tokens = memcpy(decoder->host_tokens, batch->tokens, bytes);
    locked.positions = memcpy(decoder->host_positions, batch->positions, bytes);
    locked.slot_of_row = memcpy(decoder->host_slots, batch->slot_of_row, bytes);
    return locked;
}

static float *logprobs_of(int32_t *drawn, int64_t rows)
{
    return (float *)(void *)(drawn + rows);
}

static void sample_rows(Decoder *decoder, Engine *engine, int64_t first, int64_t count)
{
    const Kernels *kernels = decoder->kernels;
    Sampling sampling = decoder->sampling;
    float *lse = engine->workspace.lse;
    Tensor z = model_logits(engine->model, engine->weights, &engine->workspace,
                            decoder->row_numbers + first, count);
    kernels->logsumexp(NULL, lse, z, sampling.temperature > 0 ? sampling.temperature : 1);
    kernels->sample(NULL, decoder->drawn + first,
                    logprobs_of(decoder->drawn, engine->batch.rows) + first, z, lse,
                    decoder->uniform + first, sampling);
}

// What a graph keeps: all that the device does in a step but for attention's plan.
static void ask_for_step(Decoder *decoder, Engine *engine, const Batch *batch)
{
    const Kernels *kernels = decoder->kernels;
    int64_t rows = batch->rows;
    kernels->copy_in(NULL, decoder->uniform, decoder->host_uniform,
                     (size_t)rows * sizeof *decoder->uniform);
    model_rows_in(engine->model, batch, &engine->workspace);
    model_layers_forward(engine->model, engine->weights, batch, &engine->workspace, engine->caches);
    for (int64_t first = 0; first < rows; first += SCORED_CHUNK)
        sample_rows(decoder, engine, first,
                    rows - first < SCORED_CHUNK ? rows - first : SCORED_CHUNK);
    kernels->copy_out(NULL, decoder->host_drawn, decoder->drawn,
                      2 * (size_t)rows * sizeof *decoder->drawn);
}

// The bucket of such steps, or NULL for the first of them, which then has one: of the bucket that
// has not been used for longest where there are too many.
static Bucket *find_bucket(Decoder *decoder, int64_t rows, int64_t launches)
{
    Bucket *oldest = decoder->buckets;
    decoder->steps++;
    for (int64_t b = 0; b < decoder->bucket_count; b++) {
        Bucket *bucket = &decoder->buckets[b];
        if (bucket->rows == rows && bucket->launches == launches) {
            bucket->used = decoder->steps;
            return bucket;
        }
        oldest = bucket->used < oldest->used ? bucket : oldest;
    }
    if (decoder->bucket_count < MOST_GRAPHS)
        oldest = &decoder->buckets[decoder->bucket_count++];
    else
        bucket_free(decoder->kernels, oldest);
    *oldest = (Bucket){.rows = rows, .launches = launches, .used = decoder->steps};
    return NULL;
}

// The first step of a bucket is run call by call: working memory is then there, and products know
// their algorithms. A graph whose working memory has moved since is kept anew.
static void run_step(Decoder *decoder, Engine *engine, const Batch *batch)
{
    const Kernels *kernels = decoder->kernels;
    int64_t launches = kernels->attention_plan(NULL, batch->rows, engine->model->shape->heads,
                                               engine->caches[0], batch->spans, batch->span_count);
    Bucket *bucket = find_bucket(decoder, batch->rows, launches);
    if (!bucket) {
        ask_for_step(decoder, engine, batch);
        return;
    }
    if (bucket->graph && kernels->graph_run(bucket->graph))
        return;
    bucket_free(kernels, bucket);
    kernels->graph_begin(NULL);
    ask_for_step(decoder, engine, batch);
    bucket->graph = kernels->graph_end(NULL);
    CHECK(kernels->graph_run(bucket->graph), "working memory moved inside a graph");
}

static bool same_sampling(Sampling a, Sampling b)
{
    return a.temperature == b.temperature && a.top_p == b.top_p && a.top_k == b.top_k;
}

Decoded decoder_step(Decoder *decoder, Engine *engine, Sampling sampling)
{
    const Kernels *kernels = decoder->kernels;
    pad_batch(decoder, engine);
    Batch batch = locked_batch(decoder, &engine->batch);
    if (!same_sampling(sampling, decoder->sampling))
        forget_buckets(decoder);
    decoder->sampling = sampling;
    if (kernels->graph_begin)
        run_step(decoder, engine, &batch);
    else
        ask_for_step(decoder, engine, &batch);
    kernels->queue_wait(NULL);
    return (Decoded){.tokens = decoder->host_drawn,
                     .logprobs = logprobs_of(decoder->host_drawn, batch.rows)};
}
