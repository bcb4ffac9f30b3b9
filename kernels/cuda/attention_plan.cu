// attention_plan.cu - how attention's work is cut up, on the host, and brought to the device.

#include "kernels/cuda/attention.h"

#include <string.h>

#include <algorithm>
#include <vector>

enum { SLOT_MULTIPLE = 16 };

int64_t attention_group(Tensor q, Cache cache)
{
    int64_t width = static_cast<int64_t>(cache.heads) * cache.head_width;
    CHECK(width > 0 && q.width % width == 0 && q.width > 0, "queries of %ld for %d heads of %d",
          static_cast<long>(q.width), cache.heads, cache.head_width);
    CHECK(cache.head_width <= MOST_HEAD_WIDTH, "a head width of %d: %d at most", cache.head_width,
          MOST_HEAD_WIDTH);
    int64_t group = q.width / width;
    CHECK(group <= TILE_ROWS, "%ld query heads for each key: %d at most", static_cast<long>(group),
          TILE_ROWS);
    CHECK(q.rows * group < INT32_MAX && cache.slots < INT32_MAX, "%ld rows, %ld slots",
          static_cast<long>(q.rows), static_cast<long>(cache.slots));
    return group;
}

static void spans_check(const Span *spans, int64_t span_count, int64_t rows, Cache cache)
{
    int64_t row = 0;
    for (int64_t s = 0; s < span_count; s++) {
        Span span = spans[s];
        CHECK(span.first_row == row && span.rows >= 0,
              "span of rows %ld + %ld where row %ld is due", static_cast<long>(span.first_row),
              static_cast<long>(span.rows), static_cast<long>(row));
        CHECK(span.shared % SLOT_MULTIPLE == 0 && span.own % SLOT_MULTIPLE == 0,
              "keys from slots %ld and %ld: not multiples of %d", static_cast<long>(span.shared),
              static_cast<long>(span.own), SLOT_MULTIPLE);
        CHECK(span.shared >= 0 && span.shared_length >= 0 && span.own >= 0 &&
                  span.own_length >= 0 && span.shared + span.shared_length <= cache.slots &&
                  span.own + span.own_length + span.rows <= cache.slots,
              "slots %ld + %ld and %ld + %ld + %ld of %ld", static_cast<long>(span.shared),
              static_cast<long>(span.shared_length), static_cast<long>(span.own),
              static_cast<long>(span.own_length), static_cast<long>(span.rows),
              static_cast<long>(cache.slots));
        row += span.rows;
    }
    CHECK(row == rows, "spans of %ld rows for %ld", static_cast<long>(row),
          static_cast<long>(rows));
}

static bool same_shared(const Span *a, const Span *b)
{
    return a->shared_length == b->shared_length &&
           (a->shared == b->shared || a->shared_length == 0);
}

// ---- items --------------------------------------------------------------------------------------

static Item item_of(int64_t row, int64_t rows, int64_t part)
{
    Item item = {};
    item.row = static_cast<int32_t>(row);
    item.rows = static_cast<int32_t>(rows);
    item.part = static_cast<int32_t>(part);
    return item;
}

static KeyRange range_of(int64_t slot, int64_t length, int64_t visible, bool grows)
{
    return {static_cast<int32_t>(slot), static_cast<int32_t>(length), static_cast<int32_t>(visible),
            grows};
}

// Items that go over all the keys of their rows.
static void add_whole(std::vector<Item> *items, const Span *span, int64_t limit)
{
    for (int64_t i = 0; i < span->rows; i += limit) {
        int64_t rows = least(limit, span->rows - i), own = span->own_length + i;
        Item item = item_of(span->first_row + i, rows, -1);
        item.ranges[0] = range_of(span->shared, span->shared_length, span->shared_length, false);
        item.ranges[1] = range_of(span->own, own + rows, own + 1, true);
        items->push_back(item);
    }
}

// Items of rows [row, row + rows), which see the same shared keys, a part of these each.
static void add_shared(std::vector<Item> *items, const Span *span, int64_t row, int64_t rows,
                       int64_t limit)
{
    for (int64_t key = 0; key < span->shared_length; key += PART_KEYS) {
        int64_t length = least(PART_KEYS, span->shared_length - key);
        for (int64_t i = 0; i < rows; i += limit) {
            Item item = item_of(row + i, least(limit, rows - i), key / PART_KEYS);
            item.ranges[0] = range_of(span->shared + key, length, length, false);
            items->push_back(item);
        }
    }
}

