#include "tasks/calibration.h"

#include <math.h>
#include <string.h>

#include "ask/ask.h"
#include "base/fail.h"
#include "dialogue/facts.h"
#include "dialogue/labels.h"
#include "parallel/team.h"
#include "reward/verdict.h"
#include "tasks/calibration_policy.h"
#include "tasks/job.h"

// One labelled example of a judge or an extractor.
typedef struct {
    json_t *record;    // owned: what the others point into
    Sample sample;     // judge: conversation and info_truth
    Message *messages; // owned
    const char *response;
    double content, format;
    Bytes question; // extractor
    json_t *facts;  // extractor; borrowed
} Example;

struct Calibration {
    const Group *group;              // borrowed
    const Settings *settings;        // borrowed
    const Backend *backend;          // borrowed
    const CandidateList *candidates; // borrowed
    Example *examples;               // owned
    int64_t count;
    size_t capacity;
    int64_t *groups; // owned
    Answerer answerer;
    Team team;                 // ranks that answer together
    PolicyCalibration *policy; // owned; of target policy
    // Of the measurement under way:
    Measure *measures;
    const int64_t *order;
    int64_t first;
};

static const char *text_of(const json_t *record, const char *key)
{
    return json_string_value(json_object_get(record, key));
}

static bool is_score(const json_t *value)
{
    double number = json_number_value(value);
    return json_is_number(value) && (number == 0 || number == 0.5 || number == 1);
}

// NULL, or what is wrong with the line.
static const char *read_judged(Example *example)
{
    const json_t *record = example->record, *messages = json_object_get(record, "messages");
    const char *truth = text_of(record, "info_truth");
    if (messages_fault(messages))
        return messages_fault(messages);
    example->response = text_of(record, "response");
    if (!truth || !example->response)
        return "info_truth or response is missing or not a string";
    if (!is_score(json_object_get(record, "content")) ||
        !is_score(json_object_get(record, "format")))
        return "content and format must be 0, 0.5 or 1";
    example->content = json_number_value(json_object_get(record, "content"));
    example->format = json_number_value(json_object_get(record, "format"));
    example->messages = messages_borrow(messages, &example->sample.message_count);
    example->sample.messages = example->messages;
    example->sample.info_truth = truth;
    return NULL;
}

static const char *read_extracted(Example *example)
{
    json_t *future = json_object_get(example->record, "remaining_chat");
    example->facts = json_object_get(example->record, "info_set");
    if (!labels_are_strings(example->facts))
        return "info_set is missing or not a list of strings";
    json_t *list = json_is_string(future) ? messages_from_text(json_string_value(future))
                                          : json_incref(future);
    const char *fault =
        list ? messages_fault(list) : "remaining_chat is missing or no conversation";
    if (!fault)
        facts_question(list, &example->question);
    json_decref(list);
    return fault;
}

static int read_examples(Calibration *calibration)
{
    const Settings *settings = calibration->settings;
    bool judged = settings->calibrate.target == TARGET_JUDGE;
    JsonlReader *reader;
    json_t *line;
    int status;
    if (jsonl_open(&reader, settings->calibrate.labels) != 0)
        return -1;
    while ((status = jsonl_next(reader, &line)) == 1) {
        Example example = {.record = line};
        const char *fault = judged ? read_judged(&example) : read_extracted(&example);
        grow((void **)&calibration->examples, &calibration->capacity,
             (size_t)calibration->count + 1, sizeof *calibration->examples);
        if (fault)
            jsonl_reject(reader, "%s", fault);
        calibration->examples[calibration->count++] = example;
    }
    if (status != 0) {
        jsonl_abandon(reader);
        return status;
    }
    status = jsonl_close(reader, false, NULL);
    if (status == 0 && calibration->count == 0)
        status = fail(EXIT_BAD_DATA, "%s: holds no example", settings->calibrate.labels);
    return status;
}

static int open_asked(Calibration *calibration)
{
    const Settings *settings = calibration->settings;
    bool judged = settings->calibrate.target == TARGET_JUDGE;
    Asked *asked = judged ? (Asked *)&settings->judge : (Asked *)&settings->extractor;
    AskedKind kind = judged ? settings->reward.judge : settings->prepare.extractor;
    if (read_examples(calibration) != 0)
        return -1;
    calibration->groups = allocate((size_t)calibration->count, sizeof *calibration->groups);
    for (int64_t i = 0; i < calibration->count; i++)
        calibration->groups[i] = i;
    return answerer_open(&calibration->answerer, kind, asked, judged ? "judge" : "extractor");
}

// Collective: after all that one rank may fail in.
static int build_asked(Calibration *calibration)
{
    Answerer *answerer = &calibration->answerer;
    int status = team_make(&calibration->team, calibration->group, answerer_ranks(answerer),
                           calibration->settings->calibrate.target == TARGET_JUDGE
                               ? "[judge] tensor_parallel"
                               : "[extractor] tensor_parallel");
    if (status == 0)
        status = answerer_build(answerer, calibration->backend, &calibration->team.inside);
    return group_agree(calibration->group, status);
}

int calibration_open(Calibration **calibration, const Group *group, const Settings *settings,
                     const Backend *backend, const CandidateList *candidates)
{
    Calibration *opened = allocate(1, sizeof *opened);
    *opened = (Calibration){
        .group = group, .settings = settings, .backend = backend, .candidates = candidates};
    job_set_threads(group, settings); // collective: before anything that one rank may fail in
    bool policy = settings->calibrate.target == TARGET_POLICY;
    int status = policy ? policy_calibration_open(&opened->policy, settings, candidates)
                        : group_agree(group, open_asked(opened));
    if (status == 0 && !policy)
        status = build_asked(opened);
    if (status == 0)
        *calibration = opened;
    else
        calibration_close(opened);
    return status;
}

