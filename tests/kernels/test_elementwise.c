// test_elementwise.c - norms, biases, rotary positions, swiglu and row movements.
//
// Gradients are compared with central differences of the double-precision forward formulas.

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "tests/kernels/arrays.h"
#include "tests/kernels/operations.h"

static const float EPSILON = 0.1f;
static const double STEP = 1e-5; // of central differences

static const int64_t WIDTHS[] = {1, 7, 16, 17, 100, 576};
static const int64_t ROWS[] = {1, 3, 37};

static void check_shapes(const Operation *operation)
{
    for (size_t i = 0; i < sizeof WIDTHS / sizeof WIDTHS[0]; i++) {
        for (size_t j = 0; j < sizeof ROWS / sizeof ROWS[0]; j++)
            operation_check(operation, ROWS[j], WIDTHS[i]);
    }
    operation_check(operation, 700, 100); // several threads, several blocks of rows
}

// ---- norm ---------------------------------------------------------------------------------------

static void norm_run(const Kernels *kernels, Call *call)
{
    Tensor *t = call->tensor; // out, x, delta, weight
    kernels->residual_rmsnorm_forward(NULL, t[0], t[1], t[2], t[3].data, EPSILON);
}

static double norm_element(const double *x, const double *weight, int64_t width, int64_t j)
{
    double sum = 0;
    for (int64_t k = 0; k < width; k++)
        sum += x[k] * x[k];
    return x[j] / sqrt(sum / (double)width + (double)EPSILON) * weight[j];
}

static void norm_reference(Reference *reference)
{
    for (int64_t r = 0; r < reference->rows; r++) {
        int64_t first = r * reference->width;
        double *x = reference->data[1] + first;
        for (int64_t j = 0; j < reference->width; j++)
            x[j] += reference->data[2][first + j];
        for (int64_t j = 0; j < reference->width; j++)
            reference->data[0][first + j] =
                norm_element(x, reference->data[3], reference->width, j);
    }
}

static void a_norm_adds_the_residual_and_scales(void **state)
{
    (void)state;
    check_shapes(&(Operation){.name = "residual_rmsnorm_forward",
                              .count = 4,
                              .shared = 1u << 3,
                              .tolerance = 1e-6,
                              .run = norm_run,
                              .reference = norm_reference,
                              .row_by_row = true});
}

static void a_norm_without_delta_or_without_out_does_the_other_half(void **state)
{
    (void)state;
    const Kernels *kernels = kernels_cpu();
    Tensor x = random_tensor(5, 33, 2, 1), delta = random_tensor(5, 33, 1, 2);
    Tensor out = random_tensor(5, 33, 0, 3), again = random_tensor(5, 33, 0, 3);
    Tensor sum = copy_of_tensor(x);
    float *weight = random_array(33, 4);
    kernels->residual_rmsnorm_forward(NULL, (Tensor){0}, sum, delta, NULL, EPSILON);
    kernels->residual_rmsnorm_forward(NULL, out, x, delta, weight, EPSILON);
    assert_int_equal(tensor_difference(sum, x), -1);
    kernels->residual_rmsnorm_forward(NULL, again, sum, (Tensor){0}, weight, EPSILON);
    assert_int_equal(tensor_difference(again, out), -1);
    assert_int_equal(tensor_difference(sum, x), -1);
    release(x.data), release(delta.data), release(out.data), release(again.data);
    release(sum.data), release(weight);
}

static void norm_backward_run(const Kernels *kernels, Call *call)
{
    Tensor *t = call->tensor; // dx, dweight, y, x, weight
    kernels->rmsnorm_backward(NULL, t[0], t[1].data, t[2], t[3], t[4].data, EPSILON);
}

// sum_j y_j out_j, the loss whose gradient is asked for.
static double norm_loss(const double *y, const double *x, const double *weight, int64_t width)
{
    double squares = 0, products = 0;
    for (int64_t j = 0; j < width; j++) {
        squares += x[j] * x[j];
        products += y[j] * x[j] * weight[j];
    }
    return products / sqrt(squares / (double)width + (double)EPSILON);
}

