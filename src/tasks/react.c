#include "tasks/react.h"

#include <string.h>

#include "ask/toolbox.h"
#include "base/fail.h"
#include "input/text_file.h"
#include "input/utf8.h"
#include "text/tool_format.h"

struct React {
    const Chat *chat;           // borrowed
    const Tokenizer *tokenizer; // borrowed
    Toolbox *toolbox;           // owned; NULL: no tools
    char *summary;              // owned: the request
    int64_t iterations, max_observation_tokens, summary_tokens;
    ReactCounts counts;
};

// A branch that goes on, in the tree that it belongs to.
typedef struct {
    Tree *tree;
    Branch *branch;
    ToolCall *calls; // owned
    int64_t call_count;
} Caller;

// One turn of completions: those of `trees` that end in calls become `callers`.
typedef struct {
    React *react;
    const Generation *generation; // of the caller of react_generate
    bool last;                    // calls are not looked for any more
    Tree *trees;                  // of this turn
    Branch ***origins;            // by tree and branch; NULL: the branches themselves
    Tree **origin_trees;
    Caller *callers; // owned
    size_t count, capacity;
} Turn;

static int encode_summary(React *react, const char *path)
{
    Tokens tokens = {0};
    if (text_file_read(path, "[react] summary_prompt", &react->summary) != 0)
        return -1;
    ChatMessage message = {"user", react->summary, strlen(react->summary)};
    int status = chat_encode_next(react->chat, &message, 1, &tokens);
    react->summary_tokens = tokens.count;
    tokens_free(&tokens);
    return status;
}

int react_open(React **react, const Settings *settings, const Chat *chat,
               const Tokenizer *tokenizer)
{
    React *opened = allocate(1, sizeof *opened);
    int status = 0;
    *opened = (React){.chat = chat,
                      .tokenizer = tokenizer,
                      .iterations = settings->react.max_iterations,
                      .max_observation_tokens = settings->react.max_observation_tokens};
    if (settings->rollout.workflow == WORKFLOW_REACT && settings->react.tools[0]) {
        opened->toolbox = toolbox_open(settings->react.tools);
        status = opened->toolbox ? encode_summary(opened, settings->react.summary_prompt) : -1;
    }
    if (status == 0)
        *react = opened;
    else
        react_close(opened);
    return status;
}

void react_close(React *react)
{
    if (!react)
        return;
    toolbox_close(react->toolbox);
    release(react->summary);
    release(react);
}

const json_t *react_declarations(const React *react)
{
    return react && react->toolbox ? toolbox_declarations(react->toolbox) : NULL;
}

// An observation is cut to its limit; the marks around its one result, if need be, and the headers
// of the message come on top.
enum { OBSERVATION_FRAME = 64 };

int64_t react_capacity(const React *react, int64_t completion)
{
    if (!react->toolbox)
        return completion;
    int64_t observation = react->max_observation_tokens + OBSERVATION_FRAME;
    return completion + react->iterations * (completion + observation) + react->summary_tokens;
}

void react_identify(const React *react, Bytes *out)
{
    bytes_append_text(out, react && react->summary ? react->summary : "");
}

ReactCounts react_counts(const React *react)
{
    return react->counts;
}

static void read_text(const React *react, Branch *branch)
{
    int32_t first = branch->forced + branch->reply;
    bytes_clear(&branch->text);
    bytes_append(&branch->text, "", 0);
    tokenizer_decode(react->tokenizer, branch->tokens + first,
                     branch->count - branch->reply - branch->finished, true, &branch->text);
}

// A completion has ended: it calls tools, or it is the response.
static void on_ended(void *context, Tree *tree, Branch *branch)
{
    Turn *turn = context;
    if (turn->origins) {
        int64_t t = tree - turn->trees;
        Branch *origin = turn->origins[t][branch - tree->branches];
        *origin = *branch;
        tree = turn->origin_trees[t];
        branch = origin;
    }
    ToolCall *calls = NULL;
    int64_t count = 0;
    read_text(turn->react, branch);
    if (!turn->last)
        count = tool_format_calls(branch->text.data, branch->text.length, &calls);
    if (count == 0) {
        if (turn->generation->ended)
            turn->generation->ended(turn->generation->context, tree, branch);
        return;
    }
    grow((void **)&turn->callers, &turn->capacity, turn->count + 1, sizeof *turn->callers);
    turn->callers[turn->count++] = (Caller){tree, branch, calls, count};
}

static void append_unscored(Branch *branch, const Tokens *tokens, int64_t room)
{
    branch_reserve(branch, (int32_t)(branch->count + tokens->count + room));
    for (int64_t i = 0; i < tokens->count; i++) {
        branch->tokens[branch->forced + branch->count] = tokens->ids[i];
        branch->logprobs[branch->count] = 0;
        branch->scored[branch->count++] = 0;
    }
}

// Cuts every result by a quarter, between characters; false where there is nothing left to cut.
static bool shorten(Bytes *results, int64_t count)
{
    size_t left = 0;
    for (int64_t c = 0; c < count; c++) {
        left += results[c].length;
        results[c].length = utf8_valid_length(results[c].data, results[c].length * 3 / 4);
    }
    return left > 0;
}

