// test_native_products.c - products by the machine's own dot products of bf16, of AVX-512 and of
// AMX (skipped where it has none): sums of the rounded factors, within fp32's rounding; a row's
// bits are its own.

#include "tests/testing.h"

#include <math.h>
#include <omp.h>

#include "tests/kernels/arrays.h"

static const char *set; // whose tests these are
static const Kernels *native;

static void need_native(void)
{
    native = kernels_cpu_named(set);
    if (!native)
        skip();
}

// Cuts of panels, tiles, depth blocks and pairs among them.
static const int64_t SHAPES[][3] = {
    {1, 1, 1},       {1, 33, 7},     {1, 200, 1301}, {2, 64, 64},     {5, 100, 65},
    {14, 32, 31},    {29, 70, 1290}, {16, 96, 32},   {32, 64, 160},   {48, 33, 50},
    {100, 200, 333}, {300, 65, 64},  {256, 64, 96},  {37, 1100, 130},
};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof SHAPES[0] };

static Tensor rounded(Tensor x)
{
    Tensor copy = copy_of_tensor(x);
    for (int64_t r = 0; r < x.rows; r++)
        native->round_bf16(NULL, copy.data + r * x.stride, x.data + r * x.stride, x.width);
    return copy;
}

static Matrix packed(Tensor w, ElementType type)
{
    Matrix matrix = {.rows = w.rows, .width = w.width, .type = type};
    matrix.packed = allocate(native->matrix_bytes(w.rows, w.width, type), 1);
    native->matrix_pack(NULL, matrix, 0, elements_f32(w.data), w.rows);
    return matrix;
}

static double at(Tensor x, int64_t r, int64_t j)
{
    return (double)x.data[r * x.stride + j];
}

// The three products: out [m, n] from a and b with k terms.
typedef enum { NT, NN, TN } Kind;

static double term(Kind kind, Tensor a, Tensor b, int64_t i, int64_t j, int64_t k)
{
    double left = kind == TN ? at(a, k, i) : at(a, i, k);
    return left * (kind == NT ? at(b, j, k) : at(b, k, j));
}

static void expect_sums(Kind kind, Tensor out, Tensor start, bool accumulate, Tensor a, Tensor b,
                        int64_t terms)
{
    for (int64_t i = 0; i < out.rows; i++) {
        for (int64_t j = 0; j < out.width; j++) {
            double sum = accumulate ? at(start, i, j) : 0, size = fabs(sum);
            for (int64_t k = 0; k < terms; k++) {
                double product = term(kind, a, b, i, j, k);
                sum += product;
                size += fabs(product);
            }
            assert_true(fabs(at(out, i, j) - sum) <= 1e-6 * size);
        }
        for (int64_t j = out.width; j < out.stride; j++)
            assert_true(out.data[i * out.stride + j] == SENTINEL);
    }
}

static void check_products(Kind kind, bool accumulate, int64_t m, int64_t n, int64_t k)
{
    uint64_t seed = (uint64_t)(m * 1000003 + n * 1009 + k);
    Tensor a = kind == TN ? random_tensor(k, m, 5, seed) : random_tensor(m, k, 3, seed);
    Tensor b =
        kind == NT ? random_tensor(n, k, 0, seed + 1) : random_tensor(k, n, kind == TN, seed + 1);
    Tensor start = random_tensor(m, n, 7, seed + 2), out = copy_of_tensor(start);
    Tensor left = rounded(a), right = rounded(b);
    Matrix w = {0};
    if (kind == TN) {
        native->product_tn(NULL, out, a, b);
    } else {
        w = packed(b, TYPE_BF16);
        if (kind == NT)
            native->product_nt(NULL, out, a, w);
        else
            native->product_nn(NULL, out, a, w, accumulate);
    }
    expect_sums(kind, out, start, accumulate, left, right, k);
    release(w.packed);
    release(a.data), release(b.data), release(start.data), release(out.data);
    release(left.data), release(right.data);
}

static void products_sum_up_rounded_factors(void **state)
{
    (void)state;
    need_native();
    for (int s = 0; s < SHAPE_COUNT; s++) {
        const int64_t *shape = SHAPES[s];
        check_products(NT, false, shape[0], shape[1], shape[2]);
        check_products(NN, false, shape[0], shape[1], shape[2]);
        check_products(NN, true, shape[0], shape[1], shape[2]);
        check_products(TN, true, shape[0], shape[1], shape[2]);
    }
}

// fp32 matrices (an adapter's) are multiplied as everywhere.
static void other_matrices_give_the_bits_of_avx512(void **state)
{
    (void)state;
    need_native();
    Tensor x = random_tensor(37, 130, 0, 1), w = random_tensor(70, 130, 0, 2);
    Tensor out = random_tensor(37, 70, 0, 3), expected = copy_of_tensor(out);
    Matrix matrix = packed(w, TYPE_F32);
    native->product_nt(NULL, out, x, matrix);
    kernels_cpu_named("avx512")->product_nt(NULL, expected, x, matrix);
    assert_int_equal(tensor_difference(out, expected), -1);
    release(matrix.packed);
    release(x.data), release(w.data), release(out.data), release(expected.data);
}