static void norm_backward_reference(Reference *reference)
{
    int64_t width = reference->width;
    double *weight = reference->data[4];
    for (int64_t r = 0; r < reference->rows; r++) {
        double *dx = reference->data[0] + r * width, *y = reference->data[2] + r * width;
        double *x = reference->data[3] + r * width;
        for (int64_t j = 0; j < width; j++) {
            double kept = x[j];
            x[j] = kept + STEP;
            double above = norm_loss(y, x, weight, width);
            x[j] = kept - STEP;
            double below = norm_loss(y, x, weight, width);
            x[j] = kept;
            dx[j] += (above - below) / (2 * STEP);
            reference->data[1][j] += y[j] * norm_element(x, weight, width, j) / weight[j];
        }
    }
}

static void the_norms_gradients_are_finite_differences(void **state)
{
    (void)state;
    check_shapes(&(Operation){.name = "rmsnorm_backward",
                              .count = 5,
                              .shared = 1u << 1 | 1u << 4,
                              .tolerance = 1e-6,
                              .run = norm_backward_run,
                              .reference = norm_backward_reference,
                              .row_by_row = true});
}

// ---- bias ---------------------------------------------------------------------------------------

static void bias_run(const Kernels *kernels, Call *call)
{
    kernels->bias_forward(NULL, call->tensor[0], call->tensor[1].data);
    kernels->bias_backward(NULL, call->tensor[3].data, call->tensor[2]);
}

static void bias_reference(Reference *reference)
{
    for (int64_t k = 0; k < reference->rows * reference->width; k++) {
        int64_t j = k % reference->width;
        reference->data[0][k] += reference->data[1][j];
        reference->data[3][j] += reference->data[2][k];
    }
}

static void a_bias_reaches_every_row_and_its_gradient_sums_them(void **state)
{
    (void)state;
    check_shapes(&(Operation){.name = "bias_forward, bias_backward",
                              .count = 4,
                              .shared = 1u << 1 | 1u << 3,
                              .tolerance = 1e-6,
                              .run = bias_run,
                              .reference = bias_reference,
                              .row_by_row = true});
}

// ---- swiglu -------------------------------------------------------------------------------------

static void swiglu_run(const Kernels *kernels, Call *call)
{
    Tensor *t = call->tensor; // out, gate, up
    kernels->swiglu_forward(NULL, t[0], t[1], t[2]);
}

static double swiglu(double gate, double up)
{
    return gate / (1 + exp(-gate)) * up;
}

static void swiglu_reference(Reference *reference)
{
    for (int64_t k = 0; k < reference->rows * reference->width; k++)
        reference->data[0][k] = swiglu(reference->data[1][k], reference->data[2][k]);
}

static void swiglu_gates(void **state)
{
    (void)state;
    check_shapes(&(Operation){.name = "swiglu_forward",
                              .count = 3,
                              .tolerance = 3e-7,
                              .run = swiglu_run,
                              .reference = swiglu_reference,
                              .row_by_row = true});
}

static void swiglu_backward_run(const Kernels *kernels, Call *call)
{
    Tensor *t = call->tensor; // gate, up, y: the gradients take the places of gate and up
    kernels->swiglu_backward(NULL, t[0], t[1], t[2], t[0], t[1]);
}

static void swiglu_backward_reference(Reference *reference)
{
    for (int64_t k = 0; k < reference->rows * reference->width; k++) {
        double gate = reference->data[0][k], up = reference->data[1][k], y = reference->data[2][k];
        double slope = (swiglu(gate + STEP, up) - swiglu(gate - STEP, up)) / (2 * STEP);
        reference->data[0][k] = y * slope;
        reference->data[1][k] = y * swiglu(gate, 1);
    }
}

static void swiglus_gradients_are_finite_differences(void **state)
{
    (void)state;
    check_shapes(&(Operation){.name = "swiglu_backward",
                              .count = 3,
                              .tolerance = 5e-7,
                              .run = swiglu_backward_run,
                              .reference = swiglu_backward_reference,
                              .row_by_row = true});
}

