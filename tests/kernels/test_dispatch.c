// test_dispatch.c - the choice of an instruction set, the thread's arithmetic, device memory.

#include "tests/testing.h"

#include <omp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "kernels/cpu/cpu.h"
#include "tests/kernels/arrays.h"

static jmp_buf ended;
static int end_code;

static void end(int code)
{
    end_code = code;
    longjmp(ended, 1);
}

// The CPU keeps no graphs; every other entry is there.
static bool may_lack(size_t entry)
{
    return entry == offsetof(Kernels, graph_begin) || entry == offsetof(Kernels, graph_end) ||
           entry == offsetof(Kernels, graph_run) || entry == offsetof(Kernels, graph_free) ||
           entry == offsetof(Kernels, attention_plan);
}

static void every_table_is_complete_and_named(void **state)
{
    (void)state;
    assert_non_null(kernels_cpu_named("plain"));
    for (int i = 0; i < ISA_COUNT; i++) {
        const Kernels *kernels = kernels_cpu_named(ISA_NAMES[i]);
        if (!kernels) {
            print_message("this machine has no %s\n", ISA_NAMES[i]);
            continue;
        }
        assert_string_equal(kernels->name, ISA_NAMES[i]);
        const void *entries[sizeof(Kernels) / sizeof(void *)];
        memcpy(entries, kernels, sizeof entries);
        for (size_t k = 0; k < sizeof entries / sizeof entries[0]; k++)
            assert_true(entries[k] || may_lack(k * sizeof entries[0]));
    }
    assert_null(kernels_cpu_named("sse9"));
}

static void the_environment_forces_an_instruction_set(void **state)
{
    (void)state;
    setenv("LEARN2ASK_ISA", "plain", 1);
    assert_ptr_equal(kernels_cpu(), kernels_cpu_named("plain"));
    setenv("LEARN2ASK_ISA", "", 1);
    const Kernels *best = kernels_cpu();
    unsetenv("LEARN2ASK_ISA");
    assert_ptr_equal(kernels_cpu(), best);
    for (int i = 0; i < ISA_COUNT; i++) {
        if (kernels_cpu_named(ISA_NAMES[i]))
            assert_true(i == 0 || best != kernels_cpu_named("plain"));
    }
}

static void the_environment_forces_native_products_too(void **state)
{
    (void)state;
    const Kernels *exact = kernels_cpu(), *native = kernels_cpu_native();
    if (!native)
        skip();
    setenv("LEARN2ASK_ISA", "avx512_bf16", 1);
    assert_ptr_equal(kernels_cpu(), exact);
    assert_ptr_equal(kernels_cpu_native(), kernels_cpu_named("avx512_bf16"));
    setenv("LEARN2ASK_ISA", "plain", 1);
    assert_ptr_equal(kernels_cpu_native(), native);
    unsetenv("LEARN2ASK_ISA");
}

static void the_lesser_of_native_sets_is_what_both_machines_have(void **state)
{
    (void)state;
#ifdef __x86_64__
    const Kernels *amx = &kernels_cpu_amx_bf16, *dots = &kernels_cpu_avx512_bf16;
    assert_ptr_equal(kernels_cpu_native_lesser(amx, dots), dots);
    assert_ptr_equal(kernels_cpu_native_lesser(dots, amx), dots);
    assert_ptr_equal(kernels_cpu_native_lesser(amx, amx), amx);
    assert_string_not_equal(amx->arithmetic, dots->arithmetic);
    assert_string_equal(kernels_cpu()->arithmetic, kernels_cpu_named("plain")->arithmetic);
#else
    skip();
#endif
}

static void an_unknown_instruction_set_ends_the_program(void **state)
{
    (void)state;
    setenv("LEARN2ASK_ISA", "sse9", 1);
    die_set_end(end);
    if (setjmp(ended) == 0) {
        kernels_cpu();
        fail_msg("kernels_cpu came back");
    }
    unsetenv("LEARN2ASK_ISA");
    assert_int_equal(end_code, EXIT_BAD_SETTINGS);
}

#ifdef __x86_64__

static void no_thread_flushes_subnormals(void **state)
{
    (void)state;
    static volatile float tiny = 0x1p-140f, two = 2.0f;
    float products[4];
#pragma omp parallel num_threads(4)
    __builtin_ia32_ldmxcsr(0x9fc0); // flush to zero, denormals are zero
    kernels_cpu();
#pragma omp parallel num_threads(4)
    {
        products[omp_get_thread_num()] = tiny * two;
    }
    // Bits, because a comparison may itself take subnormals for zero.
    const float wanted = 0x1p-139f;
    for (int i = 0; i < omp_get_max_threads() && i < 4; i++)
        assert_memory_equal(&products[i], &wanted, sizeof wanted);
}

#else

static void no_thread_flushes_subnormals(void **state)
{
    (void)state;
    skip();
}

#endif

static void device_memory_is_zero_aligned_and_copied_whole(void **state)
{
    (void)state;
    const Kernels *kernels = kernels_cpu();
    const size_t sizes[] = {0, 1, 4096, 5 * 1024 * 1024 + 3};
    for (int i = 0; i < 4; i++) {
        size_t bytes = sizes[i];
        char *a = kernels->memory_make(bytes), *b = kernels->memory_make(bytes);
        char *host = allocate(bytes + 1, 1), *back = allocate(bytes + 1, 1);
        assert_int_equal((uintptr_t)a % 64, 0);
        for (size_t k = 0; k < bytes; k++)
            host[k] = (char)(k * 7 + 1);
        assert_true(bytes == 0 || a[bytes - 1] == 0);
        kernels->copy_in(NULL, a, host, bytes);
        kernels->copy(NULL, b, a, bytes);
        kernels->copy_out(NULL, back, b, bytes);
        kernels->queue_wait(NULL);
        assert_memory_equal(back, host, bytes + 1);
        kernels->fill_zero(NULL, b, bytes);
        for (size_t k = 0; k < bytes; k++)
            assert_int_equal(b[k], 0);
        kernels->memory_free(a), kernels->memory_free(b);
        release(host), release(back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_table_is_complete_and_named),
        cmocka_unit_test(the_environment_forces_an_instruction_set),
        cmocka_unit_test(the_environment_forces_native_products_too),
        cmocka_unit_test(the_lesser_of_native_sets_is_what_both_machines_have),
        cmocka_unit_test(an_unknown_instruction_set_ends_the_program),
        cmocka_unit_test(no_thread_flushes_subnormals),
        cmocka_unit_test(device_memory_is_zero_aligned_and_copied_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
