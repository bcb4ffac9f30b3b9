// trees.h - small trees of spans for tests of attention, and attention as the header states it: one
// row, one head, one number at a time.

#ifndef L2A_TESTS_KERNELS_TREES_H
#define L2A_TESTS_KERNELS_TREES_H

#include <math.h>

// The elementary functions are part of the specification: their plain form.
#define L2A_ISA plain
#define L2A_ISA_plain 1
#include "kernels/cpu/lanes.h"
#include "tests/kernels/arrays.h"

enum { MOST_SPANS = 40, MOST_KEYS = 2000 };

typedef struct {
    int64_t heads, group, head_width;
    ElementType type;
} Heads;

typedef struct {
    Span spans[MOST_SPANS];
    int64_t count, rows, slots;
} Forest;

// Appends a span whose own keys begin at slot `own`.
static inline void forest_add(Forest *forest, int64_t rows, int64_t shared, int64_t shared_length,
                              int64_t own, int64_t own_length)
{
    forest->spans[forest->count++] =
        (Span){forest->rows, rows, shared, shared_length, own, own_length};
    forest->rows += rows;
    int64_t end = (own + own_length + rows + 15) / 16 * 16;
    forest->slots = end > forest->slots ? end : forest->slots;
}

// A trunk in the slots after those in use, and branches of it.
static inline void forest_add_tree(Forest *forest, int64_t trunk, int64_t branches,
                                   const int64_t (*attach_and_length)[2])
{
    int64_t first = forest->slots;
    forest_add(forest, trunk, 0, 0, first, 0);
    for (int64_t b = 0; b < branches; b++)
        forest_add(forest, attach_and_length[b][1], first, attach_and_length[b][0], forest->slots,
                   0);
}

// Queries for a forest, with a key and a value in every slot.
typedef struct {
    Heads heads;
    Forest forest;
    float scale;
    Tensor q, y, keys, values; // keys and values as the cache holds them
} Scene;

static inline float bf16_rounded(float x)
{
    return lanes_first(lanes_round_bf16(lanes_set(x)));
}

static inline Scene scene_make(Heads heads, const Forest *forest, uint64_t seed)
{
    int64_t width = heads.heads * heads.head_width;
    Scene scene = {.heads = heads, .forest = *forest};
    scene.scale = 1.0f / sqrtf((float)heads.head_width);
    scene.q = random_tensor(forest->rows, width * heads.group, 3, seed);
    scene.y = random_tensor(forest->rows, width * heads.group, 1, seed + 1);
    scene.keys = random_tensor(forest->slots, width, 0, seed + 2);
    scene.values = random_tensor(forest->slots, width, 0, seed + 3);
    for (int64_t i = 0; i < forest->rows * scene.q.stride; i++)
        scene.q.data[i] *= 4; // some keys matter more than others
    for (int64_t i = 0; i < forest->slots * width && heads.type == TYPE_BF16; i++) {
        scene.keys.data[i] = bf16_rounded(scene.keys.data[i]);
        scene.values.data[i] = bf16_rounded(scene.values.data[i]);
    }
    return scene;
}

static inline void scene_free(Scene *scene)
{
    release(scene->q.data);
    release(scene->y.data);
    release(scene->keys.data);
    release(scene->values.data);
}

// The slots that row `row` sees, in order; returns how many.
static inline int64_t keys_seen(const Forest *forest, int64_t row, int64_t *slots)
{
    const Span *span = forest->spans;
    while (row >= span->first_row + span->rows)
        span++;
    int64_t count = 0;
    for (int64_t j = 0; j < span->shared_length; j++)
        slots[count++] = span->shared + j;
    for (int64_t j = 0; j < span->own_length + row - span->first_row + 1; j++)
        slots[count++] = span->own + j;
    return count;
}

static inline float lane_sum(const float *x, int64_t count)
{
    float lane[16] = {0};
    for (int64_t j = 0; j < count; j++)
        lane[j % 16] += x[j];
    for (int step = 8; step > 0; step /= 2) {
        for (int i = 0; i < step; i++)
            lane[i] += lane[i + step];
    }
    return lane[0];
}

// One row and query head with what it sees.
typedef struct {
    const Scene *scene;
    int64_t row, query_head, count;
    int64_t slots[MOST_KEYS];
    float m, l, p[MOST_KEYS]; // p before the division
} Look;

static inline const float *look_key(const Look *look, Tensor keys, int64_t j)
{
    const Heads *heads = &look->scene->heads;
    return keys.data + look->slots[j] * keys.stride +
           look->query_head / heads->group * heads->head_width;
}

static inline float *look_query(const Look *look, Tensor rows)
{
    return rows.data + look->row * rows.stride + look->query_head * look->scene->heads.head_width;
}

static inline void look_at(Look *look, const Scene *scene, int64_t row, int64_t query_head)
{
    look->scene = scene;
    look->row = row;
    look->query_head = query_head;
    look->count = keys_seen(&scene->forest, row, look->slots);
    const float *q = look_query(look, scene->q);
    look->m = -INFINITY;
    for (int64_t j = 0; j < look->count; j++) {
        const float *key = look_key(look, scene->keys, j);
        look->p[j] = 0;
        for (int64_t d = 0; d < scene->heads.head_width; d++)
            look->p[j] = fmaf(q[d] * scene->scale, key[d], look->p[j]);
        look->m = look->p[j] > look->m ? look->p[j] : look->m;
    }
    for (int64_t j = 0; j < look->count; j++)
        look->p[j] = lanes_exp_one(look->p[j] - look->m);
    look->l = lane_sum(look->p, look->count);
}

static inline void look_forward(const Look *look, Tensor out, Tensor statistics)
{
    float *o = look_query(look, out);
    float *pair = statistics.data + look->row * statistics.stride + 2 * look->query_head;
    for (int64_t d = 0; d < look->scene->heads.head_width; d++) {
        float sum = 0;
        for (int64_t j = 0; j < look->count; j++)
            sum = fmaf(look->p[j], look_key(look, look->scene->values, j)[d], sum);
        o[d] = sum / look->l;
    }
    pair[0] = look->m;
    pair[1] = look->l;
}

static inline void look_backward(const Look *look, Tensor out, Tensor dq, Tensor dk, Tensor dv)
{
    const Scene *scene = look->scene;
    int64_t width = scene->heads.head_width;
    const float *y = look_query(look, scene->y), *o = look_query(look, out);
    const float *q = look_query(look, scene->q);
    float *to = look_query(look, dq), dot = 0;
    for (int64_t d = 0; d < width; d++) {
        dot = fmaf(y[d], o[d], dot);
        to[d] = 0;
    }
    for (int64_t j = 0; j < look->count; j++) {
        const float *key = look_key(look, scene->keys, j),
                    *value = look_key(look, scene->values, j);
        float *key_to = (float *)look_key(look, dk, j), *value_to = (float *)look_key(look, dv, j);
        float p = look->p[j] / look->l, dp = 0;
        for (int64_t d = 0; d < width; d++)
            dp = fmaf(y[d], value[d], dp);
        float ds = p * (dp - dot);
        for (int64_t d = 0; d < width; d++) {
            to[d] = fmaf(ds, key[d], to[d]);
            key_to[d] = fmaf(ds, q[d] * scene->scale, key_to[d]);
            value_to[d] = fmaf(p, y[d], value_to[d]);
        }
    }
    for (int64_t d = 0; d < width; d++)
        to[d] *= scene->scale;
}

#endif
