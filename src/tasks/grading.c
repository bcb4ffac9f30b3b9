#include "tasks/grading.h"

#include <string.h>

#include "base/activity.h"
#include "base/fail.h"
#include "input/utf8.h"
#include "reward/verdict.h"
#include "tasks/grading_letters.h"

enum { VERDICT_LIMIT = 4096 }; // bytes of a verdict that are kept

struct Grading {
    const Settings *settings; // borrowed
    const World *world;       // borrowed
    const Team *rollout;      // borrowed: the engine that this rank samples with
    AskedKind kind;
    bool apart; // our own model, on ranks that do nothing else
    bool asks;  // this rank does
    Answerer answerer;
    Team judges;   // our own model: the ranks of this rank's engine
    Group circle;  // of it, not apart: the ranks that divide their questions, all whole engines
    Bytes answers; // letters of what this rank's engine said, for the circle
    Ask *ask;      // owned, where this rank asks
    Mail *mail;
    GradingPlan plan;
    int32_t *ended; // owned, by sample: responses of this step that have ended
    size_t ended_capacity;
    bool warned;         // of a question without a reply
    int64_t outstanding; // responses that this rank has sent to grader ranks
    GradingReport report;
    double judged;      // of the speaker, at grading_begin
    Bytes system, user; // scratch
};

int grading_open(Grading **grading, const Settings *settings)
{
    Grading *opened = allocate(1, sizeof *opened);
    *opened = (Grading){.settings = settings, .kind = settings->reward.judge};
    int status = answerer_open(&opened->answerer, opened->kind, &settings->judge, "judge");
    if (status == 0 && opened->kind != ASKED_NOBODY)
        status = verdict_prompt_check(opened->answerer.prompt, settings->judge.prompt);
    if (status == 0) {
        *grading = opened;
        return 0;
    }
    grading_close(opened);
    return -1;
}

void grading_close(Grading *grading)
{
    if (!grading)
        return;
    ask_free(grading->ask);
    answerer_close(&grading->answerer);
    team_free(&grading->judges);
    group_free(&grading->circle);
    release(grading->ended);
    bytes_free(&grading->answers);
    bytes_free(&grading->system);
    bytes_free(&grading->user);
    release(grading);
}

size_t grading_bytes(const Grading *grading, const Kernels *kernels)
{
    return answerer_bytes(&grading->answerer, kernels);
}

void grading_identify(const Grading *grading, Bytes *out)
{
    answerer_identify(&grading->answerer, out);
}

void grading_describe(const Grading *grading, Bytes *out)
{
    const Asked *asked = &grading->settings->judge;
    if (grading->kind == ASKED_NOBODY)
        bytes_append_text(out, "by rule");
    else if (grading->kind == ASKED_SERVED)
        bytes_print(out, "%s at %s", asked->endpoint.name, asked->endpoint.url);
    else
        bytes_append_text(out, asked->path);
}

// Writes a grade into the branch that earned it.
static void set_grade(Branch *branch, const Grade *grade)
{
    branch->decision = (float)grade->decision;
    branch->content = (float)grade->content;
    branch->format = (float)grade->format;
    branch->reward = (float)grade->reward;
    branch->graded = grade->graded;
}

static void keep_verdict(Branch *branch, const char *text, size_t length)
{
    Bytes kept = {0};
    utf8_append_repaired(&kept, text, length < VERDICT_LIMIT ? length : VERDICT_LIMIT);
    branch->verdict = kept.data;
}

// What came of asking the judge: `text` is its last reply, `usable` whether it holds a verdict.
static void set_verdict(const Grading *grading, Branch *branch, const char *text, size_t length,
                        bool usable)
{
    const GradingPlan *plan = &grading->plan;
    Verdict verdict = {0};
    Grade grade = {.decision = 1};
    if (usable)
        usable = verdict_parse(text, length, plan->unusable_is_zero, &verdict);
    if (usable || plan->unusable_is_zero)
        grade = reward_judged(plan->reward, (double)verdict.content, (double)verdict.format);
    set_grade(branch, &grade);
    if (length > 0)
        keep_verdict(branch, text, length);
}

static bool usable(void *context, int64_t tag, const char *text, size_t length)
{
    const Grading *grading = context;
    Verdict verdict;
    (void)tag;
    return verdict_parse(text, length, grading->plan.unusable_is_zero, &verdict);
}

// This rank tells what the judge said.
static bool tells(const Grading *grading)
{
    return team_leads(grading->kind == ASKED_MODEL ? &grading->judges : grading->rollout);
}

static void take_own_answer(Grading *grading, const AskAnswer *answer)
{
    Bytes dropped = {0}, *letter = tells(grading) ? &grading->answers : &dropped;
    int to = letters_add_answer(letter, answer);
    if (grading->apart && tells(grading)) {
        mail_post(grading->mail, to, LETTER_ANSWERS, letter);
        bytes_clear(letter);
    }
    bytes_free(&dropped);
}

