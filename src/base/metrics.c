#include "base/metrics.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static Metric *find(const Metrics *metrics, const char *name)
{
    for (int64_t i = 0; i < metrics->count; i++)
        if (strcmp(metrics->list[i].name, name) == 0)
            return &metrics->list[i];
    return NULL;
}

void metrics_set(Metrics *metrics, const char *name, double value)
{
    Metric *metric = find(metrics, name);
    if (!metric) {
        grow((void **)&metrics->list, &metrics->capacity, (size_t)metrics->count + 1,
             sizeof *metrics->list);
        metric = &metrics->list[metrics->count++];
        snprintf(metric->name, sizeof metric->name, "%s", name);
    }
    metric->value = value;
}

double metrics_get(const Metrics *metrics, const char *name)
{
    const Metric *metric = find(metrics, name);
    return metric ? metric->value : NAN;
}

static bool is_timing(const char *name)
{
    return strncmp(name, "timing_s/", 9) == 0 || strncmp(name, "perf/", 5) == 0;
}

void metrics_print_json(const Metrics *metrics, Bytes *out)
{
    bytes_append_text(out, "{");
    for (int64_t i = 0; i < metrics->count; i++) {
        const Metric *metric = &metrics->list[i];
        bytes_print(out, "%s\"%s\":", i > 0 ? "," : "", metric->name);
        if (!isfinite(metric->value))
            bytes_append_text(out, "null");
        else if (metric->value == (double)(int64_t)metric->value && fabs(metric->value) < 1e15)
            bytes_print(out, "%lld", (long long)metric->value);
        else
            bytes_print(out, is_timing(metric->name) ? "%.4g" : "%.7g", metric->value);
    }
    bytes_append_text(out, "}");
}

void metrics_clear(Metrics *metrics)
{
    metrics->count = 0;
}

void metrics_free(Metrics *metrics)
{
    release(metrics->list);
    *metrics = (Metrics){0};
}
