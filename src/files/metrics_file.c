#include "files/metrics_file.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fcntl.h>

#include <jansson.h>

#include "base/memory.h"
#include "base/regular.h"
#include "files/atomic.h"
#include "files/hdf5.h"
#include "files/journal.h"
#include "files/raw.h"

// Closing writes what HDF5 still holds of the data, so its status counts.
static int close_set(hid_t set, int status)
{
    return H5Dclose(set) < 0 ? -1 : status;
}

// Leaves the data set open; negative on failure.
static hid_t write_set(hid_t file, const char *name, hid_t type, int64_t rows, const void *values)
{
    hsize_t shape[1] = {(hsize_t)rows};
    hid_t space = H5Screate_simple(1, shape, NULL);
    hid_t set = hdf5_create_set(file, name, type, space);
    H5Sclose(space);
    if (set < 0 || rows == 0 || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0)
        return set;
    return close_set(set, -1);
}

static int write_series(hid_t file, int64_t rows, const MetricSeries *series)
{
    Bytes name = {0};
    bytes_print(&name, "/metrics/%s", series->name);
    hid_t set = write_set(file, name.data, H5T_IEEE_F64LE, rows, series->values);
    bytes_free(&name);
    if (set < 0)
        return -1;
    int status = hdf5_write_text(set, "unit", series->unit ? series->unit : "1");
    if (status >= 0)
        status =
            hdf5_write_text(set, "description", series->description ? series->description : "");
    if (status >= 0)
        status = hdf5_write_text(set, "step_axis", "/metrics/step");
    return close_set(set, status);
}

static int write_content(hid_t file, const int64_t *steps, int64_t rows, const MetricSeries *series,
                         int64_t count)
{
    int status = hdf5_write_text(file, "format", "l2a-metrics");
    if (status >= 0)
        status = hdf5_write_integer(file, "format_version", 1);
    if (status >= 0) {
        hid_t set = write_set(file, "/metrics/step", H5T_STD_I64LE, rows, steps);
        status = set < 0 ? -1 : close_set(set, 0);
    }
    for (int64_t i = 0; i < count && status >= 0; i++)
        status = write_series(file, rows, &series[i]);
    return status;
}

static int write_hdf5(const char *path, const int64_t *steps, int64_t rows,
                      const MetricSeries *series, int64_t count)
{
    hdf5_enter();
    hid_t file = hdf5_create(path);
    int status = 0;
    if (file < 0) {
        status = hdf5_fail(EXIT_CANNOT_CREATE, "create", path);
    } else {
        if (write_content(file, steps, rows, series, count) < 0)
            status = hdf5_fail(EXIT_CANNOT_WRITE, "write", path);
        if (H5Fclose(file) < 0 && status == 0)
            status = hdf5_fail(EXIT_CANNOT_WRITE, "finish", path);
    }
    hdf5_leave();
    return status;
}

int metrics_file_write(const char *path, const int64_t *steps, int64_t rows,
                       const MetricSeries *series, int64_t count)
{
    char *temporary = atomic_temporary_name(path);
    int status = write_hdf5(temporary, steps, rows, series, count);
    int descriptor = status == 0 ? regular_open(temporary, NULL) : -1;
    if (status == 0 && descriptor >= 0)
        status = raw_sync(descriptor, path);
    if (descriptor >= 0)
        close(descriptor);
    if (status == 0)
        status = atomic_rename(temporary, path);
    if (status)
        unlink(temporary);
    release(temporary);
    return status;
}

// Series as they grow while a journal is read.
typedef struct {
    char *name;     // owned
    double *values; // owned
    size_t length, capacity;
} Growing;

typedef struct {
    const char *path;
    int64_t *steps; // owned
    size_t rows, step_capacity;
    Growing *series; // owned
    size_t count, capacity;
} Table;

static Growing *series_of(Table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->series[i].name, name) == 0)
            return &table->series[i];
    }
    grow((void **)&table->series, &table->capacity, table->count + 1, sizeof *table->series);
    table->series[table->count] = (Growing){.name = duplicate(name)};
    return &table->series[table->count++];
}

// Sets the value of the last row; rows before that have none are NaN.
static void put_value(Table *table, const char *name, double value)
{
    Growing *series = series_of(table, name);
    grow((void **)&series->values, &series->capacity, table->rows, sizeof *series->values);
    while (series->length < table->rows)
        series->values[series->length++] = NAN;
    series->values[table->rows - 1] = value;
}

static void put_object(Table *table, const char *prefix, const json_t *object)
{
    const char *key;
    const json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        Bytes name = {0};
        bytes_print(&name, "%s%s%s", prefix, prefix[0] ? "/" : "", key);
        // HDF5 has no place for empty components, and "." is the group itself.
        bool usable = key[0] && key[0] != '/' && key[strlen(key) - 1] != '/' &&
                      !strstr(key, "//") && strcmp(key, ".") != 0 && strcmp(name.data, "step") != 0;
        if (usable && json_is_number(value))
            put_value(table, name.data, json_number_value(value));
        if (usable && json_is_object(value))
            put_object(table, name.data, value);
        bytes_free(&name);
    }
}

static int take_line(void *context, const char *line, size_t length, int64_t number)
{
    Table *table = context;
    json_error_t error;
    json_t *object = json_loadb(line, length, 0, &error);
    if (!object)
        return fail(EXIT_BAD_DATA, "%s:%lld: %s", table->path, (long long)number, error.text);
    const json_t *step = json_object_get(object, "step");
    if (json_is_integer(step)) {
        grow((void **)&table->steps, &table->step_capacity, table->rows + 1, sizeof *table->steps);
        table->steps[table->rows++] = json_integer_value(step);
        put_object(table, "", object);
    }
    json_decref(object);
    return 0;
}

static int write_table(Table *table, const char *path, MetricDescribe *describe)
{
    MetricSeries *series = allocate(table->count, sizeof *series);
    for (size_t i = 0; i < table->count; i++) {
        Growing *growing = &table->series[i];
        grow((void **)&growing->values, &growing->capacity, table->rows, sizeof *growing->values);
        while (growing->length < table->rows)
            growing->values[growing->length++] = NAN;
        series[i] = (MetricSeries){.name = growing->name, .values = growing->values};
        if (describe)
            describe(growing->name, &series[i].unit, &series[i].description);
    }
    int status =
        metrics_file_write(path, table->steps, (int64_t)table->rows, series, (int64_t)table->count);
    release(series);
    return status;
}

int metrics_file_rebuild(const char *journal_path, const char *path, MetricDescribe *describe)
{
    Table table = {.path = journal_path};
    int status = journal_read(journal_path, take_line, &table);
    if (status == 0)
        status = write_table(&table, path, describe);
    for (size_t i = 0; i < table.count; i++) {
        release(table.series[i].name);
        release(table.series[i].values);
    }
    release(table.series);
    release(table.steps);
    return status;
}
