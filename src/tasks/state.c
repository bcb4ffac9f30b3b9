#include "tasks/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "files/extents.h"
#include "model/tree.h"

// A growing list of items with names of their own.
typedef struct {
    CheckpointItem *list; // owned, names too
    int64_t count;
    size_t capacity;
} Items;

static CheckpointItem *add_item(Items *items, const char *folder, const char *name, StoredType type)
{
    Bytes path = {0};
    bytes_print(&path, "%s/%s", folder, name);
    grow((void **)&items->list, &items->capacity, (size_t)items->count + 1, sizeof *items->list);
    CheckpointItem *item = &items->list[items->count++];
    *item = (CheckpointItem){.name = path.data, .type = type, .rank = 1};
    return item;
}

static const char *folder_of(const Parameters *parameters)
{
    return parameters->adapter.rank > 0 ? "/adapter" : "/weights";
}

static StoredType stored_type_of(ElementType type)
{
    return type == TYPE_BF16 ? STORED_BF16 : STORED_F32;
}

// Every rank lists every tensor, with count 0 where it holds nothing of it.
static void add_parameters(Items *items, const Parameters *parameters, const char *folder,
                           Elements values)
{
    StoredType type = stored_type_of(values.type);
    for (int64_t i = 0; i < parameters->tensor_count; i++) {
        Piece piece = parameters_piece(parameters, i);
        CheckpointItem *item = add_item(items, folder, piece.tensor->name, type);
        item->rank = piece.tensor->rows > 0 ? 2 : 1;
        item->shape[0] = piece.tensor->rows > 0 ? piece.tensor->rows : piece.tensor->width;
        item->shape[1] = piece.tensor->rows > 0 ? piece.tensor->width : 0;
        item->first = piece.first;
        item->count = piece.count;
        item->data =
            piece.count > 0 ? (void *)(uintptr_t)elements_from(values, piece.local).data : NULL;
    }
}

static void add_files(Items *items, const StateOwner *owner)
{
    for (int64_t i = 0; i < owner->file_count; i++) {
        CheckpointItem *item = add_item(items, "/files", owner->files[i].name, STORED_U8);
        item->shape[0] = (int64_t)owner->files[i].bytes.length;
        item->count = owner->group->rank == 0 ? item->shape[0] : 0;
        item->data = owner->files[i].bytes.data;
    }
}

static void sampled_name(int64_t index, char name[24])
{
    snprintf(name, 24, "%06lld", (long long)index);
}

// Every learner rank has the same bytes; rank 0 writes them.
static void add_sampled(Items *items, const StateOwner *owner)
{
    for (int64_t i = 0; i < owner->sampled_count; i++) {
        char name[24];
        sampled_name(i, name);
        CheckpointItem *item = add_item(items, "/sampled", name, STORED_U8);
        item->shape[0] = (int64_t)owner->sampled[i].length;
        item->count = owner->group->rank == 0 ? item->shape[0] : 0;
        item->data = owner->sampled[i].data;
    }
}

// A flat array [parameters->local] of a rank's state, and its place in the snapshot.
typedef struct {
    const char *folder; // in a checkpoint
    void *device, *host;
    ElementType type;
} StateArray;

enum { STATE_ARRAYS = 4 };

// Whole pages can be written past the page cache.
static void *first_page(const StateOwner *owner)
{
    uintptr_t page = ((uintptr_t)owner->snapshot + EXTENT_ALIGNMENT - 1) / EXTENT_ALIGNMENT;
    return (void *)(page * EXTENT_ALIGNMENT);
}

static void add_array(const StateOwner *owner, StateArray *arrays, int *count, StateArray array)
{
    char *page = first_page(owner);
    for (int i = 0; i < *count; i++)
        page += (size_t)owner->parameters->local * type_bytes(arrays[i].type);
    array.host = page;
    arrays[(*count)++] = array;
}

