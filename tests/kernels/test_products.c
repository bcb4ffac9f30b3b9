// test_products.c - products with packed matrices: the very chains of kernels.h, bit for bit.

#include "tests/testing.h"

#include <math.h>
#include <omp.h>

#include "tests/kernels/arrays.h"

typedef enum { NT, NN, TN, KIND_COUNT } Kind;
static const char *const KIND_NAMES[KIND_COUNT] = {"nt", "nn", "tn"};

// c [m, n] (+)= a b with `k` terms, whatever the kind. For NT and NN `w` is W in fp32 as the matrix
// holds it (rounded where that is bf16).
typedef struct {
    Kind kind;
    ElementType type;
    bool accumulate;
    int64_t m, n, k;
    Tensor a, b;  // a: x, y or y^T; b: W or x
    Tensor start; // c before
} Case;

static float round_to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t low = bits & 0xffffu;
    bits &= 0xffff0000u;
    if (low > 0x8000u || (low == 0x8000u && (bits & 0x10000u)))
        bits += 0x10000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static Case case_make(Kind kind, ElementType type, bool accumulate, int64_t m, int64_t n, int64_t k)
{
    Case c = {kind, type, kind == TN || (kind == NN && accumulate), m, n, k, {0}, {0}, {0}};
    uint64_t seed = (uint64_t)(m * 1000003 + n * 1009 + k);
    c.a = kind == TN ? random_tensor(k, m, 5, seed) : random_tensor(m, k, 3, seed);
    c.b = kind == NT ? random_tensor(n, k, 0, seed + 1) : random_tensor(k, n, kind == TN, seed + 1);
    c.start = random_tensor(m, n, 7, seed + 2);
    for (int64_t i = 0; type == TYPE_BF16 && i < c.b.rows * c.b.stride; i++)
        c.b.data[i] = round_to_bf16(c.b.data[i]);
    return c;
}

static void case_free(Case *c)
{
    release(c->a.data);
    release(c->b.data);
    release(c->start.data);
}

static float left_factor(const Case *c, int64_t i, int64_t k)
{
    return c->kind == TN ? c->a.data[k * c->a.stride + i] : c->a.data[i * c->a.stride + k];
}

static float right_factor(const Case *c, int64_t k, int64_t j)
{
    return c->kind == NT ? c->b.data[j * c->b.stride + k] : c->b.data[k * c->b.stride + j];
}

// What the header says, one output at a time.
static Tensor expected(const Case *c)
{
    Tensor out = copy_of_tensor(c->start);
    for (int64_t i = 0; i < c->m; i++) {
        for (int64_t j = 0; j < c->n; j++) {
            float *sum = &out.data[i * out.stride + j];
            if (!c->accumulate)
                *sum = 0;
            for (int64_t k = 0; k < c->k; k++)
                *sum = fmaf(left_factor(c, i, k), right_factor(c, k, j), *sum);
        }
    }
    return out;
}

static Matrix packed(const Kernels *kernels, Tensor w, ElementType type)
{
    Matrix matrix = {.rows = w.rows, .width = w.width, .type = type};
    matrix.packed = allocate(kernels->matrix_bytes(w.rows, w.width, type), 1);
    kernels->matrix_pack(NULL, matrix, 0, elements_f32(w.data), w.rows);
    return matrix;
}

static Tensor computed(const Kernels *kernels, const Case *c)
{
    Tensor out = copy_of_tensor(c->start);
    if (c->kind == TN) {
        kernels->product_tn(NULL, out, c->a, c->b);
        return out;
    }
    Matrix w = packed(kernels, c->b, c->type);
    if (c->kind == NT)
        kernels->product_nt(NULL, out, c->a, w);
    else
        kernels->product_nn(NULL, out, c->a, w, c->accumulate);
    release(w.packed);
    return out;
}

// Beyond this many multiply-adds the plain kernels, loops as slow as the one above, are left out.
static const int64_t PLAIN_WORK = 2000000;

