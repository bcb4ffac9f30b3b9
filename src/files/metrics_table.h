// metrics_table.h - metrics.jsonl as columns over steps.
//
// Every number of a line is a column's value (objects within are joined by a slash), "step" is the
// axis. Lines without a whole "step" are left out.

#ifndef L2A_FILES_METRICS_TABLE_H
#define L2A_FILES_METRICS_TABLE_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *name;              // owned
    double *values;          // owned; [rows], NaN where a row has none
    size_t length, capacity; // while the journal is read
} MetricsColumn;

typedef struct {
    int64_t rows, count;    // of lines, of columns
    int64_t *steps;         // owned; [rows]
    MetricsColumn *columns; // owned; in the order of their first lines
    size_t step_capacity, capacity;
    int64_t next; // the column that the next number is expected in
} MetricsTable;

// EXIT_NO_INPUT, EXIT_BAD_DATA with file and line; then nothing is to free.
int metrics_table_read(MetricsTable *table, const char *journal_path);

// Adds a whole line, which ends in a 0. EXIT_BAD_DATA where it is no JSON. Columns are as long as
// the table only after metrics_table_level.
int metrics_table_add(MetricsTable *table, const char *line, size_t length);
void metrics_table_level(MetricsTable *table);

// The values of a column, or NULL where no line has one of this name.
const double *metrics_table_find(const MetricsTable *table, const char *name);

void metrics_table_free(MetricsTable *table);

#endif
