// test_cuda_attention.c - attention over trees of the CUDA table against the CPU's.

#include "tests/cuda/gpu.h"
#include "tests/kernels/trees.h"

#define COUNT_OF(array) ((int64_t)(sizeof(array) / sizeof(array)[0]))

static const Heads HEADS[] = {
    {1, 1, 16, TYPE_F32},   {3, 3, 64, TYPE_F32},  {2, 7, 64, TYPE_BF16},  {2, 1, 24, TYPE_F32},
    {1, 4, 40, TYPE_BF16},  {2, 2, 128, TYPE_F32}, {1, 7, 128, TYPE_BF16}, {1, 20, 32, TYPE_F32},
    {1, 64, 96, TYPE_BF16}, {2, 33, 66, TYPE_F32},
};

static Forest one_row(void)
{
    Forest forest = {0};
    forest_add(&forest, 1, 0, 0, 0, 0);
    return forest;
}

static Forest two_trees(void)
{
    static const int64_t first[][2] = {{20, 5}, {20, 3}, {20, 9}, {77, 1}, {130, 17}, {130, 2}};
    static const int64_t second[][2] = {{16, 4}, {31, 33}};
    Forest forest = {0};
    forest_add_tree(&forest, 130, COUNT_OF(first), first);
    forest_add_tree(&forest, 31, COUNT_OF(second), second);
    return forest;
}

static Forest long_trunk(void)
{
    static const int64_t branches[][2] = {{600, 7}, {640, 30}, {640, 3}, {640, 1}};
    Forest forest = {0};
    forest_add_tree(&forest, 640, COUNT_OF(branches), branches);
    return forest;
}

// Short sequences side by side, several in a tile of slots.
static Forest short_trunks(void)
{
    static const int64_t branches[][2] = {{3, 2}, {9, 7}};
    Forest forest = {0};
    for (int t = 0; t < 7; t++)
        forest_add_tree(&forest, 9 + t, COUNT_OF(branches), branches);
    return forest;
}

// Rows of decoding: siblings, branches of another trunk, a trunk that goes on; then a block of a
// trunk in parts, and a branch with many tokens of its own.
static Forest decoding(void)
{
    Forest forest = {.slots = 1024};
    for (int64_t b = 0; b < 7; b++)
        forest_add(&forest, 1, 16, 301, forest.slots, 3 * b);
    for (int64_t b = 0; b < 4; b++)
        forest_add(&forest, 1, 400, 48, forest.slots, 11 + b);
    forest_add(&forest, 1, 400, 50, forest.slots, 0);
    forest_add(&forest, 1, 0, 0, 480, 300);
    forest_add(&forest, 5, 0, 0, 800, 90);
    forest_add(&forest, 3, 16, 900, forest.slots, 590);
    forest_add(&forest, 1, 0, 0, 0, 1023);
    return forest;
}

static Forest (*const FORESTS[])(void) = {short_trunks, one_row, two_trees, decoding, long_trunk};

// ---- one call on a table ------------------------------------------------------------------------

typedef struct {
    Scene scene;
    bool backward;
} Inputs;

static Cache cache_fill(Arena *arena, const Scene *scene)
{
    const Kernels *kernels = arena->kernels;
    const Heads *heads = &scene->heads;
    Cache cache = {.slots = scene->forest.slots,
                   .heads = (int32_t)heads->heads,
                   .head_width = (int32_t)heads->head_width,
                   .type = heads->type};
    size_t bytes = kernels->cache_bytes(cache.slots, cache.heads, cache.head_width, cache.type);
    cache.keys = arena_make(arena, bytes);
    cache.values = arena_make(arena, bytes);
    int32_t *slots = allocate((size_t)cache.slots, sizeof *slots);
    for (int64_t s = 0; s < cache.slots; s++)
        slots[s] = (int32_t)s;
    Tensor keys = arena_tensor(arena, scene->keys), values = arena_tensor(arena, scene->values);
    kernels->cache_append(NULL, cache, keys, values,
                          arena_put(arena, slots, (size_t)cache.slots * sizeof *slots));
    kernels->queue_wait(NULL);
    release(slots);
    return cache;
}

