// report.cpp - what is said of a kernel: what is wrong with it, and which barriers it reached.
//
// The program ends at the first wrong thing: fibers that wait cannot be unwound.

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/cuda_on_cpu/inside.h"
#include "tests/cuda_on_cpu/sanitizers.h"

namespace cuda_on_cpu
{

const char *running_kernel;

const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void wrong(const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fflush(stdout);
    if (running_kernel)
        fprintf(stderr, "cuda_on_cpu: %s, block (%u, %u, %u), thread (%u, %u, %u), seed %llu: %s\n",
                running_kernel, blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y,
                threadIdx.z, static_cast<unsigned long long>(settings().seed), text);
    else
        fprintf(stderr, "cuda_on_cpu: %s\n", text);
    _exit(EXIT_WRONG);
}

// ---- barriers -----------------------------------------------------------------------------------

enum { MOST_BARRIERS = 512, MOST_NAME = 256 };

struct Barrier {
    const char *kernel;
    Site site;
};

static Barrier reached[MOST_BARRIERS];
static int reached_count;

static void barrier_name(char (&to)[MOST_NAME], const Barrier &barrier)
{
    snprintf(to, sizeof to, "%s %s:%d", barrier.kernel, file_name(barrier.site.file),
             barrier.site.line);
}

static void barriers_write()
{
    FILE *file = fopen(settings().barriers, "a");
    if (!file)
        wrong("%s cannot be written", settings().barriers);
    for (int i = 0; i < reached_count; i++) {
        char name[MOST_NAME];
        barrier_name(name, reached[i]);
        fprintf(file, "%s\n", name);
    }
    fclose(file);
}

static bool same_barrier(const Barrier &a, const Barrier &b)
{
    return a.site.line == b.site.line && strcmp(a.kernel, b.kernel) == 0 &&
           strcmp(file_name(a.site.file), file_name(b.site.file)) == 0;
}

static void barrier_remember(const Barrier &barrier)
{
    for (int i = 0; i < reached_count; i++) {
        if (same_barrier(reached[i], barrier))
            return;
    }
    if (reached_count == 0)
        atexit(barriers_write);
    if (reached_count == MOST_BARRIERS)
        wrong("more than %d barriers", MOST_BARRIERS);
    reached[reached_count++] = barrier;
}

bool barrier_left_out(Site site)
{
    const Settings &s = settings();
    Barrier barrier = {running_kernel, site};
    if (s.barriers)
        barrier_remember(barrier);
    if (!s.drop || site.line != s.drop_line)
        return false;
    char name[MOST_NAME];
    barrier_name(name, barrier);
    return strcmp(name, s.drop) == 0;
}

// ---- faults -------------------------------------------------------------------------------------

// AddressSanitizer has a better handler of its own.
static void fault_report(int signal_number, siginfo_t *info, void *)
{
    const char *place = guarded_describe(info->si_addr);
    wrong("%s at %p, %s", strsignal(signal_number), info->si_addr,
          *place ? place : "which is neither shared nor device memory");
}

__attribute__((constructor)) static void faults_watch()
{
    if (WITH_ADDRESS_SANITIZER)
        return;
    static char stack[1 << 16]; // the fault may be that a fiber's stack is full
    stack_t alternate = {};
    alternate.ss_sp = stack;
    alternate.ss_size = sizeof stack;
    sigaltstack(&alternate, NULL);
    struct sigaction action = {};
    action.sa_sigaction = fault_report;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

} // namespace cuda_on_cpu
