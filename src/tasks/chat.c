// chat.c - talk to a model in the terminal: you are the patient, it asks.
//
// After every turn of yours the model is asked as `evaluate` asks it, with [evaluate]'s way of
// sampling, and the probability that it would begin its answer with `<stop />` is shown. What a
// terminal obeys is taken out of what the model says.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/harmless.h"
#include "dialogue/samples.h"
#include "files/journal.h"
#include "input/jsonl.h"
#include "input/text_file.h"
#include "input/utf8.h"
#include "reward/reward.h"
#include "tasks/job.h"
#include "tasks/tasks.h"

static const char help[] =
    "    you are the patient; lines that begin with a slash are for the program:\n"
    "    /again      take back the last answer and draw another\n"
    "    /undo       take back your last line and its answer\n"
    "    /new        begin a new conversation\n"
    "    /save FILE  append the conversation to FILE, a session that `prepare` reads\n"
    "    /help       this text\n"
    "    /quit       leave, as the end of the input does\n";

typedef struct {
    const char *role;
    char *content; // owned
} Turn;

typedef struct {
    Job job;
    char *system_prompt; // owned; NULL: none
    Turn *turns;         // owned
    int64_t count;
    size_t capacity;
    uint32_t attempt;    // at the last answer
    int64_t most_tokens; // of a conversation
    int saved;           // sessions, so far
} Talk;

// ---- the conversation ---------------------------------------------------------------------------

static void add_turn(Talk *talk, const char *role, const char *content)
{
    grow((void **)&talk->turns, &talk->capacity, (size_t)talk->count + 1, sizeof *talk->turns);
    talk->turns[talk->count++] = (Turn){role, duplicate(content)};
}

static void drop_turns(Talk *talk, int64_t count)
{
    while (talk->count > count)
        release(talk->turns[--talk->count].content);
}

static bool answered(const Talk *talk)
{
    return talk->count > 0 && strcmp(talk->turns[talk->count - 1].role, "assistant") == 0;
}

// The messages as the model sees them; the array is the caller's to release.
static ChatMessage *messages_of(const Talk *talk, int64_t *count)
{
    ChatMessage *messages = allocate((size_t)talk->count + 1, sizeof *messages);
    *count = 0;
    if (talk->system_prompt)
        messages[(*count)++] =
            (ChatMessage){"system", talk->system_prompt, strlen(talk->system_prompt)};
    for (int64_t i = 0; i < talk->count; i++)
        messages[(*count)++] = (ChatMessage){talk->turns[i].role, talk->turns[i].content,
                                             strlen(talk->turns[i].content)};
    return messages;
}

// Two sessions of a file never have one name: it tells when, by which process, and the how manieth.
static int save(Talk *talk, const char *path)
{
    char when[32], name[80];
    time_t now = time(NULL);
    struct tm local;
    Bytes line = {0};
    strftime(when, sizeof when, "%Y%m%d-%H%M%S", localtime_r(&now, &local));
    snprintf(name, sizeof name, "chat-%s-%ld-%d", when, (long)getpid(), ++talk->saved);
    bytes_print(&line, "{\"session_id\": \"%s\", \"diagn\": \"\", \"messages\": [", name);
    for (int64_t i = 0; i < talk->count; i++) {
        bytes_print(&line, "%s{\"role\": \"%s\", \"content\": ", i > 0 ? ", " : "",
                    talk->turns[i].role);
        jsonl_append_string(&line, talk->turns[i].content);
        bytes_append_text(&line, "}");
    }
    bytes_append_text(&line, "]}");
    Journal *journal = journal_open(path);
    int status = journal ? journal_append(journal, line.data, line.length) : -1;
    if (status == 0)
        status = journal_sync(journal);
    journal_close(journal);
    bytes_free(&line);
    if (status == 0)
        printf("    session %s of %lld messages is in %s\n", name, (long long)talk->count, path);
    return status;
}

// ---- the model ----------------------------------------------------------------------------------

