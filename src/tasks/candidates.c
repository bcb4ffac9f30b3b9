#include "tasks/candidates.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ask/ask.h"
#include "base/fail.h"
#include "files/atomic.h"
#include "input/text_file.h"
#include "parallel/team.h"
#include "reward/verdict.h"

static int check(const Settings *settings, const Candidate *candidate)
{
    if (settings->calibrate.target != TARGET_JUDGE)
        return 0;
    return verdict_prompt_check(candidate->prompt, candidate->path);
}

static int add_file(CandidateList *list, const Settings *settings, const char *name)
{
    Bytes path = {0};
    grow((void **)&list->list, &list->capacity, (size_t)list->count + 1, sizeof *list->list);
    Candidate *candidate = &list->list[list->count++];
    bytes_print(&path, "%s/%s", settings->calibrate.candidates, name);
    *candidate = (Candidate){.path = path.data};
    if (text_file_read(candidate->path, "[calibrate] candidates", &candidate->prompt) != 0)
        return -1;
    return check(settings, candidate);
}

static int is_prompt(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 4 && strcmp(entry->d_name + length - 4, ".txt") == 0;
}

static int by_name(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name); // not the locale's order
}

static int read_directory(CandidateList *list, const Settings *settings)
{
    struct dirent **entries;
    const char *directory = settings->calibrate.candidates;
    int count = scandir(directory, &entries, is_prompt, by_name), status = 0;
    if (count < 0)
        return fail(EXIT_NO_INPUT, "%s: %s ([calibrate] candidates)", directory, strerror(errno));
    for (int i = 0; i < count; i++) {
        if (status == 0)
            status = add_file(list, settings, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (status == 0 && count == 0)
        return fail(EXIT_NO_INPUT, "%s: holds no NAME.txt ([calibrate] candidates)", directory);
    return status;
}

// What the proposer has written so far.
typedef struct {
    const Settings *settings;
    bool tells;   // this rank does, for its engine
    char **texts; // owned, [proposals]; NULL where it wrote nothing of use
} Proposals;

static bool usable(void *context, int64_t tag, const char *text, size_t length)
{
    const Proposals *proposals = context;
    (void)tag;
    Candidate candidate = {.path = "a proposal", .prompt = (char *)text};
    return length > 0 && strlen(text) == length && check(proposals->settings, &candidate) == 0;
}

static void take(void *context, const AskAnswer *answer)
{
    Proposals *proposals = context;
    if (answer->failure && proposals->tells)
        warn("proposal %lld: %s", (long long)answer->tag + 1, answer->failure);
    else if (!answer->failure)
        proposals->texts[answer->tag] = duplicate(answer->text);
}

static void ask_all(Answerer *answerer, const CandidateList *list, Proposals *proposals)
{
    AskSettings settings = {.seed = (uint64_t)proposals->settings->run.seed,
                            .purpose = PURPOSE_PROPOSER,
                            .usable = usable,
                            .take = take,
                            .context = proposals};
    Ask *ask = ask_make(&settings, answerer);
    for (int64_t p = 0; p < proposals->settings->calibrate.proposals; p++) {
        const char *source = list->list[p % list->count].prompt;
        ChatMessage messages[] = {{"system", answerer->prompt, strlen(answerer->prompt)},
                                  {"user", source, strlen(source)}};
        ask_submit(ask, &(AskQuestion){.messages = messages,
                                       .message_count = 2,
                                       .tag = p,
                                       .trunk = p % list->count,
                                       .repeat = (uint32_t)p});
    }
    ask_finish(ask);
    ask_free(ask);
}

static bool is_known(const CandidateList *list, const char *prompt)
{
    for (int64_t i = 0; i < list->count; i++)
        if (strcmp(list->list[i].prompt, prompt) == 0)
            return true;
    return false;
}

// On one engine: proposals are few. Its first rank keeps them.
static int propose(CandidateList *list, const Team *team, const Settings *settings,
                   const Backend *backend)
{
    Answerer answerer;
    Proposals proposals = {.settings = settings, .tells = team_leads(team)};
    int64_t count = settings->calibrate.proposals, known = list->count;
    int status =
        answerer_open(&answerer, settings->calibrate.proposer, &settings->proposer, "proposer");
    proposals.texts = allocate((size_t)count, sizeof *proposals.texts);
    if (status == 0)
        status = answerer_build(&answerer, backend, &team->inside);
    status = group_agree(&team->inside, status);
    if (status == 0)
        ask_all(&answerer, list, &proposals);
    answerer_close(&answerer);
    for (int64_t p = 0; status == 0 && p < count; p++) {
        const char *text = proposals.texts[p];
        Bytes path = {0};
        if (!text || is_known(list, text))
            continue;
        bytes_print(&path, "%s.proposal-%03lld.txt", settings->calibrate.output, (long long)p + 1);
        if (team_leads(team))
            status = atomic_write_file(path.data, text, strlen(text));
        grow((void **)&list->list, &list->capacity, (size_t)list->count + 1, sizeof *list->list);
        list->list[list->count++] = (Candidate){path.data, duplicate(text)};
    }
    if (status == 0 && list->count == known && team_leads(team))
        warn("the proposer wrote nothing new of use");
    for (int64_t p = 0; p < count; p++)
        release(proposals.texts[p]);
    release(proposals.texts);
    return status;
}

// Gives every rank the list of the first one.
static void share(CandidateList *list, const Group *group)
{
    Bytes all = {0};
    for (int64_t i = 0; group->rank == 0 && i < list->count; i++) {
        bytes_append(&all, list->list[i].path, strlen(list->list[i].path) + 1);
        bytes_append(&all, list->list[i].prompt, strlen(list->list[i].prompt) + 1);
    }
    group_broadcast_bytes(group, &all, 0);
    candidates_close(list);
    for (const char *at = all.data; at < all.data + all.length;) {
        const char *prompt = at + strlen(at) + 1;
        grow((void **)&list->list, &list->capacity, (size_t)list->count + 1, sizeof *list->list);
        list->list[list->count++] = (Candidate){duplicate(at), duplicate(prompt)};
        at = prompt + strlen(prompt) + 1;
    }
    bytes_free(&all);
}

static int add_proposals(CandidateList *list, const Group *group, const Settings *settings,
                         const Backend *backend)
{
    Team team;
    bool own = settings->calibrate.proposer == ASKED_MODEL;
    int ranks = own ? (int)settings->proposer.tensor_parallel : 1;
    int status = team_make(&team, group, ranks, "[proposer] tensor_parallel");
    if (status == 0 && team.across.rank == 0)
        status = propose(list, &team, settings, backend);
    team_free(&team);
    status = group_agree(group, status);
    if (status == 0)
        share(list, group);
    return status;
}

int candidates_open(CandidateList *list, const Group *group, const Settings *settings,
                    const Backend *backend)
{
    *list = (CandidateList){0};
    int status = group_agree(group, group->rank == 0 ? read_directory(list, settings) : 0);
    if (status == 0)
        share(list, group);
    if (status == 0 && settings->calibrate.proposals > 0)
        status = add_proposals(list, group, settings, backend);
    if (status != 0)
        candidates_close(list);
    return status;
}

void candidates_close(CandidateList *list)
{
    for (int64_t i = 0; i < list->count; i++) {
        release(list->list[i].path);
        release(list->list[i].prompt);
    }
    release(list->list);
    *list = (CandidateList){0};
}
