// report.cpp - what is said of a kernel: what is wrong with it, and which barriers it reached.
//
// The program ends at the first wrong thing: fibers that wait cannot be unwound.

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <set>
#include <string>
#include <vector>

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

struct Barrier {
    const char *kernel;
    Site site;
};

static std::vector<Barrier> reached;

static std::string barrier_name(const Barrier &barrier)
{
    return std::string(barrier.kernel) + " " + file_name(barrier.site.file) + ":" +
           std::to_string(barrier.site.line);
}

static void barriers_write()
{
    std::set<std::string> names; // of a template each instance has a kernel
    for (const Barrier &barrier : reached)
        names.insert(barrier_name(barrier));
    FILE *file = fopen(settings().barriers, "a");
    if (!file)
        wrong("%s cannot be written", settings().barriers);
    for (const std::string &name : names)
        fprintf(file, "%s\n", name.c_str());
    fclose(file);
}

static void barrier_remember(const Barrier &barrier)
{
    for (const Barrier &other : reached) {
        if (other.kernel == barrier.kernel && other.site.file == barrier.site.file &&
            other.site.line == barrier.site.line)
            return;
    }
    if (reached.empty())
        atexit(barriers_write);
    reached.push_back(barrier);
}

bool barrier_left_out(Site site)
{
    const Settings &s = settings();
    Barrier barrier = {running_kernel, site};
    if (s.barriers)
        barrier_remember(barrier);
    return s.drop && site.line == s.drop_line && barrier_name(barrier) == s.drop;
}

// ---- faults -------------------------------------------------------------------------------------

// Sanitizers have a better handler of their own.
static void fault_report(int signal_number, siginfo_t *info, void *)
{
    const char *place = guarded_describe(info->si_addr);
    wrong("%s at %p, %s", strsignal(signal_number), info->si_addr,
          *place ? place : "which is neither shared nor device memory");
}

__attribute__((constructor)) static void faults_watch()
{
    if (WITH_ADDRESS_SANITIZER || WITH_MEMORY_SANITIZER)
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
