#include "learner/plan.h"

#include <stdlib.h>

#include "base/fail.h"

typedef struct {
    Part part;
    double cost;
    int64_t index; // in the order of trees
    int rank;
} Placed;

typedef struct {
    Placed *list; // owned
    int64_t count;
    size_t capacity;
} Placement;

// Multiply-adds: matrices by rows, attention by pairs of positions.
static double part_cost(const Part *part, const ModelShape *shape)
{
    double trunk = part_trunk(part), pairs = trunk * trunk / 2, rows = trunk;
    for (int32_t b = part->first; b < part->first + part->count; b++) {
        const Branch *branch = &part->tree->branches[b];
        double length = (double)branch_rows(branch);
        pairs += length * (branch->attach + length / 2);
        rows += length;
    }
    double attention = 2.0 * (double)shape->layers * shape->heads * shape->head_width;
    return rows * (double)shape_layer_products(shape) + pairs * attention;
}

static bool fits(const Part *part, PlanLayout layout)
{
    return part_rows(part) <= layout.rows && part_slots(part) <= layout.slots;
}

static void split_tree(Placement *placement, Tree *tree, const ModelShape *shape, PlanLayout layout)
{
    for (int32_t first = 0; first < tree->branch_count;) {
        Part part = {.tree = tree, .first = first, .count = layout.together};
        CHECK(fits(&part, layout), "a branch of %lld rows exceeds the micro-batch of %lld",
              (long long)part_rows(&part), (long long)layout.rows);
        while (first + part.count < tree->branch_count) {
            Part longer = part;
            longer.count += layout.together;
            if (!fits(&longer, layout))
                break;
            part = longer;
        }
        grow((void **)&placement->list, &placement->capacity, (size_t)placement->count + 1,
             sizeof *placement->list);
        placement->list[placement->count] =
            (Placed){.part = part, .cost = part_cost(&part, shape), .index = placement->count};
        placement->count++;
        first += part.count;
    }
}

static int by_cost(const void *left, const void *right)
{
    const Placed *a = left, *b = right;
    if (a->cost != b->cost)
        return a->cost > b->cost ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static int by_index(const void *left, const void *right)
{
    const Placed *a = left, *b = right;
    return a->index < b->index ? -1 : a->index > b->index;
}

// Longest first, each to the least loaded rank; ties by index and rank.
static void assign(Placement *placement, int size)
{
    size_t count = (size_t)placement->count;
    double *load = allocate((size_t)size, sizeof *load);
    if (count > 0)
        qsort(placement->list, count, sizeof *placement->list, by_cost);
    for (size_t i = 0; i < count; i++) {
        int least = 0;
        for (int rank = 1; rank < size; rank++)
            if (load[rank] < load[least])
                least = rank;
        placement->list[i].rank = least;
        load[least] += placement->list[i].cost;
    }
    if (count > 0)
        qsort(placement->list, count, sizeof *placement->list, by_index);
    release(load);
}

// Packs one rank's parts in order; returns the number of micro-batches. Fills `plan` if it is the
// plan's own rank.
static int64_t pack(Plan *plan, const Placement *placement, int rank, PlanLayout layout)
{
    int64_t rows = 0, slots = 0, batches = 0, parts = 0;
    for (int64_t i = 0; i < placement->count; i++) {
        if (placement->list[i].rank != rank)
            continue;
        const Part *part = &placement->list[i].part;
        int64_t more_rows = part_rows(part), more_slots = part_slots(part);
        if (batches == 0 || rows + more_rows > layout.rows || slots + more_slots > layout.slots) {
            if (rank == layout.rank)
                plan->starts[batches] = parts;
            batches++;
            rows = slots = 0;
        }
        if (rank == layout.rank)
            plan->parts[parts] = *part;
        parts++;
        rows += more_rows;
        slots += more_slots;
    }
    if (rank == layout.rank) {
        plan->part_count = parts;
        for (int64_t b = batches; b <= placement->count; b++)
            plan->starts[b] = parts;
    }
    return batches;
}

void plan_make(Plan *plan, Tree *trees, int64_t count, const ModelShape *shape, PlanLayout layout)
{
    CHECK(layout.together > 0, "a part of no branches");
    *plan = (Plan){0};
    Placement placement = {0};
    for (int64_t t = 0; t < count; t++) {
        Part whole = {.tree = &trees[t], .count = trees[t].branch_count};
        plan->products += part_cost(&whole, shape);
        split_tree(&placement, &trees[t], shape, layout);
    }
    assign(&placement, layout.size);
    plan->parts = allocate((size_t)placement.count, sizeof *plan->parts);
    plan->starts = allocate((size_t)placement.count + 1, sizeof *plan->starts);
    for (int rank = 0; rank < layout.size; rank++) {
        int64_t batches = pack(plan, &placement, rank, layout);
        if (batches > plan->count)
            plan->count = batches;
    }
    for (int64_t i = 0; i < placement.count; i++) {
        const Part *part = &placement.list[i].part;
        plan->rows += part_rows(part);
        if (part->first > 0)
            plan->trunk_repeats += part_trunk(part);
    }
    release(placement.list);
}

void plan_free(Plan *plan)
{
    release(plan->parts);
    release(plan->starts);
    *plan = (Plan){0};
}

void plan_load(const Plan *plan, int64_t index, Batch *batch)
{
    batch_clear(batch);
    for (int64_t p = plan->starts[index]; p < plan->starts[index + 1]; p++)
        batch_add(batch, &plan->parts[p]);
    batch_finish(batch);
}

int64_t plan_slots(int64_t rows)
{
    return slots_aligned(2 * rows);
}
