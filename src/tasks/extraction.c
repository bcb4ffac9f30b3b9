#include "tasks/extraction.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "ask/ask.h"
#include "base/clock.h"
#include "base/fail.h"
#include "dialogue/facts.h"
#include "files/directory.h"
#include "files/journal.h"
#include "input/jsonl.h"
#include "input/utf8.h"
#include "parallel/team.h"
#include "tasks/backend_choice.h"

enum { KEY_BYTES = 17 };
static const double PROGRESS_SECONDS = 10;

typedef struct {
    const Group *group;
    const Settings *settings;
    PreparedSet *set;
    Backend backend; // of a model of our own
    Answerer answerer;
    Team team; // ranks that answer together: the first keeps and tells what was answered
    Ask *ask;
    char (*keys)[KEY_BYTES]; // by round: what its answer depends on
    json_t *rounds;          // cid -> index
    Journal *journal;
    Bytes lines; // of this rank's answers
    int64_t mine, done, known, failed;
    char *unreached; // owned: why a server gave no answer, of the first such question
    double since, told;
} Extraction;

static void question_of(const PreparedRound *round, Bytes *text)
{
    bytes_clear(text);
    facts_question(json_object_get(round->record, "remaining_chat"), text);
}

static void make_keys(Extraction *extraction)
{
    const PreparedSet *set = extraction->set;
    Bytes asked = {0}, text = {0};
    answerer_identify(&extraction->answerer, &asked);
    bytes_print(&asked, " %lld ", (long long)extraction->settings->run.seed);
    size_t common = asked.length;
    extraction->keys = allocate((size_t)set->count, sizeof *extraction->keys);
    extraction->rounds = json_object();
    for (int64_t i = 0; i < set->count; i++) {
        question_of(&set->rounds[i], &text);
        asked.length = common;
        bytes_append(&asked, text.data, text.length);
        snprintf(extraction->keys[i], KEY_BYTES, "%016llx",
                 (unsigned long long)XXH3_64bits(asked.data, asked.length));
        json_object_set_new(extraction->rounds, prepare_cid(&set->rounds[i]), json_integer(i));
    }
    bytes_free(&asked);
    bytes_free(&text);
}

// One line of a journal: 0 also where it says nothing about the questions of this run.
static int take_line(void *context, const char *line, size_t length, int64_t number)
{
    Extraction *extraction = context;
    PreparedSet *set = extraction->set;
    json_t *answer = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
    const char *cid = json_string_value(json_object_get(answer, "cid"));
    const char *key = json_string_value(json_object_get(answer, "key"));
    json_t *facts = json_object_get(answer, "info_set");
    const json_t *at = cid ? json_object_get(extraction->rounds, cid) : NULL;
    int64_t round = json_integer_value(at);
    (void)number;
    if (at && key && facts && strcmp(key, extraction->keys[round]) == 0 &&
        set->rounds[round].info_state == INFO_MISSING)
        prepare_set_info(set, round, json_is_null(facts) ? NULL : facts);
    json_decref(answer);
    return 0;
}

static void take_lines(Extraction *extraction, const Bytes *lines)
{
    for (size_t at = 0; at < lines->length;) {
        const char *line = lines->data + at, *end = memchr(line, '\n', lines->length - at);
        size_t length = end ? (size_t)(end - line) : lines->length - at;
        take_line(extraction, line, length, 0);
        at += length + 1;
    }
}

static int keep_line(void *context, const char *line, size_t length, int64_t number)
{
    Bytes *lines = context;
    (void)number;
    bytes_append(lines, line, length);
    bytes_append_text(lines, "\n");
    return 0;
}

static int64_t missing(const PreparedSet *set)
{
    int64_t count = 0;
    for (int64_t i = 0; i < set->count; i++)
        count += set->rounds[i].info_state == INFO_MISSING;
    return count;
}

// Whether a file beside the output is one of its journals: NAME.extract-NNNN.jsonl.
static bool is_journal(const char *entry, const char *name)
{
    static const char middle[] = ".extract-", end[] = ".jsonl";
    size_t length = strlen(name);
    if (strncmp(entry, name, length) != 0 ||
        strncmp(entry + length, middle, sizeof middle - 1) != 0)
        return false;
    const char *digits = entry + length + sizeof middle - 1;
    size_t count = strspn(digits, "0123456789");
    return count >= 4 && strcmp(digits + count, end) == 0;
}

static int read_all(const char *output, Bytes *lines)
{
    char *directory = directory_of(output);
    const char *slash = strrchr(output, '/'), *name = slash ? slash + 1 : output;
    DIR *opened = opendir(directory);
    int status = 0;
    if (!opened)
        status = fail(EXIT_NO_INPUT, "%s: %s ([prepare] output)", directory, strerror(errno));
    for (struct dirent *entry; status == 0 && (entry = readdir(opened)) != NULL;) {
        Bytes path = {0};
        if (!is_journal(entry->d_name, name))
            continue;
        bytes_print(&path, "%s/%s", directory, entry->d_name);
        status = journal_read(path.data, keep_line, lines);
        bytes_free(&path);
    }
    if (opened)
        closedir(opened);
    release(directory);
    return status;
}