// Items of a span's own keys, a part of them each; parts are numbered on from the shared ones.
static void add_own(std::vector<Item> *items, const Span *span, int64_t limit)
{
    int64_t before = pieces_of(span->shared_length, PART_KEYS);
    int64_t keys = span->own_length + span->rows;
    for (int64_t key = 0; key < keys; key += PART_KEYS) {
        int64_t length = least(PART_KEYS, keys - key);
        for (int64_t i = 0; i < span->rows; i += limit) {
            Item item = item_of(span->first_row + i, least(limit, span->rows - i),
                                before + key / PART_KEYS);
            item.ranges[1] =
                range_of(span->own + key, length, span->own_length + i + 1 - key, true);
            items->push_back(item);
        }
    }
}

static int64_t parts_of(const Span *span)
{
    return pieces_of(span->shared_length, PART_KEYS) +
           pieces_of(span->own_length + span->rows, PART_KEYS);
}

static int64_t item_work(const Item *item)
{
    return item->ranges[0].length + item->ranges[1].length;
}

static void items_sort(std::vector<Item> *items)
{
    std::stable_sort(items->begin(), items->end(),
                     [](const Item &a, const Item &b) { return item_work(&a) > item_work(&b); });
}

// Scratch of planning: lists that keep their memory.
typedef struct {
    std::vector<Item> items;
    std::vector<int32_t> first_part;
    std::vector<SlotTile> tiles;
    std::vector<Visit> visits;
} Lists;

// Spans of few rows (decoding) are cut into parts of keys; the shared parts of neighbours that see
// the same shared keys are computed together.
static void lists_forward(Lists *plan, const Span *spans, int64_t span_count, int64_t group)
{
    plan->items.clear();
    plan->first_part.assign(1, 0);
    int64_t limit = TILE_ROWS / group;
    int64_t run = -1; // the first of the spans whose shared keys are due
    for (int64_t s = 0; s < span_count; s++) {
        const Span *span = &spans[s];
        bool split = span->rows * group <= SPLIT_ENTRIES && parts_of(span) > 1;
        for (int64_t i = 0; i < span->rows; i++)
            plan->first_part.push_back(plan->first_part.back() +
                                       static_cast<int32_t>(split ? parts_of(span) : 0));
        if (!split) {
            add_whole(&plan->items, span, limit);
            run = -1;
            continue;
        }
        add_own(&plan->items, span, limit);
        if (run < 0)
            run = s;
        const Span *next = span + 1;
        bool goes_on = s + 1 < span_count && same_shared(span, next) &&
                       next->rows * group <= SPLIT_ENTRIES && parts_of(next) > 1;
        if (goes_on)
            continue;
        int64_t first = spans[run].first_row;
        add_shared(&plan->items, span, first, span->first_row + span->rows - first, limit);
        run = -1;
    }
    items_sort(&plan->items);
}

// ---- tiles of slots -----------------------------------------------------------------------------

// Rows [row, row + rows), row i of which sees slots [slot, slot + visible + grows * i).
typedef struct {
    int64_t row, rows, slot, visible, grows;
} Sight;

// Calls `take(tile, visit)` for each tile of which some row of the sight sees a slot.
template <class Take> static void sight_visits(Sight sight, Take take)
{
    int64_t end = sight.slot + sight.visible + sight.grows * (sight.rows - 1);
    if (sight.rows == 0 || end <= sight.slot)
        return;
    for (int64_t tile = sight.slot / TILE_ROWS; tile * TILE_ROWS < end; tile++) {
        int64_t base = tile * TILE_ROWS, seen = most(base, sight.slot);
        // Row i sees the slot `seen` if slot + visible + grows * i > seen.
        int64_t skipped = sight.grows ? most(0, seen - sight.slot - sight.visible + 1) : int64_t{0};
        Visit visit = {};
        visit.row = static_cast<int32_t>(sight.row + skipped);
        visit.rows = static_cast<int32_t>(sight.rows - skipped);
        visit.first = static_cast<int32_t>(most(0, sight.slot - base));
        visit.end = static_cast<int32_t>(sight.slot + sight.visible + sight.grows * skipped - base);
        visit.grows = static_cast<int32_t>(sight.grows);
        take(tile, visit);
    }
}