void calibration_close(Calibration *calibration)
{
    if (!calibration)
        return;
    for (int64_t i = 0; i < calibration->count; i++) {
        json_decref(calibration->examples[i].record);
        release(calibration->examples[i].messages);
        bytes_free(&calibration->examples[i].question);
    }
    policy_calibration_close(calibration->policy);
    answerer_close(&calibration->answerer);
    team_free(&calibration->team);
    release(calibration->examples);
    release(calibration->groups);
    release(calibration);
}

int64_t calibration_count(const Calibration *calibration)
{
    return calibration->policy ? policy_calibration_count(calibration->policy) : calibration->count;
}

const int64_t *calibration_groups(const Calibration *calibration)
{
    return calibration->policy ? policy_calibration_groups(calibration->policy)
                               : calibration->groups;
}

static bool usable(void *context, int64_t tag, const char *text, size_t length)
{
    const Calibration *calibration = context;
    Verdict verdict;
    (void)tag;
    if (calibration->settings->calibrate.target == TARGET_JUDGE)
        return verdict_parse(text, length, false, &verdict);
    json_t *facts = facts_parse(text, length);
    json_decref(facts);
    return facts != NULL;
}

// An example without a usable answer agrees with nothing.
static Measure unanswered(void)
{
    return (Measure){.content_error = 1, .format_error = 1, .measured = 1, .unanswered = 1};
}

static Measure measure_verdict(const Example *example, const AskAnswer *answer)
{
    Verdict verdict;
    if (answer->failure || !verdict_parse(answer->text, answer->length, false, &verdict))
        return unanswered();
    Measure measure = {.content_error = fabs(verdict.content - example->content),
                       .format_error = fabs(verdict.format - example->format),
                       .measured = 1};
    measure.score = measure.content_error == 0 && measure.format_error == 0;
    return measure;
}

static Measure measure_facts(const Example *example, const AskAnswer *answer)
{
    json_t *facts = answer->failure ? NULL : facts_parse(answer->text, answer->length);
    if (!facts)
        return unanswered();
    Measure measure = {.score = facts_f1(facts, example->facts), .measured = 1};
    json_decref(facts);
    return measure;
}

static void take(void *context, const AskAnswer *answer)
{
    Calibration *calibration = context;
    const Example *example = &calibration->examples[calibration->order[answer->tag]];
    bool judged = calibration->settings->calibrate.target == TARGET_JUDGE;
    if (!team_leads(&calibration->team))
        return;
    calibration->measures[answer->tag - calibration->first] =
        judged ? measure_verdict(example, answer) : measure_facts(example, answer);
}

static void submit(const Calibration *calibration, Ask *ask, const char *prompt, int64_t place)
{
    const Example *example = &calibration->examples[calibration->order[place]];
    Bytes system = {0}, user = {0};
    if (calibration->settings->calibrate.target == TARGET_JUDGE) {
        verdict_question(prompt, &example->sample, example->response, strlen(example->response),
                         &system, &user);
    } else {
        bytes_append_text(&system, prompt);
        bytes_append(&user, example->question.data, example->question.length);
    }
    ChatMessage messages[] = {{"system", system.data, system.length},
                              {"user", user.data, user.length}};
    ask_submit(ask, &(AskQuestion){.messages = messages,
                                   .message_count = 2,
                                   .tag = place,
                                   .session = (uint32_t)calibration->order[place]});
    bytes_free(&system);
    bytes_free(&user);
}

int calibration_measure(Calibration *calibration, int64_t candidate, const int64_t *order,
                        int64_t first, int64_t end, Measure *measures)
{
    enum { FIELDS = sizeof(Measure) / sizeof(double) };
    const Group *group = calibration->group, *teams = &calibration->team.across;
    if (calibration->policy)
        return policy_calibration_measure(calibration->policy, candidate, order, first, end,
                                          measures);
    AskSettings settings = {.seed = (uint64_t)calibration->settings->run.seed,
                            .purpose = PURPOSE_CALIBRATION,
                            .usable = usable,
                            .take = take,
                            .context = calibration};
    Ask *ask = ask_make(&settings, &calibration->answerer);
    ask_set_step(ask, (uint32_t)candidate);
    calibration->measures = measures;
    calibration->order = order;
    calibration->first = first;
    memset(measures, 0, (size_t)(end - first) * sizeof *measures);
    for (int64_t i = first; i < end; i++)
        if (i % teams->size == teams->rank)
            submit(calibration, ask, calibration->candidates->list[candidate].prompt, i);
    ask_finish(ask);
    AskCounts counts = ask_counts(ask);
    ask_free(ask);
    group_sum(group, (double *)measures, (end - first) * FIELDS); // each from one rank
    double reached[] = {(double)counts.questions, (double)counts.unreached};
    group_sum(teams, reached, 2);
    // What nobody answered says nothing about a prompt, so no prompt is chosen.
    if (reached[1] > 0)
        return fail(EXIT_UNAVAILABLE,
                    "the served model answered only %.0f of %.0f questions: nothing was chosen",
                    reached[0] - reached[1], reached[0]);
    return 0;
}