static Tensor arena_random(Arena *arena, int64_t rows, int64_t width, int64_t gap, uint64_t seed)
{
    Tensor host = random_tensor(rows, width, gap, seed);
    Tensor device = arena_tensor(arena, host);
    release(host.data);
    return device;
}

static Results attend(const Kernels *kernels, const void *inputs)
{
    const Inputs *in = inputs;
    const Scene *scene = &in->scene;
    int64_t rows = scene->q.rows, heads = scene->heads.heads * scene->heads.group;
    Arena arena = {.kernels = kernels};
    Cache cache = cache_fill(&arena, scene);
    Tensor q = arena_tensor(&arena, scene->q), y = arena_tensor(&arena, scene->y);
    Tensor out = arena_random(&arena, rows, scene->q.width, 2, 100);
    Tensor statistics = arena_random(&arena, rows, 2 * heads, 1, 101);
    const Forest *forest = &scene->forest;
    kernels->attention_forward(NULL, out, statistics, q, cache, forest->spans, forest->count,
                               scene->scale);
    Results r = {.t = {arena_fetch(&arena, out), arena_fetch(&arena, statistics)}, .count = 2};
    if (in->backward) {
        Tensor dq = arena_random(&arena, rows, scene->q.width, 5, 102);
        Tensor dk = arena_random(&arena, cache.slots, scene->keys.width, 3, 103);
        Tensor dv = arena_random(&arena, cache.slots, scene->keys.width, 0, 104);
        kernels->attention_backward(NULL, dq, dk, dv, y, out, statistics, q, cache, forest->spans,
                                    forest->count, scene->scale);
        r.t[2] = arena_fetch(&arena, dq);
        r.t[3] = arena_fetch(&arena, dk);
        r.t[4] = arena_fetch(&arena, dv);
        r.count = 5;
        r.least[2] = r.least[3] = 0.05; // where a row sees one key, dS is 0 but for rounding
    }
    arena_free(&arena);
    return r;
}

// Queries and gradients that bf16 can hold, so that only probabilities and scores' gradients round.
static Scene scene_of(int64_t forest_index, int64_t heads_index)
{
    Forest forest = FORESTS[forest_index]();
    Scene scene =
        scene_make(HEADS[heads_index], &forest, (uint64_t)(forest_index * 100 + heads_index));
    if (scene.heads.type == TYPE_BF16) {
        scene.scale = scene.heads.head_width >= 64 ? 0.125f : 0.25f;
        for (int64_t i = 0; i < scene.q.rows * scene.q.stride; i++) {
            scene.q.data[i] = bf16_rounded(scene.q.data[i]);
            scene.y.data[i % (scene.y.rows * scene.y.stride)] =
                bf16_rounded(scene.y.data[i % (scene.y.rows * scene.y.stride)]);
        }
    }
    return scene;
}

static void passes_agree(ElementType type, int64_t first, int64_t end)
{
    static const double fp32[] = {3e-6, 3e-6, 1e-5, 1e-5, 1e-5};
    static const double bf16[] = {5e-3, 2e-5, 1.5e-2, 1.5e-2, 1.5e-2};
    for (int64_t f = first; f < end; f++) {
        for (int64_t h = 0; h < COUNT_OF(HEADS); h++) {
            bool large = HEADS[h].group * HEADS[h].heads * HEADS[h].head_width > 600;
            if (HEADS[h].type != type || (large && FORESTS[f] == long_trunk))
                continue;
            Inputs in = {scene_of(f, h), true};
            if (!affordable(in.scene.q.rows * in.scene.q.width * in.scene.forest.slots)) {
                scene_free(&in.scene);
                continue;
            }
            char what[80];
            snprintf(what, sizeof what, "forest %ld, %ld x %ld heads of %ld", (long)f,
                     (long)HEADS[h].heads, (long)HEADS[h].group, (long)HEADS[h].head_width);
            check_operation(attend, &in, type == TYPE_F32 ? fp32 : bf16, what);
            scene_free(&in.scene);
        }
    }
}

