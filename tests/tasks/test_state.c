// test_state.c - a run's state to a checkpoint and back, on any number of ranks.

#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fail.h"
#include "tasks/state.h"
#include "tests/model/tiny.h"

static Group world;
static char place[64]; // of the test's files, the same on every rank

typedef struct {
    Group group;
    Parameters parameters;
    Optimizer optimizer;
    StoredAdapter adapter;
    StateOwner owner;
} Holder;

static void holder_fit(Holder *holder, Group group, TinyFamily family, const AdapterShape *adapter,
                       ElementType moments)
{
    ModelShape shape = tiny_shape(family);
    holder->group = group;
    holder->adapter = (StoredAdapter){0};
    if (adapter) {
        parameters_make_adapter(&holder->parameters, &shape, adapter, group.rank, group.size);
        holder->adapter = (StoredAdapter){
            .shape = *adapter, .base = duplicate("models/base"), .checksum = 0x1234abcd5678ef09};
    } else {
        parameters_make(&holder->parameters, &shape, group.rank, group.size);
    }
    optimizer_make(&holder->optimizer, &holder->parameters, kernels_cpu(),
                   (OptimizerForm){.moments = moments});
    char model[96];
    snprintf(model, sizeof model, "%s/model", place);
    if (state_owner_make(&holder->owner, model) != 0)
        die_failed();
    holder->owner.group = &holder->group;
    holder->owner.kernels = kernels_cpu();
    holder->owner.parameters = &holder->parameters;
    holder->owner.adapter = &holder->adapter;
    holder->owner.optimizer = &holder->optimizer;
    holder->owner.settings = duplicate("[run]\nseed = 3\n");
    state_owner_make_snapshot(&holder->owner);
}

static void holder_make(Holder *holder, Group group, TinyFamily family)
{
    holder_fit(holder, group, family, NULL, TYPE_F32);
}

static void fill_moments(const Parameters *parameters, uint64_t seed, void *out, ElementType type)
{
    float *values = allocate((size_t)parameters->local, sizeof *values);
    tiny_perturb(parameters, seed, 1, values);
    kernels_cpu()->convert(NULL, out, type, elements_f32(values), parameters->local);
    release(values);
}

static void holder_fill(Holder *holder)
{
    Moments moments = holder->optimizer.moments;
    tiny_randomise(&holder->parameters, 1, holder->optimizer.master);
    fill_moments(&holder->parameters, 2, moments.m, moments.type);
    fill_moments(&holder->parameters, 3, moments.v, moments.type);
}

static void holder_save(const Holder *holder, RunDirectory *run, const RunState *state)
{
    assert_int_equal(state_save(&holder->owner, run, state, false, (KeepPolicy){.keep_last = 2}),
                     0);
    assert_int_equal(run_directory_save_end(run, NULL), 0);
}

static void holder_free(Holder *holder)
{
    state_owner_free(&holder->owner);
    stored_adapter_free(&holder->adapter);
    optimizer_free(&holder->optimizer, kernels_cpu());
    parameters_free(&holder->parameters);
}

static void assert_same_tensors(const Holder *a, const Holder *b)
{
    for (int64_t i = 0; i < a->parameters.tensor_count; i++) {
        Piece piece = parameters_piece(&a->parameters, i);
        Moments x = moments_from(a->optimizer.moments, piece.local);
        Moments y = moments_from(b->optimizer.moments, piece.local);
        size_t count = (size_t)piece.count, bytes = count * type_bytes(x.type);
        assert_int_equal(x.type, y.type);
        assert_memory_equal(a->optimizer.master + piece.local, b->optimizer.master + piece.local,
                            count * sizeof(float));
        assert_memory_equal(x.m, y.m, bytes);
        assert_memory_equal(x.v, y.v, bytes);
    }
}

static const RunState STATE = {.step = 12,
                               .updates = 5,
                               .journal_bytes = 1234,
                               .samples_bytes = 5678901234,
                               .best = 0.1,
                               .best_step = 10,
                               .since_best = 2};

// What a run's resume takes.
typedef struct {
    Holder *holder;
    RunState found;
} Taken;