static void take_answer(void *context, const AskAnswer *answer)
{
    Grading *grading = context;
    if (answer->failure && answer->length == 0 && !grading->warned) {
        grading->warned = true;
        warn("the judge did not reply: %s; such responses are left out and counted",
             answer->failure);
    }
    if (grading->kind == ASKED_MODEL) {
        take_own_answer(grading, answer);
        return;
    }
    Branch *branch = (Branch *)(intptr_t)answer->tag;
    branch->unjudged = !answer->reached;
    set_verdict(grading, branch, answer->text, answer->length, answer->failure == NULL);
}

int grading_ranks(const Grading *grading, int ranks)
{
    int both = ranks;
    while (both % answerer_ranks(&grading->answerer) != 0)
        both += ranks;
    return both;
}

static int build_own(Grading *grading, const Backend *backend)
{
    const Group *group = &grading->world->group[ROLE_GRADER];
    int ranks = answerer_ranks(&grading->answerer);
    if (team_make(&grading->judges, group, ranks, "[judge] tensor_parallel") != 0)
        return -1;
    if (group->size > 0 && !grading->apart)
        grading->circle =
            group_split(group, group->rank / grading_ranks(grading, grading->rollout->inside.size),
                        "ranks that judge together");
    return grading->asks ? answerer_build(&grading->answerer, backend, &grading->judges.inside) : 0;
}

int grading_build(Grading *grading, const World *world, const Team *rollout, const Backend *backend)
{
    int status = 0;
    grading->world = world;
    grading->rollout = rollout;
    grading->apart =
        grading->kind == ASKED_MODEL && world->first[ROLE_GRADER] != world->first[ROLE_ROLLOUT];
    grading->asks = grading->kind == ASKED_MODEL    ? world->has[ROLE_GRADER]
                    : grading->kind == ASKED_SERVED ? team_leads(rollout)
                                                    : false;
    if (grading->kind == ASKED_MODEL)
        status = build_own(grading, backend);
    else if (grading->asks)
        status = answerer_build(&grading->answerer, backend, &rollout->inside);
    return group_agree(&world->all, status);
}

void grading_begin(Grading *grading, const GradingPlan *plan)
{
    grading->plan = *plan;
    grading->report = (GradingReport){0};
    grading->warned = !tells(grading);
    if (grading->apart)
        grading->mail = mail_open(&grading->world->all);
    size_t samples = (size_t)plan->dataset->set.count;
    grow((void **)&grading->ended, &grading->ended_capacity, samples, sizeof *grading->ended);
    memset(grading->ended, 0, samples * sizeof *grading->ended);
    if (!grading->asks)
        return;
    AskSettings settings = {.seed = plan->seed,
                            .purpose = plan->purpose,
                            .usable = usable,
                            .take = take_answer,
                            .context = grading};
    grading->ask = ask_make(&settings, &grading->answerer);
    ask_set_step(grading->ask, plan->step);
    grading->judged = grading->answerer.speaker.seconds;
}

// Asks about a response of this rank or, with a tag of its sender's, of another.
static void submit(Grading *grading, int64_t tag, int64_t sample_index, uint32_t repeat,
                   const char *response, size_t length)
{
    const Sample *sample = &grading->plan.dataset->set.samples[sample_index];
    bytes_clear(&grading->system);
    bytes_clear(&grading->user);
    verdict_question(grading->answerer.prompt, sample, response, length, &grading->system,
                     &grading->user);
    ChatMessage messages[] = {{"system", grading->system.data, grading->system.length},
                              {"user", grading->user.data, grading->user.length}};
    ask_submit(grading->ask, &(AskQuestion){.messages = messages,
                                            .message_count = 2,
                                            .tag = tag,
                                            .trunk = sample_index,
                                            .session = (uint32_t)sample->session,
                                            .round = (uint32_t)sample->round,
                                            .repeat = repeat});
}

// Those of a joined letter that are for judge `number` of `count`: a context's stay together.
static void submit_letters(Grading *grading, const Bytes *letters, int number, int count)
{
    for (size_t at = 0; at < letters->length;) {
        LetterQuestion question = letters_next_question(letters, &at);
        if (question.sample % count == number)
            submit(grading, letters_tag(&question), question.sample, question.repeat, question.text,
                   question.length);
    }
}

// Settles what needs no judge; false where one must be asked: the branch is ungraded until then.
static bool settle(Grading *grading, Branch *branch)
{
    const GradingPlan *plan = &grading->plan;
    const Sample *sample = &plan->dataset->set.samples[branch->sample];
    const Bytes *text = &branch->text;
    Grade grade;
    bool settled = true;
    if (grading->kind == ASKED_NOBODY)
        rule_judge_grade(plan->rules, sample, text->data, text->length, plan->reward, &grade);
    else
        settled = reward_settle(plan->reward, sample->truth, text->data, text->length, &grade);
    set_grade(branch, &grade);
    return settled;
}

