// bench_checkpoint.c - checkpoints against the disk and the memory that they go through.
//
//     mpirun -n RANKS bench_checkpoint MODEL DIRECTORY [--quick] [--json FILE]
//
// MODEL: a Hugging Face directory (config.json is read; weights and moments are made up).
// DIRECTORY: where a run is made and removed again, on the disk in question. In turns with a save
// the same ranks write as many bytes each to a plain file with O_DIRECT, flush it and read it back;
// in turns with a load, from a disk whose cache was dropped for these files, they read it with
// O_DIRECT. A step loop waits for a save only until the state was copied: that time stands beside a
// plain copy of the state, and the save is told whole and without it. A disk's speed drifts: ratios
// are the medians of the rounds' own. The ceiling is the fastest plain round.
//
// Before each load the state in memory is wiped, and after it must be what was saved, to the bit.

#define _GNU_SOURCE // O_DIRECT

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/clock.h"
#include "base/fail.h"
#include "benchmarks/figures.h"
#include "files/directory.h"
#include "files/extents.h"
#include "files/raw.h"
#include "model/shape.h"
#include "tasks/libraries.h"
#include "tasks/state.h"

enum { WARM_UP = 1, ROUNDS = 9, QUICK_ROUNDS = 2, REQUEST = 8 << 20 };

typedef struct {
    Group group;
    Parameters parameters;
    Optimizer optimizer;
    StoredAdapter adapter; // none
    StateOwner owner;
    RunDirectory *run;
    const char *directory;
    char *plain;  // owned: this rank's plain file
    char *memory; // in the snapshot, page-aligned
    size_t bytes; // of this rank
} Bench;

enum { ARRAYS = 3 };

// This rank's masters and moments, bytes / ARRAYS each.
static void arrays_of(const Bench *bench, void *arrays[ARRAYS])
{
    arrays[0] = bench->optimizer.master;
    arrays[1] = bench->optimizer.moments.m;
    arrays[2] = bench->optimizer.moments.v;
}

static double wait_for_all(const Bench *bench, double since)
{
    return group_maximum(&bench->group, clock_now() - since);
}

// Slices of the plain file by O_DIRECT.
static void move_plain(const Bench *bench, bool writing)
{
    int flags = (writing ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY) | O_DIRECT;
    int descriptor = open(bench->plain, flags, 0600);
    if (descriptor < 0)
        die(EXIT_UNAVAILABLE, "%s: %s", bench->plain, strerror(errno));
    for (size_t done = 0; done < bench->bytes; done += REQUEST) {
        size_t part = bench->bytes - done < REQUEST ? bench->bytes - done : REQUEST;
        char *slice = bench->memory + done;
        ssize_t moved = writing ? pwrite(descriptor, slice, part, (off_t)done)
                                : pread(descriptor, slice, part, (off_t)done);
        if (moved != (ssize_t)part)
            die(EXIT_UNAVAILABLE, "%s: %s", bench->plain, strerror(errno));
    }
    if (writing && raw_sync(descriptor, bench->plain) != 0)
        die_failed();
    close(descriptor);
}

static double time_plain(const Bench *bench, bool writing)
{
    group_barrier(&bench->group);
    double since = clock_now();
    move_plain(bench, writing);
    return wait_for_all(bench, since);
}

// What a step loop would do at the least.
static double time_copy(const Bench *bench)
{
    const Kernels *kernels = bench->owner.kernels;
    void *arrays[ARRAYS];
    arrays_of(bench, arrays);
    group_barrier(&bench->group);
    double since = clock_now();
    for (int i = 0; i < ARRAYS; i++)
        kernels->copy_out(NULL, bench->memory + (size_t)i * (bench->bytes / ARRAYS), arrays[i],
                          bench->bytes / ARRAYS);
    kernels->queue_wait(NULL);
    return wait_for_all(bench, since);
}

