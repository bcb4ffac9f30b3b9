#define _GNU_SOURCE // strchrnul
#include "tasks/evaluation_journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/fail.h"

// Sections whose settings decide what a policy says and what it earns.
static bool decides(const char *section)
{
    static const char *const names[] = {"[model]", "[policy]",  "[data]",  "[evaluate]",
                                        "[react]", "[rollout]", "[judge]", "[reward]"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(section, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static uint64_t hash_settings(const Settings *settings)
{
    Bytes all = {0}, kept = {0};
    settings_print(settings, &all);
    bool taken = false;
    for (const char *line = all.data; *line;) {
        const char *end = strchrnul(line, '\n');
        taken = *line == '[' ? decides(line) : taken;
        if (taken)
            bytes_append(&kept, line, (size_t)(end - line));
        line = *end ? end + 1 : end;
    }
    bytes_print(&kept, "%lld", (long long)settings->run.seed);
    uint64_t hash = XXH3_64bits(kept.data, kept.length);
    bytes_free(&all);
    bytes_free(&kept);
    return hash;
}

// What a start that goes on must agree with.
static void make_key(const Job *job, const Bytes *identity, uint64_t weights, char *line,
                     size_t size)
{
    snprintf(line, size, "{\"key\": \"%016llx%016llx%016llx\"}",
             (unsigned long long)hash_settings(job->settings),
             (unsigned long long)XXH3_64bits(identity->data, identity->length),
             (unsigned long long)weights);
}

typedef struct {
    const char *key;
    bool matches;
    Bytes lines; // behind the key
} Found;

static int take_line(void *context, const char *line, size_t length, int64_t number)
{
    Found *found = context;
    if (number == 1)
        found->matches = length == strlen(found->key) && memcmp(line, found->key, length) == 0;
    else if (found->matches)
        bytes_print(&found->lines, "%s\n", line);
    return 0;
}

static char *journal_path(const Settings *settings, int number)
{
    Bytes path = {0};
    bytes_print(&path, "%s.part-%d", settings->evaluate.output, number);
    return path.data;
}

// Under a name that is not taken yet: what was set aside before stays.
static int set_aside(const char *path)
{
    Bytes aside = {0};
    int status = 0;
    for (int number = 1; number == 1 || access(aside.data, F_OK) == 0; number++) {
        bytes_clear(&aside);
        bytes_print(&aside, number > 1 ? "%s.orphan-%d" : "%s.orphan", path, number);
    }
    if (rename(path, aside.data) != 0)
        status = fail(EXIT_CANNOT_WRITE, "%s: cannot be set aside as %s: %s", path, aside.data,
                      strerror(errno));
    else
        warn("%s is of another evaluation (model, settings or data differ): set aside as %s", path,
             aside.data);
    bytes_free(&aside);
    return status;
}

// On the rank that writes: the file of an earlier start, or a new one.
static int open_file(EvaluationJournal *journal, const char *path, Found *found)
{
    if (access(path, F_OK) == 0 && journal_read(path, take_line, found) != 0)
        return -1;
    if (!found->matches && access(path, F_OK) == 0 && set_aside(path) != 0)
        return -1;
    journal->journal = journal_open(path);
    if (!journal->journal)
        return -1;
    if (found->matches)
        return 0;
    return journal_append(journal->journal, found->key, strlen(found->key));
}

static void take_known(EvaluationJournal *journal, const SampleSet *set, const Bytes *lines)
{
    json_t *samples = json_object();
    for (int64_t i = 0; i < set->count; i++)
        json_object_set_new(samples, set->samples[i].cid, json_integer(i));
    for (size_t at = 0; at < lines->length;) {
        const char *line = lines->data + at, *end = memchr(line, '\n', lines->length - at);
        CHECK(end, "a line of the journal is cut short");
        responses_add_line(&journal->known, samples, line, (size_t)(end - line));
        at += (size_t)(end - line) + 1;
    }
    json_decref(samples);
    responses_sort(&journal->known);
}

int evaluation_journal_open(EvaluationJournal *journal, const Job *job, const SampleSet *set,
                            const Bytes *identity, int number, uint64_t weights)
{
    const Group *all = &job->world.all;
    char key[128];
    char *path = journal_path(job->settings, number);
    make_key(job, identity, weights, key, sizeof key);
    *journal = (EvaluationJournal){0};
    Found found = {.key = key};
    int status = group_agree(all, all->rank == 0 ? open_file(journal, path, &found) : 0);
    if (status == 0) {
        group_broadcast_bytes(all, &found.lines, 0);
        take_known(journal, set, &found.lines);
    }
    bytes_free(&found.lines);
    release(path);
    return status;
}

void evaluation_journal_add(EvaluationJournal *journal, const ResponseList *list, int64_t first)
{
    for (int64_t i = first; journal->journal && i < list->count; i++)
        if (!list->list[i].failed && !list->list[i].unjudged &&
            journal_append(journal->journal, list->list[i].line, strlen(list->list[i].line)) != 0)
            die_failed();
}

void evaluation_journal_close(EvaluationJournal *journal)
{
    journal_close(journal->journal);
    responses_free(&journal->known);
    *journal = (EvaluationJournal){0};
}

void evaluation_journal_remove(const Settings *settings, int number)
{
    char *path = journal_path(settings, number);
    unlink(path);
    release(path);
}