// The case on every instruction set, against the loop above.
static void check_case(Kind kind, ElementType type, bool accumulate, int64_t m, int64_t n,
                       int64_t k)
{
    Case c = case_make(kind, type, accumulate, m, n, k);
    Tensor wanted = expected(&c);
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[isa]);
        if (!kernels || (isa == 0 && m * n * k > PLAIN_WORK))
            continue;
        Tensor out = computed(kernels, &c);
        int64_t at = tensor_difference(out, wanted);
        if (at >= 0)
            fail_msg(
                "%s %s m %ld n %ld k %ld type %d accumulate %d: row %ld column %ld is %a, not %a",
                ISA_NAMES[isa], KIND_NAMES[kind], (long)m, (long)n, (long)k, type, accumulate,
                (long)(at / out.stride), (long)(at % out.stride), (double)out.data[at],
                (double)wanted.data[at]);
        release(out.data);
    }
    release(wanted.data);
    case_free(&c);
}

static const int64_t ROWS[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 17, 29, 80, 127};
static const int64_t WIDTHS[] = {1, 3, 15, 17, 33, 100, 576};
static const int64_t DEPTHS[] = {1, 2, 7, 64, 577};
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static void check_kind(Kind kind, ElementType type, bool accumulate)
{
    for (size_t m = 0; m < COUNT_OF(ROWS); m++) {
        for (size_t n = 0; n < COUNT_OF(WIDTHS); n++) {
            for (size_t k = 0; k < COUNT_OF(DEPTHS); k++)
                check_case(kind, type, accumulate, ROWS[m], WIDTHS[n], DEPTHS[k]);
        }
    }
}

static void product_nt_is_a_chain_over_the_width(void **state)
{
    (void)state;
    check_kind(NT, TYPE_F32, false);
    check_kind(NT, TYPE_BF16, false);
}

static void product_nn_is_a_chain_over_the_rows_of_w(void **state)
{
    (void)state;
    check_kind(NN, TYPE_F32, false);
    check_kind(NN, TYPE_BF16, true);
}

static void product_tn_goes_on_from_the_gradient_in_row_order(void **state)
{
    (void)state;
    check_kind(TN, TYPE_F32, true);
}

// Larger than every block of the loops, and not a multiple of any.
static void products_larger_than_the_blocks_are_the_same_chains(void **state)
{
    (void)state;
    check_case(NT, TYPE_F32, false, 263, 1041, 1301);
    check_case(NN, TYPE_BF16, true, 263, 1041, 1301);
    check_case(TN, TYPE_F32, true, 263, 1041, 1301);
}

// What is kept of a's rows meanwhile has the same room whatever their length.
static void long_chains_of_some_rows_are_the_same_chains(void **state)
{
    (void)state;
    static const int64_t some[] = {13, 15, 28, 29};
    int before = omp_get_max_threads();
    omp_set_num_threads(1);
    for (size_t m = 0; m < COUNT_OF(some); m++) {
        check_case(NT, TYPE_F32, false, some[m], 256, 11008);
        check_case(NT, TYPE_BF16, false, some[m], 256, 11008);
    }
    omp_set_num_threads(before);
}

static void products_do_not_depend_on_threads(void **state)
{
    (void)state;
    int before = omp_get_max_threads();
    for (int threads = 1; threads <= 7; threads += 2) {
        omp_set_num_threads(threads);
        for (int kind = NT; kind < KIND_COUNT; kind++) {
            check_case(kind, TYPE_F32, false, 80, 576, 64);
            check_case(kind, TYPE_F32, true, 127, 33, 577);
            check_case(kind, TYPE_F32, false, 1, 1000, 577);
            check_case(kind, TYPE_F32, false, 2000, 15, 8);
        }
    }
    omp_set_num_threads(before);
}

// A tensor of some rows of x, in any order.
static Tensor rows_of(Tensor x, const int64_t *rows, int64_t count)
{
    Tensor some = random_tensor(count, x.width, 2, 5);
    for (int64_t i = 0; i < count; i++)
        memcpy(some.data + i * some.stride, x.data + rows[i] * x.stride,
               (size_t)x.width * sizeof(float));
    return some;
}