static int list_arrays(const StateOwner *owner, StateArray arrays[STATE_ARRAYS])
{
    const Optimizer *optimizer = owner->optimizer;
    int count = 0;
    add_array(owner, arrays, &count,
              (StateArray){folder_of(owner->parameters), optimizer->master, .type = TYPE_F32});
    Moments moments = optimizer->moments;
    add_array(owner, arrays, &count, (StateArray){"/optimizer/m", moments.m, .type = moments.type});
    add_array(owner, arrays, &count, (StateArray){"/optimizer/v", moments.v, .type = moments.type});
    if (owner->holds_published)
        add_array(owner, arrays, &count,
                  (StateArray){"/published", owner->published, .type = owner->published_type});
    return count;
}

static void free_items(Items *items)
{
    for (int64_t i = 0; i < items->count; i++)
        release((char *)(uintptr_t)items->list[i].name);
    release(items->list);
    *items = (Items){0};
}

static void add_arrays(Items *items, const StateOwner *owner)
{
    StateArray arrays[STATE_ARRAYS];
    int count = list_arrays(owner, arrays);
    for (int i = 0; i < count; i++)
        add_parameters(items, owner->parameters, arrays[i].folder,
                       (Elements){arrays[i].host, arrays[i].type});
}

static void take_snapshot(const StateOwner *owner)
{
    StateArray arrays[STATE_ARRAYS];
    const Kernels *kernels = owner->kernels;
    int count = list_arrays(owner, arrays);
    for (int i = 0; i < count; i++)
        kernels->copy_out(NULL, arrays[i].host, arrays[i].device,
                          (size_t)owner->parameters->local * type_bytes(arrays[i].type));
    kernels->queue_wait(NULL);
}

// Fills the arrays: in their place where the host can write there, else by way of the snapshot.
static int read_arrays(const StateOwner *owner, Checkpoint *checkpoint)
{
    Items items = {0};
    StateArray arrays[STATE_ARRAYS];
    const Kernels *kernels = owner->kernels;
    bool in_place = kernels->host_is_device;
    int count = list_arrays(owner, arrays);
    for (int i = 0; i < count; i++)
        add_parameters(&items, owner->parameters, arrays[i].folder,
                       (Elements){in_place ? arrays[i].device : arrays[i].host, arrays[i].type});
    int status = checkpoint_read(checkpoint, items.list, items.count);
    free_items(&items);
    for (int i = 0; i < count && status == 0 && !in_place; i++)
        kernels->copy_in(NULL, arrays[i].device, arrays[i].host,
                         (size_t)owner->parameters->local * type_bytes(arrays[i].type));
    kernels->queue_wait(NULL);
    return status;
}

// What several groups hold is written by the first.
static void leave_to_others(Items *items, const StateOwner *owner)
{
    for (int64_t i = 0; i < items->count && !owner->writes; i++)
        items->list[i].count = 0;
}

static CheckpointAttribute whole(const char *name, int64_t value)
{
    return (CheckpointAttribute){.name = name, .kind = ATTRIBUTE_INTEGER, .integer = value};
}

static CheckpointAttribute real(const char *name, double value)
{
    return (CheckpointAttribute){.name = name, .kind = ATTRIBUTE_REAL, .real = value};
}

static CheckpointAttribute words(const char *name, const char *text)
{
    return (CheckpointAttribute){.name = name, .kind = ATTRIBUTE_TEXT, .text = text};
}

enum { RUN_ATTRIBUTES = 15 };