static void swiglu_survives_huge_gates(void **state)
{
    (void)state;
    for (int i = 0; i < ISA_COUNT; i++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[i]);
        if (!kernels)
            continue;
        float gate[4] = {-1000, -90, 90, 1000}, up[4] = {1, 1, 1, 1}, y[4] = {1, 1, 1, 1}, out[4];
        kernels->swiglu_forward(NULL, tensor_of(out, 1, 4), tensor_of(gate, 1, 4),
                                tensor_of(up, 1, 4));
        const float wanted[4] = {0, 0, 90, 1000}, slopes[4] = {0, 0, 1, 1};
        for (int j = 0; j < 4; j++)
            assert_true(fabsf(out[j] - wanted[j]) < 1e-6f);
        kernels->swiglu_backward(NULL, tensor_of(gate, 1, 4), tensor_of(up, 1, 4),
                                 tensor_of(y, 1, 4), tensor_of(gate, 1, 4), tensor_of(up, 1, 4));
        for (int j = 0; j < 4; j++)
            assert_true(fabsf(gate[j] - slopes[j]) < 1e-6f && fabsf(up[j] - wanted[j]) < 1e-6f);
    }
}

// ---- rotary -------------------------------------------------------------------------------------

static int32_t rotary_head_width;

// `table` is tensor 1: rows of cosines and sines, one head wide, taken from the rows of a tensor.
static void rotary_run(const Kernels *kernels, Call *call)
{
    kernels->rotary(NULL, call->tensor[0], rotary_head_width, call->tensor[2].data, call->index,
                    false);
    kernels->rotary(NULL, call->tensor[1], rotary_head_width, call->tensor[2].data, call->index,
                    true);
}

// The shared row of a call holds one position's angles after the other.
static void rotary_reference(Reference *reference)
{
    int64_t half = rotary_head_width / 2, width = reference->width;
    for (int64_t k = 0; k < reference->rows * width; k++) {
        int64_t d = k % width % rotary_head_width, r = k / width;
        if (d >= half)
            continue;
        const double *angle =
            reference->data[2] + (int64_t)reference->index[r] * rotary_head_width + d;
        for (int i = 0; i < 2; i++) {
            double *x1 = &reference->data[i][k], *x2 = x1 + half, first = *x1, second = *x2;
            double c = angle[0], s = i == 0 ? angle[half] : -angle[half];
            *x1 = first * c - second * s;
            *x2 = second * c + first * s;
        }
    }
}

static void rotary_positions_turn_the_halves_of_each_head(void **state)
{
    (void)state;
    const int32_t heads[] = {1, 3, 2, 9, 3}, widths[] = {2, 6, 34, 64, 128};
    for (int i = 0; i < 5; i++) {
        rotary_head_width = widths[i];
        Operation operation = {.name = "rotary",
                               .count = 3,
                               .shared = 1u << 2,
                               .tolerance = 3e-7,
                               .run = rotary_run,
                               .reference = rotary_reference,
                               .row_by_row = true};
        // As many positions as heads fit in the shared row.
        operation_check(&operation, heads[i], (int64_t)heads[i] * widths[i]);
    }
}

static void the_inverse_rotation_takes_back_the_rotation(void **state)
{
    (void)state;
    const Kernels *kernels = kernels_cpu();
    enum { ROWS_LARGE = 200, HEADS = 9, WIDTH = 64 };
    Tensor x = random_tensor(ROWS_LARGE, HEADS * WIDTH, 3, 8), before = copy_of_tensor(x);
    float *table = allocate((size_t)ROWS_LARGE * WIDTH, sizeof *table);
    int32_t positions[ROWS_LARGE];
    for (int64_t p = 0; p < ROWS_LARGE; p++) {
        positions[p] = (int32_t)(ROWS_LARGE - 1 - p);
        for (int64_t d = 0; d < WIDTH / 2; d++) {
            table[p * WIDTH + d] = (float)cos((double)p * pow(0.8, (double)d));
            table[p * WIDTH + WIDTH / 2 + d] = (float)sin((double)p * pow(0.8, (double)d));
        }
    }
    kernels->rotary(NULL, x, WIDTH, table, positions, false);
    assert_int_not_equal(tensor_difference(x, before), -1);
    kernels->rotary(NULL, x, WIDTH, table, positions, true);
    for (int64_t k = 0; k < x.rows * x.stride; k++)
        assert_true(fabsf(x.data[k] - before.data[k]) < 1e-6f);
    release(x.data), release(before.data), release(table);
}

