#include "benchmarks/product.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"
#include "benchmarks/numbers.h"

#define DNNL(call) CHECK((call) == dnnl_success, "oneDNN refuses")

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static void start_peer(void)
{
    if (engine)
        return;
    DNNL(dnnl_engine_create(&engine, dnnl_cpu, 0));
    DNNL(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
}

const char *const precision_names[] = {"f32", "bf16", "native"};

int precision_find(const char *name)
{
    for (int i = 0; i < PRECISION_COUNT; i++) {
        if (strcmp(name, precision_names[i]) == 0)
            return i;
    }
    return -1;
}

ElementType precision_type(Precision precision)
{
    return precision == PRECISION_F32 ? TYPE_F32 : TYPE_BF16;
}

const Kernels *precision_kernels(Precision precision)
{
    return precision == PRECISION_NATIVE ? kernels_cpu_native() : kernels_cpu();
}

Layer layer_make(Kind kind, Precision precision, int64_t m, int64_t n, int64_t k)
{
    const Kernels *kernels = precision_kernels(precision);
    ElementType type = precision_type(precision);
    Layer layer = {
        .kind = kind, .precision = precision, .kernels = kernels, .m = m, .n = n, .k = k};
    int64_t bytes = n * k * (int64_t)sizeof(float);
    layer.copies = kind == TN ? 1 : (int)(ROTATED_BYTES / bytes) + 1;
    if (layer.copies > MOST_COPIES)
        layer.copies = MOST_COPIES;
    layer.x = numbers_make(m * k, 0);
    layer.y = numbers_make(m * n, 1);
    layer.c = numbers_make(kind == NT ? m * n : kind == NN ? m * k : n * k, 2);
    for (int i = 0; i < layer.copies && kind != TN; i++) {
        layer.w[i] = numbers_make(n * k, 3 + (uint32_t)i);
        layer.packed[i] = (Matrix){.rows = n, .width = k, .type = type};
        layer.packed[i].packed = kernels->memory_make(kernels->matrix_bytes(n, k, type));
        kernels->matrix_pack(NULL, layer.packed[i], 0, elements_f32(layer.w[i]), n);
    }
    return layer;
}

void layer_free(Layer *layer)
{
    for (int i = 0; i < layer->copies; i++) {
        release(layer->w[i]);
        layer->kernels->memory_free(layer->packed[i].packed);
    }
    release(layer->x);
    release(layer->y);
    release(layer->c);
}

void layer_run(const Layer *layer, int turn)
{
    const Kernels *kernels = layer->kernels;
    Tensor x = tensor_of(layer->x, layer->m, layer->k), y = tensor_of(layer->y, layer->m, layer->n);
    Matrix w = layer->packed[turn % layer->copies];
    if (layer->kind == NT)
        kernels->product_nt(NULL, tensor_of(layer->c, layer->m, layer->n), x, w);
    else if (layer->kind == NN)
        kernels->product_nn(NULL, tensor_of(layer->c, layer->m, layer->k), y, w, false);
    else
        kernels->product_tn(NULL, tensor_of(layer->c, layer->n, layer->k), y, x);
}

static dnnl_memory_desc_t matrix_desc(int64_t rows, int64_t width, dnnl_data_type_t type,
                                      dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t desc;
    DNNL(dnnl_memory_desc_init_by_tag(&desc, 2, (dnnl_dims_t){rows, width}, type, tag));
    return desc;
}

static dnnl_memory_t memory_of(const dnnl_memory_desc_t *desc, void *data)
{
    dnnl_memory_t memory;
    DNNL(dnnl_memory_create(&memory, desc, engine, data));
    return memory;
}

// `from` in the form `desc`, in memory of oneDNN's own.
static dnnl_memory_t reordered(dnnl_memory_t from, const dnnl_memory_desc_t *desc)
{
    dnnl_memory_t to = memory_of(desc, DNNL_MEMORY_ALLOCATE);
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t reorder;
    const dnnl_memory_desc_t *source;
    DNNL(dnnl_memory_get_memory_desc(from, &source));
    DNNL(dnnl_reorder_primitive_desc_create(&pd, source, engine, desc, engine, NULL));
    DNNL(dnnl_primitive_create(&reorder, pd));
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    DNNL(dnnl_primitive_execute(reorder, stream, 2, arguments));
    DNNL(dnnl_stream_wait(stream));
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(pd);
    return to;
}

// `from`, which is given up, in the form `desc`; as it is where that is NULL.
static dnnl_memory_t moved(dnnl_memory_t from, const dnnl_memory_desc_t *desc)
{
    if (!desc)
        return from;
    dnnl_memory_t to = reordered(from, desc);
    dnnl_memory_destroy(from);
    return to;
}

static dnnl_primitive_desc_t peer_desc(Kind kind, const dnnl_memory_desc_t *source,
                                       const dnnl_memory_desc_t *weights,
                                       const dnnl_memory_desc_t *target)
{
    dnnl_primitive_desc_t pd;
    dnnl_primitive_attr_t attributes;
    dnnl_post_ops_t sum;
    DNNL(dnnl_primitive_attr_create(&attributes));
    DNNL(dnnl_post_ops_create(&sum));
    if (kind == TN)
        DNNL(dnnl_post_ops_append_sum(sum, 1.0f));
    DNNL(dnnl_primitive_attr_set_post_ops(attributes, sum));
    if (kind == INNER) {
        dnnl_inner_product_desc_t inner;
        DNNL(dnnl_inner_product_forward_desc_init(&inner, dnnl_forward_inference, source, weights,
                                                  NULL, target));
        DNNL(dnnl_primitive_desc_create(&pd, &inner, attributes, engine, NULL));
    } else {
        dnnl_matmul_desc_t matmul;
        DNNL(dnnl_matmul_desc_init(&matmul, source, weights, NULL, target));
        DNNL(dnnl_primitive_desc_create(&pd, &matmul, attributes, engine, NULL));
    }
    dnnl_post_ops_destroy(sum);
    dnnl_primitive_attr_destroy(attributes);
    return pd;
}

Peer peer_make(const Layer *layer, Kind kind)
{
    int64_t m = layer->m, n = layer->n, k = layer->k;
    Peer peer = {0};
    start_peer();
    bool narrow = layer->precision == PRECISION_NATIVE;
    dnnl_data_type_t type = narrow ? dnnl_bf16 : dnnl_f32;
    dnnl_memory_desc_t from, source, given, wanted, target; // `from` and `given` are ours
    if (kind == TN) {
        from = matrix_desc(n, m, dnnl_f32, dnnl_ba);
        source = matrix_desc(n, m, type, dnnl_ba);
        given = matrix_desc(m, k, dnnl_f32, dnnl_ab);
        wanted = matrix_desc(m, k, type, dnnl_ab);
        target = matrix_desc(n, k, dnnl_f32, dnnl_ab);
    } else if (kind == NN) {
        from = matrix_desc(m, n, dnnl_f32, dnnl_ab);
        source = matrix_desc(m, n, type, dnnl_ab);
        given = matrix_desc(n, k, dnnl_f32, dnnl_ab);
        wanted = matrix_desc(n, k, type, dnnl_format_tag_any);
        target = matrix_desc(m, k, dnnl_f32, dnnl_ab);
    } else {
        from = matrix_desc(m, k, dnnl_f32, dnnl_ab);
        source = matrix_desc(m, k, type, dnnl_ab);
        given = kind == INNER ? matrix_desc(n, k, dnnl_f32, dnnl_ab)
                              : matrix_desc(k, n, dnnl_f32, dnnl_ba);
        wanted = kind == INNER ? matrix_desc(n, k, type, dnnl_format_tag_any)
                               : matrix_desc(k, n, type, dnnl_format_tag_any);
        target = matrix_desc(m, n, dnnl_f32, dnnl_ab);
    }
    dnnl_primitive_desc_t pd = peer_desc(kind, &source, &wanted, &target);
    const dnnl_memory_desc_t *chosen = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    peer.source = moved(memory_of(&from, kind == NT || kind == INNER ? layer->x : layer->y),
                        narrow ? &source : NULL);
    peer.target = memory_of(&target, layer->c);
    for (int i = 0; i < layer->copies; i++)
        peer.weights[i] = moved(memory_of(&given, kind == TN ? layer->x : layer->w[i]),
                                kind == TN && !narrow ? NULL : chosen);
    DNNL(dnnl_primitive_create(&peer.primitive, pd));
    dnnl_primitive_desc_destroy(pd);
    return peer;
}

void peer_free(Peer *peer, const Layer *layer)
{
    for (int i = 0; i < layer->copies; i++)
        dnnl_memory_destroy(peer->weights[i]);
    dnnl_memory_destroy(peer->source);
    dnnl_memory_destroy(peer->target);
    dnnl_primitive_destroy(peer->primitive);
}

void peer_run(const Peer *peer, const Layer *layer, int turn)
{
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, peer->source},
                                   {DNNL_ARG_WEIGHTS, peer->weights[turn % layer->copies]},
                                   {DNNL_ARG_DST, peer->target}};
    DNNL(dnnl_primitive_execute(peer->primitive, stream, 3, arguments));
    DNNL(dnnl_stream_wait(stream));
}