int state_save(const StateOwner *owner, RunDirectory *run, const RunState *state, bool is_best,
               KeepPolicy policy)
{
    char data[STATE_CHECKSUM_BYTES], reference[STATE_CHECKSUM_BYTES];
    state_print_checksum(owner->data_checksum, data);
    state_print_checksum(owner->reference_checksum, reference);
    CheckpointAttribute attributes[RUN_ATTRIBUTES + STORED_ADAPTER_ATTRIBUTES] = {
        whole("step", state->step),
        whole("updates", state->updates),
        whole("journal_bytes", state->journal_bytes),
        whole("samples_bytes", state->samples_bytes),
        real("best", state->best),
        whole("best_step", state->best_step),
        whole("since_best", state->since_best),
        whole("evaluated", state->evaluated),
        whole("sampled", owner->sampled_count),
        whole("branch_bytes", sizeof(Branch)),
        whole("published", owner->holds_published),
        words("settings", owner->settings),
        words("arithmetic", owner->kernels->arithmetic),
        words("data_checksum", data),
        words("reference_checksum", reference),
    };
    int64_t attribute_count = RUN_ATTRIBUTES;
    Items items = {0};
    Bytes targets = {0}, checksum = {0};
    if (owner->adapter->shape.rank > 0) {
        stored_adapter_list(owner->adapter, attributes + RUN_ATTRIBUTES, &targets, &checksum);
        attribute_count += STORED_ADAPTER_ATTRIBUTES;
    }
    CHECK(!run_directory_saves(run), "the snapshot is still being written");
    if (owner->writes)
        take_snapshot(owner);
    add_arrays(&items, owner);
    add_sampled(&items, owner);
    add_files(&items, owner);
    leave_to_others(&items, owner);
    int status = run_directory_save(
        run, &(RunSave){.step = state->step,
                        .is_best = is_best,
                        .policy = policy,
                        .content = {items.list, items.count, attributes, attribute_count}});
    free_items(&items);
    bytes_free(&targets);
    bytes_free(&checksum);
    return status;
}

int state_save_weights(const StateOwner *owner, const char *path, Elements values)
{
    Items items = {0};
    const Kernels *kernels = owner->kernels;
    size_t bytes = (size_t)owner->parameters->local * type_bytes(values.type);
    Elements host = {first_page(owner), values.type};
    kernels->copy_out(NULL, first_page(owner), values.data, bytes);
    kernels->queue_wait(NULL);
    add_parameters(&items, owner->parameters, folder_of(owner->parameters), host);
    add_files(&items, owner);
    leave_to_others(&items, owner);
    int status = checkpoint_write(owner->group, path,
                                  (CheckpointContent){.items = items.list, .count = items.count});
    free_items(&items);
    return status;
}

static const CheckpointAttribute *find_attribute(const void *file, const char *name)
{
    return checkpoint_attribute(file, name);
}

static int refuse_adapter(const StateOwner *owner, const StoredAdapter *found)
{
    const StoredAdapter *wanted = owner->adapter;
    if (found->shape.rank == 0 && wanted->shape.rank > 0)
        return fail(EXIT_BAD_DATA, "it holds a whole model, no adapter of rank %lld",
                    (long long)wanted->shape.rank);
    if (!adapter_same(&found->shape, &wanted->shape)) {
        Bytes targets = {0};
        adapter_print_targets(&found->shape, &targets);
        fail(EXIT_BAD_DATA,
             "its adapter is not that of [adapter] or [model]: it has rank %lld, alpha %g, %s",
             (long long)found->shape.rank, found->shape.alpha, targets.data);
        bytes_free(&targets);
        return -1;
    }
    if (found->checksum != wanted->checksum)
        return fail(EXIT_BAD_DATA,
                    "its adapter was trained beside the weights of %s with the checksum %016llx; "
                    "those that [model] path names have %016llx",
                    found->base, (unsigned long long)found->checksum,
                    (unsigned long long)wanted->checksum);
    return 0;
}

static int check_adapter(const StateOwner *owner, const Checkpoint *checkpoint)
{
    StoredAdapter found;
    int status = stored_adapter_take(&found, find_attribute, checkpoint);
    if (status == 0)
        status = refuse_adapter(owner, &found);
    stored_adapter_free(&found);
    return status == 0 ? 0 : fail_context("the newest checkpoint of the run cannot be taken up");
}

