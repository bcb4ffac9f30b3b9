// cases.cpp - runs of cases in children (cases.h).

#include "tests/cuda_on_cpu/cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cuda_on_cpu/sanitizers.h"

enum { SEEDS = 8, EXIT_OTHER_RESULT = 3 };

static const char *marked; // the source that has the marks

// The number of its line that ends in "; // MARK".
static int line_of(const char *mark, size_t length)
{
    FILE *file = fopen(marked, "r");
    char line[256];
    for (int number = 1; file && fgets(line, sizeof line, file); number++) {
        const char *comment = strstr(line, "; // ");
        if (!comment || strncmp(comment + 5, mark, length) != 0 || comment[5 + length] != '\n')
            continue;
        fclose(file);
        return number;
    }
    printf("    no line is marked %s\n", mark);
    exit(1);
}

// "@MARK" becomes the place of that mark.
static void fill_in(char (&to)[256], const char *text)
{
    const char *at = strchr(text, '@');
    if (!at) {
        snprintf(to, sizeof to, "%s", text);
        return;
    }
    size_t length = strspn(at + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    const char *slash = strrchr(marked, '/');
    snprintf(to, sizeof to, "%.*s%s:%d%s", static_cast<int>(at - text), text,
             slash ? slash + 1 : marked, line_of(at + 1, length), at + 1 + length);
}

typedef struct {
    int status;      // exit status; 256: ended by a signal
    char said[8192]; // the beginning of what came on standard error
} Outcome;

static void child_do(const Case &c, int seed)
{
    char text[256];
    snprintf(text, sizeof text, "%d", seed);
    setenv("CUDA_ON_CPU_SEED", text, 1);
    for (const char *variable : c.environment) {
        fill_in(text, variable ? variable : "");
        char *value = strchr(text, '=');
        if (value) {
            *value = 0;
            setenv(text, value + 1, 1);
        }
    }
    _exit(c.run() ? 0 : EXIT_OTHER_RESULT);
}

static Outcome run_in_child(const Case &c, int seed)
{
    Outcome outcome = {};
    int ends[2];
    if (pipe(ends) != 0)
        abort();
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        child_do(c, seed);
    }
    close(ends[1]);
    char rest[4096];
    size_t length = 0;
    for (ssize_t n = 1; n > 0;) {
        size_t room = sizeof outcome.said - 1 - length;
        n = room > 0 ? read(ends[0], outcome.said + length, room)
                     : read(ends[0], rest, sizeof rest);
        length += room > 0 && n > 0 ? static_cast<size_t>(n) : 0;
    }
    close(ends[0]);
    int state = 0;
    waitpid(child, &state, 0);
    outcome.status = WIFEXITED(state) ? WEXITSTATUS(state) : 256;
    return outcome;
}

// What a run with one seed shows; `other` counts other results.
static bool outcome_fits(const Case &c, const Outcome &outcome, int *other)
{
    if (c.expected == RIGHT)
        return outcome.status == 0;
    if (c.expected == STOPPED) {
        char wanted[256];
        bool sanitized = WITH_ADDRESS_SANITIZER && c.sanitizers;
        fill_in(wanted, sanitized ? c.sanitizers : c.said);
        return outcome.status != 0 && outcome.status != EXIT_OTHER_RESULT &&
               strstr(outcome.said, wanted);
    }
    if (c.expected == RACE)
        return strstr(outcome.said, "ThreadSanitizer: data race");
    // Sanitizers see what makes the result another one.
    bool seen = (WITH_MEMORY_SANITIZER && strstr(outcome.said, "MemorySanitizer")) ||
                (WITH_THREAD_SANITIZER && strstr(outcome.said, "ThreadSanitizer: data race"));
    *other += seen || outcome.status == EXIT_OTHER_RESULT;
    return seen || outcome.status == 0 || outcome.status == EXIT_OTHER_RESULT;
}

static bool case_holds(const Case &c)
{
    int other = 0;
    for (int seed = 0; seed < SEEDS; seed++) {
        Outcome outcome = run_in_child(c, seed);
        if (outcome_fits(c, outcome, &other))
            continue;
        printf("    FAILED with seed %d: status %d, said: %s\n", seed, outcome.status,
               outcome.said);
        return false;
    }
    if (c.expected == OTHER_RESULT && other == 0) {
        printf("    FAILED: right results with all %d seeds\n", SEEDS);
        return false;
    }
    return true;
}

int cases_run(const Case *cases, int count, const char *source)
{
    int failures = 0;
    marked = source;
    for (int i = 0; i < count; i++) {
        const Case &c = cases[i];
        if (c.expected == RACE && !WITH_THREAD_SANITIZER) {
            printf("skipped %s: there is no ThreadSanitizer\n", c.name);
            continue;
        }
        bool holds = case_holds(c);
        printf("%s %s\n", holds ? "passed" : "failed", c.name);
        fflush(stdout);
        failures += !holds;
    }
    return failures > 0;
}