static int take_state(void *context, Checkpoint *checkpoint)
{
    Taken *taken = context;
    const char *settings, *arithmetic;
    assert_int_equal(checkpoint_text(checkpoint, "settings", &settings), 0);
    assert_string_equal(settings, "[run]\nseed = 3\n");
    assert_int_equal(checkpoint_text(checkpoint, "arithmetic", &arithmetic), 0);
    assert_string_equal(arithmetic, "exact");
    assert_non_null(checkpoint_tensor(checkpoint, "/files/config.json"));
    assert_null(checkpoint_tensor(checkpoint, "/files/vocab.json")); // the model has none
    return state_load(&taken->holder->owner, checkpoint, &taken->found);
}

static int holder_resume(Holder *holder, RunDirectory *run, RunState *found)
{
    Taken taken = {.holder = holder};
    int64_t step = -1;
    int status = run_directory_resume(run, take_state, &taken, &step);
    *found = taken.found;
    if (status == 0)
        assert_int_equal(step, found->step);
    return status;
}

static char *run_path(const char *name)
{
    Bytes path = {0};
    bytes_print(&path, "%s/%s", place, name);
    return path.data;
}

static void a_state_comes_back_as_it_was(void **state)
{
    (void)state;
    Holder saved, loaded;
    holder_make(&saved, world, TINY_QWEN2);
    holder_make(&loaded, world, TINY_QWEN2);
    holder_fill(&saved);
    char *path = run_path("run");
    RunDirectory *run = run_directory_open(&world, path);
    assert_non_null(run);
    holder_save(&saved, run, &STATE);
    RunState found;
    assert_int_equal(holder_resume(&loaded, run, &found), 0);
    assert_memory_equal(&found, &STATE, sizeof found);
    assert_int_equal(loaded.optimizer.updates, 5);
    assert_same_tensors(&loaded, &saved);
    run_directory_close(run);
    release(path);
    holder_free(&saved);
    holder_free(&loaded);
}

static void a_save_is_of_the_moment_it_was_begun(void **state)
{
    (void)state;
    Holder saved, loaded, later;
    holder_make(&saved, world, TINY_QWEN3);
    holder_make(&loaded, world, TINY_QWEN3);
    holder_make(&later, world, TINY_QWEN3);
    holder_fill(&saved);
    holder_fill(&later);
    char *path = run_path("moment");
    RunDirectory *run = run_directory_open(&world, path);
    assert_int_equal(state_save(&later.owner, run, &STATE, false, (KeepPolicy){0}), 0);
    tiny_perturb(&later.parameters, 4, 1, later.optimizer.master); // the run goes on
    tiny_perturb(&later.parameters, 5, 1, later.optimizer.moments.m);
    tiny_perturb(&later.parameters, 6, 1, later.optimizer.moments.v);
    assert_int_equal(run_directory_save_end(run, NULL), 0);
    RunState found;
    assert_int_equal(holder_resume(&loaded, run, &found), 0);
    assert_same_tensors(&loaded, &saved);
    run_directory_close(run);
    release(path);
    holder_free(&saved);
    holder_free(&loaded);
    holder_free(&later);
}

// A device whose memory the host cannot touch: it is open only while a copy is under way.
static void open_memory(const void *memory, size_t bytes, int access)
{
    uintptr_t page = (uintptr_t)memory / 4096 * 4096;
    CHECK(mprotect((void *)page, (uintptr_t)memory + bytes - page, access) == 0, "mprotect");
}

static void *make_guarded(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(memory != MAP_FAILED, "mmap");
    return memory;
}

static void copy_in_guarded(Queue *queue, void *device, const void *host, size_t bytes)
{
    open_memory(device, bytes, PROT_READ | PROT_WRITE);
    kernels_cpu()->copy_in(queue, device, host, bytes);
    open_memory(device, bytes, PROT_NONE);
}

static void copy_out_guarded(Queue *queue, void *host, const void *device, size_t bytes)
{
    open_memory(device, bytes, PROT_READ);
    kernels_cpu()->copy_out(queue, host, device, bytes);
    open_memory(device, bytes, PROT_NONE);
}

