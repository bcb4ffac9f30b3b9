// report_driver.c - `l2a-show report` alone, for tests.

#include <jansson.h>

#include "base/fail.h"
#include "base/memory.h"
#include "tools/report.h"

int main(int argc, char **argv)
{
    json_set_alloc_funcs(memory_take, release);
    if (show_report(argc, argv) != 0)
        die_failed();
    return EXIT_DONE;
}
