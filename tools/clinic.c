// clinic.c - the tool l2a-clinic: conversations of a made-up clinic whose facts are known, and a
// small model without weights that can learn from them.

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/memory.h"
#include "dialogue/prepare.h"
#include "files/atomic.h"
#include "files/directory.h"
#include "tools/clinic_best.h"
#include "tools/clinic_bpe.h"
#include "tools/clinic_model.h"
#include "tools/clinic_session.h"

enum { VOCABULARY = 1024, MOST_SESSIONS = 100000 };

static const char help[] =
    "l2a-clinic - made-up consultations whose facts are known, and a model to train on them\n"
    "\n"
    "  l2a-clinic OUT_DIR [--seed N] [--sessions N] [--test N]\n"
    "\n"
    "Writes these files; the same numbers give the same ones.\n"
    "\n"
    "  OUT_DIR/train_origin.jsonl    sessions as learn2ask prepare reads them\n"
    "  OUT_DIR/train_samples.jsonl   their rounds with labels (processed form)\n"
    "  OUT_DIR/test_origin.jsonl     sessions of complaints that training never sees\n"
    "  OUT_DIR/test_samples.jsonl    their rounds with labels\n"
    "  OUT_DIR/best.json             what a policy that knows every fact earns on them\n"
    "  OUT_DIR/vocabulary.txt        words of the training sessions, commonest first\n"
    "  OUT_DIR/model/                a small Llama's shape and tokenizer, without weights\n"
    "\n"
    "  --seed N        number that decides everything (default 1)\n"
    "  --sessions N    training sessions (default 600)\n"
    "  --test N        test sessions (default 48)\n"
    "  --help          print this text\n"
    "  --version       print the version\n"
    "\n"
    "Exit status: 0 done, 64 usage, 73 or 74 cannot write.\n";

typedef struct {
    const char *directory;
    int64_t seed, sessions, test;
} Options;

// "DIRECTORY/NAME"; to be released.
static char *path_of(const char *directory, const char *name)
{
    Bytes path = {0};
    bytes_print(&path, "%s/%s", directory, name);
    return path.data;
}

static int write_text(const char *directory, const char *name, const Bytes *text)
{
    char *path = path_of(directory, name);
    int status = atomic_write_file(path, text->data, text->length);
    release(path);
    return status;
}

static ClinicSession *make_sessions(const Options *options, ClinicSplit split, int64_t count)
{
    ClinicSession *sessions = allocate((size_t)count, sizeof *sessions);
    for (int64_t i = 0; i < count; i++)
        sessions[i] = clinic_session_make((uint64_t)options->seed, split, i);
    return sessions;
}

static void free_sessions(ClinicSession *sessions, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        clinic_session_free(&sessions[i]);
    release(sessions);
}

static int write_origin(const Options *options, const char *name, const ClinicSession *sessions,
                        int64_t count)
{
    Bytes text = {0};
    for (int64_t i = 0; i < count; i++) {
        jsonl_append(&text, sessions[i].session);
        bytes_append_text(&text, "\n");
    }
    int status = write_text(options->directory, name, &text);
    bytes_free(&text);
    return status;
}

// Gives every round the facts that are asked for after its context.
static void set_facts(PreparedSet *rounds, const ClinicSession *sessions)
{
    int64_t session = -1;
    const char *before = "";
    for (int64_t i = 0; i < rounds->count; i++) {
        const json_t *record = rounds->rounds[i].record;
        const char *cid = prepare_cid(&rounds->rounds[i]);
        size_t length = (size_t)(strrchr(cid, '_') - cid);
        session += strncmp(before, cid, length + 1) != 0;
        before = cid;
        int64_t said = (int64_t)json_array_size(json_object_get(record, "messages"));
        json_t *facts = clinic_session_facts(&sessions[session], said);
        prepare_set_info(rounds, i, facts);
        json_decref(facts);
    }
}

// Writes PREFIX_origin.jsonl and PREFIX_samples.jsonl and reads the samples back.
static int write_split(const Options *options, const char *prefix, const ClinicSession *sessions,
                       int64_t count, SampleSet *samples)
{
    Bytes origin = {0}, name = {0};
    bytes_print(&origin, "%s_origin.jsonl", prefix);
    bytes_print(&name, "%s_samples.jsonl", prefix);
    char *input = path_of(options->directory, origin.data);
    char *output = path_of(options->directory, name.data);
    PrepareSettings settings = {.input = input, .processed = output};
    PreparedSet rounds = {0};
    int status =
        write_origin(options, origin.data, sessions, count) || prepare_read(&rounds, &settings);
    if (!status) {
        set_facts(&rounds, sessions);
        status =
            prepare_write(&rounds, &settings) || samples_read(samples, output, (SampleOptions){0});
        prepare_free(&rounds);
    }
    release(input);
    release(output);
    bytes_free(&origin);
    bytes_free(&name);
    return status ? -1 : 0;
}

