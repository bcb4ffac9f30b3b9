// react.h - how a response comes about: in one completion, or in a loop of reasoning, acting and
// observing (section 6).
//
// With tools a completion may call some. What they return goes on in the same branch as unscored
// tokens, with the next completion behind it: branches simply grow. A reply that still calls tools
// in the last iteration is followed by one completion that sums up. The text of a response is its
// last completion; all of its completions earn what that earns. Without tools this is the direct
// workflow, bit for bit.

#ifndef L2A_TASKS_REACT_H
#define L2A_TASKS_REACT_H

#include <jansson.h>

#include "engine/engine.h"
#include "input/settings.h"
#include "text/chat.h"

typedef struct React React;

// As [rollout] workflow and [react] say; `chat` and `tokenizer` are borrowed.
int react_open(React **react, const Settings *settings, const Chat *chat,
               const Tokenizer *tokenizer);
void react_close(React *react); // NULL is fine

// The tools as the system message declares them (borrowed); NULL: none. `react` may be NULL.
const json_t *react_declarations(const React *react);

// Appends the request for a summary, which decides responses besides the declarations.
void react_identify(const React *react, Bytes *out);

// Response tokens that a branch may reach whose completions have at most `completion` each.
int64_t react_capacity(const React *react, int64_t completion);

// engine_generate, with tools between completions. Fills branch->text; generation->ended is told of
// a branch when its last completion has ended.
void react_generate(React *react, Engine *engine, Tree *trees, int64_t count,
                    const Generation *generation);

// Calls of tools in the last react_generate, those that failed among them, and replies that had to
// be summed up.
typedef struct {
    int64_t calls, failed, summaries;
} ReactCounts;

ReactCounts react_counts(const React *react);

#endif
