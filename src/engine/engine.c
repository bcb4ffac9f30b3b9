#include "engine/engine.h"

#include "base/activity.h"
#include "base/clock.h"
#include "base/fail.h"
#include "engine/decode.h"
#include "engine/wave.h"

// One generation in progress.
typedef struct {
    Engine *engine;
    const Generation *generation;
    Wave wave;
    Live **waiting; // branches whose next token the coming forward pass decides
    int32_t *rows;  // the row each waits for
    int64_t waiting_count;
    size_t waiting_capacity, row_capacity;
    Bytes seen; // scratch: distinct tokens of the rows of a chunk
} Run;

static bool is_end(const Generation *generation, int32_t token)
{
    for (int64_t i = 0; i < generation->end_token_count; i++)
        if (generation->end_tokens[i] == token)
            return !generation->forced_length;
    return false;
}

static void record(Run *run, Live *live, int32_t token, float logprob)
{
    Branch *branch = live->branch;
    branch->tokens[branch->forced + branch->count] = token;
    branch->logprobs[branch->count] = logprob;
    branch->scored[branch->count] = 1;
    branch->count++;
    branch->finished = is_end(run->generation, token);
    if (run->generation->repetition_penalty != 1)
        seen_add(&live->seen, token);
}

static bool has_ended(const Run *run, const Live *live)
{
    const Branch *branch = live->branch;
    return branch->finished || branch->count - live->first >= run->generation->max_response_tokens;
}

static double uniform_of(const Generation *generation, const Live *live)
{
    return draw_uniform((Draw){.seed = generation->seed,
                               .purpose = generation->purpose,
                               .step = generation->step,
                               .session = (uint32_t)live->branch->session,
                               .round = (uint32_t)live->branch->round,
                               .sample = (uint32_t)live->branch->repeat,
                               .completion = (uint32_t)live->branch->completion,
                               .attempt = (uint32_t)live->branch->attempt,
                               .position = (uint32_t)live->branch->count});
}

static Sampling sampling_of(const Generation *generation)
{
    return (Sampling){.temperature = (float)generation->temperature,
                      .top_p = (float)generation->top_p,
                      .top_k = generation->top_k};
}

static void reserve_seen(Engine *engine, size_t bytes)
{
    const Kernels *kernels = engine->model->kernels;
    if (!engine->seen_offsets)
        engine->seen_offsets =
            kernels->memory_make((SCORED_CHUNK + 1) * sizeof *engine->seen_offsets);
    if (bytes <= engine->seen_capacity)
        return;
    if (engine->seen)
        kernels->memory_free(engine->seen);
    engine->seen_capacity = 2 * bytes;
    engine->seen = kernels->memory_make(engine->seen_capacity);
}

// The log-probabilities we keep are those of the model, not of the penalised logits: z is copied
// before the penalty, and what was drawn is looked up there.
static void penalise(Run *run, Tensor z, Live **live)
{
    Engine *engine = run->engine;
    const Kernels *kernels = engine->model->kernels;
    size_t bytes = (size_t)(z.rows * z.width) * sizeof *z.data;
    if (!engine->raw)
        engine->raw = kernels->memory_make((size_t)(SCORED_CHUNK * z.width) * sizeof *z.data);
    kernels->copy(NULL, engine->raw, z.data, bytes);
    int64_t offsets[SCORED_CHUNK + 1] = {0};
    bytes_clear(&run->seen);
    for (int64_t r = 0; r < z.rows; r++) {
        size_t length = (size_t)live[r]->seen.count * sizeof(int32_t);
        bytes_append(&run->seen, live[r]->seen.list, length);
        offsets[r + 1] = offsets[r] + live[r]->seen.count;
    }
    reserve_seen(engine, run->seen.length);
    kernels->copy_in(NULL, engine->seen, run->seen.data, run->seen.length);
    kernels->copy_in(NULL, engine->seen_offsets, offsets,
                     (size_t)(z.rows + 1) * sizeof *engine->seen_offsets);
    kernels->penalise(NULL, z, engine->seen, engine->seen_offsets,
                      (float)run->generation->repetition_penalty);
}

