#include "files/metrics_table.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/journal.h"

typedef struct {
    const char *path;
    MetricsTable *table;
} Reading;

// Lines name their numbers in one order for long stretches, so the next column is looked at first.
static MetricsColumn *column_of(MetricsTable *table, const char *name)
{
    for (int64_t i = 0; i < table->count; i++) {
        int64_t at = (table->next + i) % table->count;
        if (strcmp(table->columns[at].name, name) == 0) {
            table->next = (at + 1) % table->count;
            return &table->columns[at];
        }
    }
    grow((void **)&table->columns, &table->capacity, (size_t)table->count + 1,
         sizeof *table->columns);
    table->columns[table->count] = (MetricsColumn){.name = duplicate(name)};
    table->next = 0;
    return &table->columns[table->count++];
}

static void fill_up(MetricsColumn *column, int64_t rows)
{
    grow((void **)&column->values, &column->capacity, (size_t)rows, sizeof *column->values);
    while (column->length < (size_t)rows)
        column->values[column->length++] = NAN;
}

static void put_object(MetricsTable *table, const char *prefix, const json_t *object)
{
    const char *key;
    const json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        Bytes nested = {0};
        if (prefix[0])
            bytes_print(&nested, "%s/%s", prefix, key);
        const char *name = prefix[0] ? nested.data : key;
        // HDF5 has no place for empty components, and "." is the group itself.
        bool usable = key[0] && key[0] != '/' && key[strlen(key) - 1] != '/' &&
                      !strstr(key, "//") && strcmp(key, ".") != 0 && strcmp(name, "step") != 0;
        if (usable && json_is_number(value)) {
            MetricsColumn *column = column_of(table, name);
            fill_up(column, table->rows);
            column->values[table->rows - 1] = json_number_value(value);
        }
        if (usable && json_is_object(value))
            put_object(table, name, value);
        bytes_free(&nested);
    }
}

static int take_line(void *context, const char *line, size_t length, int64_t number)
{
    Reading *reading = context;
    MetricsTable *table = reading->table;
    json_error_t error;
    json_t *object = json_loadb(line, length, 0, &error);
    if (!object)
        return fail(EXIT_BAD_DATA, "%s:%lld: %s", reading->path, (long long)number, error.text);
    const json_t *step = json_object_get(object, "step");
    if (json_is_integer(step)) {
        grow((void **)&table->steps, &table->step_capacity, (size_t)table->rows + 1,
             sizeof *table->steps);
        table->steps[table->rows++] = json_integer_value(step);
        put_object(table, "", object);
    }
    json_decref(object);
    return 0;
}

int metrics_table_read(MetricsTable *table, const char *journal_path)
{
    Reading reading = {journal_path, table};
    *table = (MetricsTable){0};
    if (journal_read(journal_path, take_line, &reading) != 0) {
        metrics_table_free(table);
        return -1;
    }
    for (int64_t i = 0; i < table->count; i++)
        fill_up(&table->columns[i], table->rows);
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
