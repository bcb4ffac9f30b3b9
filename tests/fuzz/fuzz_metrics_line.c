// A line of a journal, which is read fast as a parser of JSON reads it, or not at all; the line of
// a run's lock.

#include <math.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "files/metrics_line.h"
#include "files/run_holder.h"
#include "tests/fuzz/fuzz.h"

static void compare_number(const json_t *object, const MetricsNumber *numbers, int count, int i)
{
    for (int later = i + 1; later < count; later++) // of a name that is given twice the last counts
        if (numbers[later].length == numbers[i].length &&
            memcmp(numbers[later].name, numbers[i].name, numbers[i].length) == 0)
            return;
    const json_t *value = json_object_getn(object, numbers[i].name, numbers[i].length);
    if (isnan(numbers[i].value))
        CHECK(json_is_null(value), "no null");
    else
        CHECK(json_is_number(value) && json_number_value(value) == numbers[i].value &&
                  json_is_integer(value) == numbers[i].whole,
              "another number");
}

static void compare_line(const char *line, size_t length)
{
    MetricsNumber numbers[METRICS_LINE_NUMBERS];
    int count = metrics_line_read(line, length, numbers);
    if (count < 0)
        return;
    json_t *object = json_loadb(line, length, 0, NULL);
    CHECK(json_is_object(object), "no object");
    for (int i = 0; i < count; i++)
        compare_number(object, numbers, count, i);
    json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Bytes line = {0};
    RunHolder holder;
    bytes_append(&line, data, size);
    compare_line(line.data, line.length);
    run_holder_parse(line.data, &holder);
    bytes_free(&line);
    return 0;
}
