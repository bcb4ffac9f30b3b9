// bench_rollout.c - prefill and decoding against the machine's memory bandwidth and matrix rate.
//
//     OMP_NUM_THREADS=2 bench_rollout MODEL_DIRECTORY [f32|bf16|native]
//                                     [prefill|branch|branches] [--quick] [--json FILE]
//                                     [-- PEER...]
//
// PEER is a command that does the same by turns, where it can: see benchmarks/peers. Prefill of a
// trunk of 512 tokens, and decoding of one branch on one trunk and of 80 branches on 16 trunks:
// trunks of 256 tokens, forced responses of 48, random weights of the model's shape. The least time
// of a pass is the larger of bytes / bandwidth (the layers' and the output's weights and the cached
// keys and values, each trunk's once) and operations / matrix rate (the better of our product and
// oneDNN's at 2,048 x 1,536 x 576, in f32 or as native products are), both probed in this process
// right before and after each round; the ceiling is what would be done in a second at their means,
// round by round, since others on the machine take from both (more is done where caches hold the
// model).
//
// First each case is verified: tokens and log-probabilities of the first and of the last branch are
// those that they get alone, their trunk computed a few rows at a time, to the bit.

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "benchmarks/figures.h"
#include "benchmarks/peer_process.h"
#include "benchmarks/probe.h"
#include "benchmarks/product.h"
#include "engine/engine.h"

enum { WARM_UP = 1, ROUNDS = 7, QUICK_ROUNDS = 2, ROWS = 512, FEW_ROWS = 48, MOST_TRUNKS = 16 };
enum { MOST_POSITIONS = 1024 };

#define USAGE                                                                                      \
    "bench_rollout MODEL_DIRECTORY [f32|bf16|native] [prefill|branch|branches] [--quick] "         \
    "[--json FILE] [-- PEER...]"

typedef struct {
    bool prefill; // what is timed, else decoding
    int trunks, branches;
    int32_t trunk, response; // tokens
} Case;

enum { CASE_COUNT = 3 };
static const char *const CASE_NAMES[CASE_COUNT] = {"prefill", "branch", "branches"};
static const Case CASES[CASE_COUNT] = {
    {true, 1, 1, 512, 1}, {false, 1, 1, 256, 48}, {false, MOST_TRUNKS, 5, 256, 48}};
static const Case QUICK_CASES[CASE_COUNT] = {
    {true, 1, 1, 128, 1}, {false, 1, 1, 64, 6}, {false, MOST_TRUNKS, 5, 64, 6}};

typedef struct {
    Parameters parameters;
    Model model;
    Weights *weights;
    Precision precision;
} Rollout;

static void rollout_make(Rollout *rollout, const char *directory, Precision precision)
{
    ModelShape shape;
    const Kernels *kernels = precision_kernels(precision);
    ElementType type = precision_type(precision);
    rollout->precision = precision;
    if (shape_read(&shape, directory, NULL) != 0)
        die_failed();
    parameters_make(&rollout->parameters, &shape, 0, 1);
    model_make(&rollout->model, &rollout->parameters, NULL, kernels, type, MOST_POSITIONS);
    rollout->weights = weights_make(&rollout->parameters, kernels, type, true);
    float *values = allocate((size_t)rollout->parameters.local, sizeof *values);
    parameters_randomise(&rollout->parameters, 1, values);
    weights_load(rollout->weights, elements_f32(values));
    release(values);
}

static void rollout_free(Rollout *rollout)
{
    weights_free(rollout->weights);
    model_free(&rollout->model);
    parameters_free(&rollout->parameters);
}

static Tree make_tree(const ModelShape *shape, const Case *c, int64_t session, int first, int count)
{
    Tree tree;
    int32_t trunk[MOST_POSITIONS];
    for (int32_t i = 0; i < c->trunk; i++)
        trunk[i] = (int32_t)((session * 7919 + i * 104729) % shape->vocabulary);
    tree_make(&tree, session, trunk, c->trunk, count);
    for (int b = 0; b < count; b++)
        tree_add_branch(&tree, c->trunk, 0, c->response)->repeat = first + b;
    return tree;
}

static void generate(Engine *engine, const Case *c, Tree *trees, int count)
{
    engine->counts = (EngineCounts){0};
    engine_generate(engine, trees, count,
                    &(Generation){.temperature = 1,
                                  .top_p = 1,
                                  .repetition_penalty = 1,
                                  .max_response_tokens = c->response,
                                  .forced_length = true,
                                  .seed = 1});
}

