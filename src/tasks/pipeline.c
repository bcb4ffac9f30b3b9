#include "tasks/pipeline.h"

#include <string.h>

#include "base/fail.h"

void pipeline_make(Pipeline *pipeline, int64_t staleness, int64_t interval)
{
    *pipeline = (Pipeline){.staleness = staleness, .interval = interval};
    pipeline->lists = allocate((size_t)staleness + 1, sizeof *pipeline->lists);
}

void pipeline_free(Pipeline *pipeline)
{
    for (int64_t i = 0; i < pipeline->count; i++)
        tree_list_free(&pipeline->lists[i]);
    release(pipeline->lists);
    *pipeline = (Pipeline){0};
}

int64_t pipeline_version(const Pipeline *pipeline, int64_t step)
{
    int64_t latest = step > pipeline->staleness ? step - pipeline->staleness : 0;
    return latest / pipeline->interval * pipeline->interval;
}

bool pipeline_publishes(const Pipeline *pipeline, int64_t updates)
{
    return updates % pipeline->interval == 0;
}

int64_t pipeline_next(const Pipeline *pipeline)
{
    return pipeline->first + pipeline->count;
}

TreeList *pipeline_push(Pipeline *pipeline)
{
    CHECK(pipeline->count <= pipeline->staleness, "step %lld is sampled too early",
          (long long)pipeline_next(pipeline));
    pipeline->lists[pipeline->count] = (TreeList){0};
    return &pipeline->lists[pipeline->count++];
}

void pipeline_drop_newest(Pipeline *pipeline)
{
    tree_list_free(&pipeline->lists[--pipeline->count]);
}

TreeList *pipeline_front(Pipeline *pipeline)
{
    CHECK(pipeline->count > 0, "step %lld was not sampled", (long long)pipeline->first);
    return &pipeline->lists[0];
}

void pipeline_pop(Pipeline *pipeline)
{
    tree_list_free(pipeline_front(pipeline));
    pipeline->first++;
    pipeline->count--;
    memmove(pipeline->lists, pipeline->lists + 1,
            (size_t)pipeline->count * sizeof *pipeline->lists);
}

void pipeline_write(const Pipeline *pipeline, int64_t index, Bytes *out)
{
    const TreeList *list = &pipeline->lists[index];
    for (int64_t t = 0; t < list->count; t++)
        tree_write(&list->trees[t], out);
}

void pipeline_read(Pipeline *pipeline, const char *bytes, size_t length)
{
    TreeList *list = pipeline_push(pipeline);
    for (size_t used = 0; used < length;) {
        Tree tree;
        used += tree_read(&tree, bytes + used, length - used);
        tree_list_add(list, &tree, list->count);
    }
}
