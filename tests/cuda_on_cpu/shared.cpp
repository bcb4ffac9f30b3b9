// shared.cpp - the shared memory of the block that runs.
//
// Every variable has pages of its own, so that no neighbour hides an access beyond its end. What a
// block left is gone when the next one begins.

#include "tests/cuda_on_cpu/inside.h"

namespace cuda_on_cpu
{

enum {
    MOST_VARIABLES = 32,
    MOST_STATIC_BYTES = 48 * 1024,
    MOST_DYNAMIC_BYTES = 227 * 1024,
    ALIGNMENT = 16,
};

struct Variable {
    const void *key;
    uint64_t block; // in which it was filled last
    Guarded memory;
};

static Variable variables[MOST_VARIABLES];
static int variable_count;
static Guarded dynamic;
static uint64_t block; // counts blocks
static size_t static_bytes;

void shared_begin(size_t dynamic_bytes)
{
    if (!dynamic.pages)
        guarded_make(&dynamic, "dynamic shared memory", MOST_DYNAMIC_BYTES);
    guarded_place(&dynamic, dynamic_bytes, ALIGNMENT);
    static_bytes = 0;
    block++;
}

void shared_end()
{
    guarded_check(&dynamic);
    for (int i = 0; i < variable_count; i++) {
        if (variables[i].block == block)
            guarded_check(&variables[i].memory);
    }
}

static Variable *variable_of(const void *key, size_t bytes)
{
    for (int i = 0; i < variable_count; i++) {
        if (variables[i].key == key)
            return &variables[i];
    }
    if (variable_count == MOST_VARIABLES)
        wrong("more than %d shared variables", MOST_VARIABLES);
    Variable *variable = &variables[variable_count++];
    variable->key = key;
    guarded_make(&variable->memory, "a shared variable", bytes);
    return variable;
}

void *shared_variable(const void *key, size_t bytes)
{
    Variable *variable = variable_of(key, bytes);
    if (variable->block != block) {
        static_bytes += bytes;
        if (static_bytes > MOST_STATIC_BYTES)
            wrong("more than %d bytes of shared variables", MOST_STATIC_BYTES);
        guarded_place(&variable->memory, bytes, ALIGNMENT);
        variable->block = block;
        __tsan_release(variable);
    }
    __tsan_acquire(variable); // its pages come before what threads do with them
    return variable->memory.memory;
}

void *shared_dynamic()
{
    return dynamic.memory;
}

} // namespace cuda_on_cpu
