#include "tests/store/model.h"

#include <string.h>

#include "base/memory.h"

static const CheckpointItem tensors[] = {
    {.name = "/weights/a", .type = STORED_F32, .rank = 2, .shape = {100, 100}},
    {.name = "/weights/large", .type = STORED_F32, .rank = 2, .shape = {1500, 501}},
    {.name = "/optimizer/m/a", .type = STORED_BF16, .rank = 1, .shape = {10000}},
    {.name = "/files/config.json", .type = STORED_U8, .rank = 1, .shape = {1001}},
    {.name = "/data/cursor", .type = STORED_I64, .rank = 1, .shape = {3}},
    {.name = "/nothing", .type = STORED_F64, .rank = 1, .shape = {0}},
};

enum { TENSORS = sizeof tensors / sizeof *tensors, OWNED_BY_RANK_0 = 3 };

// Shares end at places that are multiples of nothing: 1/size + 1/7 of an element's index.
static int64_t bound(int64_t elements, int rank, int size)
{
    return rank == size ? elements : (elements * rank + elements / 7 * (rank > 0)) / size;
}

static void fill(CheckpointItem *item, int tensor, uint32_t version)
{
    int64_t size = (int64_t)stored_type_bytes(item->type);
    unsigned char *bytes = allocate((size_t)(item->count * size), 1);
    for (int64_t i = 0; i < item->count * size; i++) {
        uint64_t place = (uint64_t)(item->first * size + i) * 6364136223846793005u;
        bytes[i] = (unsigned char)((place >> 40) + version * 31 + (uint32_t)tensor * 7);
    }
    item->data = bytes;
}

static void add(Model *model, int tensor, int64_t first, int64_t end, uint32_t version)
{
    CheckpointItem *item = &model->items[model->count++];
    *item = tensors[tensor];
    item->first = first;
    item->count = end - first;
    fill(item, tensor, version);
}

Model model_make(const Group *group, uint32_t version)
{
    Model model = {
        .attributes = {{.name = "config", .kind = ATTRIBUTE_TEXT, .text = "[train]\nseed = 1\n"},
                       {.name = "step", .kind = ATTRIBUTE_INTEGER, .integer = version},
                       {.name = "best", .kind = ATTRIBUTE_REAL, .real = 0.1}}};
    for (int i = 0; i < TENSORS; i++) {
        int64_t elements = stored_type_elements(tensors[i].type, tensors[i].rank, tensors[i].shape);
        int64_t first = bound(elements, group->rank, group->size);
        int64_t end = bound(elements, group->rank + 1, group->size);
        if (i >= OWNED_BY_RANK_0) {
            first = 0;
            end = group->rank == 0 ? elements : 0;
        }
        if (i == 1) { // two pieces, the second first
            int64_t middle = first + (end - first) / 3;
            add(&model, i, middle, end, version);
            end = middle;
        }
        add(&model, i, first, end, version);
    }
    return model;
}

CheckpointContent model_content(const Model *model)
{
    return (CheckpointContent){model->items, model->count, model->attributes, MODEL_ATTRIBUTES};
}

bool model_equal(const Model *a, const Model *b)
{
    bool equal = a->count == b->count;
    for (int64_t i = 0; equal && i < a->count; i++) {
        const CheckpointItem *left = &a->items[i], *right = &b->items[i];
        equal = left->first == right->first && left->count == right->count &&
                memcmp(left->data, right->data,
                       (size_t)left->count * stored_type_bytes(left->type)) == 0;
    }
    return equal;
}

void model_free(Model *model)
{
    for (int64_t i = 0; i < model->count; i++)
        release(model->items[i].data);
    *model = (Model){0};
}