static void attention_over_short_trunks_agrees(void)
{
    passes_agree(TYPE_F32, 0, 1);
    passes_agree(TYPE_BF16, 0, 1);
}

static void fp32_attention_agrees(void)
{
    passes_agree(TYPE_F32, 1, COUNT_OF(FORESTS));
}

static void bf16_attention_agrees(void)
{
    passes_agree(TYPE_BF16, 1, COUNT_OF(FORESTS));
}

// ---- properties ---------------------------------------------------------------------------------

// The rows of one call, in calls of their own: the same bits, whatever the neighbours.
static void a_row_does_not_depend_on_its_neighbours(void)
{
    for (int64_t h = 1; h <= 2; h++) {
        Scene scene = scene_of(3, h);
        Inputs in = {scene, false};
        Results together = attend(gpu, &in);
        for (int64_t s = 0; s < scene.forest.count; s++) {
            Span span = scene.forest.spans[s];
            Inputs alone = {scene, false};
            alone.scene.q = tensor_rows(scene.q, span.first_row, span.rows);
            alone.scene.y = tensor_rows(scene.y, span.first_row, span.rows);
            alone.scene.forest.count = 1;
            alone.scene.forest.spans[0] = span;
            alone.scene.forest.spans[0].first_row = 0;
            Results r = attend(gpu, &alone);
            for (int64_t i = 0; i < span.rows; i++) {
                const float *a = r.t[0].data + i * r.t[0].stride;
                const float *b = together.t[0].data + (span.first_row + i) * together.t[0].stride;
                expect(memcmp(a, b, (size_t)scene.q.width * sizeof *a) == 0, "span %ld, row %ld",
                       (long)s, (long)i);
            }
            results_free(&r);
        }
        results_free(&together);
        scene_free(&scene);
    }
}

// NaN in a row's query gives NaN in that row alone; a key of NaN that a row does not see is not
// read.
static void nan_stays_in_its_row(void)
{
    for (int64_t h = 1; h <= 2; h++) {
        Scene scene = scene_of(2, h);
        const Span *last = &scene.forest.spans[scene.forest.count - 1];
        int64_t slot = last->own + last->own_length + last->rows; // past all that anyone sees
        if (slot < scene.forest.slots)
            scene.keys.data[slot * scene.keys.stride] = NAN;
        for (int64_t j = 0; j < scene.q.width; j++)
            scene.q.data[7 * scene.q.stride + j] = NAN;
        Inputs in = {scene, false};
        Results r = attend(gpu, &in);
        for (int64_t i = 0; i < scene.q.rows; i++) {
            for (int64_t j = 0; j < scene.q.width; j++)
                expect(isnan(r.t[0].data[i * r.t[0].stride + j]) == (i == 7), "row %ld", (long)i);
        }
        results_free(&r);
        scene_free(&scene);
    }
}

// Decoding asks for no statistics.
static void statistics_may_be_left_out(void)
{
    Scene scene = scene_of(3, 2);
    Inputs in = {scene, false};
    Results with = attend(gpu, &in);
    Arena arena = {.kernels = gpu};
    Cache cache = cache_fill(&arena, &scene);
    Tensor q = arena_tensor(&arena, scene.q);
    Tensor out = arena_random(&arena, q.rows, q.width, 2, 100);
    gpu->attention_forward(NULL, out, (Tensor){0}, q, cache, scene.forest.spans, scene.forest.count,
                           scene.scale);
    Tensor without = arena_fetch(&arena, out);
    expect_same(without, with.t[0], "attention without statistics");
    release(without.data);
    arena_free(&arena);
    results_free(&with);
    scene_free(&scene);
}

// ---- plans --------------------------------------------------------------------------------------

enum { TURNS = 9 };

// A pass of two layers, forward and backward, on rows of arrays that hold all turns.
typedef struct {
    Cache cache;
    Tensor q[2], y, out, statistics, dq, dk, dv;
    float scale;
} Passes;