static double time_save(const Bench *bench, int64_t step, double *stall)
{
    const RunState state = {.step = step};
    group_barrier(&bench->group);
    double since = clock_now();
    int status = state_save(&bench->owner, bench->run, &state, false, (KeepPolicy){.keep_last = 1});
    *stall = wait_for_all(bench, since);
    if (status != 0 || run_directory_save_end(bench->run, NULL) != 0)
        die_failed();
    return wait_for_all(bench, since);
}

typedef struct {
    StateOwner *owner;
    RunState state;
} Taken;

static int take(void *context, Checkpoint *checkpoint)
{
    Taken *taken = context;
    return state_load(taken->owner, checkpoint, &taken->state);
}

static void forget(const char *path)
{
    int descriptor = open(path, O_RDONLY);
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    close(descriptor);
}

static void hash_state(const Bench *bench, XXH128_hash_t hashes[ARRAYS])
{
    void *arrays[ARRAYS];
    arrays_of(bench, arrays);
    for (int i = 0; i < ARRAYS; i++)
        hashes[i] = XXH3_128bits(arrays[i], bench->bytes / ARRAYS);
}

// To zero, which padding between tensors keeps.
static void wipe_state(const Bench *bench)
{
    void *arrays[ARRAYS];
    arrays_of(bench, arrays);
    for (int i = 0; i < ARRAYS; i++)
        memset(arrays[i], 0, bench->bytes / ARRAYS);
}

// Loads what the step `step` saved. Dies where that is not what was in memory then.
static double time_load(Bench *bench, int64_t step)
{
    static const char *const names[ARRAYS] = {"the weights", "the moments m", "the moments v"};
    int64_t found;
    XXH128_hash_t saved[ARRAYS], loaded[ARRAYS];
    Taken taken = {.owner = &bench->owner};
    char *path = run_directory_checkpoint_path(bench->run, step);
    forget(path);
    release(path);
    hash_state(bench, saved);
    wipe_state(bench);
    group_barrier(&bench->group);
    double since = clock_now();
    if (run_directory_resume(bench->run, take, &taken, &found) != 0)
        die_failed();
    double seconds = wait_for_all(bench, since);
    hash_state(bench, loaded);
    for (int i = 0; i < ARRAYS; i++) {
        if (!XXH128_isEqual(saved[i], loaded[i]))
            die(EXIT_BUG, "rank %d: %s that were loaded are not those that were saved",
                bench->group.rank, names[i]);
    }
    if (found != step || taken.state.step != step)
        die(EXIT_BUG, "step %lld was saved, step %lld loaded", (long long)step,
            (long long)taken.state.step);
    return seconds;
}

static void open_bench(Bench *bench, const char *model, const char *directory)
{
    ModelShape shape;
    *bench = (Bench){.group = group_world(), .directory = directory};
    if (shape_read(&shape, model, NULL) != 0 || state_owner_make(&bench->owner, model) != 0)
        die_failed();
    parameters_make(&bench->parameters, &shape, bench->group.rank, bench->group.size);
    optimizer_make(&bench->optimizer, &bench->parameters, kernels_cpu(), (OptimizerForm){0});
    void *arrays[ARRAYS];
    arrays_of(bench, arrays);
    for (int i = 0; i < ARRAYS; i++)
        parameters_randomise(&bench->parameters, (uint64_t)i + 1, arrays[i]);
    bench->owner.group = &bench->group;
    bench->owner.kernels = kernels_cpu();
    bench->owner.parameters = &bench->parameters;
    bench->owner.adapter = &bench->adapter;
    bench->owner.optimizer = &bench->optimizer;
    bench->owner.settings = duplicate("");
    state_owner_make_snapshot(&bench->owner);
    uintptr_t page = ((uintptr_t)bench->owner.snapshot + EXTENT_ALIGNMENT - 1) / EXTENT_ALIGNMENT;
    bench->memory = (char *)(page * EXTENT_ALIGNMENT);
    bench->bytes = (size_t)bench->parameters.local * ARRAYS * sizeof(float);
    bench->run = run_directory_open(&bench->group, directory);
    if (!bench->run)
        die_failed();
    Bytes plain = {0};
    bytes_print(&plain, "%s/plain-%d", directory, bench->group.rank);
    bench->plain = plain.data;
}

