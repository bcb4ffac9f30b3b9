#include "store/layout.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

static int compare_to_name(const void *key, const void *element)
{
    return strcmp(((const NamedIndex *)key)->name, ((const NamedIndex *)element)->name);
}

// By name, then by index.
static int compare_indices(const void *a, const void *b)
{
    const NamedIndex *left = a, *right = b;
    int order = compare_to_name(a, b);
    return order != 0 ? order : (left->index > right->index) - (left->index < right->index);
}

static void sort_names(Layout *layout)
{
    size_t count = (size_t)layout->count;
    layout->by_name = allocate(count, sizeof *layout->by_name);
    for (int64_t i = 0; i < layout->count; i++)
        layout->by_name[i] = (NamedIndex){layout->tensors[i].name, i};
    qsort(layout->by_name, count, sizeof *layout->by_name, compare_indices);
}

static bool same_shape(const CheckpointTensor *tensor, const CheckpointItem *item)
{
    return tensor->rank == item->rank &&
           memcmp(tensor->shape, item->shape, (size_t)item->rank * sizeof *item->shape) == 0;
}

static CheckpointTensor tensor_of_item(const CheckpointItem *item)
{
    CHECK(item->rank >= 0 && item->rank <= STORED_RANK_MAXIMUM, "rank of '%s'", item->name);
    CheckpointTensor tensor = {.name = item->name, .type = item->type, .rank = item->rank};
    memcpy(tensor.shape, item->shape, (size_t)item->rank * sizeof *item->shape);
    return tensor;
}

// is_first [count]: whether no item before this one has its name.
static int find_first_items(const CheckpointItem *items, int64_t count, bool *is_first)
{
    NamedIndex *names = allocate((size_t)count, sizeof *names);
    int status = 0;
    for (int64_t i = 0; i < count; i++)
        names[i] = (NamedIndex){items[i].name, i};
    qsort(names, (size_t)count, sizeof *names, compare_indices);
    for (int64_t i = 0; i < count && status == 0; i++) {
        const CheckpointItem *item = &items[names[i].index];
        is_first[names[i].index] = i == 0 || strcmp(names[i - 1].name, item->name) != 0;
        if (is_first[names[i].index])
            continue;
        CheckpointTensor before = tensor_of_item(&items[names[i - 1].index]);
        if (before.type != item->type || !same_shape(&before, item))
            status = fail(EXIT_BUG, "two items of '%s' differ in type or shape", item->name);
    }
    release(names);
    return status;
}

static void add_tensor(Layout *layout, const CheckpointTensor *from)
{
    layout->tensors[layout->count] = *from;
    layout->tensors[layout->count++].name = duplicate(from->name);
}

static void add_attribute(Layout *layout, const CheckpointAttribute *from)
{
    CheckpointAttribute *attribute = &layout->attributes[layout->attribute_count++];
    *attribute = *from;
    attribute->name = duplicate(from->name);
    attribute->text = from->text ? duplicate(from->text) : NULL;
}

static void make_room(Layout *layout, int64_t tensors, int64_t attributes)
{
    *layout = (Layout){.tensors = allocate((size_t)tensors, sizeof *layout->tensors),
                       .attributes = allocate((size_t)attributes, sizeof *layout->attributes)};
}

int layout_of_content(Layout *layout, const CheckpointContent *content)
{
    int64_t count = content->count;
    bool *is_first = allocate((size_t)count, sizeof *is_first);
    int status = find_first_items(content->items, count, is_first);
    make_room(layout, count, content->attribute_count);
    for (int64_t i = 0; i < count && status == 0; i++) {
        CheckpointTensor tensor = tensor_of_item(&content->items[i]);
        if (is_first[i])
            add_tensor(layout, &tensor);
    }
    for (int64_t i = 0; i < content->attribute_count; i++)
        add_attribute(layout, &content->attributes[i]);
    sort_names(layout);
    release(is_first);
    return status;
}

void layout_of_file(Layout *layout, const CheckpointFile *file)
{
    int64_t tensors = checkpoint_file_count(file),
            attributes = checkpoint_file_attribute_count(file);
    make_room(layout, tensors, attributes);
    for (int64_t i = 0; i < tensors; i++)
        add_tensor(layout, checkpoint_file_tensor(file, i));
    for (int64_t i = 0; i < attributes; i++)
        add_attribute(layout, checkpoint_file_attribute_at(file, i));
    sort_names(layout);
}

// Records as they stand in memory, each followed by its strings: all ranks run one program.
static void pack(const Layout *layout, Bytes *bytes)
{
    bytes_append(bytes, &layout->count, sizeof layout->count);
    bytes_append(bytes, &layout->attribute_count, sizeof layout->attribute_count);
    for (int64_t i = 0; i < layout->count; i++) {
        bytes_append(bytes, &layout->tensors[i], sizeof layout->tensors[i]);
        bytes_append(bytes, layout->tensors[i].name, strlen(layout->tensors[i].name) + 1);
    }
    for (int64_t i = 0; i < layout->attribute_count; i++) {
        const CheckpointAttribute *attribute = &layout->attributes[i];
        bytes_append(bytes, attribute, sizeof *attribute);
        bytes_append(bytes, attribute->name, strlen(attribute->name) + 1);
        if (attribute->text)
            bytes_append(bytes, attribute->text, strlen(attribute->text) + 1);
    }
}