// ---- movement -----------------------------------------------------------------------------------

static void move_run(const Kernels *kernels, Call *call)
{
    Tensor *t = call->tensor; // gathered, source, scattered into, scattered
    kernels->rows_gather(NULL, t[0], t[1], call->index);
    kernels->rows_scatter(NULL, t[2], t[3], call->index);
}

static void move_reference(Reference *reference)
{
    int64_t width = reference->width;
    for (int64_t k = 0; k < reference->rows * width; k++) {
        int64_t other = reference->index[k / width] * width + k % width;
        reference->data[0][k] = reference->data[1][other];
        reference->data[2][other] += reference->data[3][k];
    }
}

static void rows_are_gathered_and_scattered_by_index(void **state)
{
    (void)state;
    check_shapes(&(Operation){.name = "rows_gather, rows_scatter",
                              .count = 4,
                              .tolerance = 1e-6,
                              .run = move_run,
                              .reference = move_reference});
}

static void a_norms_gradient_is_the_same_without_that_of_its_weight(void **state)
{
    (void)state;
    enum { HEIGHT = 70, WIDTH = 83, ALL = HEIGHT * WIDTH };
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[isa]);
        if (!kernels)
            continue;
        float *y = random_array(ALL, 1), *x = random_array(ALL, 2);
        float *weight = random_array(WIDTH, 3), *dweight = random_array(WIDTH, 4);
        float *dx = random_array(ALL, 5), *other = random_array(ALL, 5);
        Tensor ty = tensor_of(y, HEIGHT, WIDTH), tx = tensor_of(x, HEIGHT, WIDTH);
        kernels->rmsnorm_backward(NULL, tensor_of(dx, HEIGHT, WIDTH), dweight, ty, tx, weight, 1);
        kernels->rmsnorm_backward(NULL, tensor_of(other, HEIGHT, WIDTH), NULL, ty, tx, weight, 1);
        assert_memory_equal(dx, other, ALL * sizeof *dx);
        release(y), release(x), release(weight), release(dweight), release(dx), release(other);
    }
}

static void flat_arrays_add_and_are_scaled(void **state)
{
    (void)state;
    const int64_t sizes[] = {1, 15, 16, 8193, 200001};
    for (int i = 0; i < ISA_COUNT * 5; i++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[i / 5]);
        int64_t n = sizes[i % 5];
        if (!kernels)
            continue;
        float *out = random_array(n + 1, 1), *x = random_array(n + 1, 2);
        float *before = random_array(n + 1, 1);
        kernels->add(NULL, out, x, n);
        kernels->scale(NULL, out, 1.7f, n);
        for (int64_t j = 0; j < n; j++)
            assert_true(out[j] == (before[j] + x[j]) * 1.7f);
        assert_true(out[n] == before[n]);
        release(out), release(x), release(before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_norm_adds_the_residual_and_scales),
        cmocka_unit_test(a_norm_without_delta_or_without_out_does_the_other_half),
        cmocka_unit_test(the_norms_gradients_are_finite_differences),
        cmocka_unit_test(a_bias_reaches_every_row_and_its_gradient_sums_them),
        cmocka_unit_test(swiglu_gates),
        cmocka_unit_test(swiglus_gradients_are_finite_differences),
        cmocka_unit_test(swiglu_survives_huge_gates),
        cmocka_unit_test(rotary_positions_turn_the_halves_of_each_head),
        cmocka_unit_test(the_inverse_rotation_takes_back_the_rotation),
        cmocka_unit_test(rows_are_gathered_and_scattered_by_index),
        cmocka_unit_test(a_norms_gradient_is_the_same_without_that_of_its_weight),
        cmocka_unit_test(flat_arrays_add_and_are_scaled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