static void close_bench(Bench *bench)
{
    run_directory_close(bench->run);
    group_barrier(&bench->group);
    if (bench->group.rank == 0 && directory_remove_tree(bench->directory) != 0)
        die_failed();
    state_owner_free(&bench->owner);
    optimizer_free(&bench->optimizer, kernels_cpu());
    parameters_free(&bench->parameters);
    release(bench->plain);
    group_free(&bench->group);
}

typedef struct {
    Series saves, saves_behind, stalls, loads;  // ours
    Series written_and_read, read_back, copies; // plain
} Rounds;

static void run_round(Bench *bench, Rounds *rounds, int64_t step)
{
    double gigabytes = 1e-9 * (double)bench->bytes * bench->group.size, stall;
    double written = time_plain(bench, true), again = time_plain(bench, false);
    double save = time_save(bench, step, &stall);
    series_add(&rounds->written_and_read, written + again, gigabytes);
    series_add(&rounds->saves, save, gigabytes);
    series_add(&rounds->saves_behind, save - stall, gigabytes);
    series_add(&rounds->stalls, stall, gigabytes);
    series_add(&rounds->copies, time_copy(bench), gigabytes);
    series_add(&rounds->read_back, time_plain(bench, false), gigabytes);
    series_add(&rounds->loads, time_load(bench, step), gigabytes);
}

static void add_figure(Figures *figures, const char *what, const char *shape, const Series *ours,
                       const char *peer, const Series *theirs)
{
    figures_add(figures, &(Figure){.what = what,
                                   .shape = shape,
                                   .unit = "GB/s",
                                   .ours = ours,
                                   .peer = peer,
                                   .theirs = theirs,
                                   .bound = "the fastest plain round",
                                   .ceiling = theirs->amounts[0] /
                                              times_of(theirs->seconds, theirs->count).least});
}

static void run_bench(Bench *bench, Figures *figures)
{
    Rounds rounds = {0};
    char shape[64];
    int count = figures->quick ? QUICK_ROUNDS : ROUNDS;
    snprintf(shape, sizeof shape, "%.4g MB", 1e-6 * (double)bench->bytes * bench->group.size);
    for (int i = -WARM_UP; i < count; i++) {
        if (i == 0)
            rounds = (Rounds){0};
        run_round(bench, &rounds, i + WARM_UP + 1);
    }
    const char *both = "O_DIRECT, written, flushed, read back";
    add_figure(figures, "save", shape, &rounds.saves, both, &rounds.written_and_read);
    add_figure(figures, "save without the copy", shape, &rounds.saves_behind, both,
               &rounds.written_and_read);
    add_figure(figures, "load", shape, &rounds.loads, "O_DIRECT, read", &rounds.read_back);
    add_figure(figures, "copy that the run waits for", shape, &rounds.stalls, "plain copy",
               &rounds.copies);
}

int main(int argc, char **argv)
{
    Bench bench;
    Figures figures;
    Bytes libraries = {0};
    group_start(&argc, &argv);
    figures_make(&figures, &argc, argv);
    if (argc != 3)
        die(EXIT_USAGE, "mpirun -n RANKS bench_checkpoint MODEL DIRECTORY [--quick] [--json FILE]");
    open_bench(&bench, argv[1], argv[2]);
    libraries_print(false, false, &libraries);
    figures_head(&figures, bench.group.rank, bench.group.size, libraries.data);
    bytes_free(&libraries);
    run_bench(&bench, &figures);
    close_bench(&bench);
    figures_write(&figures);
    group_stop();
    return EXIT_DONE;
}
