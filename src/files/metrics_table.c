#define _GNU_SOURCE // memmem
#include "files/metrics_table.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/journal.h"
#include "files/metrics_line.h"

// Lines name their numbers in one order for long stretches, so the next column is looked at first.
static MetricsColumn *column_of(MetricsTable *table, const char *name, size_t length)
{
    for (int64_t i = 0; i < table->count; i++) {
        int64_t at = (table->next + i) % table->count;
        const char *known = table->columns[at].name;
        if (strncmp(known, name, length) == 0 && known[length] == 0) {
            table->next = (at + 1) % table->count;
            return &table->columns[at];
        }
    }
    Bytes copy = {0};
    bytes_append(&copy, name, length);
    grow((void **)&table->columns, &table->capacity, (size_t)table->count + 1,
         sizeof *table->columns);
    table->columns[table->count] = (MetricsColumn){.name = copy.data};
    table->next = 0;
    return &table->columns[table->count++];
}

static void fill_up(MetricsColumn *column, int64_t rows)
{
    grow((void **)&column->values, &column->capacity, (size_t)rows, sizeof *column->values);
    while (column->length < (size_t)rows)
        column->values[column->length++] = NAN;
}

static void put(MetricsTable *table, const char *name, size_t length, double value)
{
    MetricsColumn *column = column_of(table, name, length);
    fill_up(column, table->rows);
    column->values[table->rows - 1] = value;
}

// HDF5 has no place for empty components, and "." is the group itself.
static bool is_name(const char *name, size_t length)
{
    return length > 0 && name[0] != '/' && name[length - 1] != '/' &&
           !memmem(name, length, "//", 2) && !(length == 1 && name[0] == '.');
}

static void put_object(MetricsTable *table, const char *prefix, const json_t *object)
{
    const char *key;
    const json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        Bytes name = {0};
        bytes_print(&name, "%s%s%s", prefix, prefix[0] ? "/" : "", key);
        bool usable = is_name(key, strlen(key)) && strcmp(name.data, "step") != 0;
        if (usable && json_is_number(value))
            put(table, name.data, name.length, json_number_value(value));
        if (usable && json_is_object(value))
            put_object(table, name.data, value);
        bytes_free(&name);
    }
}

static void begin_row(MetricsTable *table, int64_t step)
{
    grow((void **)&table->steps, &table->step_capacity, (size_t)table->rows + 1,
         sizeof *table->steps);
    table->steps[table->rows++] = step;
}

static bool is_step(const MetricsNumber *number)
{
    return number->length == 4 && memcmp(number->name, "step", 4) == 0;
}

// Of a name that is given twice the last value counts, be it null.
static bool is_known(const MetricsNumber *numbers, int i)
{
    bool twice = false;
    for (int j = 0; j < i && isnan(numbers[i].value) && !twice; j++)
        twice = numbers[j].length == numbers[i].length &&
                memcmp(numbers[j].name, numbers[i].name, numbers[i].length) == 0;
    return twice || !isnan(numbers[i].value);
}

// False where the line must be read by another way.
static bool add_flat(MetricsTable *table, const char *line, size_t length)
{
    MetricsNumber numbers[METRICS_LINE_NUMBERS];
    const MetricsNumber *step = NULL;
    int count = metrics_line_read(line, length, numbers);
    for (int i = 0; i < count; i++)
        step = is_step(&numbers[i]) ? &numbers[i] : step; // the last one counts
    if (count >= 0 && step && step->whole)
        begin_row(table, (int64_t)step->value);
    for (int i = 0; i < count && step && step->whole; i++)
        if (!is_step(&numbers[i]) && is_known(numbers, i) &&
            is_name(numbers[i].name, numbers[i].length))
            put(table, numbers[i].name, numbers[i].length, numbers[i].value);
    return count >= 0;
}

int metrics_table_add(MetricsTable *table, const char *line, size_t length)
{
    json_error_t error;
    if (add_flat(table, line, length))
        return 0;
    json_t *object = json_loadb(line, length, 0, &error);
    if (!object)
        return fail(EXIT_BAD_DATA, "%s", error.text);
    const json_t *step = json_object_get(object, "step");
    if (json_is_integer(step)) {
        begin_row(table, json_integer_value(step));
        put_object(table, "", object);
    }
    json_decref(object);
    return 0;
}

void metrics_table_level(MetricsTable *table)
{
    for (int64_t i = 0; i < table->count; i++)
        fill_up(&table->columns[i], table->rows);
}

typedef struct {
    const char *path;
    MetricsTable *table;
} Reading;

static int take_line(void *context, const char *line, size_t length, int64_t number)
{
    const Reading *reading = context;
    int status = metrics_table_add(reading->table, line, length);
    return status == 0 ? 0 : fail_context("%s:%lld", reading->path, (long long)number);
}

int metrics_table_read(MetricsTable *table, const char *journal_path)
{
    Reading reading = {journal_path, table};
    *table = (MetricsTable){0};
    if (journal_read(journal_path, take_line, &reading) != 0) {
        metrics_table_free(table);
        return -1;
    }
    metrics_table_level(table);
    return 0;
}

const double *metrics_table_find(const MetricsTable *table, const char *name)
{
    for (int64_t i = 0; i < table->count; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return table->columns[i].values;
    return NULL;
}

void metrics_table_free(MetricsTable *table)
{
    for (int64_t i = 0; i < table->count; i++) {
        release(table->columns[i].name);
        release(table->columns[i].values);
    }
    release(table->columns);
    release(table->steps);
    *table = (MetricsTable){0};
}
