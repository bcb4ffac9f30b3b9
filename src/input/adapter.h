// adapter.h - which linear layers have a low-rank adapter, and how large it is.
//
// W x becomes W x + alpha / rank * B (A x), with A [rank, in] and B [out, rank] (Hu et al., "LoRA",
// arXiv:2106.09685). The names of layers are Hugging Face's.

#ifndef L2A_INPUT_ADAPTER_H
#define L2A_INPUT_ADAPTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"

// The linear layers of a transformer's layer, in the order of their tensors.
typedef enum {
    LINEAR_Q,
    LINEAR_K,
    LINEAR_V,
    LINEAR_O,
    LINEAR_GATE,
    LINEAR_UP,
    LINEAR_DOWN,
    LINEAR_COUNT
} Linear;

extern const char *const linear_names[LINEAR_COUNT];   // "q_proj"
extern const char *const linear_modules[LINEAR_COUNT]; // "self_attn.q_proj"

enum { ADAPTER_RANK_MAXIMUM = 65536 };

typedef struct {
    int64_t rank; // 0: no adapter
    double alpha; // from 1e-6 to 1e6
    bool targets[LINEAR_COUNT];
} AdapterShape;

// Reads a comma list of layers: "q_proj, v_proj". EXIT_BAD_SETTINGS where a name is none, stands
// there twice, or where there is no name at all.
int adapter_parse_targets(const char *text, bool targets[LINEAR_COUNT]);

// Whether an adapter of outside origin may have this alpha; a NaN may not.
bool adapter_alpha_is_usable(double alpha);

// The list again, with nothing but commas between the names.
void adapter_print_targets(const AdapterShape *shape, Bytes *out);

bool adapter_same(const AdapterShape *a, const AdapterShape *b);

#endif