static void open_engine(Engine *engine, Rollout *rollout, const Case *c, int64_t rows, int trunks,
                        int branches)
{
    int64_t slots = slots_aligned(c->trunk) + branches * slots_aligned(c->response);
    engine_make(engine, &rollout->model, rollout->weights, rows, trunks * slots);
}

// Dies where branch `b` of session `session` gets another response alone, its trunk in pieces.
static void verify_alone(Rollout *rollout, const Case *c, const Tree *tree, int b)
{
    Engine engine;
    const Branch *together = &tree->branches[b];
    Tree alone = make_tree(rollout->model.shape, c, tree->session, b, 1);
    open_engine(&engine, rollout, c, FEW_ROWS, 1, 1);
    generate(&engine, c, &alone, 1);
    const Branch *branch = &alone.branches[0];
    size_t count = (size_t)c->response;
    if (branch->count != c->response || together->count != c->response ||
        memcmp(branch->tokens, together->tokens, count * sizeof *branch->tokens) != 0 ||
        memcmp(branch->logprobs, together->logprobs, count * sizeof *branch->logprobs) != 0)
        die(EXIT_BUG, "branch %d of trunk %lld gets another response among %d branches than alone",
            b, (long long)tree->session, c->trunks * c->branches);
    engine_free(&engine);
    tree_free(&alone);
}

// One generation of all trees of a case: what it took, and the passes.
static void run_round(Rollout *rollout, Engine *engine, const Case *c, bool verifies,
                      Series *series, double *passes)
{
    Tree trees[MOST_TRUNKS];
    for (int t = 0; t < c->trunks; t++)
        trees[t] = make_tree(rollout->model.shape, c, t, 0, c->branches);
    generate(engine, c, trees, c->trunks);
    const EngineCounts *counts = &engine->counts;
    if (c->prefill)
        series_add(series, counts->prefill_seconds, (double)counts->prefill_rows);
    else
        series_add(series, counts->decode_seconds, (double)counts->decode_rows);
    *passes = c->prefill ? 1 : (double)counts->decode_steps;
    if (verifies) {
        verify_alone(rollout, c, &trees[0], 0);
        verify_alone(rollout, c, &trees[c->trunks - 1], c->branches - 1);
    }
    for (int t = 0; t < c->trunks; t++)
        tree_free(&trees[t]);
}

typedef struct {
    double bandwidth, rate; // GB/s, GFLOP/s
} Machine;

static Machine probe(const MatrixProbe *matrix)
{
    enum { RUNS = 4 };
    MatrixRate rate = matrix_probe_run(matrix, RUNS);
    return (Machine){probe_read(true), rate.ours > rate.peer ? rate.ours : rate.peer};
}

// Bytes and operations of a pass, in 10^9. Multiply-adds of a row: every weight of the layers, the
// output's where its next token is sampled, and of each query head and key it sees two vectors of
// the head's width (Q K^T and P V).
typedef struct {
    double bytes, operations;
} Work;

static Work work_of(const Model *model, const Case *c)
{
    const ModelShape *shape = model->shape;
    double element = 1e-9 * (double)type_bytes(model->type);
    double key = (double)shape->layers * shape->kv_heads * shape->head_width;
    double query = (double)shape->layers * shape->heads * shape->head_width;
    double layers = (double)shape_layer_products(shape);
    double output = (double)shape->width * (double)shape->vocabulary;
    double branches = c->trunks * c->branches, trunk = c->trunk;
    double rows = c->prefill ? trunk : branches, sampled = branches;
    double seen = c->prefill ? (trunk + 1) / 2 : trunk + c->response / 2.0;            // of a row
    double cached = c->prefill ? 0 : c->trunks * trunk + branches * c->response / 2.0; // read
    return (Work){.bytes = element * (layers + output + 2 * key * cached),
                  .operations = 2e-9 * (rows * (layers + 2 * query * seen) + sampled * output)};
}

// The peer's turn, if there is one and it does such a thing: false, if not.
static bool peer_turn(PeerProcess *peer, const Case *c, double amount, Series *series)
{
    char task[128];
    snprintf(task, sizeof task, "%s %d %d %d %d", c->prefill ? "prefill" : "decode", c->trunks,
             c->branches, c->trunk, c->response);
    return peer->process && peer_process_turn(peer, task, amount, series);
}

