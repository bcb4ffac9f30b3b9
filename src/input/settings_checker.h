// settings_checker.h - how the parts of settings_check say what they find; inside `input` only.

#ifndef L2A_INPUT_SETTINGS_CHECKER_H
#define L2A_INPUT_SETTINGS_CHECKER_H

#include "input/settings_table.h"

typedef struct {
    const Settings *settings;
    Faults faults, warnings;
    const char *sought; // section whose prompt `calibrate` seeks; NULL: none
} Checker;

// Whether the user named the value, in the file or by --set.
bool checker_is_given(const Checker *checker, const char *section, const char *key);

void checker_refuse(Checker *checker, const char *section, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void checker_doubt(Checker *checker, const char *section, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

void checker_require(Checker *checker, const char *task, const char *section, const char *key,
                     const char *value);

// Doubts a value that was named and cannot have the effect that it was named for.
void checker_expect_effect(Checker *checker, bool has_effect, const char *section, const char *key,
                           const char *because);

// What `train` needs.
void checker_train(Checker *checker);

#endif