// Grader ranks get what is to be judged of a context in one letter, when all of it has ended.
static void send_siblings(Grading *grading, const Tree *tree, int32_t sample)
{
    const World *world = grading->world;
    int ranks = answerer_ranks(&grading->answerer);
    int judge = sample % (world->count[ROLE_GRADER] / ranks);
    Bytes letter = {0};
    grading->outstanding += letters_add_questions(&letter, world->all.rank, tree, sample);
    if (letter.length > 0)
        mail_post(grading->mail, world->first[ROLE_GRADER] + judge * ranks, LETTER_QUESTIONS,
                  &letter);
    bytes_free(&letter);
}

static void open_letter(Grading *grading, Letter *letter)
{
    for (size_t at = 0; at < letter->bytes.length;) {
        LetterAnswer answer = letters_next_answer(&letter->bytes, &at);
        set_verdict(grading, answer.branch, answer.text, answer.length, answer.usable);
        grading->outstanding--;
    }
    bytes_free(&letter->bytes);
}

void grading_take(Grading *grading, Tree *tree, Branch *branch)
{
    bool settled = settle(grading, branch);
    if (!team_leads(grading->rollout))
        return;
    if (grading->kind == ASKED_SERVED) {
        if (!settled)
            submit(grading, (int64_t)(intptr_t)branch, branch->sample, (uint32_t)branch->repeat,
                   branch->text.data, branch->text.length);
        ask_poll(grading->ask);
    } else if (grading->apart) {
        Letter letter;
        if (++grading->ended[branch->sample] == grading->plan.repeats)
            send_siblings(grading, tree, branch->sample);
        while (mail_take(grading->mail, false, &letter))
            open_letter(grading, &letter);
    }
}

// The letters that have come, on every rank of the judge's engine; `open` counts those who may send
// more.
static void receive(Grading *grading, int *open, Bytes *letters)
{
    Letter letter;
    bytes_clear(letters);
    for (bool found = tells(grading) && mail_take(grading->mail, true, &letter); found;
         found = mail_take(grading->mail, false, &letter)) {
        *open -= letter.kind == LETTER_DONE;
        bytes_append(letters, letter.bytes.data, letter.bytes.length);
        bytes_free(&letter.bytes);
    }
    group_broadcast(&grading->judges.inside, open, sizeof *open, 0);
    group_broadcast_bytes(&grading->judges.inside, letters, 0);
}

// Answers the rollout ranks until each that asks has said that it has no more questions.
static void serve(Grading *grading)
{
    Bytes letters = {0};
    int rollouts = grading->world->count[ROLE_ROLLOUT];
    for (int open = rollouts / (int)grading->settings->rollout.tensor_parallel; open > 0;) {
        receive(grading, &open, &letters);
        submit_letters(grading, &letters, 0, 1);
        ask_finish(grading->ask);
    }
    bytes_free(&letters);
}

static void finish_apart(Grading *grading)
{
    const World *world = grading->world;
    const Bytes nothing = {0};
    Letter letter;
    for (int g = 0; g < world->count[ROLE_GRADER]; g += answerer_ranks(&grading->answerer))
        mail_post(grading->mail, world->first[ROLE_GRADER] + g, LETTER_DONE, &nothing);
    while (grading->outstanding > 0) {
        mail_take(grading->mail, true, &letter);
        open_letter(grading, &letter);
    }
}

// What the ranks of a circle have is divided over its judges, and told to all of them.
static void finish_together(Grading *grading, const TreeList *mine)
{
    const Group *circle = &grading->circle;
    int ranks = answerer_ranks(&grading->answerer), rank = grading->world->all.rank;
    size_t *starts = allocate((size_t)circle->size + 1, sizeof *starts);
    Bytes letter = {0}, all = {0};
    for (int64_t t = 0; team_leads(grading->rollout) && t < mine->count; t++)
        letters_add_questions(&letter, rank, &mine->trees[t], -1);
    group_all_gather_bytes(circle, &letter, &all, starts);
    submit_letters(grading, &all, circle->rank / ranks, circle->size / ranks);
    ask_finish(grading->ask);
    group_all_gather_bytes(circle, &grading->answers, &all, starts);
    for (size_t at = 0; at < all.length;) {
        LetterAnswer answer = letters_next_answer(&all, &at);
        if (answer.to == rank)
            set_verdict(grading, answer.branch, answer.text, answer.length, answer.usable);
    }
    bytes_clear(&grading->answers);
    bytes_free(&letter);
    bytes_free(&all);
    release(starts);
}

void grading_finish(Grading *grading, TreeList *mine, GradingReport *report)
{
    const World *world = grading->world;
    activity_begin("judging");
    if (grading->apart && world->has[ROLE_GRADER])
        serve(grading);
    else if (grading->apart && team_leads(grading->rollout))
        finish_apart(grading);
    else if (grading->circle.size > 0)
        finish_together(grading, mine);
    else if (grading->asks)
        ask_finish(grading->ask);
    if (grading->mail)
        mail_close(grading->mail);
    grading->mail = NULL;
    if (grading->ask) {
        if (tells(grading))
            grading->report.asked = ask_counts(grading->ask);
        grading->report.judging = grading->answerer.speaker.seconds - grading->judged;
    }
    ask_free(grading->ask);
    grading->ask = NULL;
    *report = grading->report;
}
