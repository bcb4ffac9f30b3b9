// bench_checkpoint.c - checkpoints against the disk and the memory that they go through.
//
//     mpirun -n RANKS bench_checkpoint MODEL DIRECTORY
//
// MODEL: a Hugging Face directory (config.json is read; the weights are made up). DIRECTORY: where
// a run is made and removed again, on the disk in question. In turns with a save the same ranks
// write as many bytes each to a plain file with O_DIRECT, flush it and read it back; in turns with
// a load, from a disk whose cache was dropped for these files, they read it with O_DIRECT. A step
// loop waits for a save only until it was begun: that time stands beside a plain copy of the state.
// Medians of ROUNDS.

#define _GNU_SOURCE // O_DIRECT

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "benchmarks/median.h"
#include "files/directory.h"
#include "files/extents.h"
#include "files/raw.h"
#include "model/shape.h"
#include "tasks/state.h"

enum { ROUNDS = 5, REQUEST = 8 << 20 };

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
    const Moments *moments = &bench->optimizer.moments;
    const void *arrays[] = {bench->optimizer.master, moments->m, moments->v};
    group_barrier(&bench->group);
    double since = clock_now();
    for (int i = 0; i < 3; i++)
        kernels->copy_out(NULL, bench->memory + (size_t)i * (bench->bytes / 3), arrays[i],
                          bench->bytes / 3);
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

static int take(void *context, Checkpoint *checkpoint)
{
    RunState state;
    return state_load(context, checkpoint, &state);
}

static void forget(const char *path)
{
    int descriptor = open(path, O_RDONLY);
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    close(descriptor);
}

static double time_load(Bench *bench, int64_t step)
{
    int64_t found;
    char *path = run_directory_checkpoint_path(bench->run, step);
    forget(path);
    release(path);
    group_barrier(&bench->group);
    double since = clock_now();
    if (run_directory_resume(bench->run, take, &bench->owner, &found) != 0)
        die_failed();
    return wait_for_all(bench, since);
}

static void open_bench(Bench *bench, const char *model, const char *directory)
{
    ModelShape shape;
    *bench = (Bench){.group = group_world(), .directory = directory};
    if (shape_read(&shape, model, NULL) != 0 || state_owner_make(&bench->owner, model) != 0)
        die_failed();
    parameters_make(&bench->parameters, &shape, bench->group.rank, bench->group.size);
    optimizer_make(&bench->optimizer, &bench->parameters, kernels_cpu(), (OptimizerForm){0});
    parameters_randomise(&bench->parameters, 1, bench->optimizer.master);
    bench->owner.group = &bench->group;
    bench->owner.kernels = kernels_cpu();
    bench->owner.parameters = &bench->parameters;
    bench->owner.adapter = &bench->adapter;
    bench->owner.optimizer = &bench->optimizer;
    bench->owner.settings = duplicate("");
    state_owner_make_snapshot(&bench->owner);
    uintptr_t page = ((uintptr_t)bench->owner.snapshot + EXTENT_ALIGNMENT - 1) / EXTENT_ALIGNMENT;
    bench->memory = (char *)(page * EXTENT_ALIGNMENT);
    bench->bytes = (size_t)bench->parameters.local * 3 * sizeof(float);
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

static void print_rate(const Bench *bench, const char *what, double *ours, double *plain)
{
    double bytes = (double)bench->bytes * bench->group.size, mine = median(ours, ROUNDS),
           theirs = median(plain, ROUNDS);
    if (bench->group.rank == 0)
        printf("%-36s %6.2f s, %5.2f GB/s; plain O_DIRECT %6.2f s, %5.2f GB/s: %.2f of its speed\n",
               what, mine, bytes / mine / 1e9, theirs, bytes / theirs / 1e9, theirs / mine);
}

static void run_bench(Bench *bench)
{
    double saves[ROUNDS], stalls[ROUNDS], loads[ROUNDS], copies[ROUNDS], there[ROUNDS],
        there_and_back[ROUNDS], back[ROUNDS];
    time_copy(bench);
    for (int i = 0; i < ROUNDS; i++) {
        there[i] = time_plain(bench, true);
        there_and_back[i] = there[i] + time_plain(bench, false);
        saves[i] = time_save(bench, i + 1, &stalls[i]);
        copies[i] = time_copy(bench);
        back[i] = time_plain(bench, false);
        loads[i] = time_load(bench, i + 1);
    }
    if (bench->group.rank == 0)
        printf("%.0f MB on %d ranks\n", (double)bench->bytes * bench->group.size / 1e6,
               bench->group.size);
    print_rate(bench, "save: written, flushed, read back", saves, there_and_back);
    print_rate(bench, "load: read and verified", loads, back);
    double stall = median(stalls, ROUNDS), copy = median(copies, ROUNDS);
    if (bench->group.rank == 0)
        printf("%-36s %6.3f s; a copy of the state %6.3f s: %.2f times that\n",
               "the run waits for a save", stall, copy, stall / copy);
}

int main(int argc, char **argv)
{
    Bench bench;
    if (argc != 3) {
        fprintf(stderr, "usage: mpirun -n RANKS bench_checkpoint MODEL DIRECTORY\n");
        return EXIT_USAGE;
    }
    group_start(&argc, &argv);
    open_bench(&bench, argv[1], argv[2]);
    run_bench(&bench);
    close_bench(&bench);
    group_stop();
    return EXIT_DONE;
}