// The probability that an answer to `context` begins with the words that stop, as [evaluate]
// temperature makes it.
static double stop_probability(Talk *talk, const Tokens *context, const ChatMessage *messages,
                               int64_t count)
{
    const ChatMessage stop = {"assistant", STOP_TEXT, strlen(STOP_TEXT)};
    double temperature = talk->job.settings->evaluate.temperature, sum = 0, scored = 0;
    Tokens tokens = {0}, mask = {0};
    Tree tree;
    if (chat_encode_replies(talk->job.chat, messages, count, &stop, 1, &tokens, &mask) != 0)
        die_failed(); // the same roles have just been encoded
    int64_t common = tokens_common_prefix(tokens.ids, tokens.count, context->ids, context->count);
    int64_t replied = tokens.count - common - 1; // without the end token
    tree_make(&tree, 0, context->ids, (int32_t)common, 1);
    Branch *branch = tree_add_branch(&tree, (int32_t)common, 0, (int32_t)replied);
    branch->count = (int32_t)replied;
    memcpy(branch->tokens, tokens.ids + common, (size_t)replied * sizeof *branch->tokens);
    memset(branch->scored, 1, (size_t)replied);
    scorer_run(&talk->job.scorer, &tree, 1, temperature > 0 ? temperature : 1, &sum, &scored);
    tree_free(&tree);
    tokens_free(&tokens);
    tokens_free(&mask);
    return exp(-sum);
}

static void sample(Talk *talk, const Tokens *context, Bytes *answer)
{
    const Settings *settings = talk->job.settings;
    const Tokens *ends = chat_end_tokens(talk->job.chat);
    int32_t longest = (int32_t)settings->evaluate.max_response_tokens;
    Generation generation = {.temperature = settings->evaluate.temperature,
                             .top_p = settings->evaluate.top_p,
                             .top_k = (int32_t)settings->evaluate.top_k,
                             .repetition_penalty = settings->evaluate.repetition_penalty,
                             .max_response_tokens = longest,
                             .end_tokens = ends->ids,
                             .end_token_count = ends->count,
                             .seed = (uint64_t)settings->run.seed,
                             .purpose = PURPOSE_EVALUATION,
                             .step = talk->attempt};
    Tree tree;
    tree_make(&tree, 0, context->ids, (int32_t)context->count, 1);
    Branch *branch = tree_add_branch(&tree, (int32_t)context->count, 0, longest);
    branch->round = (int32_t)(talk->count + 1) / 2;
    engine_generate(&talk->job.engine, &tree, 1, &generation);
    Bytes text = {0};
    tokenizer_decode(talk->job.tokenizer, branch->tokens, branch->count - branch->finished, false,
                     &text);
    bytes_append(&text, "", 0);
    bytes_append(answer, "", 0);
    utf8_append_repaired(answer, text.data, text.length);
    bytes_free(&text);
    tree_free(&tree);
}

// Asks the model for the next turn, and shows it.
static int answer(Talk *talk)
{
    int64_t count;
    ChatMessage *messages = messages_of(talk, &count);
    Tokens context = {0};
    Bytes said = {0};
    int status = chat_encode(talk->job.chat, messages, count, true, &context);
    if (status == 0 && context.count > talk->most_tokens)
        status =
            fail(EXIT_BAD_DATA,
                 "the conversation has %lld tokens, and %lld is the most: /new begins another; "
                 "the limit is data.max_prompt_tokens, parallel.micro_batch_tokens or the "
                 "model's positions, less evaluate.max_response_tokens",
                 (long long)context.count, (long long)talk->most_tokens);
    if (status == 0) {
        double stops = stop_probability(talk, &context, messages, count);
        sample(talk, &context, &said);
        add_turn(talk, "assistant", said.data);
        bool stopped = reward_stops(said.data, said.length);
        harmless_make(said.data, said.length);
        printf("model> %s\n       [%s with probability %.3g]\n", said.data, STOP_TEXT, stops);
        if (stopped)
            printf("       it has asked enough: /save FILE, /new, /again, or go on\n");
    }
    release(messages);
    tokens_free(&context);
    bytes_free(&said);
    return status;
}

// ---- the terminal -------------------------------------------------------------------------------

