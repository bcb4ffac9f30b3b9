// decode.h - decode steps on a device with memory of its own, which the host asks for as a whole.
//
// Rows are rounded up to one of few numbers, so that many steps ask for the same calls: the second
// time they are kept as a graph, and from then on the graph is run. What a row computes that nobody
// asked for goes to spare slots behind the caches', and is not looked at. Where the device keeps no
// graphs the steps are the same ones, call by call: rounding decides about bits, graphs do not.
//
// Not with several ranks to an engine: sums over ranks are the host's work in part.

#ifndef L2A_ENGINE_DECODE_H
#define L2A_ENGINE_DECODE_H

#include "engine/engine.h"

// What is drawn for each row, host memory, until the next step.
typedef struct {
    const int32_t *tokens;
    const float *logprobs;
} Decoded;

// For steps of up to `rows` rows; NULL where the model's device has no use for it.
Decoder *decoder_make(const Model *model, int64_t rows);
void decoder_free(Decoder *decoder);

// Slots that the caches must have behind the engine's own, and device bytes beside them; 0 where
// there is no decoder.
int64_t decoder_slots(const Model *model);
size_t decoder_bytes(const Model *model, int64_t rows);

// Host memory for what decides the draw of each row of the next step.
double *decoder_uniforms(Decoder *decoder);

// Runs the rows of the engine's batch, one a branch, and samples from each.
Decoded decoder_step(Decoder *decoder, Engine *engine, Sampling sampling);

#endif
