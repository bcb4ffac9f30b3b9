#include "model/tree.h"

#include <string.h>

#include "base/fail.h"

void tree_make(Tree *tree, int64_t session, const int32_t *trunk, int32_t trunk_length,
               int32_t branch_capacity)
{
    *tree = (Tree){.session = session, .trunk_length = trunk_length};
    tree->trunk = allocate((size_t)trunk_length, sizeof *tree->trunk);
    if (trunk_length > 0)
        memcpy(tree->trunk, trunk, (size_t)trunk_length * sizeof *trunk);
    tree->branches = allocate((size_t)branch_capacity, sizeof *tree->branches);
}

static void allocate_tokens(Branch *branch, int32_t forced, int32_t capacity)
{
    branch->tokens = allocate((size_t)(forced + capacity), sizeof *branch->tokens);
    branch->logprobs = allocate((size_t)capacity, sizeof *branch->logprobs);
    branch->scored = allocate((size_t)capacity, sizeof *branch->scored);
    branch->reference = allocate((size_t)capacity, sizeof *branch->reference);
    branch->proximal = allocate((size_t)capacity, sizeof *branch->proximal);
    branch->advantages = allocate((size_t)capacity, sizeof *branch->advantages);
}

static void release_tokens(Branch *branch)
{
    release(branch->tokens);
    release(branch->logprobs);
    release(branch->scored);
    release(branch->reference);
    release(branch->proximal);
    release(branch->advantages);
}

Branch *tree_add_branch(Tree *tree, int32_t attach, int32_t forced, int32_t capacity)
{
    Branch *branch = &tree->branches[tree->branch_count++];
    *branch = (Branch){.attach = attach, .forced = forced, .session = tree->session, .graded = 1};
    allocate_tokens(branch, forced, capacity);
    return branch;
}

void branch_set_advantage(Branch *branch, double advantage)
{
    for (int32_t i = 0; i < branch->count; i++)
        branch->advantages[i] = (float)advantage;
}

static void *enlarge(void *old, int32_t count, int32_t capacity, size_t size)
{
    void *new = allocate((size_t)capacity, size);
    if (count > 0)
        memcpy(new, old, (size_t)count * size);
    release(old);
    return new;
}

void branch_reserve(Branch *branch, int32_t capacity)
{
    int32_t count = branch->count, forced = branch->forced;
    branch->tokens = enlarge(branch->tokens, forced + count, forced + capacity, sizeof(int32_t));
    branch->logprobs = enlarge(branch->logprobs, count, capacity, sizeof(float));
    branch->scored = enlarge(branch->scored, count, capacity, sizeof(uint8_t));
    branch->reference = enlarge(branch->reference, count, capacity, sizeof(float));
    branch->proximal = enlarge(branch->proximal, count, capacity, sizeof(float));
    branch->advantages = enlarge(branch->advantages, count, capacity, sizeof(float));
}

void tree_free(Tree *tree)
{
    for (int32_t b = 0; b < tree->branch_count; b++) {
        release_tokens(&tree->branches[b]);
        bytes_free(&tree->branches[b].text);
        bytes_free(&tree->branches[b].earlier);
        release(tree->branches[b].verdict);
    }
    release(tree->branches);
    release(tree->trunk);
    *tree = (Tree){0};
}

int64_t branch_rows(const Branch *branch)
{
    int64_t rows = branch->forced + branch->count - 1;
    return rows > 0 ? rows : 0;
}

int64_t tree_rows(const Tree *tree)
{
    int64_t rows = tree->trunk_length;
    for (int32_t b = 0; b < tree->branch_count; b++)
        rows += branch_rows(&tree->branches[b]);
    return rows;
}

// A branch as it travels: addresses mean nothing elsewhere.
static Branch without_addresses(const Branch *branch)
{
    Branch bare = *branch;
    bare.tokens = NULL;
    bare.scored = NULL;
    bare.verdict = NULL;
    bare.logprobs = bare.reference = bare.proximal = bare.advantages = NULL;
    bare.text = (Bytes){.length = branch->text.length};
    bare.earlier = (Bytes){.length = branch->earlier.length};
    return bare;
}

void tree_write(const Tree *tree, Bytes *out)
{
    Tree bare = *tree;
    bare.trunk = NULL;
    bare.branches = NULL;
    bytes_append(out, &bare, sizeof bare);
    bytes_append(out, tree->trunk, (size_t)tree->trunk_length * sizeof *tree->trunk);
    for (int32_t b = 0; b < tree->branch_count; b++) {
        const Branch *branch = &tree->branches[b];
        size_t tokens = (size_t)(branch->forced + branch->count), count = (size_t)branch->count;
        Branch head = without_addresses(branch);
        const char told = branch->verdict != NULL;
        bytes_append(out, &head, sizeof head);
        bytes_append(out, branch->tokens, tokens * sizeof *branch->tokens);
        bytes_append(out, branch->logprobs, count * sizeof *branch->logprobs);
        bytes_append(out, branch->scored, count * sizeof *branch->scored);
        bytes_append(out, branch->text.data, branch->text.length);
        bytes_append(out, branch->earlier.data, branch->earlier.length);
        bytes_append(out, &told, sizeof told);
        if (told)
            bytes_append(out, branch->verdict, strlen(branch->verdict) + 1);
    }
}

typedef struct {
    const char *bytes;
    size_t length, used;
} Reader;

static void take(Reader *reader, void *out, size_t bytes)
{
    CHECK(bytes <= reader->length - reader->used, "a tree is cut short");
    if (bytes > 0)
        memcpy(out, reader->bytes + reader->used, bytes);
    reader->used += bytes;
}

static Bytes take_bytes(Reader *reader, size_t length)
{
    Bytes bytes = {0};
    CHECK(length <= reader->length - reader->used, "a tree is cut short");
    bytes_append(&bytes, reader->bytes + reader->used, length);
    reader->used += length;
    return bytes;
}

static char *take_text(Reader *reader)
{
    size_t size = strnlen(reader->bytes + reader->used, reader->length - reader->used) + 1;
    char *text = allocate(size, 1);
    take(reader, text, size);
    return text;
}

size_t tree_read(Tree *tree, const char *bytes, size_t length)
{
    Reader reader = {.bytes = bytes, .length = length};
    take(&reader, tree, sizeof *tree);
    tree->trunk = allocate((size_t)tree->trunk_length, sizeof *tree->trunk);
    tree->branches = allocate((size_t)tree->branch_count, sizeof *tree->branches);
    take(&reader, tree->trunk, (size_t)tree->trunk_length * sizeof *tree->trunk);
    for (int32_t b = 0; b < tree->branch_count; b++) {
        Branch *branch = &tree->branches[b];
        take(&reader, branch, sizeof *branch);
        allocate_tokens(branch, branch->forced, branch->count);
        size_t tokens = (size_t)(branch->forced + branch->count), count = (size_t)branch->count;
        take(&reader, branch->tokens, tokens * sizeof *branch->tokens);
        take(&reader, branch->logprobs, count * sizeof *branch->logprobs);
        take(&reader, branch->scored, count * sizeof *branch->scored);
        branch->text = take_bytes(&reader, branch->text.length);
        branch->earlier = take_bytes(&reader, branch->earlier.length);
        char told;
        take(&reader, &told, sizeof told);
        if (told)
            branch->verdict = take_text(&reader);
    }
    return reader.used;
}