// What an argument-less command does, or the text of a turn. Failures are told, and the talk goes
// on.
static int obey(Talk *talk, const char *line)
{
    if (line[0] != '/') {
        if (!answered(talk) && talk->count > 0)
            drop_turns(talk, talk->count - 1); // whose answer failed
        add_turn(talk, "user", line);
        talk->attempt = 0;
        return answer(talk);
    }
    if (strncmp(line, "/save ", 6) == 0)
        return talk->count > 0 ? save(talk, line + 6 + strspn(line + 6, " "))
                               : fail(EXIT_USAGE, "nothing was said yet");
    if (strcmp(line, "/new") == 0) {
        drop_turns(talk, 0);
        return 0;
    }
    if (strcmp(line, "/undo") == 0) {
        drop_turns(talk, talk->count > 1 ? talk->count - 1 - answered(talk) : 0);
        return 0;
    }
    if (strcmp(line, "/again") == 0) {
        if (!answered(talk))
            return fail(EXIT_USAGE, "there is no answer to take back");
        drop_turns(talk, talk->count - 1);
        talk->attempt++;
        return answer(talk);
    }
    if (strcmp(line, "/help") != 0)
        fail(EXIT_USAGE, "no command is called '%s'", line);
    fputs(help, stdout);
    return strcmp(line, "/help") == 0 ? 0 : -1;
}

static void converse(Talk *talk)
{
    char *line = NULL;
    size_t capacity = 0;
    bool prompts = isatty(STDIN_FILENO);
    for (;;) {
        if (prompts)
            fputs("you> ", stdout);
        fflush(stdout);
        ssize_t length = getline(&line, &capacity, stdin);
        while (length > 0 && strchr(" \t\r\n", line[length - 1]))
            line[--length] = 0;
        if (length < 0 || strcmp(line, "/quit") == 0)
            break;
        if (length > 0 && utf8_valid_length(line, (size_t)length) < (size_t)length)
            fail(EXIT_BAD_DATA, "that is not UTF-8");
        else if (length == 0 || obey(talk, line) == 0)
            continue;
        fprintf(stderr, "error: %s\n", fail_message());
    }
    if (prompts)
        putchar('\n');
    free(line);
}

static int open_talk(Talk *talk, const Settings *settings)
{
    Job *job = &talk->job;
    if (job_open(job, settings, (JobOptions){0}) != 0)
        return -1;
    int64_t longest = settings->data.max_prompt_tokens + settings->evaluate.max_response_tokens;
    longest = longest < job->shape.positions ? longest : job->shape.positions;
    longest = longest < settings->parallel.micro_batch_tokens
                  ? longest
                  : settings->parallel.micro_batch_tokens;
    talk->most_tokens = longest - settings->evaluate.max_response_tokens;
    if (talk->most_tokens <= 0)
        return fail(EXIT_BAD_SETTINGS,
                    "evaluate.max_response_tokens = %lld leaves no room for a conversation in %lld "
                    "positions: lower it",
                    (long long)settings->evaluate.max_response_tokens, (long long)longest);
    if (job->world.all.size > 1)
        return fail(EXIT_USAGE, "chat is for one process: start it without mpirun or srun");
    if (settings->data.system_prompt[0] &&
        text_file_read(settings->data.system_prompt, "[data] system_prompt",
                       &talk->system_prompt) != 0)
        return -1;
    if (job_build(job, (JobSizes){.positions = longest,
                                  .slots = slots_aligned(longest) + slots_aligned(1)}) != 0)
        return -1;
    return job_load_engine(job, NULL);
}

int task_chat(const Settings *settings)
{
    Settings own = *settings; // borrows all but what a conversation has not
    own.reward.judge = ASKED_NOBODY;
    own.rollout.workflow = WORKFLOW_DIRECT;
    own.parallel.placement = PLACEMENT_SHARED;
    Talk talk = {0};
    int status = open_talk(&talk, &own);
    if (status == 0) {
        printf("%s%s%s, chat %s, temperature %g\n%s", own.model.path,
               talk.job.checkpoint ? ", " : "", talk.job.checkpoint ? talk.job.checkpoint : "",
               chat_name(talk.job.chat), own.evaluate.temperature, help);
        converse(&talk);
    }
    drop_turns(&talk, 0);
    release(talk.turns);
    release(talk.system_prompt);
    job_close(&talk.job);
    return status == 0 ? EXIT_DONE : (int)fail_code();
}
