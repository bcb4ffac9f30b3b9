// test_attention.c - attention over trees: the chains of kernels.h bit for bit, a tree equal to its
// sequences, decoding equal to prefill, gradients equal to differences.

#include "tests/testing.h"

#include <omp.h>

#include "tests/kernels/trees.h"

#define COUNT_OF(array) ((int64_t)(sizeof(array) / sizeof(array)[0]))

static const Heads HEADS[] = {
    {1, 1, 16, TYPE_F32},  {3, 3, 64, TYPE_F32},  {2, 7, 64, TYPE_BF16}, {2, 1, 24, TYPE_F32},
    {1, 4, 40, TYPE_BF16}, {2, 2, 128, TYPE_F32}, {1, 5, 20, TYPE_BF16}, {1, 20, 32, TYPE_F32},
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
    static const int64_t branches[][2] = {{600, 7}, {640, 30}};
    Forest forest = {0};
    forest_add_tree(&forest, 640, COUNT_OF(branches), branches);
    return forest;
}

// Rows of decoding: siblings, then branches of another trunk, then a trunk that goes on.
static Forest decoding(void)
{
    Forest forest = {.slots = 1024};
    for (int64_t b = 0; b < 7; b++)
        forest_add(&forest, 1, 16, 301, forest.slots, 3 * b);
    for (int64_t b = 0; b < 4; b++)
        forest_add(&forest, 1, 400, 48, forest.slots, 11 + b);
    forest_add(&forest, 1, 400, 50, forest.slots, 0);
    forest_add(&forest, 1, 0, 0, 480, 300);
    forest_add(&forest, 5, 0, 0, 800, 90); // a block of a trunk in parts
    return forest;
}

static Forest (*const FORESTS[])(void) = {one_row, two_trees, decoding, long_trunk};

// Everything that the two passes give.
typedef struct {
    Tensor out, statistics, dq, dk, dv;
} Result;

static Result result_make(const Scene *scene)
{
    int64_t rows = scene->q.rows, heads = scene->heads.heads * scene->heads.group;
    return (Result){.out = random_tensor(rows, scene->q.width, 2, 100),
                    .statistics = random_tensor(rows, 2 * heads, 1, 101),
                    .dq = random_tensor(rows, scene->q.width, 5, 102),
                    .dk = random_tensor(scene->keys.rows, scene->keys.width, 3, 103),
                    .dv = random_tensor(scene->keys.rows, scene->keys.width, 0, 104)};
}

static void result_free(Result *result)
{
    Tensor tensors[] = {result->out, result->statistics, result->dq, result->dk, result->dv};
    for (int64_t i = 0; i < COUNT_OF(tensors); i++)
        release(tensors[i].data);
}

static Result expected(const Scene *scene)
{
    Result result = result_make(scene);
    Look *look = allocate(1, sizeof *look);
    for (int64_t r = 0; r < scene->q.rows; r++) {
        for (int64_t h = 0; h < scene->heads.heads * scene->heads.group; h++) {
            look_at(look, scene, r, h);
            look_forward(look, result.out, result.statistics);
            look_backward(look, result.out, result.dq, result.dk, result.dv);
        }
    }
    release(look);
    return result;
}

// A cache that holds the scene's keys and values in the slots that some row sees, NaN elsewhere.
static Cache cache_make(const Kernels *kernels, const Scene *scene)
{
    Heads heads = scene->heads;
    Cache cache = {.slots = scene->forest.slots,
                   .heads = (int32_t)heads.heads,
                   .head_width = (int32_t)heads.head_width,
                   .type = heads.type};
    size_t bytes = kernels->cache_bytes(cache.slots, cache.heads, cache.head_width, cache.type);
    cache.keys = allocate(bytes, 1);
    cache.values = allocate(bytes, 1);
    memset(cache.keys, 0xff, bytes);
    memset(cache.values, 0xff, bytes);
    int64_t *seen = allocate((size_t)cache.slots + MOST_KEYS, sizeof *seen);
    int32_t *slots = allocate((size_t)cache.slots, sizeof *slots);
    for (int64_t r = 0; r < scene->q.rows; r++) {
        int64_t *list = seen + cache.slots, count = keys_seen(&scene->forest, r, list);
        for (int64_t j = 0; j < count; j++)
            seen[list[j]] = 1;
    }
    for (int32_t s = 0; s < (int32_t)cache.slots; s++) {
        slots[0] = s;
        if (seen[s])
            kernels->cache_append(NULL, cache, tensor_rows(scene->keys, s, 1),
                                  tensor_rows(scene->values, s, 1), slots);
    }
    release(seen);
    release(slots);
    return cache;
}

static void cache_free(Cache *cache)
{
    release(cache->keys);
    release(cache->values);
}

