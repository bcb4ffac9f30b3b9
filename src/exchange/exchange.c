#include "exchange/exchange.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/activity.h"
#include "base/fail.h"
#include "files/tensor_checksum.h"
#include "parallel/recorder.h"

Tree *tree_list_add(TreeList *list, const Tree *tree, int64_t order)
{
    size_t needed = (size_t)list->count + 1;
    grow((void **)&list->trees, &list->capacity, needed, sizeof *list->trees);
    grow((void **)&list->order, &list->order_capacity, needed, sizeof *list->order);
    list->trees[list->count] = *tree;
    list->order[list->count] = order;
    return &list->trees[list->count++];
}

void tree_list_clear(TreeList *list)
{
    for (int64_t t = 0; t < list->count; t++)
        tree_free(&list->trees[t]);
    list->count = 0;
}

void tree_list_free(TreeList *list)
{
    tree_list_clear(list);
    release(list->trees);
    release(list->order);
    *list = (TreeList){0};
}

typedef struct {
    int64_t order, index;
} Place;

static int by_order(const void *left, const void *right)
{
    const Place *a = left, *b = right;
    return a->order < b->order ? -1 : a->order > b->order;
}

static void sort_list(TreeList *list)
{
    size_t count = (size_t)list->count;
    Place *places = allocate(count, sizeof *places);
    Tree *sorted = allocate(count, sizeof *sorted);
    for (size_t i = 0; i < count; i++)
        places[i] = (Place){list->order[i], (int64_t)i};
    qsort(places, count, sizeof *places, by_order);
    for (size_t i = 0; i < count; i++) {
        CHECK(places[i].order == (int64_t)i, "tree %zu of the step is missing or doubled", i);
        sorted[i] = list->trees[places[i].index];
        list->order[i] = (int64_t)i;
    }
    if (count > 0)
        memcpy(list->trees, sorted, count * sizeof *sorted);
    release(places);
    release(sorted);
}

void exchange_trees(const World *world, TreeList *mine, TreeList *all)
{
    Bytes send = {0}, receive = {0};
    size_t *starts = allocate((size_t)world->all.size + 1, sizeof *starts);
    for (int64_t t = 0; t < mine->count; t++) {
        bytes_append(&send, &mine->order[t], sizeof mine->order[t]);
        tree_write(&mine->trees[t], &send);
    }
    group_all_gather_bytes(&world->all, &send, &receive, starts);
    tree_list_clear(mine);
    tree_list_clear(all);
    for (size_t used = 0; used < receive.length;) {
        int64_t order;
        Tree tree;
        memcpy(&order, receive.data + used, sizeof order);
        used += sizeof order;
        used += tree_read(&tree, receive.data + used, receive.length - used);
        tree_list_add(all, &tree, order);
    }
    sort_list(all);
    release(starts);
    bytes_free(&send);
    bytes_free(&receive);
}

static Elements whole_unit(const Collective *collective, Publication *publication,
                           const Parameters *parameters, int64_t u, Elements shards,
                           ElementType type)
{
    const Unit *unit = &parameters->units[u];
    Elements shard = shards.data ? elements_from(shards, unit->local_offset) : shards;
    recorder_set_unit(u);
    Elements whole = collective->publish(publication, shard, unit->shard.local, type);
    recorder_set_unit(-1);
    return whole;
}

void exchange_weights(const Collective *collective, Publication *publication,
                      const Parameters *parameters, Elements shards, ElementType type,
                      Weights *weights)
{
    activity_begin("publishing");
    for (int64_t u = 0; u < parameters->unit_count; u++) {
        Elements unit = whole_unit(collective, publication, parameters, u, shards, type);
        if (weights)
            weights_load_unit(weights, u, unit);
    }
}

// Whole units in fp32 for the host, one after another. Collective over the publication's world.
typedef struct {
    const Backend *backend; // borrowed, all of them
    Publication *publication;
    const Parameters *parameters;
    const float *master;
    float *room; // owned; where host memory is not the device's
} Reading;

static Reading reading_of(const Backend *backend, Publication *publication,
                          const Parameters *parameters, const float *master)
{
    Reading reading = {backend, publication, parameters, master, NULL};
    if (!backend->kernels->host_is_device)
        reading.room = backend->kernels->host_make((size_t)parameters->largest * sizeof *master);
    return reading;
}

static const float *read_unit(Reading *reading, int64_t u)
{
    const Kernels *kernels = reading->backend->kernels;
    const Unit *unit = &reading->parameters->units[u];
    const float *values =
        whole_unit(reading->backend->collective, reading->publication, reading->parameters, u,
                   elements_f32(reading->master), TYPE_F32)
            .data;
    if (!reading->room)
        return values;
    kernels->copy_out(NULL, reading->room, values, (size_t)unit->shard.global * sizeof *values);
    kernels->queue_wait(NULL);
    return reading->room;
}

static void reading_end(Reading *reading)
{
    if (reading->room)
        reading->backend->kernels->host_free(reading->room);
}

uint64_t exchange_checksum(const Backend *backend, Publication *publication,
                           const Parameters *parameters, const float *master)
{
    Reading reading = reading_of(backend, publication, parameters, master);
    XXH3_state_t *state = XXH3_createState();
    CHECK(state, "no memory for a checksum");
    XXH3_64bits_reset(state);
    for (int64_t u = 0; u < parameters->unit_count; u++)
        XXH3_64bits_update(state, read_unit(&reading, u),
                           (size_t)parameters->units[u].shard.global * sizeof *master);
    uint64_t sum = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    reading_end(&reading);
    return sum;
}

uint64_t exchange_tensor_checksum(const Backend *backend, Publication *publication,
                                  const Parameters *parameters, const float *master)
{
    uint64_t sum = 0;
    Reading reading = reading_of(backend, publication, parameters, master);
    for (int64_t u = 0; u < parameters->unit_count; u++) {
        const Unit *unit = &parameters->units[u];
        const float *values = read_unit(&reading, u);
        for (int64_t i = unit->first_tensor; i < unit->first_tensor + unit->tensor_count; i++) {
            const TensorPlace *tensor = &parameters->tensors[i];
            TensorChecksum *checksum = tensor_checksum_begin(tensor->name);
            tensor_checksum_add(checksum, values + tensor->offset, tensor->elements);
            sum += tensor_checksum_end(checksum);
        }
    }
    reading_end(&reading);
    return sum;
}