// The arrays of a holder in such memory.
static void holder_guard(Holder *holder, Kernels *kernels)
{
    size_t bytes = (size_t)holder->parameters.local * sizeof(float);
    Optimizer *optimizer = &holder->optimizer;
    void **arrays[] = {(void **)&optimizer->master, &optimizer->moments.m, &optimizer->moments.v};
    *kernels = *kernels_cpu();
    kernels->host_is_device = false;
    kernels->copy_in = copy_in_guarded;
    kernels->copy_out = copy_out_guarded;
    holder->owner.kernels = kernels;
    for (int i = 0; i < 3; i++) {
        void *plain = *arrays[i];
        *arrays[i] = make_guarded(bytes);
        copy_in_guarded(NULL, *arrays[i], plain, bytes);
        kernels_cpu()->memory_free(plain);
    }
}

// And back, so that they can be looked at and freed.
static void holder_unguard(Holder *holder)
{
    size_t bytes = (size_t)holder->parameters.local * sizeof(float);
    Optimizer *optimizer = &holder->optimizer;
    void **arrays[] = {(void **)&optimizer->master, &optimizer->moments.m, &optimizer->moments.v};
    holder->owner.kernels = kernels_cpu();
    for (int i = 0; i < 3; i++) {
        void *guarded = *arrays[i];
        *arrays[i] = kernels_cpu()->memory_make(bytes);
        copy_out_guarded(NULL, *arrays[i], guarded, bytes);
        munmap(guarded, bytes);
    }
}

static void only_kernels_touch_device_memory(void **state)
{
    (void)state;
    Holder saved, loaded;
    Kernels kernels[2];
    RunState found;
    holder_make(&saved, world, TINY_QWEN3);
    holder_make(&loaded, world, TINY_QWEN3);
    holder_fill(&saved);
    holder_guard(&saved, &kernels[0]);
    holder_guard(&loaded, &kernels[1]);
    char *path = run_path("guarded"), *weights = run_path("guarded.h5");
    RunDirectory *run = run_directory_open(&world, path);
    holder_save(&saved, run, &STATE);
    assert_int_equal(
        state_save_weights(&saved.owner, weights, elements_f32(saved.optimizer.master)), 0);
    assert_int_equal(holder_resume(&loaded, run, &found), 0);
    holder_unguard(&saved);
    holder_unguard(&loaded);
    assert_same_tensors(&loaded, &saved);
    run_directory_close(run);
    release(path);
    release(weights);
    holder_free(&saved);
    holder_free(&loaded);
}

static void weights_come_back_on_one_rank_and_on_all(void **state)
{
    (void)state;
    Holder saved, one;
    Group self = {.comm = MPI_COMM_SELF, .size = 1};
    char *path = run_path("reference.h5");
    holder_make(&saved, world, TINY_QWEN3);
    holder_make(&one, self, TINY_QWEN3);
    holder_fill(&saved);
    float *wanted = one.optimizer.moments.m, *read = saved.optimizer.moments.v;
    tiny_randomise(&one.parameters, 1, wanted);
    assert_int_equal(state_save_weights(&saved.owner, path, elements_f32(saved.optimizer.master)),
                     0);
    assert_int_equal(state_load_weights(&world, path, &saved.parameters, read), 0);
    assert_int_equal(state_load_weights(&self, path, &one.parameters, one.optimizer.master), 0);
    for (int64_t i = 0; i < one.parameters.tensor_count; i++) {
        Piece all = parameters_piece(&one.parameters, i);
        Piece mine = parameters_piece(&saved.parameters, i);
        assert_memory_equal(one.optimizer.master + all.local, wanted + all.local,
                            (size_t)all.count * sizeof(float));
        assert_memory_equal(read + mine.local, saved.optimizer.master + mine.local,
                            (size_t)mine.count * sizeof(float));
    }
    group_barrier(&world);
    release(path);
    holder_free(&saved);
    holder_free(&one);
}

