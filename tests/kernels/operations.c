#include "tests/testing.h"

#include <math.h>
#include <omp.h>

#include "tests/kernels/arrays.h"
#include "tests/kernels/operations.h"

static Call call_make(const Operation *operation, int64_t rows, int64_t width)
{
    Call call = {0};
    uint64_t seed = (uint64_t)(rows * 1009 + width);
    for (int i = 0; i < operation->count; i++) {
        bool shared = operation->shared >> i & 1;
        call.tensor[i] = random_tensor(shared ? 1 : rows, width, shared ? 0 : 1 + i, seed);
        seed += 1000003;
    }
    call.index = allocate((size_t)rows, sizeof *call.index);
    for (int64_t r = 0; r < rows; r++)
        call.index[r] = (int32_t)draw_below(
            (Draw){.seed = seed, .purpose = PURPOSE_GENERATE, .position = (uint32_t)r},
            (uint64_t)rows);
    return call;
}

static Call call_copy(const Operation *operation, const Call *call)
{
    Call copy = *call;
    for (int i = 0; i < operation->count; i++)
        copy.tensor[i] = copy_of_tensor(call->tensor[i]);
    return copy;
}

static void call_free(const Operation *operation, Call *call)
{
    for (int i = 0; i < operation->count; i++)
        release(call->tensor[i].data);
}

static void check_same(const Operation *operation, const Call *a, const Call *b, const char *what)
{
    for (int i = 0; i < operation->count; i++) {
        int64_t place = tensor_difference(a->tensor[i], b->tensor[i]);
        if (place >= 0)
            fail_msg("%s, %lld x %lld, %s: tensor %d differs at %lld: %.9g is not %.9g",
                     operation->name, (long long)a->tensor[i].rows, (long long)a->tensor[i].width,
                     what, i, (long long)place, (double)a->tensor[i].data[place],
                     (double)b->tensor[i].data[place]);
    }
}

static Reference reference_make(const Operation *operation, const Call *call, int64_t rows,
                                int64_t width)
{
    Reference reference = {.index = call->index, .rows = rows, .width = width};
    for (int i = 0; i < operation->count; i++) {
        Tensor tensor = call->tensor[i];
        reference.data[i] = allocate((size_t)(tensor.rows * width), sizeof(double));
        for (int64_t k = 0; k < tensor.rows * width; k++)
            reference.data[i][k] = (double)tensor.data[k / width * tensor.stride + k % width];
    }
    return reference;
}

static void check_reference(const Operation *operation, const Call *before, const Call *after,
                            int64_t rows, int64_t width)
{
    Reference reference = reference_make(operation, before, rows, width);
    operation->reference(&reference);
    for (int i = 0; i < operation->count; i++) {
        Tensor tensor = after->tensor[i];
        // What all rows add to: the error of a chain grows like the root of its length.
        double growth = operation->shared >> i & 1 ? 1 + sqrt((double)rows) / 2 : 1;
        double tolerance = operation->tolerance * growth;
        for (int64_t k = 0; k < tensor.rows * width; k++) {
            double wanted = reference.data[i][k];
            double got = (double)tensor.data[k / width * tensor.stride + k % width];
            if (!(fabs(got - wanted) <= tolerance * (1 + fabs(wanted))))
                fail_msg("%s, %lld x %lld: tensor %d at %lld is %.9g, not %.9g", operation->name,
                         (long long)rows, (long long)width, i, (long long)k, got, wanted);
        }
        for (int64_t k = 0; tensor.stride > width && k < tensor.rows; k++)
            assert_memory_equal(&tensor.data[k * tensor.stride + width], &SENTINEL,
                                sizeof SENTINEL);
        release(reference.data[i]);
    }
}

static void run_row_by_row(const Operation *operation, const Kernels *kernels, Call *call,
                           int64_t rows)
{
    for (int64_t r = 0; r < rows; r++) {
        Call row = *call;
        row.index += r;
        for (int i = 0; i < operation->count; i++) {
            if (!(operation->shared >> i & 1))
                row.tensor[i] = tensor_rows(call->tensor[i], r, 1);
        }
        operation->run(kernels, &row);
    }
}

static void check_set(const Operation *operation, const Kernels *kernels, const Call *before,
                      const Call *wanted, int64_t rows)
{
    for (int threads = 1; threads <= 3; threads++) {
        Call call = call_copy(operation, before);
        omp_set_num_threads(threads);
        operation->run(kernels, &call);
        check_same(operation, &call, wanted, kernels->name);
        call_free(operation, &call);
    }
    omp_set_num_threads(2);
    if (operation->row_by_row) {
        Call call = call_copy(operation, before);
        run_row_by_row(operation, kernels, &call, rows);
        check_same(operation, &call, wanted, "row by row");
        call_free(operation, &call);
    }
}

void operation_check(const Operation *operation, int64_t rows, int64_t width)
{
    Call before = call_make(operation, rows, width);
    Call wanted = call_copy(operation, &before);
    operation->run(kernels_cpu_named("plain"), &wanted);
    check_reference(operation, &before, &wanted, rows, width);
    for (int i = 0; i < ISA_COUNT; i++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[i]);
        if (kernels)
            check_set(operation, kernels, &before, &wanted, rows);
    }
    call_free(operation, &wanted);
    call_free(operation, &before);
    release(before.index);
}