// What the tools returned, no longer than the limit: results are cut, then the last ones left out.
static void observe(React *react, const Caller *caller, Bytes *observation)
{
    Bytes *results = allocate((size_t)caller->call_count, sizeof *results);
    Tokens tokens = {0};
    for (int64_t c = 0; c < caller->call_count; c++) {
        react->counts.calls++;
        react->counts.failed += !toolbox_run(react->toolbox, &caller->calls[c], &results[c]);
    }
    for (int64_t shown = caller->call_count; shown > 0;) {
        bytes_clear(observation);
        tokens_clear(&tokens);
        tool_format_observation(results, shown, observation);
        tokenizer_encode(react->tokenizer, observation->data, observation->length, &tokens);
        if (tokens.count <= react->max_observation_tokens)
            break;
        if (!shorten(results, shown) && --shown == 0)
            break; // the marks of one empty result
    }
    for (int64_t c = 0; c < caller->call_count; c++)
        bytes_free(&results[c]);
    release(results);
    tokens_free(&tokens);
}

// The tools' answers, and in the last iteration the request for a summary, behind the completion.
// Tools are not the same twice: one rank of the engine runs them for all.
static void go_on(React *react, const TensorSlice *slice, const Caller *caller, bool summarise,
                  int32_t completion)
{
    Bytes observation = {0};
    Tokens tokens = {0};
    Branch *branch = caller->branch;
    if (tensor_slice_leads(slice))
        observe(react, caller, &observation);
    tensor_slice_share(slice, &observation);
    ChatMessage messages[] = {{"user", observation.data, observation.length},
                              {"user", react->summary, strlen(react->summary)}};
    if (!branch->finished) // cut off by its limit: the template's end stands there all the same
        tokens_append(&tokens, chat_end_token(react->chat));
    if (chat_encode_next(react->chat, messages, summarise ? 2 : 1, &tokens) != 0)
        die_failed(); // every template has users
    react->counts.summaries += summarise && tensor_slice_leads(slice);
    bytes_append(&branch->earlier, branch->text.data, branch->text.length);
    bytes_print(&branch->earlier, "\n%s\n%s", observation.data, summarise ? react->summary : "");
    append_unscored(branch, &tokens, completion);
    branch->reply = branch->count;
    branch->completion++;
    branch->finished = 0;
    tokens_free(&tokens);
    bytes_free(&observation);
}

// The callers as trees of their own, whose branches are copies: the engine works on whole trees.
static int64_t make_turn(Turn *turn, Caller *callers, size_t count)
{
    int64_t trees = 0;
    turn->trees = allocate(count, sizeof *turn->trees);
    turn->origins = allocate(count, sizeof *turn->origins);
    turn->origin_trees = allocate(count, sizeof *turn->origin_trees);
    for (size_t first = 0, end; first < count; first = end, trees++) {
        Tree *tree = callers[first].tree;
        for (end = first; end < count && callers[end].tree == tree;)
            end++;
        turn->trees[trees] = *tree;
        turn->trees[trees].branches = allocate(end - first, sizeof(Branch));
        turn->trees[trees].branch_count = (int32_t)(end - first);
        turn->origins[trees] = allocate(end - first, sizeof(Branch *));
        turn->origin_trees[trees] = tree;
        for (size_t i = first; i < end; i++) {
            turn->trees[trees].branches[i - first] = *callers[i].branch;
            turn->origins[trees][i - first] = callers[i].branch;
        }
    }
    return trees;
}

static void free_turn(Turn *turn, int64_t trees)
{
    for (int64_t t = 0; turn->origins && t < trees; t++) {
        release(turn->trees[t].branches);
        release(turn->origins[t]);
    }
    if (turn->origins)
        release(turn->trees);
    release(turn->origins);
    release(turn->origin_trees);
}

static void free_callers(Caller *callers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tool_format_free(callers[i].calls, callers[i].call_count);
    release(callers);
}

static int by_place(const void *left, const void *right)
{
    const Caller *a = left, *b = right;
    if (a->tree != b->tree)
        return a->tree < b->tree ? -1 : 1;
    return a->branch < b->branch ? -1 : a->branch > b->branch;
}

static void run_turn(Turn *turn, Engine *engine, int64_t count)
{
    Generation generation = *turn->generation;
    generation.ended = on_ended;
    generation.context = turn;
    engine_generate(engine, turn->trees, count, &generation);
    if (turn->count > 0)
        qsort(turn->callers, turn->count, sizeof *turn->callers, by_place);
}

void react_generate(React *react, Engine *engine, Tree *trees, int64_t count,
                    const Generation *generation)
{
    react->counts = (ReactCounts){0};
    Turn turn = {.react = react, .generation = generation, .last = !react->toolbox, .trees = trees};
    run_turn(&turn, engine, count);
    for (int64_t done = 1; turn.count > 0; done++) {
        Turn next = {.react = react, .generation = generation, .last = done == react->iterations};
        for (size_t i = 0; i < turn.count; i++)
            go_on(react, engine->model->slice, &turn.callers[i], next.last,
                  generation->max_response_tokens);
        int64_t next_count = make_turn(&next, turn.callers, turn.count);
        free_callers(turn.callers, turn.count);
        run_turn(&next, engine, next_count);
        free_turn(&next, next_count);
        turn = next;
    }
    release(turn.callers);
}