static void a_checkpoint_of_another_model_is_refused(void **state)
{
    (void)state;
    Holder other;
    char *path = run_path("reference.h5"); // of the test before
    holder_make(&other, world, TINY_LLAMA);
    assert_int_equal(state_load_weights(&world, path, &other.parameters, other.optimizer.master),
                     -1);
    assert_int_equal(fail_code(), EXIT_BAD_DATA);
    assert_non_null(strstr(fail_message(), "reference.h5"));
    release(path);
    holder_free(&other);
}

// Saves the run `name`; gives the checkpoint's file name.
static char *save_run(Holder *saved, const char *name, RunDirectory **run)
{
    char *path = run_path(name);
    *run = run_directory_open(&world, path);
    assert_non_null(*run);
    holder_save(saved, *run, &STATE);
    release(path);
    return run_directory_checkpoint_path(*run, STATE.step);
}

// Saves a run whose moments are of one type, and loads it as one that keeps them in another.
static void change_moments(const char *name, ElementType from, ElementType to)
{
    Holder saved, loaded;
    RunDirectory *run;
    RunState found;
    holder_fit(&saved, world, TINY_QWEN3, NULL, from);
    holder_fit(&loaded, world, TINY_QWEN3, NULL, to);
    holder_fill(&saved);
    release(save_run(&saved, name, &run));
    assert_int_equal(holder_resume(&loaded, run, &found), 0);
    holder_free(&saved);
    holder_fit(&saved, world, TINY_QWEN3, NULL, to);
    holder_fill(&saved); // rounded to bf16 by the kernels, from the same values
    Moments wanted = saved.optimizer.moments;
    if (to == TYPE_F32) {
        kernels_cpu()->round_bf16(NULL, wanted.m, wanted.m, saved.parameters.local);
        kernels_cpu()->round_bf16(NULL, wanted.v, wanted.v, saved.parameters.local);
    }
    assert_same_tensors(&loaded, &saved);
    run_directory_close(run);
    holder_free(&saved);
    holder_free(&loaded);
}

static void moments_come_back_in_the_type_that_they_are_kept_in(void **state)
{
    (void)state;
    change_moments("narrow", TYPE_BF16, TYPE_BF16);
    change_moments("widened", TYPE_BF16, TYPE_F32);
    change_moments("narrowed", TYPE_F32, TYPE_BF16);
}

static void an_adapter_comes_back_with_what_is_to_be_known_of_it(void **state)
{
    (void)state;
    Holder saved, loaded;
    RunDirectory *run;
    RunState found;
    StoredAdapter stored;
    AdapterShape shape = tiny_adapter_shape(false);
    holder_fit(&saved, world, TINY_QWEN3, &shape, TYPE_F32);
    holder_fit(&loaded, world, TINY_QWEN3, &shape, TYPE_F32);
    holder_fill(&saved);
    char *file = save_run(&saved, "adapter", &run);
    assert_int_equal(holder_resume(&loaded, run, &found), 0);
    assert_same_tensors(&loaded, &saved);
    Checkpoint *checkpoint = checkpoint_open(&world, file);
    assert_non_null(checkpoint_tensor(checkpoint, "/adapter/base_model.model.model.layers.1.mlp."
                                                  "down_proj.lora_B.weight"));
    assert_int_equal(stored_adapter_read(&stored, file), 0);
    assert_true(adapter_same(&stored.shape, &shape));
    assert_string_equal(stored.base, "models/base");
    assert_true(stored.checksum == saved.adapter.checksum);
    stored_adapter_free(&stored);
    release(file);
    checkpoint_close(checkpoint);
    run_directory_close(run);
    holder_free(&saved);
    holder_free(&loaded);
}

