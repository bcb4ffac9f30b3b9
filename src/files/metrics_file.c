#include "files/metrics_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/regular.h"
#include "files/atomic.h"
#include "files/hdf5.h"
#include "files/metrics_table.h"
#include "files/raw.h"

// Closing writes what HDF5 still holds of the data, so its status counts.
static int close_set(hid_t set, int status)
{
    return H5Dclose(set) < 0 ? -1 : status;
}

// Leaves the data set open; negative on failure.
static hid_t write_set(hid_t file, const char *name, hid_t type, hid_t type_in_memory, int64_t rows,
                       const void *values)
{
    hid_t set = hdf5_create_packed_set(file, name, type, (hsize_t)rows);
    if (set < 0 || rows == 0 ||
        H5Dwrite(set, type_in_memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0)
        return set;
    return close_set(set, -1);
}

static int write_series(hid_t file, int64_t rows, const MetricSeries *series)
{
    Bytes name = {0};
    bytes_print(&name, "/metrics/%s", series->name);
    hid_t set = write_set(file, name.data, H5T_IEEE_F32LE, H5T_NATIVE_DOUBLE, rows, series->values);
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
        hid_t set = write_set(file, "/metrics/step", H5T_STD_I64LE, H5T_NATIVE_INT64, rows, steps);
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

int metrics_file_rebuild(const char *journal_path, const char *path, MetricDescribe *describe)
{
    MetricsTable table;
    if (metrics_table_read(&table, journal_path) != 0)
        return -1;
    MetricSeries *series = allocate((size_t)table.count, sizeof *series);
    for (int64_t i = 0; i < table.count; i++) {
        series[i] =
            (MetricSeries){.name = table.columns[i].name, .values = table.columns[i].values};
        if (describe)
            describe(series[i].name, &series[i].unit, &series[i].description);
    }
    int status = metrics_file_write(path, table.steps, table.rows, series, table.count);
    release(series);
    metrics_table_free(&table);
    return status;
}