static Result computed(const Kernels *kernels, const Scene *scene)
{
    Result r = result_make(scene);
    Cache cache = cache_make(kernels, scene);
    kernels->attention_forward(NULL, r.out, r.statistics, scene->q, cache, scene->forest.spans,
                               scene->forest.count, scene->scale);
    kernels->attention_backward(NULL, r.dq, r.dk, r.dv, scene->y, r.out, r.statistics, scene->q,
                                cache, scene->forest.spans, scene->forest.count, scene->scale);
    cache_free(&cache);
    return r;
}

static void check_results(const char *isa, const Scene *scene, const Result *is, const Result *due)
{
    static const char *const names[] = {"out", "statistics", "dq", "dk", "dv"};
    const Tensor a[] = {is->out, is->statistics, is->dq, is->dk, is->dv};
    const Tensor b[] = {due->out, due->statistics, due->dq, due->dk, due->dv};
    for (int64_t i = 0; i < COUNT_OF(a); i++) {
        int64_t at = tensor_difference(a[i], b[i]);
        if (at >= 0)
            fail_msg(
                "%s, %ld heads of %ld, group %ld, %ld rows: %s row %ld column %ld is %a, not %a",
                isa, (long)scene->heads.heads, (long)scene->heads.head_width,
                (long)scene->heads.group, (long)scene->q.rows, names[i], (long)(at / a[i].stride),
                (long)(at % a[i].stride), (double)a[i].data[at], (double)b[i].data[at]);
    }
}

static void check_scene(const Scene *scene)
{
    Result due = expected(scene);
    for (int i = 0; i < ISA_COUNT; i++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[i]);
        if (!kernels || (i == 0 && scene->q.rows > 500)) // plain loops are slow
            continue;
        Result is = computed(kernels, scene);
        check_results(ISA_NAMES[i], scene, &is, &due);
        result_free(&is);
    }
    result_free(&due);
}

static void attention_and_its_gradients_are_the_chains_of_the_header(void **state)
{
    (void)state;
    for (int64_t f = 0; f < COUNT_OF(FORESTS); f++) {
        Forest forest = FORESTS[f]();
        for (int64_t h = 0; h < COUNT_OF(HEADS); h++) {
            if (forest.rows > 500 && HEADS[h].heads * HEADS[h].group > 5)
                continue; // the loops of this file are slow
            Scene scene = scene_make(HEADS[h], &forest, (uint64_t)(f * 100 + h));
            check_scene(&scene);
            scene_free(&scene);
        }
    }
}

static void attention_does_not_depend_on_threads(void **state)
{
    (void)state;
    Forest forest = two_trees();
    Scene scene = scene_make(HEADS[1], &forest, 7);
    int before = omp_get_max_threads();
    for (int threads = 1; threads <= 5; threads += 2) {
        omp_set_num_threads(threads);
        check_scene(&scene);
    }
    omp_set_num_threads(before);
    scene_free(&scene);
}

// The rows of span `s`, alone: one trunk that begins with what the span shares.
static Scene sequence_of(const Scene *tree, int64_t s)
{
    const Span *span = &tree->forest.spans[s];
    Forest forest = {0};
    forest_add(&forest, span->shared_length + span->rows, 0, 0, 0, 0);
    Scene scene = scene_make(tree->heads, &forest, 50);
    for (int64_t i = 0; i < forest.rows; i++) {
        int64_t own = i - span->shared_length;
        int64_t slot = own < 0 ? span->shared + i : span->own + own;
        memcpy(scene.keys.data + i * scene.keys.stride, tree->keys.data + slot * tree->keys.stride,
               (size_t)tree->keys.width * sizeof(float));
        memcpy(scene.values.data + i * scene.values.stride,
               tree->values.data + slot * tree->values.stride,
               (size_t)tree->values.width * sizeof(float));
        if (own >= 0)
            memcpy(scene.q.data + i * scene.q.stride,
                   tree->q.data + (span->first_row + own) * tree->q.stride,
                   (size_t)tree->q.width * sizeof(float));
    }
    return scene;
}

static Tensor forward(const Kernels *kernels, const Scene *scene)
{
    Cache cache = cache_make(kernels, scene);
    Tensor out = random_tensor(scene->q.rows, scene->q.width, 0, 60);
    kernels->attention_forward(NULL, out, (Tensor){0}, scene->q, cache, scene->forest.spans,
                               scene->forest.count, scene->scale);
    cache_free(&cache);
    return out;
}

static void a_tree_gives_the_bits_of_its_sequences(void **state)
{
    (void)state;
    Forest forest = two_trees();
    for (int64_t h = 0; h < COUNT_OF(HEADS); h++) {
        Scene tree = scene_make(HEADS[h], &forest, 70);
        Tensor out = forward(kernels_cpu(), &tree);
        for (int64_t s = 0; s < forest.count; s++) {
            const Span *span = &forest.spans[s];
            Scene sequence = sequence_of(&tree, s);
            Tensor alone = forward(kernels_cpu(), &sequence);
            assert_memory_equal(out.data + span->first_row * out.stride,
                                alone.data + span->shared_length * alone.stride,
                                (size_t)(span->rows * out.stride) * sizeof(float));
            release(alone.data);
            scene_free(&sequence);
        }
        release(out.data);
        scene_free(&tree);
    }
}