// The journals of earlier starts. One rank reads for all: what it saw is what everybody knows.
static int read_journals(Extraction *extraction)
{
    Bytes lines = {0};
    int status = 0;
    if (extraction->group->rank == 0)
        status = read_all(extraction->settings->prepare.output, &lines);
    status = group_agree(extraction->group, status);
    if (status == 0) {
        int64_t before = missing(extraction->set);
        group_broadcast_bytes(extraction->group, &lines, 0);
        take_lines(extraction, &lines);
        extraction->known = before - missing(extraction->set);
    }
    bytes_free(&lines);
    return status;
}

static int open_journal(Extraction *extraction)
{
    Bytes path = {0};
    if (!team_leads(&extraction->team))
        return 0;
    bytes_print(&path, "%s.extract-%04d.jsonl", extraction->settings->prepare.output,
                extraction->group->rank);
    extraction->journal = journal_open(path.data);
    bytes_free(&path);
    return extraction->journal ? 0 : -1;
}

static bool usable(void *context, int64_t tag, const char *text, size_t length)
{
    (void)context;
    (void)tag;
    json_t *facts = facts_parse(text, length);
    json_decref(facts);
    return facts != NULL;
}

static void tell_progress(Extraction *extraction)
{
    double now = clock_now();
    if (extraction->group->rank != 0 || now - extraction->told < PROGRESS_SECONDS)
        return;
    double rate = (double)extraction->done / (now - extraction->since);
    int64_t left = (int64_t)((double)(extraction->mine - extraction->done) / rate);
    extraction->told = now;
    printf("extracting %lld of %lld questions of this rank, %lld without a usable answer, %.2f/s, "
           "left %lld:%02lld:%02lld\n",
           (long long)extraction->done, (long long)extraction->mine, (long long)extraction->failed,
           rate, (long long)(left / 3600), (long long)(left / 60 % 60), (long long)(left % 60));
    fflush(stdout);
}

// The answer that was of no use, so that a user sees what the model says.
static void add_unusable(json_t *line, const AskAnswer *answer)
{
    enum { SHOWN = 500 };
    Bytes repaired = {0};
    bytes_append(&repaired, "", 0);
    utf8_append_repaired(&repaired, answer->text, answer->length < SHOWN ? answer->length : SHOWN);
    json_object_set_new(line, "why", json_string(answer->failure));
    json_object_set_new(line, "answer", json_string(repaired.data));
    bytes_free(&repaired);
}

static void take(void *context, const AskAnswer *answer)
{
    Extraction *extraction = context;
    int64_t round = answer->tag;
    if (!team_leads(&extraction->team))
        return;
    extraction->done++;
    if (!answer->reached) {
        if (!extraction->unreached)
            extraction->unreached = duplicate(answer->failure);
        return;
    }
    json_t *facts = answer->failure ? json_null() : facts_parse(answer->text, answer->length);
    json_t *line = json_pack(
        "{s:s, s:s, s:o, s:I}", "cid", prepare_cid(&extraction->set->rounds[round]), "key",
        extraction->keys[round], "info_set", facts, "attempts", (json_int_t)answer->attempts);
    Bytes text = {0};
    if (answer->failure)
        add_unusable(line, answer);
    jsonl_append(&text, line);
    // A question that was never put costs nothing to refuse again, and settings may change.
    if (answer->attempts > 0 && journal_append(extraction->journal, text.data, text.length) != 0)
        die_failed();
    keep_line(&extraction->lines, text.data, text.length, 0);
    extraction->failed += answer->failure != NULL;
    json_decref(line);
    bytes_free(&text);
    tell_progress(extraction);
}

// Rounds of this rank's team: contiguous shares of equal cost, counted in bytes to read and a
// constant for what is written.
static int64_t *share(const Extraction *extraction, int64_t *count)
{
    enum { ANSWER_COST = 512 };
    const PreparedSet *set = extraction->set;
    int64_t *costs = allocate((size_t)set->count, sizeof *costs), total = 0, before = 0;
    int64_t *mine = allocate((size_t)set->count, sizeof *mine);
    Bytes text = {0};
    for (int64_t i = 0; i < set->count; i++) {
        if (set->rounds[i].info_state != INFO_MISSING)
            continue;
        question_of(&set->rounds[i], &text);
        costs[i] = (int64_t)text.length + ANSWER_COST;
        total += costs[i];
    }
    *count = 0;
    for (int64_t i = 0; i < set->count; i++) {
        if (set->rounds[i].info_state != INFO_MISSING)
            continue;
        int64_t middle = before + costs[i] / 2;
        if (middle * extraction->team.across.size / total == extraction->team.across.rank)
            mine[(*count)++] = i;
        before += costs[i];
    }
    bytes_free(&text);
    release(costs);
    return mine;
}

