#include "model/slice.h"

#include "base/fail.h"

TensorSlice tensor_slice_of(const ModelShape *shape, const Group *group,
                            const Collective *collective)
{
    TensorSlice slice = {.group = *group, .collective = collective, .shape = *shape};
    collective->join(group);
    slice.shape.heads /= group->size;
    slice.shape.kv_heads /= group->size;
    slice.shape.feed_forward /= group->size;
    return slice;
}

int tensor_slice_check(const ModelShape *shape, int64_t ranks, const char *setting)
{
    if (shape->heads % ranks == 0 && shape->kv_heads % ranks == 0 &&
        shape->feed_forward % ranks == 0)
        return 0;
    return fail(EXIT_BAD_SETTINGS,
                "%s = %lld must divide the model's %d heads, its %d key/value heads and its "
                "feed-forward width of %lld",
                setting, (long long)ranks, shape->heads, shape->kv_heads,
                (long long)shape->feed_forward);
}

TensorPart tensor_slice_part(const TensorSlice *slice, const TensorPlace *tensor)
{
    TensorPart part = {.rows = tensor->rows, .width = tensor->width};
    if (!slice || tensor->cut == CUT_NONE)
        return part;
    // The rows of a bias are its elements.
    bool by_rows = tensor->cut == CUT_ROWS && tensor->rows > 0;
    int64_t *first = by_rows ? &part.first_row : &part.first;
    int64_t *count = by_rows ? &part.rows : &part.width;
    *count /= slice->group.size;
    *first = *count * slice->group.rank;
    return part;
}

bool tensor_slice_leads(const TensorSlice *slice)
{
    return !slice || slice->group.rank == 0;
}

void tensor_slice_share(const TensorSlice *slice, Bytes *bytes)
{
    if (slice && slice->group.size > 1)
        group_broadcast_bytes(&slice->group, bytes, 0);
}