// Spans in order, each with its shared keys and then its own; neighbours that see the same shared
// keys look at them together.
template <class Take> static void spans_visits(const Span *spans, int64_t span_count, Take take)
{
    int64_t run = 0;
    for (int64_t s = 0; s < span_count; s++) {
        const Span *span = &spans[s];
        if (s + 1 == span_count || !same_shared(span, span + 1)) {
            int64_t row = spans[run].first_row;
            sight_visits(
                {row, span->first_row + span->rows - row, span->shared, span->shared_length, 0},
                take);
            run = s + 1;
        }
        sight_visits({span->first_row, span->rows, span->own, span->own_length + 1, 1}, take);
    }
}

static void tiles_fill(Lists *plan, const Span *spans, int64_t span_count, Cache cache)
{
    static thread_local std::vector<int32_t> counts, places;
    static thread_local std::vector<int64_t> work;
    size_t tiles = static_cast<size_t>(pieces_of(cache.slots, TILE_ROWS));
    counts.assign(tiles, 0);
    work.assign(tiles, 0);
    places.assign(tiles, 0);
    spans_visits(spans, span_count, [](int64_t tile, Visit visit) {
        counts[static_cast<size_t>(tile)]++;
        work[static_cast<size_t>(tile)] += visit.rows;
    });
    int32_t total = 0;
    plan->tiles.clear();
    for (size_t t = 0; t < tiles; t++) {
        places[t] = total;
        if (counts[t] > 0)
            plan->tiles.push_back({static_cast<int32_t>(t), total, counts[t]});
        total += counts[t];
    }
    plan->visits.resize(static_cast<size_t>(total));
    Visit *visits = plan->visits.data();
    spans_visits(spans, span_count, [visits](int64_t tile, Visit visit) {
        visits[places[static_cast<size_t>(tile)]++] = visit;
    });
    std::stable_sort(
        plan->tiles.begin(), plan->tiles.end(), [](const SlotTile &a, const SlotTile &b) {
            return work[static_cast<size_t>(a.tile)] > work[static_cast<size_t>(b.tile)];
        });
}

static void lists_backward(Lists *plan, const Span *spans, int64_t span_count, int64_t group,
                           Cache cache)
{
    plan->items.clear();
    for (int64_t s = 0; s < span_count; s++)
        add_whole(&plan->items, &spans[s], TILE_ROWS / group);
    items_sort(&plan->items);
    tiles_fill(plan, spans, span_count, cache);
}

static int64_t slots_end_of(const Span *spans, int64_t span_count)
{
    int64_t end = 0;
    for (int64_t s = 0; s < span_count; s++) {
        const Span *span = &spans[s];
        end = most(end, span->own + span->own_length + span->rows);
        if (span->shared_length > 0)
            end = most(end, span->shared + span->shared_length);
    }
    return end;
}

// ---- on the device ------------------------------------------------------------------------------

// What a plan is of, and whether there is one.
typedef struct {
    bool known;
    std::vector<Span> spans;
    int64_t rows, group, slots;
} Origin;

// Whether a plan of this origin serves a call; else it becomes that call's.
static bool origin_serves(Origin *origin, const Span *spans, int64_t span_count, int64_t rows,
                          int64_t group, Cache cache)
{
    size_t count = static_cast<size_t>(span_count);
    bool same = origin->known && origin->rows == rows && origin->group == group &&
                origin->slots == cache.slots && origin->spans.size() == count &&
                (count == 0 || memcmp(origin->spans.data(), spans, count * sizeof *spans) == 0);
    if (same)
        return true;
    origin->known = true;
    origin->spans.assign(spans, spans + count);
    origin->rows = rows;
    origin->group = group;
    origin->slots = cache.slots;
    return false;
}

// Lists are uploaded side by side; all of them are made of int32_t.
template <class Type> static size_t bytes_of(const std::vector<Type> &list)
{
    return list.size() * sizeof(Type);
}