static void ask_mine(Extraction *extraction)
{
    enum { WINDOW = 4096 }; // questions that are kept in memory at once
    const char *prompt = extraction->answerer.prompt;
    AskSettings settings = {.seed = (uint64_t)extraction->settings->run.seed,
                            .purpose = PURPOSE_EXTRACTOR,
                            .usable = usable,
                            .take = take,
                            .context = extraction};
    int64_t *mine = share(extraction, &extraction->mine);
    Bytes text = {0};
    extraction->ask = ask_make(&settings, &extraction->answerer);
    extraction->since = extraction->told = clock_now();
    for (int64_t i = 0; i < extraction->mine; i++) {
        question_of(&extraction->set->rounds[mine[i]], &text);
        ChatMessage messages[] = {{"system", prompt, strlen(prompt)},
                                  {"user", text.data, text.length}};
        ask_submit(extraction->ask, &(AskQuestion){.messages = messages,
                                                   .message_count = 2,
                                                   .tag = mine[i],
                                                   .session = (uint32_t)mine[i]});
        if ((i + 1) % WINDOW == 0)
            ask_finish(extraction->ask);
        else
            ask_poll(extraction->ask);
    }
    ask_finish(extraction->ask);
    bytes_free(&text);
    release(mine);
}

// What every rank was told becomes known to all.
static void share_answers(Extraction *extraction)
{
    Bytes all = {0};
    size_t *starts = allocate((size_t)extraction->group->size + 1, sizeof *starts);
    group_all_gather_bytes(extraction->group, &extraction->lines, &all, starts);
    take_lines(extraction, &all);
    release(starts);
    bytes_free(&all);
}

static int report(Extraction *extraction, Bytes *text)
{
    const Group *group = extraction->group;
    AskCounts counts = team_leads(&extraction->team) ? ask_counts(extraction->ask) : (AskCounts){0};
    double sums[] = {(double)counts.questions, (double)counts.attempts, (double)counts.unusable,
                     (double)counts.unanswered, (double)counts.unreached};
    group_sum(group, sums, 5);
    double seconds = group_maximum(group, clock_now() - extraction->since);
    if (extraction->known > 0)
        bytes_print(text, "answers from an earlier start: %lld\n", (long long)extraction->known);
    bytes_print(text, "questions asked: %.0f in %.0f attempts, %.0f answers unusable, %.1f s\n",
                sums[0], sums[1], sums[2], seconds);
    if (sums[3] > sums[4])
        bytes_print(text, "unusable answers stand in %s.extract-*.jsonl\n",
                    extraction->settings->prepare.output);
    if (sums[4] == 0)
        return 0;
    int status = 0;
    if (extraction->unreached)
        status = fail(sums[4] < sums[0] ? EXIT_AGAIN : EXIT_UNAVAILABLE,
                      "%.0f of %.0f questions found no answer, one of them because: %s; what was "
                      "answered is kept, start the same command again for the rest",
                      sums[4], sums[0], extraction->unreached);
    return group_agree(group, status);
}

static void free_all(Extraction *extraction)
{
    ask_free(extraction->ask);
    team_free(&extraction->team);
    answerer_close(&extraction->answerer);
    journal_close(extraction->journal);
    json_decref(extraction->rounds);
    release(extraction->keys);
    release(extraction->unreached);
    bytes_free(&extraction->lines);
}

static const char *given(const char *text)
{
    return text[0] ? text : NULL;
}

PrepareSettings extraction_files(const Settings *settings)
{
    return (PrepareSettings){
        .input = settings->prepare.input,
        .labels = given(settings->prepare.info_sets),
        .processed = given(settings->prepare.processed),
        .samples = given(settings->prepare.output),
        .compat = {.round_context = settings->prepare.round_context,
                   .trailing_round = settings->prepare.trailing_round},
        .skip_bad = settings->data.skip_bad,
    };
}

static int build_answerer(Extraction *extraction)
{
    int status = 0;
    if (extraction->answerer.kind == ASKED_MODEL)
        status = backend_choose(&extraction->backend, extraction->settings, extraction->group);
    if (status != 0)
        return -1;
    return group_agree(
        extraction->group,
        answerer_build(&extraction->answerer, &extraction->backend, &extraction->team.inside));
}

int extraction_run(const Group *group, const Settings *settings, PreparedSet *set, Bytes *text)
{
    Extraction extraction = {.group = group, .settings = settings, .set = set};
    int status = answerer_open(&extraction.answerer, settings->prepare.extractor,
                               &settings->extractor, "extractor");
    status = group_agree(group, status);
    if (status == 0)
        status = team_make(&extraction.team, group, answerer_ranks(&extraction.answerer),
                           "[extractor] tensor_parallel");
    if (status == 0) {
        make_keys(&extraction);
        status = read_journals(&extraction);
        if (status == 0 && missing(set) > 0)
            status = build_answerer(&extraction);
        if (status == 0 && missing(set) > 0)
            status = group_agree(group, open_journal(&extraction));
        if (status == 0 && missing(set) > 0) {
            ask_mine(&extraction);
            share_answers(&extraction);
            status = report(&extraction, text);
        } else if (status == 0) {
            bytes_print(text, "answers from an earlier start: %lld\n", (long long)extraction.known);
        }
    }
    free_all(&extraction);
    return status;
}