static void decoding_row_by_row_gives_the_bits_of_all_rows_at_once(void **state)
{
    (void)state;
    Forest forest = two_trees();
    for (int64_t h = 0; h < COUNT_OF(HEADS); h++) {
        Scene scene = scene_make(HEADS[h], &forest, 80);
        Tensor out = forward(kernels_cpu(), &scene), one = random_tensor(1, out.width, 0, 81);
        Cache cache = cache_make(kernels_cpu(), &scene);
        for (int64_t s = 0; s < forest.count; s++) {
            for (int64_t i = 0; i < forest.spans[s].rows; i++) {
                Span span = forest.spans[s];
                int64_t row = span.first_row + i;
                span.first_row = 0;
                span.own_length += i;
                span.rows = 1;
                kernels_cpu()->attention_forward(NULL, one, (Tensor){0},
                                                 tensor_rows(scene.q, row, 1), cache, &span, 1,
                                                 scene.scale);
                assert_memory_equal(one.data, out.data + row * out.stride,
                                    (size_t)out.width * sizeof(float));
            }
        }
        cache_free(&cache);
        release(out.data);
        release(one.data);
        scene_free(&scene);
    }
}

// sum of y out in double.
static double loss(const Scene *scene)
{
    double total = 0;
    Look *look = allocate(1, sizeof *look);
    double *p = allocate(MOST_KEYS, sizeof *p);
    for (int64_t r = 0; r < scene->q.rows; r++) {
        for (int64_t h = 0; h < scene->heads.heads * scene->heads.group; h++) {
            look->scene = scene;
            look->row = r;
            look->query_head = h;
            look->count = keys_seen(&scene->forest, r, look->slots);
            const float *q = look_query(look, scene->q), *y = look_query(look, scene->y);
            double sum = 0, dot = 0;
            for (int64_t j = 0; j < look->count; j++) {
                double score = 0, along = 0;
                for (int64_t d = 0; d < scene->heads.head_width; d++) {
                    score += (double)q[d] * (double)look_key(look, scene->keys, j)[d];
                    along += (double)y[d] * (double)look_key(look, scene->values, j)[d];
                }
                p[j] = exp(score * (double)scene->scale);
                sum += p[j];
                dot += p[j] * along;
            }
            total += dot / sum;
        }
    }
    release(look);
    release(p);
    return total;
}

// The derivative of the loss in one number, from a step each way.
static double difference(const Scene *scene, float *x)
{
    const float step = 0x1p-10f, at = *x;
    *x = at + step;
    double above = loss(scene), width = (double)*x;
    *x = at - step;
    double below = loss(scene);
    width -= (double)*x;
    *x = at;
    return (above - below) / width;
}

static void gradients_are_those_of_differences_in_double(void **state)
{
    (void)state;
    static const int64_t branches[][2] = {{9, 4}, {9, 3}, {21, 5}};
    Forest forest = {0};
    forest_add_tree(&forest, 21, COUNT_OF(branches), branches);
    Scene scene = scene_make((Heads){2, 3, 24, TYPE_F32}, &forest, 90);
    Result result = result_make(&scene), start = result_make(&scene);
    result_free(&result);
    result = computed(kernels_cpu(), &scene);
    const Tensor of[] = {scene.q, scene.keys, scene.values};
    const Tensor is[] = {result.dq, result.dk, result.dv},
                 before[] = {start.dq, start.dk, start.dv};
    for (int i = 0; i < 3; i++) {
        for (int64_t n = 0; n < 60; n++) {
            int64_t row = n * 7 % of[i].rows, column = n * 11 % of[i].width;
            double gradient = (double)is[i].data[row * is[i].stride + column];
            if (i > 0)
                gradient -= (double)before[i].data[row * before[i].stride + column];
            double wanted = difference(&scene, &of[i].data[row * of[i].stride + column]);
            assert_true(fabs(gradient - wanted) < 2e-5 * (1 + fabs(wanted)));
        }
    }
    result_free(&result);
    result_free(&start);
    scene_free(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_and_its_gradients_are_the_chains_of_the_header),
        cmocka_unit_test(attention_does_not_depend_on_threads),
        cmocka_unit_test(a_tree_gives_the_bits_of_its_sequences),
        cmocka_unit_test(decoding_row_by_row_gives_the_bits_of_all_rows_at_once),
        cmocka_unit_test(gradients_are_those_of_differences_in_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
