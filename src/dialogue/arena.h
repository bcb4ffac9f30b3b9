// arena.h - memory that is taken piece by piece and freed all at once.

#ifndef L2A_DIALOGUE_ARENA_H
#define L2A_DIALOGUE_ARENA_H

#include <stddef.h>

typedef struct Arena Arena;

Arena *arena_make(void);
void arena_free(Arena *arena); // NULL is fine

// `bytes` zeroed bytes, aligned to 16.
void *arena_take(Arena *arena, size_t bytes);
const char *arena_text(Arena *arena, const char *text);

#endif
