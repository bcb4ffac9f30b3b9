// fail.h - stop and speak: recoverable failures, fatal ends, broken preconditions.
//
// Outside input that cannot be used: `return fail(EXIT_BAD_DATA, "...")`, the caller decides.
// Everything else that cannot go on: `die(...)`. A broken precondition: `CHECK(...)`, always on.
// A message says what, where and what to do; it has no trailing newline and no "error:" prefix.
// Whatever it quotes, it holds no control characters: they become '?'.

#ifndef L2A_BASE_FAIL_H
#define L2A_BASE_FAIL_H

// Exit codes of all programs (sysexits, plus 75 and 76 as batch scripts read them).
typedef enum {
    EXIT_DONE = 0,
    EXIT_USAGE = 64,       // command line
    EXIT_BAD_DATA = 65,    // a file that is there but cannot be used
    EXIT_NO_INPUT = 66,    // a file that is missing or cannot be opened
    EXIT_UNAVAILABLE = 69, // no GPU, lost peer
    EXIT_BUG = 70,         // a broken precondition
    EXIT_NO_MEMORY = 71,
    EXIT_CANNOT_CREATE = 73,
    EXIT_CANNOT_WRITE = 74,
    EXIT_AGAIN = 75,       // stopped in good order: submit again
    EXIT_NO_PROGRESS = 76, // starting again would lead nowhere
    EXIT_BAD_SETTINGS = 78,
} ExitCode;

// Records `code` and the formatted message for this thread; returns -1. The first failure of a
// chain is the most telling one: use fail_context to prefix a place, not fail to replace it.
int fail(ExitCode code, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Puts "<formatted>: " in front of the recorded message; returns -1.
int fail_context(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Gives the recorded failure another code: what it means to the caller; returns -1.
int fail_as(ExitCode code);

const char *fail_message(void);
ExitCode fail_code(void);

// A recorded failure kept while others may be recorded, or taken to another thread.
typedef struct {
    ExitCode code;
    char *message; // owned; NULL: none
} Failure;

void failure_keep(Failure *failure);   // the one recorded last, in the place of what was kept
int failure_repeat(Failure *failure);  // records and forgets it; returns -1
void failure_forget(Failure *failure); // none is fine

// Prints "error: <message>" on standard error and ends the program (every rank of it) with `code`.
_Noreturn void die(ExitCode code, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Ends the program with the recorded failure.
_Noreturn void die_failed(void);

// Prints "warning: <message>" on standard error.
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Called by die after its message, in place of exit: `parallel` installs MPI_Abort here.
void die_set_end(void (*end)(int code));

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            check_failed(__FILE__, __LINE__, #condition, __VA_ARGS__);                             \
    } while (0)

_Noreturn void check_failed(const char *file, int line, const char *condition, const char *format,
                            ...) __attribute__((format(printf, 4, 5)));

#endif
