#include "parallel/slurm.h"

#include <ctype.h>
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/command.h"
#include "base/fail.h"

static const double ANSWER_SECONDS = 20; // squeue itself tries for 10

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

static int fail_separate(long tasks)
{
    return fail(EXIT_USAGE,
                "srun started %ld tasks that do not know of each other: they would be %ld separate "
                "runs of one rank each; use srun --mpi=pmix (srun --mpi=list tells what there is), "
                "or mpirun",
                tasks, tasks);
}

// Tasks that srun started; 0 where it was somebody else, who introduces the ranks himself.
static long tasks_of_srun(void)
{
    const char *tasks = variable("SLURM_STEP_NUM_TASKS");
    return tasks && !variable("OMPI_COMM_WORLD_SIZE") ? strtol(tasks, NULL, 10) : 0;
}

int slurm_check_launch(void)
{
    char library[MPI_MAX_LIBRARY_VERSION_STRING];
    int length;
    MPI_Get_library_version(library, &length);
    bool introduced = variable("PMIX_RANK") || variable("PMI_RANK");
    if (tasks_of_srun() <= 1 || introduced || strncmp(library, "Open MPI", 8) != 0)
        return 0;
    return fail_separate(tasks_of_srun());
}

int slurm_check_ranks(int ranks)
{
    return ranks == 1 && tasks_of_srun() > 1 ? fail_separate(tasks_of_srun()) : 0;
}

bool slurm_speaks(void)
{
    const char *task = variable("SLURM_PROCID");
    return !task || strcmp(task, "0") == 0;
}

void slurm_name_job(char name[SLURM_JOB_BYTES])
{
    const char *job = variable("SLURM_JOB_ID"), *cluster = variable("SLURM_CLUSTER_NAME");
    bool plain = job && !strpbrk(job, " @") && !(cluster && strpbrk(cluster, " @"));
    snprintf(name, SLURM_JOB_BYTES, "%s%s%s", plain ? job : "none", plain && cluster ? "@" : "",
             plain && cluster ? cluster : "");
}

// What squeue prints in `format` of the jobs in `list`; false where it gives no answer.
static bool ask(const char *list, const char *format, Bytes *answer)
{
    static const char *const keeps[] = {"PATH",       "HOME", "LANG", "LD_LIBRARY_PATH",
                                        "SLURM_CONF", NULL};
    const char *words[] = {"squeue", "--noheader", "--states=all", "--jobs",
                           list,     "--format",   format,         NULL};
    Command command = {.words = (char *const *)(uintptr_t)words,
                       .keeps = keeps,
                       .timeout = ANSWER_SECONDS,
                       .max_bytes = 4096};
    int status = 0;
    CommandEnd end = command_run(&command, &(Bytes){0}, answer, &status);
    bytes_append(answer, "", 0);
    return end == COMMAND_ENDED && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

double slurm_read_duration(const char *text)
{
    double units = 0; // of the last field read
    int fields = 0, colons = 0;
    if (strcmp(text, "UNLIMITED\n") == 0)
        return INFINITY;
    for (;; text++) {
        char *end;
        if (!isdigit((unsigned char)*text))
            return NAN;
        units += (double)strtol(text, &end, 10);
        text = end;
        fields++;
        if (*text == ':' && ++colons <= 2)
            units *= 60;
        else if (*text == '-' && fields == 1)
            units *= 24;
        else
            return *text == '\n' && colons > 0 ? units : NAN;
    }
}

double slurm_seconds_left(void)
{
    const char *job = variable("SLURM_JOB_ID"), *end = variable("SLURM_JOB_END_TIME");
    if (end && strspn(end, "0123456789") == strlen(end))
        return strtod(end, NULL) - (double)time(NULL);
    if (!job)
        return INFINITY;
    Bytes answer = {0};
    double left = ask(job, "%L", &answer) ? slurm_read_duration(answer.data) : NAN;
    bytes_free(&answer);
    return left;
}

static bool is_final(const char *state, size_t length)
{
    static const char *const finals[] = {"BOOT_FAIL", "CANCELLED",     "COMPLETED",
                                         "DEADLINE",  "FAILED",        "NODE_FAIL",
                                         "TIMEOUT",   "OUT_OF_MEMORY", "PREEMPTED"};
    for (size_t i = 0; i < sizeof finals / sizeof *finals; i++)
        if (strlen(finals[i]) == length && strncmp(finals[i], state, length) == 0)
            return true;
    return false;
}

bool slurm_job_has_ended(const char *name)
{
    size_t digits = strspn(name, "0123456789");
    const char *cluster = variable("SLURM_CLUSTER_NAME");
    Bytes list = {0}, answer = {0};
    if (digits == 0 || name[digits] != '@' || !cluster || strcmp(name + digits + 1, cluster) != 0)
        return false;
    // Asked for one job that it has forgotten squeue fails; of several it leaves that one out.
    bytes_print(&list, "%.*s,%.*s", (int)digits, name, (int)digits, name);
    bool ended = ask(list.data, "%T", &answer);
    for (const char *line = answer.data; ended && *line; line += strspn(line, "\n")) {
        size_t length = strcspn(line, "\n");
        ended = is_final(line, length);
        line += length;
    }
    bytes_free(&list);
    bytes_free(&answer);
    return ended;
}
