// testing.h - what every cmocka program of ours includes first.

#ifndef L2A_TESTS_TESTING_H
#define L2A_TESTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// cmocka's macro `fail` would hide the function of base/fail.h.
#undef fail
#undef fail_msg
#define fail_msg(...)                                                                              \
    do {                                                                                           \
        print_error(__VA_ARGS__);                                                                  \
        print_error("\n");                                                                         \
        _fail(__FILE__, __LINE__);                                                                 \
    } while (0)

enum { TEST_SKIPPED = 77 }; // exit status of a program that could not test

#endif