// Samples the next token of `count` branches from the rows whose indices start at `rows` (device).
static void sample_chunk(Run *run, const int32_t *rows, Live **live, int64_t count)
{
    Engine *engine = run->engine;
    const Generation *g = run->generation;
    const Kernels *kernels = engine->model->kernels;
    Workspace *workspace = &engine->workspace;
    int32_t tokens[SCORED_CHUNK];
    float logprobs[SCORED_CHUNK];
    Tensor z = model_logits(engine->model, engine->weights, workspace, rows, count);
    float temperature = g->temperature > 0 ? (float)g->temperature : 1;
    kernels->logsumexp(NULL, workspace->lse, z, temperature);
    bool penalised = g->repetition_penalty != 1;
    float model_lse[SCORED_CHUNK];
    if (penalised) {
        kernels->copy_out(NULL, model_lse, workspace->lse, (size_t)count * sizeof(float));
        kernels->queue_wait(NULL);
        penalise(run, z, live);
        kernels->logsumexp(NULL, workspace->lse, z, 1);
    }
    for (int64_t r = 0; r < count; r++)
        engine->uniform_host[r] = uniform_of(g, live[r]);
    kernels->copy_in(NULL, engine->uniform, engine->uniform_host, (size_t)count * sizeof(double));
    kernels->sample(NULL, engine->sampled, engine->logprobs, z, workspace->lse, engine->uniform,
                    sampling_of(g));
    kernels->copy_out(NULL, tokens, engine->sampled, (size_t)count * sizeof *tokens);
    kernels->queue_wait(NULL);
    if (penalised) {
        Target targets[SCORED_CHUNK];
        for (int64_t r = 0; r < count; r++)
            targets[r] = (Target){.row = (int32_t)r, .token = tokens[r]};
        kernels->copy_in(NULL, engine->targets, targets, (size_t)count * sizeof *targets);
        kernels->copy_in(NULL, workspace->lse, model_lse, (size_t)count * sizeof(float));
        z.data = engine->raw;
        kernels->target_logprobs(NULL, engine->logprobs, z, workspace->lse, engine->targets, count);
    }
    kernels->copy_out(NULL, logprobs, engine->logprobs, (size_t)count * sizeof *logprobs);
    kernels->queue_wait(NULL);
    for (int64_t r = 0; r < count; r++)
        record(run, live[r], tokens[r], logprobs[r]);
}

// Runs the rows gathered in the batch and samples for the branches that wait for them.
static void flush_rows(Run *run)
{
    Engine *engine = run->engine;
    Workspace *workspace = &engine->workspace;
    if (engine->batch.rows > 0)
        model_forward(engine->model, engine->weights, &engine->batch, workspace, engine->caches);
    for (int64_t first = 0; first < run->waiting_count; first += SCORED_CHUNK) {
        int64_t count = run->waiting_count - first;
        count = count < SCORED_CHUNK ? count : SCORED_CHUNK;
        engine->model->kernels->copy_in(NULL, engine->rows, run->rows + first,
                                        (size_t)count * sizeof(int32_t));
        sample_chunk(run, engine->rows, run->waiting + first, count);
    }
    batch_clear(&engine->batch);
    run->waiting_count = 0;
}

// The same of a decode step, whose rows are waited for by one branch each. A penalty looks at
// tokens that every branch has its own number of, which steps have not in common.
static void flush_decoded(Run *run)
{
    Decoder *decoder = run->engine->decoder;
    const Generation *g = run->generation;
    if (!decoder || g->repetition_penalty != 1) {
        flush_rows(run);
        return;
    }
    for (int64_t r = 0; r < run->waiting_count; r++)
        decoder_uniforms(decoder)[r] = uniform_of(g, run->waiting[r]);
    Decoded decoded = decoder_step(decoder, run->engine, sampling_of(g));
    for (int64_t r = 0; r < run->waiting_count; r++)
        record(run, run->waiting[r], decoded.tokens[r], decoded.logprobs[r]);
    batch_clear(&run->engine->batch);
    run->waiting_count = 0;
}

static void wait_for_row(Run *run, Live *live, int64_t row)
{
    size_t needed = (size_t)run->waiting_count + 1;
    grow((void **)&run->waiting, &run->waiting_capacity, needed, sizeof *run->waiting);
    grow((void **)&run->rows, &run->row_capacity, needed, sizeof *run->rows);
    run->rows[run->waiting_count] = (int32_t)row;
    run->waiting[run->waiting_count++] = live;
}

// A stretch of rows of one sequence.
typedef struct {
    const int32_t *tokens;
    int64_t count, position;            // tokens; position of the first
    int64_t shared, shared_length, own; // as in Span
} Stretch;

// Branches [count] that need a row of a trunk: those attached behind it without tokens of their
// own.
static void wait_for_trunk(Run *run, Live *live, int64_t count, int64_t first, int64_t rows,
                           int64_t row)
{
    for (int64_t b = 0; b < count; b++) {
        const Branch *branch = live[b].branch;
        int64_t last = branch->attach - 1;
        if (branch->forced + live[b].first == 0 && last >= first && last < first + rows)
            wait_for_row(run, &live[b], row + last - first);
    }
}

static int64_t room(const Run *run)
{
    return run->engine->workspace.rows - run->engine->batch.rows;
}

// Adds rows of a stretch, flushing when the batch is full. Of a trunk, `live` [count] are the
// branches behind it; else `live` is the branch that waits for the last row, and count is 0.
static void add_stretch(Run *run, Stretch stretch, Live *live, int64_t count)
{
    Batch *batch = &run->engine->batch;
    for (int64_t done = 0; done < stretch.count;) {
        if (room(run) <= 0)
            flush_rows(run);
        int64_t rows = stretch.count - done < room(run) ? stretch.count - done : room(run);
        batch_add_rows(batch, stretch.tokens + done, rows, stretch.position + done,
                       (Span){.shared = stretch.shared,
                              .shared_length = stretch.shared_length,
                              .own = stretch.own,
                              .own_length = done});
        if (count > 0)
            wait_for_trunk(run, live, count, done, rows, batch->rows - rows);
        else if (done + rows == stretch.count)
            wait_for_row(run, live, batch->rows - 1);
        done += rows;
    }
    run->engine->counts.prefill_rows += stretch.count;
}

