// test_merge.c - byte-pair merging against the definition, on tables drawn at random.

#include "tests/testing.h"

#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "text/merge.h"
#include "text/vocabulary.h"

enum { LETTERS = 3, TOKENS = 60 };

typedef struct {
    Vocabulary vocabulary;
    Merges merges;
    int32_t left[TOKENS], right[TOKENS]; // of the token's only merge
    uint32_t rank[TOKENS];
} Table;

static const char *bytes_of(const Table *table, int32_t id)
{
    return table->vocabulary.text.data + table->vocabulary.tokens[id].start;
}

// Letters a, b, c and TOKENS - LETTERS joined tokens, each of two earlier ones, at shuffled ranks.
static void make_table(Table *table, uint32_t number)
{
    Draw draw = {.seed = 3, .purpose = PURPOSE_GENERATE, .step = number};
    *table = (Table){0};
    vocabulary_make(&table->vocabulary, TOKENS, TOKENS);
    merge_make(&table->merges, TOKENS);
    int64_t ranks[TOKENS];
    for (int i = 0; i < TOKENS; i++)
        ranks[i] = i;
    draw_shuffle((Draw){.seed = 4, .purpose = PURPOSE_SHUFFLE, .step = number}, ranks, TOKENS);
    for (int32_t id = 0; id < LETTERS; id++)
        assert_true(vocabulary_add(&table->vocabulary, id, &"abc"[id], 1, true));
    Bytes joined = {0};
    for (int32_t id = LETTERS; id < TOKENS;) {
        int32_t a = (int32_t)draw_below(draw, (uint64_t)id);
        draw.position++;
        int32_t b = (int32_t)draw_below(draw, (uint64_t)id);
        draw.position++;
        bytes_clear(&joined);
        bytes_append(&joined, bytes_of(table, a), table->vocabulary.tokens[a].length);
        bytes_append(&joined, bytes_of(table, b), table->vocabulary.tokens[b].length);
        if (vocabulary_find(&table->vocabulary, joined.data, joined.length) >= 0)
            continue;
        assert_true(vocabulary_add(&table->vocabulary, id, joined.data, joined.length, true));
        table->left[id] = a, table->right[id] = b, table->rank[id] = (uint32_t)ranks[id];
        merge_add(&table->merges, a, b, table->rank[id], id);
        id++;
    }
    bytes_free(&joined);
    merge_mark_kept(&table->merges, &table->vocabulary);
}

static void free_table(Table *table)
{
    vocabulary_free(&table->vocabulary);
    merge_free(&table->merges);
}

// The definition, word for word: the lowest rank, the leftmost among equals, until none is left.
static size_t merge_by_definition(const Table *table, int32_t *ids, size_t count)
{
    for (;;) {
        size_t best = count;
        int32_t joined = -1;
        for (size_t i = 0; i + 1 < count; i++) {
            for (int32_t id = LETTERS; id < TOKENS; id++) {
                bool fits = table->left[id] == ids[i] && table->right[id] == ids[i + 1];
                if (fits && (joined < 0 || table->rank[id] < table->rank[joined]))
                    best = i, joined = id;
            }
        }
        if (joined < 0)
            return count;
        ids[best] = joined;
        memmove(ids + best + 1, ids + best + 2, (count - best - 2) * sizeof *ids);
        count--;
    }
}

static void compare_with_definition(uint32_t tables, uint32_t pieces, uint64_t longest)
{
    Tokens ids = {0};
    int32_t expected[400];
    char piece[400];
    for (uint32_t number = 0; number < tables; number++) {
        Table table;
        make_table(&table, number);
        for (uint32_t i = 0; i < pieces; i++) {
            Draw draw = {.seed = 5, .purpose = PURPOSE_GENERATE, .step = number, .session = i};
            size_t length = 1 + draw_below(draw, longest);
            for (size_t j = 0; j < length; j++) {
                draw.position++;
                expected[j] = (int32_t)draw_below(draw, LETTERS);
                piece[j] = "abc"[expected[j]];
            }
            size_t count = merge_by_definition(&table, expected, length);
            tokens_clear(&ids);
            merge_piece(&table.merges, &table.vocabulary, piece, length, &ids);
            assert_int_equal(ids.count, count);
            assert_memory_equal(ids.ids, expected, count * sizeof *expected);
        }
        free_table(&table);
    }
    tokens_free(&ids);
}

static void short_pieces_merge_as_defined(void **state)
{
    (void)state;
    compare_with_definition(60, 200, 20);
}

static void long_pieces_merge_as_defined(void **state)
{
    (void)state;
    compare_with_definition(30, 20, 390);
}

static void bytes_without_a_token_are_dropped(void **state)
{
    (void)state;
    Table table;
    make_table(&table, 0);
    Tokens with = {0}, without = {0};
    merge_piece(&table.merges, &table.vocabulary, "abxcaybzc", 9, &with);
    merge_piece(&table.merges, &table.vocabulary, "abcabc", 6, &without);
    assert_int_equal(with.count, without.count);
    assert_memory_equal(with.ids, without.ids, (size_t)with.count * sizeof *with.ids);
    tokens_free(&with);
    tokens_free(&without);
    free_table(&table);
}

// A quadratic loop would take a quarter of an hour.
static void a_piece_of_a_million_bytes_takes_no_time(void **state)
{
    (void)state;
    Table table;
    make_table(&table, 1);
    size_t length = 1000000;
    char *piece = allocate(length, 1);
    for (size_t i = 0; i < length; i++)
        piece[i] = "abc"[i * i % 3];
    Tokens ids = {0};
    double start = clock_now();
    merge_piece(&table.merges, &table.vocabulary, piece, length, &ids);
    assert_true(clock_now() - start < 20);
    assert_true(ids.count > 0 && ids.count < (int64_t)length);
    release(piece);
    tokens_free(&ids);
    free_table(&table);
}

static void a_later_rank_replaces_the_earlier(void **state)
{
    (void)state;
    Table table;
    make_table(&table, 2);
    int32_t id = LETTERS;
    merge_add(&table.merges, table.left[id], table.right[id], 1000, id);
    table.rank[id] = 1000;
    int32_t expected[6] = {0, 1, 2, 0, 1, 2};
    size_t count = merge_by_definition(&table, expected, 6);
    Tokens ids = {0};
    merge_piece(&table.merges, &table.vocabulary, "abcabc", 6, &ids);
    assert_int_equal(ids.count, count);
    assert_memory_equal(ids.ids, expected, count * sizeof *expected);
    tokens_free(&ids);
    free_table(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_pieces_merge_as_defined),
        cmocka_unit_test(long_pieces_merge_as_defined),
        cmocka_unit_test(bytes_without_a_token_are_dropped),
        cmocka_unit_test(a_piece_of_a_million_bytes_takes_no_time),
        cmocka_unit_test(a_later_rank_replaces_the_earlier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