static void a_row_is_its_own(void **state)
{
    (void)state;
    need_native();
    enum { ROWS = 90, WIDTH = 1301, OUT = 300 };
    Tensor x = random_tensor(ROWS, WIDTH, 0, 1), w = random_tensor(OUT, WIDTH, 0, 2);
    Tensor all = random_tensor(ROWS, OUT, 0, 3), one = random_tensor(1, OUT, 0, 4);
    Matrix matrix = packed(w, TYPE_BF16);
    for (int threads = 1; threads <= 3; threads++) {
        omp_set_num_threads(threads);
        native->product_nt(NULL, all, x, matrix);
        for (int64_t r = 0; r < ROWS; r++) {
            native->product_nt(NULL, one, tensor_rows(x, r, 1), matrix);
            assert_memory_equal(one.data, all.data + r * OUT, OUT * sizeof(float));
        }
    }
    release(matrix.packed);
    release(x.data), release(w.data), release(all.data), release(one.data);
}

// 32 terms at a time, the even and the odd ones apart: what microkernel_amx.h says of the unit.
static void amx_adds_up_in_its_order(void **state)
{
    (void)state;
    need_native();
    enum { ROWS = 50, WIDTH = 333, OUT = 40, TERMS = 32 };
    Tensor x = random_tensor(ROWS, WIDTH, 0, 1), w = random_tensor(OUT, WIDTH, 0, 2);
    Tensor out = random_tensor(ROWS, OUT, 0, 3), a = rounded(x), b = rounded(w);
    Matrix matrix = packed(w, TYPE_BF16);
    native->product_nt(NULL, out, x, matrix);
    for (int64_t i = 0; i < ROWS; i++) {
        for (int64_t j = 0; j < OUT; j++) {
            const float *row = a.data + i * a.stride, *column = b.data + j * b.stride;
            float sum = 0, half[2] = {0};
            for (int64_t k = 0; k < WIDTH; k++) {
                half[k % 2] = fmaf(row[k], column[k], half[k % 2]);
                if (k % TERMS == TERMS - 1 || k == WIDTH - 1) {
                    sum += half[0] + half[1];
                    half[0] = half[1] = 0;
                }
            }
            assert_memory_equal(&sum, out.data + i * out.stride + j, sizeof sum);
        }
    }
    release(matrix.packed);
    release(x.data), release(w.data), release(out.data), release(a.data), release(b.data);
}

static void rows_come_out_of_the_matrix(void **state)
{
    (void)state;
    need_native();
    enum { ROWS = 107 };
    for (int64_t width = 1; width < 600; width += 149) {
        Tensor w = random_tensor(ROWS, width, 0, 1), out = random_tensor(ROWS, width, 3, 2);
        Tensor expected = rounded(w);
        Matrix matrix = packed(w, TYPE_BF16), narrow = matrix;
        size_t bytes = native->matrix_bytes(ROWS, width, TYPE_BF16);
        uint16_t *source = allocate((size_t)(ROWS * width), sizeof *source);
        narrow.packed = allocate(bytes, 1);
        native->convert(NULL, source, TYPE_BF16, elements_f32(w.data), ROWS * width);
        native->matrix_pack(NULL, narrow, 64,
                            elements_from((Elements){source, TYPE_BF16}, 64 * width), ROWS - 64);
        native->matrix_pack(NULL, narrow, 0, (Elements){source, TYPE_BF16}, 64);
        assert_memory_equal(narrow.packed, matrix.packed, bytes);
        int32_t tokens[ROWS];
        for (int32_t r = 0; r < ROWS; r++)
            tokens[r] = ROWS - 1 - r;
        native->embedding_forward(NULL, out, matrix, tokens);
        for (int64_t r = 0; r < ROWS; r++)
            assert_memory_equal(out.data + r * out.stride, expected.data + (ROWS - 1 - r) * width,
                                (size_t)width * sizeof(float));
        release(matrix.packed), release(narrow.packed), release(source);
        release(w.data), release(out.data), release(expected.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_sum_up_rounded_factors),
        cmocka_unit_test(other_matrices_give_the_bits_of_avx512),
        cmocka_unit_test(a_row_is_its_own),
        cmocka_unit_test(rows_come_out_of_the_matrix),
    };
    const struct CMUnitTest of_amx[] = {cmocka_unit_test(amx_adds_up_in_its_order)};
    int failed = 0;
    if (!kernels_cpu_native())
        return TEST_SKIPPED;
    set = "avx512_bf16";
    failed += cmocka_run_group_tests_name(set, tests, NULL, NULL);
    set = "amx_bf16";
    failed += cmocka_run_group_tests_name(set, tests, NULL, NULL);
    failed += cmocka_run_group_tests_name(set, of_amx, NULL, NULL);
    return failed > 0;
}
