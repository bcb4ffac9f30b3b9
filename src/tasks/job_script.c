// job_script.c - a Slurm job script that trains, with what the run needs of a machine; jobs/ has
// those that are not made for one input file.

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "tasks/checked.h"
#include "tasks/tasks.h"

enum { PATH_BYTES = 4096, CORES_OF_A_RANK = 8 };

// Of host memory, for the rank that needs most, with a quarter for what nobody can foresee.
static int64_t mebibytes_of_a_rank(Checked *checked, int ranks, bool gpu)
{
    RankKind kinds[RANK_KINDS];
    size_t most = 0;
    int count = sizes_kinds(checked->settings, ranks, kinds);
    for (int i = 0; i < count; i++) {
        MemoryQuestion question = checked_question(checked, &kinds[i], gpu);
        MemoryParts parts = sizes_memory(&question);
        size_t bytes = gpu ? parts.host : parts.total;
        most = bytes > most ? bytes : most;
    }
    return (int64_t)((double)most * 1.25 / 0x1p20) + 1;
}

// The last part of the run's directory, as far as it can be the name of a job.
static void print_name(const char *directory, Bytes *out)
{
    size_t end = strlen(directory);
    while (end > 1 && directory[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && directory[begin - 1] != '/')
        begin--;
    for (size_t i = begin; i < end; i++)
        bytes_print(out, "%c", strchr(" \t\n%\\\"'", directory[i]) ? '_' : directory[i]);
}

static void print_resources(Checked *checked, Bytes *out)
{
    const Settings *settings = checked->settings;
    bool gpu = settings->parallel.backend == BACKEND_CUDA;
    int ranks = checked_least_ranks(checked);
    int64_t cores = settings->parallel.threads > 0 ? settings->parallel.threads : CORES_OF_A_RANK;
    int64_t memory = mebibytes_of_a_rank(checked, ranks, gpu);
    bytes_append_text(out, "#SBATCH --job-name=");
    print_name(settings->run.directory, out);
    bytes_print(out, "\n#SBATCH --ntasks=%d\n#SBATCH --cpus-per-task=%lld\n", ranks,
                (long long)cores);
    if (gpu)
        bytes_append_text(out, "#SBATCH --gpus-per-task=1\n");
    bytes_print(out, "#SBATCH --mem-per-cpu=%lldM\n", (long long)((memory + cores - 1) / cores));
    bytes_append_text(out, "#SBATCH --time=12:00:00\n"
                           "#SBATCH --signal=USR1@180\n"
                           "#SBATCH --requeue\n"
                           "#SBATCH --open-mode=append\n"
                           "#SBATCH --output=%x-%j.log\n");
}

static int print_script(Checked *checked, Bytes *out)
{
    char program[PATH_BYTES];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length < 0)
        return fail(EXIT_NO_INPUT, "cannot find out where this program lies: %s", strerror(errno));
    program[length] = 0;
    bytes_append_text(
        out,
        "#!/bin/sh\n"
        "# Trains in as many turns as it takes: stopped before its time is up, the job goes back "
        "into the\n"
        "# queue. Written by learn2ask job: memory is what the run needs and a quarter more; the "
        "time of a\n"
        "# turn and the cores of a rank are guesses; with placement = shared more tasks make it "
        "faster.\n"
        "#\n");
    print_resources(checked, out);
    bytes_append_text(out, "export OMP_NUM_THREADS=\"$SLURM_CPUS_PER_TASK\" "
                           "SRUN_CPUS_PER_TASK=\"$SLURM_CPUS_PER_TASK\"\n"
                           "srun --mpi=pmix --wait=20 ");
    settings_print_word(program, out);
    bytes_append_text(out, " train ");
    settings_print_words(checked->settings, out);
    bytes_append_text(out, " \"$@\"\n"
                           "status=$?\n"
                           "[ $status -ne 75 ] || scontrol requeue \"$SLURM_JOB_ID\"\n"
                           "exit $status\n");
    return 0;
}

int task_job(const Settings *settings)
{
    Checked checked;
    Bytes script = {0};
    checked_open(&checked, settings);
    int status = checked.faults == 0
                     ? print_script(&checked, &script)
                     : fail(EXIT_BAD_SETTINGS, "%d fault%s; no job script is printed",
                            checked.faults, checked.faults > 1 ? "s" : "");
    checked_close(&checked);
    if (status == 0)
        fputs(script.data, stdout);
    bytes_free(&script);
    return status == 0 ? EXIT_DONE : (int)fail_code();
}
