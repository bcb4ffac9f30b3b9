#include "dialogue/arena.h"

#include <string.h>

#include "base/memory.h"

enum { CHUNK_BYTES = 64 * 1024, ALIGNMENT = 16 };

typedef struct Chunk {
    struct Chunk *next;
    size_t used, size;
    char *data; // owned
} Chunk;

struct Arena {
    Chunk *chunks; // the one in use first
};

Arena *arena_make(void)
{
    return allocate(1, sizeof(Arena));
}

void arena_free(Arena *arena)
{
    if (!arena)
        return;
    for (Chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        release(chunk->data);
        release(chunk);
    }
    release(arena);
}

void *arena_take(Arena *arena, size_t bytes)
{
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    Chunk *chunk = arena->chunks;
    if (!chunk || chunk->size - chunk->used < rounded) {
        chunk = allocate(1, sizeof *chunk);
        chunk->size = rounded > CHUNK_BYTES ? rounded : CHUNK_BYTES;
        chunk->data = allocate(chunk->size, 1);
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    void *taken = chunk->data + chunk->used;
    chunk->used += rounded;
    return taken;
}

const char *arena_text(Arena *arena, const char *text)
{
    size_t length = strlen(text);
    char *copy = arena_take(arena, length + 1);
    memcpy(copy, text, length);
    return copy;
}
