// test_cuda_memory.c - memory, copies, faults, and what a program without a GPU is told.

#include <setjmp.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cuda/gpu.h"

static void memory_is_zero_and_aligned(void)
{
    static const size_t sizes[] = {0, 1, 63, 65, 4096, 1000003};
    for (int i = 0; i < 6; i++) {
        Arena arena = {.kernels = gpu};
        char *device = arena_make(&arena, sizes[i]);
        expect((uintptr_t)device % 64 == 0, "%zu bytes at %p", sizes[i], (void *)device);
        char *host = arena_get(&arena, device, sizes[i]);
        for (size_t j = 0; j < sizes[i]; j++)
            expect(host[j] == 0, "byte %zu of %zu", j, sizes[i]);
        release(host);
        arena_free(&arena);
    }
}

static void copies_arrive(void)
{
    enum { COUNT = 100003 };
    size_t bytes = COUNT * sizeof(float);
    float *host = random_array(COUNT, 1);
    Arena arena = {.kernels = gpu};
    float *a = arena_put(&arena, host, bytes), *b = arena_make(&arena, bytes);
    gpu->copy(NULL, b + 1, a, bytes - sizeof *a);
    gpu->fill_zero(NULL, a, bytes / 2);
    float *first = arena_get(&arena, a, bytes), *second = arena_get(&arena, b, bytes);
    expect(second[0] == 0.0f, "the element before the copy");
    expect(first_difference(second + 1, host, COUNT - 1) < 0, "a copy differs");
    expect(first[COUNT / 2 - 1] == 0.0f && first[COUNT / 2 + 1] == host[COUNT / 2 + 1],
           "zeros in the wrong place");
    release(first);
    release(second);
    release(host);
    arena_free(&arena);
}

// The host's array may change as soon as copy_in returns.
static void copies_in_are_taken_at_once(void)
{
    enum { COUNT = 1 << 22 };
    size_t bytes = COUNT * sizeof(float);
    float *host = random_array(COUNT, 2), *changed = allocate(COUNT, sizeof *changed);
    memcpy(changed, host, bytes);
    Arena arena = {.kernels = gpu};
    float *device = arena_make(&arena, bytes);
    gpu->copy_in(NULL, device, changed, bytes);
    memset(changed, 0, bytes);
    float *got = arena_get(&arena, device, bytes);
    expect(first_difference(got, host, COUNT) < 0, "a copy of an array that changed");
    release(got);
    release(changed);
    release(host);
    arena_free(&arena);
}

// Kernels and copies take host memory in the place of the device's, and give the same.
static void host_memory_serves_as_device_memory(void)
{
    enum { COUNT = 10007, PARTS = 4 };
    size_t bytes = COUNT * sizeof(float);
    float *got[2][PARTS], *values = random_array(COUNT, 4);
    AdamW settings = {.learning_rate = 1e-3f,
                      .beta1 = 0.9f,
                      .beta2 = 0.95f,
                      .epsilon = 1e-8f,
                      .gradient_scale = 1,
                      .correction1 = 0.1f,
                      .correction2 = 0.05f};
    for (int host = 0; host < 2; host++) {
        Arena arena = {.kernels = gpu};
        float *place[PARTS], *gradient = arena_put(&arena, values, bytes);
        for (int i = 0; i < PARTS; i++)
            place[i] = host ? gpu->host_make(bytes) : arena_make(&arena, bytes);
        gpu->copy_in(NULL, place[0], values, bytes);
        gpu->adamw(NULL, place[0], (Moments){place[1], place[2], TYPE_F32}, gradient, COUNT,
                   settings);
        gpu->copy(NULL, place[3], place[0], bytes);
        gpu->copy(NULL, gradient, place[3], bytes / 2);
        gpu->copy(NULL, place[1], gradient, bytes / 4);
        gpu->fill_zero(NULL, place[2], bytes / 2);
        gpu->convert(NULL, gradient, TYPE_BF16, elements_f32(place[3]), COUNT);
        gpu->copy(NULL, place[3], gradient, bytes / 2);
        for (int i = 0; i < PARTS; i++) {
            got[host][i] = arena_get(&arena, place[i], bytes);
            if (host)
                gpu->host_free(place[i]);
        }
        arena_free(&arena);
    }
    for (int i = 0; i < PARTS; i++) {
        expect(first_difference(got[0][i], got[1][i], COUNT) < 0, "array %d differs", i);
        release(got[0][i]);
        release(got[1][i]);
    }
    release(values);
}

static jmp_buf ended;

static void end_here(int code)
{
    longjmp(ended, code);
}

// A token outside the vocabulary is a bug that ends the program at the next wait.
static void a_wrong_token_ends_the_program(void)
{
    Arena arena = {.kernels = gpu};
    Tensor w = random_tensor(10, 16, 0, 3);
    Matrix matrix = arena_matrix(&arena, w, TYPE_BF16);
    static const int32_t tokens[] = {3, 10};
    Tensor out = tensor_of(arena_make(&arena, 32 * sizeof(float)), 2, 16);
    die_set_end(end_here);
    int code = setjmp(ended);
    if (code == 0) {
        gpu->embedding_forward(NULL, out, matrix, arena_put(&arena, tokens, sizeof tokens));
        gpu->queue_wait(NULL);
        expect(false, "the program goes on");
    } else {
        expect(code == EXIT_BUG, "exit code %d", code);
    }
    die_set_end(NULL);
    arena_free(&arena);
    release(w.data);
}

// With every device hidden, the table is not to be had and there is a reason.
static void a_program_without_a_gpu_is_told_why(const char *program)
{
    pid_t child = fork();
    if (child == 0) {
        setenv("CUDA_VISIBLE_DEVICES", "", 1);
        execl(program, program, "hidden", (char *)NULL);
        _exit(2);
    }
    int status = 0;
    waitpid(child, &status, 0);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED, "status %d", status);
}

static const char *own_path;

static void hidden_devices_give_a_reason(void)
{
    a_program_without_a_gpu_is_told_why(own_path);
}

int main(int count, char **arguments)
{
    own_path = arguments[0];
    if (count > 1 &&
        strcmp(arguments[1], "hidden") == 0) // as hidden_devices_give_a_reason starts it
        return kernels_cuda_count() == 0 && fail_message()[0] && fail_code() == EXIT_UNAVAILABLE
                   ? SKIPPED
                   : 1;
    static const Test tests[] = {TEST(hidden_devices_give_a_reason),
                                 TEST(memory_is_zero_and_aligned),
                                 TEST(copies_arrive),
                                 TEST(copies_in_are_taken_at_once),
                                 TEST(host_memory_serves_as_device_memory),
                                 TEST(a_wrong_token_ends_the_program)};
    return TESTS_RUN(tests, arguments);
}