// What a branch has of its own: forced tokens and those of earlier completions.
static void add_own(Run *run, Live *live)
{
    const Branch *branch = live->branch;
    add_stretch(run,
                (Stretch){.tokens = branch->tokens,
                          .count = branch->forced + live->first,
                          .position = branch->attach,
                          .shared = live->open->trunk_slot,
                          .shared_length = branch->attach,
                          .own = live->slot},
                live, 0);
}

// The trunk's row that a branch's first token comes from is gone: it is computed again, in the slot
// that this token will overwrite.
static void add_last_of_trunk(Run *run, Live *live)
{
    const Branch *branch = live->branch;
    CHECK(branch->attach > 0, "a branch behind nothing");
    add_stretch(run,
                (Stretch){.tokens = live->tree->trunk + branch->attach - 1,
                          .count = 1,
                          .position = branch->attach - 1,
                          .shared = live->open->trunk_slot,
                          .shared_length = branch->attach - 1,
                          .own = live->slot},
                live, 0);
}

// Computes what the last `count` live branches need that is not in the caches yet.
static void prefill(Run *run, int64_t count)
{
    Wave *wave = &run->wave;
    for (int64_t i = wave->live_count - count, end; i < wave->live_count; i = end) {
        OpenTree *open = wave->live[i].open;
        for (end = i; end < wave->live_count && wave->live[end].open == open;)
            end++;
        bool fresh = !open->computed;
        open->computed = true;
        if (fresh)
            add_stretch(run,
                        (Stretch){.tokens = open->tree->trunk,
                                  .count = open->trunk,
                                  .own = open->trunk_slot},
                        &wave->live[i], end - i);
        for (int64_t b = i; b < end; b++) {
            Live *live = &wave->live[b];
            if (live->branch->forced + live->first > 0)
                add_own(run, live);
            else if (!fresh)
                add_last_of_trunk(run, live);
        }
    }
    flush_rows(run);
}

static void drop_ended(Run *run)
{
    Wave *wave = &run->wave;
    const Generation *generation = run->generation;
    int64_t kept = 0;
    for (int64_t i = 0; i < wave->live_count; i++) {
        Live *live = &wave->live[i];
        if (!has_ended(run, live)) {
            wave->live[kept++] = *live;
            continue;
        }
        wave_end(wave, live);
        if (generation->ended)
            generation->ended(generation->context, live->tree, live->branch);
    }
    wave->live_count = kept;
}

static void decode_step(Run *run)
{
    for (int64_t i = 0; i < run->wave.live_count; i++) {
        Live *live = &run->wave.live[i];
        const Branch *branch = live->branch;
        int64_t own = branch->forced + branch->count - 1;
        if (room(run) <= 0)
            flush_decoded(run);
        batch_add_rows(&run->engine->batch, branch->tokens + own, 1, branch->attach + own,
                       (Span){.shared = live->open->trunk_slot,
                              .shared_length = branch->attach,
                              .own = live->slot,
                              .own_length = own});
        wait_for_row(run, live, run->engine->batch.rows - 1);
    }
    activity_sign();
    run->engine->counts.decode_rows += run->wave.live_count;
    run->engine->counts.decode_steps++;
    flush_decoded(run);
}

static void start_penalty(Run *run, int64_t count)
{
    for (int64_t i = run->wave.live_count - count; i < run->wave.live_count; i++) {
        Live *live = &run->wave.live[i];
        seen_make(&live->seen, run->engine->model->shape->vocabulary);
        seen_add_context(&live->seen, live->tree, live->branch);
    }
}

// Lets branches start where there is room, and computes what they stand on.
static void admit(Run *run)
{
    double since = clock_now();
    for (int64_t count; (count = wave_admit(&run->wave)) > 0;) {
        if (run->generation->repetition_penalty != 1)
            start_penalty(run, count);
        prefill(run, count);
        drop_ended(run);
    }
    run->engine->counts.prefill_seconds += clock_now() - since;
}

void engine_generate(Engine *engine, Tree *trees, int64_t count, const Generation *generation)
{
    Run run = {.engine = engine, .generation = generation};
    wave_make(&run.wave, trees, count, engine->slots, generation->max_response_tokens);
    batch_clear(&engine->batch);
    for (admit(&run); run.wave.live_count > 0; admit(&run)) {
        double since = clock_now();
        decode_step(&run);
        drop_ended(&run);
        engine->counts.decode_seconds += clock_now() - since;
    }
    wave_free(&run.wave);
    release(run.waiting);
    release(run.rows);
    bytes_free(&run.seen);
}
