// bench_ask.c - what a model of our own answers in a second, against plain decoding.
//
//     OMP_NUM_THREADS=2 bench_ask MODEL_DIRECTORY PROMPT SESSIONS.jsonl [QUESTIONS]
//
// Extraction of the sessions' rounds with the specification's sampling, every answer taken as it
// is. Beside it, on the same engine, plain decoding: as many of the same questions as were on their
// way at once on average, each with a forced answer of the mean length. Three rounds each, in turn.
// The rate of answering is tokens over the whole time, the reading of questions included; the rate
// of decoding within it leaves that out.

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ask/ask.h"
#include "base/clock.h"
#include "base/fail.h"
#include "dialogue/facts.h"
#include "dialogue/prepare.h"

enum { ROUNDS = 3 };

typedef struct {
    int64_t answers;
} Taken;

static bool usable(void *context, int64_t tag, const char *text, size_t length)
{
    (void)context, (void)tag, (void)text, (void)length;
    return true;
}

static void take(void *context, const AskAnswer *answer)
{
    ((Taken *)context)->answers += answer->failure == NULL;
}

// The questions: rounds with a future, in the order of the file.
typedef struct {
    const PreparedSet *set;
    const char *prompt;
    int64_t next;
    Bytes text; // of the question at hand
    ChatMessage messages[2];
} Questions;

static bool next_question(Questions *questions)
{
    while (questions->next < questions->set->count) {
        const PreparedRound *round = &questions->set->rounds[questions->next++];
        bytes_clear(&questions->text);
        facts_question(json_object_get(round->record, "remaining_chat"), &questions->text);
        if (questions->text.length == 0)
            continue;
        questions->messages[0] =
            (ChatMessage){"system", questions->prompt, strlen(questions->prompt)};
        questions->messages[1] =
            (ChatMessage){"user", questions->text.data, questions->text.length};
        return true;
    }
    return false;
}

static void submit_all(Ask *ask, const PreparedSet *set, const char *prompt, int64_t count)
{
    Questions questions = {.set = set, .prompt = prompt};
    for (int64_t i = 0; i < count && next_question(&questions); i++)
        ask_submit(ask, &(AskQuestion){.messages = questions.messages,
                                       .message_count = 2,
                                       .tag = i,
                                       .session = (uint32_t)i});
    bytes_free(&questions.text);
}

typedef struct {
    double tokens, seconds, decoding, live;
} Rate;

static Rate answer_all(Answerer *answerer, const PreparedSet *set, int64_t questions,
                       uint32_t round)
{
    Engine *engine = &answerer->speaker.engine;
    Taken taken = {0};
    Ask *ask = ask_make(&(AskSettings){.seed = round,
                                       .purpose = PURPOSE_EXTRACTOR,
                                       .usable = usable,
                                       .take = take,
                                       .context = &taken},
                        answerer);
    submit_all(ask, set, answerer->prompt, questions);
    engine->counts = (EngineCounts){0};
    double since = clock_now();
    ask_finish(ask);
    Rate rate = {.tokens = (double)(engine->counts.decode_rows + taken.answers),
                 .seconds = clock_now() - since,
                 .decoding = engine->counts.decode_seconds,
                 .live = (double)engine->counts.decode_rows / (double)engine->counts.decode_steps};
    ask_free(ask);
    return rate;
}

// Branches of `length` forced response tokens behind every so many-th of the same questions.
static Rate decode_plainly(Answerer *answerer, const PreparedSet *set, int64_t every,
                           int64_t branches, int32_t length)
{
    Speaker *speaker = &answerer->speaker;
    Questions questions = {.set = set, .prompt = answerer->prompt};
    Tokens *tokens = allocate((size_t)branches, sizeof *tokens);
    int64_t common = INT64_MAX;
    for (int64_t b = 0; b < branches; b++) {
        for (int64_t i = 0; i < every; i++)
            CHECK(next_question(&questions), "too few questions");
        if (speaker_encode(speaker, questions.messages, 2, &tokens[b]) != 0)
            die_failed();
        int64_t shared =
            tokens_common_prefix(tokens[b].ids, tokens[b].count, tokens[0].ids, tokens[0].count);
        common = b > 0 && shared < common ? shared : common;
    }
    Tree tree;
    tree_make(&tree, 0, tokens[0].ids, (int32_t)common, (int32_t)branches);
    for (int64_t b = 0; b < branches; b++) {
        int32_t forced = (int32_t)(tokens[b].count - common);
        Branch *branch = tree_add_branch(&tree, (int32_t)common, forced, length);
        memcpy(branch->tokens, tokens[b].ids + common, (size_t)forced * sizeof(int32_t));
        branch->repeat = (int32_t)b;
        tokens_free(&tokens[b]);
    }
    speaker->engine.counts = (EngineCounts){0};
    engine_generate(&speaker->engine, &tree, 1,
                    &(Generation){.temperature = 0.7,
                                  .top_p = 0.9,
                                  .repetition_penalty = 1.1,
                                  .max_response_tokens = length,
                                  .forced_length = true});
    Rate rate = {.tokens = (double)speaker->engine.counts.decode_rows,
                 .decoding = speaker->engine.counts.decode_seconds};
    tree_free(&tree);
    release(tokens);
    bytes_free(&questions.text);
    return rate;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        die(EXIT_USAGE, "bench_ask MODEL_DIRECTORY PROMPT SESSIONS.jsonl [QUESTIONS]");
    int64_t questions = argc > 4 ? atoll(argv[4]) : 200;
    Asked asked = {.prompt = argv[2],
                   .temperature = 0.7,
                   .top_p = 0.9,
                   .repetition_penalty = 1.1,
                   .max_tokens = 512,
                   .attempts = 1,
                   .path = argv[1],
                   .chat = "auto",
                   .max_prompt_tokens = 4096,
                   .tensor_parallel = 1};
    Answerer answerer;
    Backend backend = {.kernels = kernels_cpu(), .collective = &collective_mpi};
    PreparedSet set;
    PrepareSettings settings = {.input = argv[3]};
    if (prepare_read(&set, &settings) != 0 ||
        answerer_open(&answerer, ASKED_MODEL, &asked, "extractor") != 0 ||
        answerer_build(&answerer, &backend, &(Group){.size = 1}) != 0)
        die_failed();
    printf("%s, %lld questions of %s, %d threads, kernels %s\n", argv[1], (long long)questions,
           argv[3], omp_get_max_threads(), kernels_cpu()->name);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        Rate answering = answer_all(&answerer, &set, questions, round);
        int32_t mean = (int32_t)(answering.tokens / (double)questions);
        Rate plain = decode_plainly(&answerer, &set, questions / (int64_t)answering.live,
                                    (int64_t)answering.live, mean);
        double rate = answering.tokens / answering.seconds;
        double within = answering.tokens / answering.decoding, best = plain.tokens / plain.decoding;
        printf(
            "answers of %d tokens, %.0f at once: %.1f s, %.0f tokens/s (decoding %.0f tokens/s); "
            "plain decoding %.0f tokens/s: ratio %.2f (decoding %.2f)\n",
            mean, answering.live, answering.seconds, rate, within, best, rate / best,
            within / best);
        fflush(stdout);
    }
    prepare_free(&set);
    answerer_close(&answerer);
    return 0;
}