// What takes the time of a pass: its bytes, or its operations.
typedef struct {
    double seconds;
    bool by_bytes;
} Bound;

static Bound bound_of(const Work *work, const Machine *machine)
{
    double moving = work->bytes / machine->bandwidth, computing = work->operations / machine->rate;
    return moving > computing ? (Bound){moving, true} : (Bound){computing, false};
}

static void measure(Figures *figures, Rollout *rollout, const Case *c, const MatrixProbe *matrix,
                    PeerProcess *peer)
{
    Engine engine;
    Series series = {0}, theirs = {0};
    Work work = work_of(&rollout->model, c);
    Bound bound = {0};
    bool compares = true;
    double passes = 1, ceilings[MOST_ROUNDS];
    char shape[64];
    open_engine(&engine, rollout, c, ROWS, c->trunks, c->branches);
    for (int i = -WARM_UP; i < (figures->quick ? QUICK_ROUNDS : ROUNDS); i++) {
        if (i == 0)
            series.count = theirs.count = 0;
        Machine before = probe(matrix);
        run_round(rollout, &engine, c, i < 0, &series, &passes);
        Machine after = probe(matrix);
        compares = compares && peer_turn(peer, c, series.amounts[series.count - 1], &theirs);
        bound = bound_of(&work, &(Machine){(before.bandwidth + after.bandwidth) / 2,
                                           (before.rate + after.rate) / 2});
        if (i >= 0)
            ceilings[i] = series.amounts[i] / (passes * bound.seconds);
    }
    engine_free(&engine);
    const char *type = precision_names[rollout->precision];
    if (c->prefill)
        snprintf(shape, sizeof shape, "%d tokens, %s", c->trunk, type);
    else
        snprintf(shape, sizeof shape, "%d on %d trunks, %s", c->trunks * c->branches, c->trunks,
                 type);
    figures_add(figures, &(Figure){.what = c->prefill ? "prefill" : "decode",
                                   .shape = shape,
                                   .unit = "tokens/s",
                                   .ours = &series,
                                   .peer = peer->name,
                                   .theirs = compares ? &theirs : NULL,
                                   .bound = bound.by_bytes ? "memory read" : "matrix rate",
                                   .ceilings = ceilings});
}

static int case_find(const char *name)
{
    for (int c = 0; c < CASE_COUNT; c++) {
        if (strcmp(name, CASE_NAMES[c]) == 0)
            return c;
    }
    return -1;
}

int main(int argc, char **argv)
{
    Figures figures;
    PeerProcess peer = {0};
    char libraries[32];
    int precision = -1, only = -1; // of which all are measured
    char **words = peer_process_words(&argc, argv);
    figures_make(&figures, &argc, argv);
    if (argc < 2)
        die(EXIT_USAGE, USAGE);
    for (int i = 2; i < argc; i++) {
        int p = precision_find(argv[i]), c = case_find(argv[i]);
        if ((p < 0 || precision >= 0) && (c < 0 || only >= 0))
            die(EXIT_USAGE, USAGE);
        precision = p >= 0 ? p : precision;
        only = c >= 0 ? c : only;
    }
    if (precision >= 0 && !precision_kernels((Precision)precision))
        die_failed();
    peer_version(libraries, sizeof libraries);
    figures_head(&figures, 0, 1, libraries);
    if (words)
        peer_process_start(&peer, words);
    for (int p = 0; p < PRECISION_COUNT; p++) {
        if ((precision >= 0 && p != precision) || !precision_kernels((Precision)p))
            continue;
        Rollout rollout = {0};
        rollout_make(&rollout, argv[1], (Precision)p);
        MatrixProbe matrix =
            matrix_probe_make(p == PRECISION_NATIVE ? PRECISION_NATIVE : PRECISION_F32);
        for (int c = 0; c < CASE_COUNT; c++) {
            if (only < 0 || c == only)
                measure(&figures, &rollout, figures.quick ? &QUICK_CASES[c] : &CASES[c], &matrix,
                        &peer);
        }
        matrix_probe_free(&matrix);
        rollout_free(&rollout);
    }
    peer_process_stop(&peer);
    figures_write(&figures);
    return EXIT_DONE;
}