static void an_adapter_of_another_kind_or_beside_another_base_is_refused(void **state)
{
    (void)state;
    static const char *const messages[] = {"checksum 1234abcd5678ef09", "rank 4, alpha 6",
                                           "rank 4, alpha 6", "rank 4, alpha 6"};
    Holder saved, other;
    RunDirectory *run;
    RunState found;
    AdapterShape shape = tiny_adapter_shape(false), whole = tiny_adapter_shape(true);
    holder_fit(&saved, world, TINY_QWEN3, &shape, TYPE_F32);
    release(save_run(&saved, "other", &run));
    for (int way = 0; way < 4; way++) {
        holder_fit(&other, world, TINY_QWEN3,
                   way == 3   ? NULL
                   : way == 2 ? &whole
                              : &shape,
                   TYPE_F32);
        other.adapter.checksum += way == 0;
        other.adapter.shape.alpha += way == 1;
        assert_int_equal(holder_resume(&other, run, &found), -1);
        assert_int_equal(fail_code(), EXIT_BAD_DATA);
        assert_non_null(strstr(fail_message(), messages[way]));
        holder_free(&other);
    }
    run_directory_close(run);
    holder_free(&saved);
}

static void no_best_yet_survives_too(void **state)
{
    (void)state;
    Holder holder;
    RunState without = STATE, found = {0};
    without.best = -INFINITY;
    holder_make(&holder, world, TINY_LLAMA);
    char *path = run_path("fresh");
    RunDirectory *run = run_directory_open(&world, path);
    int64_t step = 7;
    assert_int_equal(run_directory_resume(run, take_state, NULL, &step), 0);
    assert_int_equal(step, -1); // a fresh run has none
    holder_save(&holder, run, &without);
    assert_int_equal(holder_resume(&holder, run, &found), 0);
    assert_true(found.best == -INFINITY);
    run_directory_close(run);
    release(path);
    holder_free(&holder);
}

static void side_files_are_copied_byte_for_byte(void **state)
{
    (void)state;
    Holder holder;
    holder_make(&holder, world, TINY_LLAMA);
    char *path = run_path("copied");
    assert_int_equal(holder.owner.file_count, 2);
    assert_int_equal(state_copy_files(&holder.owner, path), 0);
    ModelShape shape, expected = tiny_shape(TINY_LLAMA);
    assert_int_equal(shape_read(&shape, path, NULL), 0);
    assert_memory_equal(&shape, &expected, sizeof shape);
    release(path);
    holder_free(&holder);
}

static void write_model(void)
{
    Bytes command = {0};
    char model[96], file[128];
    snprintf(model, sizeof model, "%s/model", place);
    bytes_print(&command, "mkdir -p %s", model);
    CHECK(system(command.data) == 0, "%s", command.data);
    bytes_free(&command);
    static const char *const names[] = {"config.json", "tokenizer.json"};
    for (int i = 0; i < 2; i++) {
        snprintf(file, sizeof file, "%s/%s", model, names[i]);
        FILE *out = fopen(file, "wb");
        CHECK(out, "%s", file);
        fputs(i == 0 ? tiny_configs[TINY_LLAMA] : "{}", out);
        fclose(out);
    }
}

static void remove_all(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", place);
    CHECK(system(command) == 0, "%s", command);
}

int main(int argc, char **argv)
{
    group_start(&argc, &argv);
    world = group_world();
    strcpy(place, "/tmp/learn2ask_test_XXXXXX");
    if (world.rank == 0) {
        CHECK(mkdtemp(place), "no temporary directory");
        write_model();
    }
    group_broadcast(&world, place, sizeof place, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_comes_back_as_it_was),
        cmocka_unit_test(a_save_is_of_the_moment_it_was_begun),
        cmocka_unit_test(only_kernels_touch_device_memory),
        cmocka_unit_test(moments_come_back_in_the_type_that_they_are_kept_in),
        cmocka_unit_test(weights_come_back_on_one_rank_and_on_all),
        cmocka_unit_test(a_checkpoint_of_another_model_is_refused),
        cmocka_unit_test(an_adapter_comes_back_with_what_is_to_be_known_of_it),
        cmocka_unit_test(an_adapter_of_another_kind_or_beside_another_base_is_refused),
        cmocka_unit_test(no_best_yet_survives_too),
        cmocka_unit_test(side_files_are_copied_byte_for_byte),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    group_barrier(&world);
    if (world.rank == 0)
        remove_all();
    group_free(&world);
    group_stop();
    return failures;
}