void peer_version(char *text, size_t size)
{
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, size, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
}

static double rate_of(const Layer *layer, const Peer *peer, int runs)
{
    double begin = clock_now();
    for (int turn = 0; turn < runs; turn++) {
        if (peer)
            peer_run(peer, layer, turn);
        else
            layer_run(layer, turn);
    }
    double work = 2e-9 * (double)(layer->m * layer->n * layer->k);
    return runs * work / (clock_now() - begin);
}

MatrixProbe matrix_probe_make(Precision precision)
{
    MatrixProbe probe = {.layer = layer_make(NT, precision, 2048, 1536, 576)};
    for (int i = 0; i < 2; i++)
        probe.peers[i] = peer_make(&probe.layer, i ? INNER : NT);
    return probe;
}

MatrixRate matrix_probe_run(const MatrixProbe *probe, int runs)
{
    MatrixRate rate = {.ours = rate_of(&probe->layer, NULL, runs)};
    for (int i = 0; i < 2; i++) {
        double reached = rate_of(&probe->layer, &probe->peers[i], runs);
        rate.peer = reached > rate.peer ? reached : rate.peer;
    }
    return rate;
}

void matrix_probe_free(MatrixProbe *probe)
{
    for (int i = 0; i < 2; i++)
        peer_free(&probe->peers[i], &probe->layer);
    layer_free(&probe->layer);
}