// Moments that a run kept in another type are converted: narrower ones are rounded, once, to
// nearest.
static void say_conversion(const StateOwner *owner, const Checkpoint *checkpoint)
{
    Bytes name = {0};
    StoredType own = stored_type_of(owner->optimizer->moments.type);
    bytes_print(&name, "/optimizer/m/%s", owner->parameters->tensors[0].name);
    const CheckpointTensor *tensor = checkpoint_tensor(checkpoint, name.data);
    if (tensor && tensor->type != own && owner->group->rank == 0)
        warn("the checkpoint holds moments in %s, [optimizer] moments wants %s: they are converted",
             stored_type_name(tensor->type), stored_type_name(own));
    bytes_free(&name);
}

int state_load(StateOwner *owner, Checkpoint *checkpoint, RunState *state)
{
    if (check_adapter(owner, checkpoint) != 0)
        return -1;
    int64_t published;
    const char *reference;
    if (checkpoint_integer(checkpoint, "published", &published) != 0)
        return -1;
    owner->holds_published = published && owner->published;
    say_conversion(owner, checkpoint);
    if (read_arrays(owner, checkpoint) != 0 ||
        checkpoint_integer(checkpoint, "step", &state->step) != 0 ||
        checkpoint_integer(checkpoint, "updates", &state->updates) != 0 ||
        checkpoint_integer(checkpoint, "journal_bytes", &state->journal_bytes) != 0 ||
        checkpoint_integer(checkpoint, "samples_bytes", &state->samples_bytes) != 0 ||
        checkpoint_real(checkpoint, "best", &state->best) != 0 ||
        checkpoint_integer(checkpoint, "best_step", &state->best_step) != 0 ||
        checkpoint_integer(checkpoint, "since_best", &state->since_best) != 0 ||
        checkpoint_integer(checkpoint, "evaluated", &state->evaluated) != 0 ||
        checkpoint_text(checkpoint, "reference_checksum", &reference) != 0)
        return -1;
    owner->reference_checksum = strtoull(reference, NULL, 16);
    owner->optimizer->updates = state->updates;
    return 0;
}

int state_sampled_count(const Checkpoint *checkpoint, int64_t *count)
{
    int64_t size;
    if (checkpoint_integer(checkpoint, "sampled", count) != 0 ||
        checkpoint_integer(checkpoint, "branch_bytes", &size) != 0)
        return -1;
    if (*count > 0 && size != (int64_t)sizeof(Branch))
        return fail(EXIT_BAD_DATA, "the checkpoint holds steps that were sampled ahead in the form "
                                   "of another version of this program: go on with that one");
    return 0;
}

int state_load_bytes(Checkpoint *checkpoint, const char *name, Bytes *bytes)
{
    const CheckpointTensor *tensor = checkpoint_tensor(checkpoint, name);
    if (!tensor || tensor->type != STORED_U8 || tensor->rank != 1)
        return fail(EXIT_BAD_DATA, "the checkpoint has no %s", name);
    size_t length = (size_t)tensor->shape[0];
    bytes_free(bytes);
    *bytes = (Bytes){.data = allocate(length + 1, 1), .length = length, .capacity = length + 1};
    CheckpointItem item = {.name = name,
                           .type = STORED_U8,
                           .rank = 1,
                           .shape = {tensor->shape[0]},
                           .count = tensor->shape[0],
                           .data = bytes->data};
    return checkpoint_read(checkpoint, &item, 1);
}

int state_load_sampled(Checkpoint *checkpoint, int64_t index, Bytes *bytes)
{
    char name[24], path[48];
    sampled_name(index, name);
    snprintf(path, sizeof path, "/sampled/%s", name);
    return state_load_bytes(checkpoint, path, bytes);
}

int state_load_weights(const Group *group, const char *path, const Parameters *parameters,
                       float *values)
{
    Checkpoint *checkpoint = checkpoint_open(group, path);
    if (!checkpoint)
        return -1;
    Items items = {0};
    add_parameters(&items, parameters, folder_of(parameters), elements_f32(values));
    int status = checkpoint_read(checkpoint, items.list, items.count);
    if (status == 0)
        status = checkpoint_verify(checkpoint);
    free_items(&items);
    checkpoint_close(checkpoint);
    return status;
}
