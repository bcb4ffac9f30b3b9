// report.cpp - what is said: what is wrong, with a kernel or else, and which barriers and waits
// were reached.
//
// The program ends at the first wrong thing: fibers that wait cannot be unwound.

#include <execinfo.h>
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

// ---- barriers and waits -------------------------------------------------------------------------

enum { MOST_PLACES = 512, MOST_NAME = 256 };

struct Place {
    const char *kernel; // or NULL
    Site site;
};

// Places that were reached, each once.
struct Places {
    Place reached[MOST_PLACES];
    int count;
};

static Places barriers, waits;

static void place_name(char (&to)[MOST_NAME], const Place &place)
{
    snprintf(to, sizeof to, "%s%s%s:%d", place.kernel ? place.kernel : "", place.kernel ? " " : "",
             file_name(place.site.file), place.site.line);
}

static void places_write(const Places &places, const char *path)
{
    FILE *file = fopen(path, "a");
    if (!file)
        wrong("%s cannot be written", path);
    for (int i = 0; i < places.count; i++) {
        char name[MOST_NAME];
        place_name(name, places.reached[i]);
        fprintf(file, "%s\n", name);
    }
    fclose(file);
}

static bool same_place(const Place &a, const Place &b)
{
    return a.site.line == b.site.line &&
           (a.kernel == b.kernel || strcmp(a.kernel, b.kernel) == 0) &&
           strcmp(file_name(a.site.file), file_name(b.site.file)) == 0;
}

static void place_remember(Places *places, const Place &place, void (*write)())
{
    for (int i = 0; i < places->count; i++) {
        if (same_place(places->reached[i], place))
            return;
    }
    if (places->count == 0)
        atexit(write);
    if (places->count == MOST_PLACES)
        wrong("more than %d barriers or waits", MOST_PLACES);
    places->reached[places->count++] = place;
}

static bool place_named(const Place &place, const char *wanted, int line)
{
    if (!wanted || place.site.line != line)
        return false;
    char name[MOST_NAME];
    place_name(name, place);
    return strcmp(name, wanted) == 0;
}

bool barrier_left_out(Site site)
{
    const Settings &s = settings();
    Place place = {running_kernel, site};
    if (s.barriers)
        place_remember(&barriers, place, [] { places_write(barriers, settings().barriers); });
    return place_named(place, s.drop, s.drop_line);
}

bool wait_left_out(Site site)
{
    const Settings &s = settings();
    Place place = {NULL, site};
    if (s.waits)
        place_remember(&waits, place, [] { places_write(waits, settings().waits); });
    return place_named(place, s.drop_wait, s.drop_wait_line);
}

// ---- faults -------------------------------------------------------------------------------------

enum { MOST_FRAMES = 24 };

// AddressSanitizer has a better handler of its own.
static void fault_report(int signal_number, siginfo_t *info, void *)
{
    const char *place = guarded_describe(info->si_addr);
    if (arena_is_closed_at(info->si_addr)) {
        void *frames[MOST_FRAMES];
        backtrace_symbols_fd(frames, backtrace(frames, MOST_FRAMES), STDERR_FILENO);
        wrong(
            "the host touches device memory while no operation runs: %s at %p (above: from where)",
            place, info->si_addr);
    }
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