template <class Type> static void list_put(char **to, const std::vector<Type> &list, size_t bytes)
{
    if (!list.empty())
        memcpy(*to, list.data(), bytes_of(list));
    *to += bytes;
}

// So that numbers which differ by less than about a fifth are often rounded to the same one.
static int64_t rounded_launch(int64_t blocks)
{
    int64_t step = 1;
    while (8 * step < blocks)
        step *= 2;
    return rounded_up(blocks, step);
}

static ForwardPlan forward_upload(Queue *queue, const Lists &lists)
{
    ForwardPlan plan = {};
    plan.most_items = rounded_launch(static_cast<int64_t>(lists.items.size()));
    plan.parts = lists.first_part.back();
    size_t item_bytes = static_cast<size_t>(plan.most_items) * sizeof(Item);
    size_t bytes = sizeof(int32_t) + item_bytes + bytes_of(lists.first_part);
    char *to = static_cast<char *>(upload_begin(queue, bytes));
    int32_t item_count = static_cast<int32_t>(lists.items.size());
    memcpy(to, &item_count, sizeof item_count);
    to += sizeof item_count;
    list_put(&to, lists.items, item_bytes);
    list_put(&to, lists.first_part, bytes_of(lists.first_part));
    const char *from = static_cast<const char *>(upload_end(queue, SCRATCH_FORWARD_PLAN, bytes));
    plan.item_count = reinterpret_cast<const int32_t *>(from);
    plan.items = reinterpret_cast<const Item *>(from + sizeof item_count);
    plan.first_part = reinterpret_cast<const int32_t *>(from + sizeof item_count + item_bytes);
    return plan;
}

static BackwardPlan backward_upload(Queue *queue, const Lists &lists, int64_t slots_end)
{
    BackwardPlan plan = {};
    plan.item_count = static_cast<int64_t>(lists.items.size());
    plan.tile_count = static_cast<int64_t>(lists.tiles.size());
    plan.slots_end = slots_end;
    size_t item_bytes = bytes_of(lists.items), tile_bytes = bytes_of(lists.tiles);
    size_t bytes = item_bytes + tile_bytes + bytes_of(lists.visits);
    char *to = static_cast<char *>(upload_begin(queue, bytes));
    list_put(&to, lists.items, item_bytes);
    list_put(&to, lists.tiles, tile_bytes);
    list_put(&to, lists.visits, bytes_of(lists.visits));
    const char *from = static_cast<const char *>(upload_end(queue, SCRATCH_BACKWARD_PLAN, bytes));
    plan.items = reinterpret_cast<const Item *>(from);
    plan.tiles = reinterpret_cast<const SlotTile *>(from + item_bytes);
    plan.visits = reinterpret_cast<const Visit *>(from + item_bytes + tile_bytes);
    return plan;
}

ForwardPlan plan_forward(Queue *queue, const Span *spans, int64_t span_count, int64_t rows,
                         int64_t group, Cache cache)
{
    static Origin origins[MOST_QUEUES];
    static ForwardPlan plans[MOST_QUEUES];
    static thread_local Lists lists;
    int q = queue_number(queue);
    if (origin_serves(&origins[q], spans, span_count, rows, group, cache))
        return plans[q];
    spans_check(spans, span_count, rows, cache);
    lists_forward(&lists, spans, span_count, group);
    return plans[q] = rows > 0 ? forward_upload(queue, lists) : ForwardPlan{};
}

BackwardPlan plan_backward(Queue *queue, const Span *spans, int64_t span_count, int64_t rows,
                           int64_t group, Cache cache)
{
    static Origin origins[MOST_QUEUES];
    static BackwardPlan plans[MOST_QUEUES];
    static thread_local Lists lists;
    int q = queue_number(queue);
    if (origin_serves(&origins[q], spans, span_count, rows, group, cache))
        return plans[q];
    spans_check(spans, span_count, rows, cache);
    lists_backward(&lists, spans, span_count, group, cache);
    return plans[q] = rows > 0 ? backward_upload(queue, lists, slots_end_of(spans, span_count))
                               : BackwardPlan{};
}