static Passes passes_make(Arena *arena, const Scene *scene)
{
    int64_t rows = scene->q.rows, width = scene->q.width, layers = 2 * TURNS;
    int64_t heads = scene->heads.heads * scene->heads.group;
    Passes p = {.cache = cache_fill(arena, scene),
                .q = {arena_tensor(arena, scene->q), arena_tensor(arena, scene->y)},
                .y = arena_tensor(arena, scene->y),
                .out = arena_random(arena, layers * rows, width, 0, 110),
                .statistics = arena_random(arena, layers * rows, 2 * heads, 0, 111),
                .dq = arena_random(arena, layers * rows, width, 0, 112),
                .dk = arena_random(arena, scene->forest.slots, scene->keys.width, 0, 113),
                .dv = arena_random(arena, scene->forest.slots, scene->keys.width, 0, 114),
                .scale = scene->scale};
    return p;
}

// The spans of a turn: sequences grow from one to the next.
static Forest forest_of_turn(const Forest *whole, int64_t turn)
{
    Forest forest = *whole;
    for (int64_t s = 0; s < forest.count; s++)
        forest.spans[s].own_length = forest.spans[s].own_length * (turn + 1) / TURNS;
    return forest;
}

// What is remembered then is a pass without rows.
static void plans_forget(const Passes *p)
{
    Tensor q = tensor_rows(p->q[0], 0, 0), statistics = tensor_rows(p->statistics, 0, 0);
    gpu->attention_forward(NULL, q, statistics, q, p->cache, NULL, 0, p->scale);
    gpu->attention_backward(NULL, q, p->dk, p->dv, q, q, statistics, q, p->cache, NULL, 0,
                            p->scale);
}

// Forward and back through each layer, as where a layer is computed again. `alone`: every call is
// planned anew and waited for.
static void pass_run(const Passes *p, const Forest *forest, int64_t turn, bool alone)
{
    int64_t rows = forest->rows;
    for (int64_t call = 0; call < 4; call++) {
        int64_t layer = call / 2, first = (2 * turn + layer) * rows;
        Tensor out = tensor_rows(p->out, first, rows), dq = tensor_rows(p->dq, first, rows);
        Tensor statistics = tensor_rows(p->statistics, first, rows);
        if (alone)
            plans_forget(p);
        if (call % 2 == 0)
            gpu->attention_forward(NULL, out, statistics, p->q[layer], p->cache, forest->spans,
                                   forest->count, p->scale);
        else
            gpu->attention_backward(NULL, dq, p->dk, p->dv, p->y, out, statistics, p->q[layer],
                                    p->cache, forest->spans, forest->count, p->scale);
        if (alone)
            gpu->queue_wait(NULL);
    }
}

static Results passes_run(const Scene *scene, bool alone)
{
    Arena arena = {.kernels = gpu};
    Passes p = passes_make(&arena, scene);
    for (int64_t turn = TURNS - 1; turn >= 0; turn--) { // the longest first: scratch has its size
        Forest forest = forest_of_turn(&scene->forest, turn);
        pass_run(&p, &forest, turn, alone);
    }
    Results r = {.t = {arena_fetch(&arena, p.out), arena_fetch(&arena, p.statistics),
                       arena_fetch(&arena, p.dq), arena_fetch(&arena, p.dk),
                       arena_fetch(&arena, p.dv)},
                 .count = 5};
    arena_free(&arena);
    return r;
}

// Many passes that nobody waits for, whose layers share plans.
static void passes_that_follow_each_other_keep_their_plans(void)
{
    Scene scene = scene_of(3, 0);
    Results together = passes_run(&scene, false), alone = passes_run(&scene, true);
    for (int i = 0; i < together.count; i++)
        expect_same(together.t[i], alone.t[i], "passes in a row");
    results_free(&together);
    results_free(&alone);
    scene_free(&scene);
}

int main(int count, char **arguments)
{
    (void)count;
    static const Test tests[] = {
        TEST(attention_over_short_trunks_agrees),
        TEST(fp32_attention_agrees),
        TEST(bf16_attention_agrees),
        TEST(a_row_does_not_depend_on_its_neighbours),
        TEST(nan_stays_in_its_row),
        TEST(statistics_may_be_left_out),
        TEST(passes_that_follow_each_other_keep_their_plans),
    };
    return TESTS_RUN(tests, arguments);
}