static void check_company(const Kernels *kernels, ElementType type, const int64_t *rows,
                          int64_t count)
{
    Tensor x = random_tensor(100, 577, 0, 1), w = random_tensor(150, 577, 0, 2);
    Tensor all = random_tensor(100, 150, 0, 3), some = random_tensor(count, 150, 0, 4);
    Tensor chosen = rows_of(x, rows, count);
    Matrix matrix = packed(kernels, w, type);
    kernels->product_nt(NULL, all, x, matrix);
    kernels->product_nt(NULL, some, chosen, matrix);
    for (int64_t i = 0; i < count; i++)
        assert_memory_equal(some.data + i * some.stride, all.data + rows[i] * all.stride,
                            150 * sizeof(float));
    release(matrix.packed);
    float *arrays[] = {x.data, w.data, all.data, some.data, chosen.data};
    for (size_t i = 0; i < COUNT_OF(arrays); i++)
        release(arrays[i]);
}

static void a_row_does_not_depend_on_its_company(void **state)
{
    (void)state;
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[isa]);
        for (uint32_t trial = 0; kernels && trial < 12; trial++) {
            Draw draw = {.purpose = PURPOSE_PERMUTE, .step = trial};
            int64_t rows[100], count = 1 + (int64_t)draw_below(draw, 40);
            for (int64_t i = 0; i < 100; i++)
                rows[i] = i;
            draw_shuffle(draw, rows, 100);
            check_company(kernels, trial % 2 ? TYPE_BF16 : TYPE_F32, rows, count);
        }
    }
}

static void products_are_accurate(void **state)
{
    (void)state;
    for (int kind = NT; kind < KIND_COUNT; kind++) {
        Case c = case_make(kind, TYPE_F32, true, 37, 50, 700);
        Tensor out = computed(kernels_cpu(), &c);
        for (int64_t i = 0; i < c.m; i++) {
            for (int64_t j = 0; j < c.n; j++) {
                double sum = c.accumulate ? (double)c.start.data[i * c.start.stride + j] : 0.0;
                double size = fabs(sum);
                for (int64_t k = 0; k < c.k; k++) {
                    double term = (double)left_factor(&c, i, k) * (double)right_factor(&c, k, j);
                    sum += term;
                    size += fabs(term);
                }
                assert_true(fabs((double)out.data[i * out.stride + j] - sum) < 5e-7 * size);
            }
        }
        release(out.data);
        case_free(&c);
    }
}

// Rows come out of the packed matrix as they went in, or rounded, before or by packing; blocks may
// come one by one.
static void check_embedding(const Kernels *kernels, ElementType type, ElementType source_type,
                            int64_t width)
{
    enum { VOCABULARY = 107, ROWS_TAKEN = 300 };
    Tensor w = random_tensor(VOCABULARY, width, 0, 11),
           out = random_tensor(ROWS_TAKEN, width, 3, 12);
    Matrix matrix = {.rows = VOCABULARY, .width = width, .type = type};
    matrix.packed = allocate(kernels->matrix_bytes(VOCABULARY, width, type), 1);
    uint16_t *narrow = allocate((size_t)(VOCABULARY * width), sizeof *narrow);
    kernels->convert(NULL, narrow, TYPE_BF16, elements_f32(w.data), VOCABULARY * width);
    Elements source = {.data = source_type == TYPE_BF16 ? (void *)narrow : w.data,
                       .type = source_type};
    kernels->matrix_pack(NULL, matrix, 64, elements_from(source, 64 * width), VOCABULARY - 64);
    kernels->matrix_pack(NULL, matrix, 0, source, 64);
    int32_t tokens[ROWS_TAKEN];
    for (int32_t r = 0; r < ROWS_TAKEN; r++)
        tokens[r] = r * 31 % VOCABULARY;
    kernels->embedding_forward(NULL, out, matrix, tokens);
    for (int64_t r = 0; r < ROWS_TAKEN; r++) {
        for (int64_t j = 0; j < width; j++) {
            float x = w.data[tokens[r] * width + j], y = out.data[r * out.stride + j];
            x = type == TYPE_BF16 ? round_to_bf16(x) : x;
            assert_memory_equal(&x, &y, sizeof x);
        }
        assert_true(out.data[r * out.stride + width] == SENTINEL);
    }
    release(w.data);
    release(narrow);
    release(out.data);
    release(matrix.packed);
}

