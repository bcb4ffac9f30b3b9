// shape.h - what kind of transformer: read from a Hugging Face config.json.
//
// Decoder-only, RMSNorm, rotary positions, grouped-query attention, SwiGLU: Qwen2 (query, key and
// value bias), Qwen3 (query and key norm), Llama and SmolLM2 (neither). Anything else is refused by
// name: other activations, sliding windows, rotary scalings but llama3, attention or MLP biases. So
// is every number that is no finite one within what the program computes with, and a file of more
// than SHAPE_FILE_LIMIT bytes.

#ifndef L2A_MODEL_SHAPE_H
#define L2A_MODEL_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"

enum {
    SHAPE_FILE_LIMIT = 1 << 24,
    // Angles of later positions are not computed; models that have more are used up to here.
    SHAPE_POSITIONS_LIMIT = 1000000,
};

typedef struct {
    char architecture[64]; // e.g. LlamaForCausalLM
    int64_t layers, width, feed_forward, vocabulary, positions;
    int32_t heads, kv_heads, head_width;
    bool tied;     // the output matrix is the embedding
    bool qkv_bias; // Qwen2
    bool qk_norm;  // Qwen3
    float epsilon; // of the norms
    double rope_theta;
    bool rope_llama3; // Llama 3.1's frequency scaling
    double rope_factor, rope_low, rope_high, rope_original;
    double initializer_range;
} ModelShape;

// Reads DIRECTORY/config.json; `text` (may be NULL) receives the file's bytes. EXIT_NO_INPUT,
// EXIT_BAD_DATA.
int shape_read(ModelShape *shape, const char *directory, Bytes *text);

// The same from the text of a config.json; `place` names it in messages.
int shape_parse(ModelShape *shape, const char *text, size_t length, const char *place);

int64_t shape_parameters(const ModelShape *shape); // number of parameters

// Multiply-adds a row meets in the matrices of all layers (the vocabulary apart).
int64_t shape_layer_products(const ModelShape *shape);

// table [positions, head_width]: head_width / 2 cosines, then the sines, of each position.
void shape_rotary_table(const ModelShape *shape, float *table, int64_t positions);

#endif