// The words of the chat rendering: roles and contents, and the stop text once a session.
static void count_words(Bpe *bpe, const ClinicSession *session)
{
    size_t i;
    const json_t *message;
    json_array_foreach(json_object_get(session->session, "messages"), i, message)
    {
        bpe_count(bpe, json_string_value(json_object_get(message, "role")), 1);
        bpe_count(bpe, "\n", 2);
        bpe_count(bpe, json_string_value(json_object_get(message, "content")), 1);
    }
    bpe_count(bpe, "system", 1);
    bpe_count(bpe, STOP_TEXT, 1);
}

static int write_model(const Options *options, const ClinicSession *sessions)
{
    Bpe *bpe = bpe_make(clinic_specials, CLINIC_SPECIALS);
    for (int64_t i = 0; i < options->sessions; i++)
        count_words(bpe, &sessions[i]);
    Bytes words = {0};
    bpe_append_words(bpe, &words);
    bpe_train(bpe, VOCABULARY);
    char *directory = path_of(options->directory, "model");
    int status = write_text(options->directory, "vocabulary.txt", &words) ||
                 clinic_model_write(directory, bpe);
    release(directory);
    bytes_free(&words);
    bpe_free(bpe);
    return status ? -1 : 0;
}

static void append_best(Bytes *text, const char *name, ClinicBest best)
{
    bytes_print(text,
                "  \"%s\": {\"best_reward\": %.6f, \"best_content\": %.6f, \"samples\": %lld, "
                "\"continue\": %lld}",
                name, best.reward, best.content, (long long)best.samples,
                (long long)best.continues);
}

static int write_best(const Options *options, const SampleSet *training, const SampleSet *test)
{
    ClinicBest trained = clinic_best(training, training), tested = clinic_best(training, test);
    Bytes text = {0};
    bytes_append_text(&text, "{\n");
    append_best(&text, "train", trained);
    bytes_append_text(&text, ",\n");
    append_best(&text, "test", tested);
    bytes_append_text(&text, "\n}\n");
    int status = write_text(options->directory, "best.json", &text);
    bytes_free(&text);
    printf("%lld training samples of %lld sessions, %lld test samples of %lld sessions\n"
           "best possible reward on the test samples: %.3f\n",
           (long long)training->count, (long long)training->session_count, (long long)test->count,
           (long long)test->session_count, tested.reward);
    return status;
}

static int write_all(const Options *options)
{
    if (directory_make(options->directory))
        return -1;
    ClinicSession *train = make_sessions(options, CLINIC_TRAINING, options->sessions);
    ClinicSession *test = make_sessions(options, CLINIC_TEST, options->test);
    SampleSet train_samples = {0}, test_samples = {0};
    int status = write_split(options, "train", train, options->sessions, &train_samples) ||
                 write_split(options, "test", test, options->test, &test_samples) ||
                 write_model(options, train) || write_best(options, &train_samples, &test_samples);
    samples_free(&train_samples);
    samples_free(&test_samples);
    free_sessions(train, options->sessions);
    free_sessions(test, options->test);
    return status ? -1 : 0;
}

static int parse_count(const char *name, const char *text, int64_t least, int64_t most,
                       int64_t *value)
{
    char *end;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (errno || end == text || *end || parsed < least || parsed > most)
        return fail(EXIT_USAGE, "--%s takes an integer from %lld to %lld, not '%s'", name,
                    (long long)least, (long long)most, text);
    *value = parsed;
    return 0;
}

// 1: go on, 0: done, -1: failure.
static int parse_options(int count, char **words, Options *options)
{
    static const struct option table[] = {
        {"seed", required_argument, NULL, 's'}, {"sessions", required_argument, NULL, 'n'},
        {"test", required_argument, NULL, 't'}, {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},    {0},
    };
    *options = (Options){.seed = 1, .sessions = 600, .test = 48};
    opterr = 0;
    for (int option; (option = getopt_long(count, words, "", table, NULL)) != -1;) {
        int status = 0;
        switch (option) {
        case 's':
            status = parse_count("seed", optarg, 0, INT64_MAX, &options->seed);
            break;
        case 'n':
            status = parse_count("sessions", optarg, 1, MOST_SESSIONS, &options->sessions);
            break;
        case 't':
            status = parse_count("test", optarg, 1, MOST_SESSIONS, &options->test);
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        case 'v':
            puts("l2a-clinic " L2A_VERSION);
            return 0;
        default:
            return fail(EXIT_USAGE, "unknown or incomplete option %s; see l2a-clinic --help",
                        words[optind - 1]);
        }
        if (status)
            return status;
    }
    if (count - optind != 1)
        return fail(EXIT_USAGE, "one OUT_DIR is wanted; see l2a-clinic --help");
    options->directory = words[optind];
    return 1;
}

int main(int count, char **words)
{
    Options options;
    json_set_alloc_funcs(memory_take, release);
    int status = parse_options(count, words, &options);
    if (status < 0 || (status > 0 && write_all(&options)))
        die_failed();
    return EXIT_DONE;
}
