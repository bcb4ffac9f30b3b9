// cases.h - what the emulator's own tests share: small runs, each with several seeds, of which some
// must be found out.
//
// Every run is a child process, since the emulator ends the program at what is wrong.

#ifndef L2A_TESTS_CUDA_ON_CPU_CASES_H
#define L2A_TESTS_CUDA_ON_CPU_CASES_H

enum Expected {
    RIGHT,
    STOPPED,
    OTHER_RESULT, // with one seed at least
    RACE,         // which only ThreadSanitizer sees
};

enum { MOST_VARIABLES = 3 };

// In `said` and `environment`, "@MARK" stands for the place, "file:line", of the line of the source
// that ends in "; // MARK".
typedef struct {
    const char *name;
    bool (*run)(); // whether the result is right
    Expected expected;
    const char *said;                        // where STOPPED
    const char *sanitizers;                  // what AddressSanitizer says, NULL: the same
    const char *environment[MOST_VARIABLES]; // "NAME=value"
} Case;

// Runs all cases with all seeds and prints what passed; the program's exit status. `source`: the
// file that has the marks.
int cases_run(const Case *cases, int count, const char *source);

#define CASES_RUN(cases, source)                                                                   \
    cases_run(cases, static_cast<int>(sizeof(cases) / sizeof(cases)[0]), source)

#endif