static void embedding_gives_the_rows_that_were_packed(void **state)
{
    (void)state;
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[isa]);
        for (int64_t width = 1; kernels && width < 600; width += 149) {
            check_embedding(kernels, TYPE_F32, TYPE_F32, width);
            check_embedding(kernels, TYPE_BF16, TYPE_F32, width);
            check_embedding(kernels, TYPE_BF16, TYPE_BF16, width);
        }
    }
}

static void bf16_matrices_keep_what_is_special(void **state)
{
    (void)state;
    const uint32_t given[] = {0x00000001, 0x00008000, 0x00008001, 0x00018000,
                              0x80000001, 0x007fffff, 0x7f7fffff, 0xff800000,
                              0x3f808000, 0x3f818000, 0x7f800001, 0xffc12345};
    const uint32_t wanted[] = {0x00000000, 0x00000000, 0x00010000, 0x00020000,
                               0x80000000, 0x00800000, 0x7f800000, 0xff800000,
                               0x3f800000, 0x3f820000, 0x7fc00000, 0xffc10000};
    enum { SPECIAL = sizeof given / sizeof given[0] };
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[isa]);
        if (!kernels)
            continue;
        float in[SPECIAL], out[SPECIAL];
        memcpy(in, given, sizeof in);
        Matrix matrix = packed(kernels, tensor_of(in, 1, SPECIAL), TYPE_BF16);
        kernels->embedding_forward(NULL, tensor_of(out, 1, SPECIAL), matrix, (int32_t[]){0});
        assert_memory_equal(out, wanted, sizeof wanted);
        release(matrix.packed);
    }
}

static void embedding_gradients_add_in_row_order(void **state)
{
    (void)state;
    enum { VOCABULARY = 50, TOKENS = 700, WIDTH = 100 };
    Tensor y = random_tensor(TOKENS, WIDTH, 1, 21), start = random_tensor(VOCABULARY, WIDTH, 4, 22);
    Tensor wanted = copy_of_tensor(start);
    int32_t tokens[TOKENS];
    for (int32_t r = 0; r < TOKENS; r++) {
        tokens[r] = r * r % VOCABULARY;
        for (int64_t j = 0; j < WIDTH; j++)
            wanted.data[tokens[r] * wanted.stride + j] += y.data[r * y.stride + j];
    }
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[isa]);
        if (!kernels)
            continue;
        Tensor gradient = copy_of_tensor(start);
        kernels->embedding_backward(NULL, gradient, y, tokens);
        assert_int_equal(tensor_difference(gradient, wanted), -1);
        release(gradient.data);
    }
    release(y.data);
    release(start.data);
    release(wanted.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(product_nt_is_a_chain_over_the_width),
        cmocka_unit_test(product_nn_is_a_chain_over_the_rows_of_w),
        cmocka_unit_test(product_tn_goes_on_from_the_gradient_in_row_order),
        cmocka_unit_test(products_larger_than_the_blocks_are_the_same_chains),
        cmocka_unit_test(products_do_not_depend_on_threads),
        cmocka_unit_test(long_chains_of_some_rows_are_the_same_chains),
        cmocka_unit_test(a_row_does_not_depend_on_its_company),
        cmocka_unit_test(products_are_accurate),
        cmocka_unit_test(embedding_gives_the_rows_that_were_packed),
        cmocka_unit_test(bf16_matrices_keep_what_is_special),
        cmocka_unit_test(embedding_gradients_add_in_row_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