static const char *take(const char *from, void *to, size_t bytes)
{
    memcpy(to, from, bytes);
    return from + bytes;
}

static const char *take_text(const char *from, const char **text)
{
    *text = duplicate(from);
    return from + strlen(from) + 1;
}

static void unpack(Layout *layout, const char *from)
{
    from = take(from, &layout->count, sizeof layout->count);
    from = take(from, &layout->attribute_count, sizeof layout->attribute_count);
    layout->tensors = allocate((size_t)layout->count, sizeof *layout->tensors);
    layout->attributes = allocate((size_t)layout->attribute_count, sizeof *layout->attributes);
    for (int64_t i = 0; i < layout->count; i++) {
        from = take(from, &layout->tensors[i], sizeof layout->tensors[i]);
        from = take_text(from, &layout->tensors[i].name);
    }
    for (int64_t i = 0; i < layout->attribute_count; i++) {
        CheckpointAttribute *attribute = &layout->attributes[i];
        from = take(from, attribute, sizeof *attribute);
        from = take_text(from, &attribute->name);
        if (attribute->text)
            from = take_text(from, &attribute->text);
    }
    sort_names(layout);
}

void layout_broadcast(const Group *group, Layout *layout, int root)
{
    Bytes bytes = {0};
    if (group->rank == root)
        pack(layout, &bytes);
    group_broadcast_bytes(group, &bytes, root);
    if (group->rank != root)
        unpack(layout, bytes.data);
    bytes_free(&bytes);
}

int64_t layout_find(const Layout *layout, const char *name)
{
    NamedIndex key = {.name = name};
    const NamedIndex *found = NULL;
    if (layout->count > 0)
        found = bsearch(&key, layout->by_name, (size_t)layout->count, sizeof key, compare_to_name);
    return found ? found->index : -1;
}

typedef struct {
    int64_t tensor, first, end;
} Piece;

static int compare_pieces(const void *a, const void *b)
{
    const Piece *left = a, *right = b;
    if (left->tensor != right->tensor)
        return left->tensor < right->tensor ? -1 : 1;
    return (left->first > right->first) - (left->first < right->first);
}

static int list_pieces(const Layout *layout, const CheckpointItem *items, int64_t count,
                       Bytes *pieces)
{
    for (int64_t i = 0; i < count; i++) {
        const CheckpointItem *item = &items[i];
        int64_t index = layout_find(layout, item->name);
        if (index < 0)
            return fail(EXIT_BUG, "rank 0 does not list '%s' of the checkpoint", item->name);
        const CheckpointTensor *tensor = &layout->tensors[index];
        int64_t elements = stored_type_elements(tensor->type, tensor->rank, tensor->shape);
        if (tensor->type != item->type || !same_shape(tensor, item) || item->first < 0 ||
            item->count < 0 || item->first > elements || item->count > elements - item->first)
            return fail(EXIT_BUG, "an item of '%s' does not fit the tensor that rank 0 lists",
                        item->name);
        Piece piece = {index, item->first, item->first + item->count};
        if (item->count > 0)
            bytes_append(pieces, &piece, sizeof piece);
    }
    return 0;
}

static int check_cover(const Layout *layout, Piece *pieces, size_t count)
{
    size_t next = 0;
    if (count > 0)
        qsort(pieces, count, sizeof *pieces, compare_pieces);
    for (int64_t i = 0; i < layout->count; i++) {
        const CheckpointTensor *tensor = &layout->tensors[i];
        int64_t covered = 0;
        for (; next < count && pieces[next].tensor == i && pieces[next].first <= covered; next++)
            covered = pieces[next].end > covered ? pieces[next].end : covered;
        if (covered < stored_type_elements(tensor->type, tensor->rank, tensor->shape))
            return fail(EXIT_BUG, "no rank holds element %lld of '%s'", (long long)covered,
                        tensor->name);
    }
    return 0;
}

int layout_check_cover(const Group *group, const Layout *layout, const CheckpointItem *items,
                       int64_t count)
{
    Bytes mine = {0}, all = {0};
    if (group_agree(group, list_pieces(layout, items, count, &mine))) {
        bytes_free(&mine);
        return -1;
    }
    size_t *starts = allocate((size_t)group->size + 1, sizeof *starts);
    group_all_gather_bytes(group, &mine, &all, starts);
    int status = check_cover(layout, (Piece *)(void *)all.data, all.length / sizeof(Piece));
    release(starts);
    bytes_free(&mine);
    bytes_free(&all);
    return status;
}

void layout_free(Layout *layout)
{
    for (int64_t i = 0; i < layout->count; i++)
        release((void *)(uintptr_t)layout->tensors[i].name);
    for (int64_t i = 0; i < layout->attribute_count; i++) {
        release((void *)(uintptr_t)layout->attributes[i].name);
        release((void *)(uintptr_t)layout->attributes[i].text);
    }
    release(layout->tensors);
    release(layout->by_name);
    release(layout->attributes);
    *layout = (Layout){0};
}
