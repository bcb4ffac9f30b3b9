// show_responses.c - l2a-show samples: what the policy said, where, and what it earned.

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "tools/show_choice.h"
#include "tools/show_commands.h"
#include "tools/show_run.h"
#include "tools/show_text.h"

enum { LABEL_COLUMNS = 11, CHOSEN = 3 };

typedef struct {
    const ShowSamples *samples;
    Screen screen;
    Bytes *out;
} Page;

static void print_line(const Page *page, Colour colour, const char *label, const char *text)
{
    Bytes name = {0}, padded = {0};
    show_text_line(&name, label);
    bytes_print(&padded, "%-*s", LABEL_COLUMNS - 1, name.data);
    show_text_colour(page->out, &page->screen, colour, padded.data);
    bytes_append_text(page->out, " ");
    show_text_block(page->out, text, LABEL_COLUMNS);
    bytes_append_text(page->out, "\n");
    bytes_free(&name);
    bytes_free(&padded);
}

static Colour colour_of(const Message *message)
{
    return message_is_user(message)        ? COLOUR_CYAN
           : message_is_assistant(message) ? COLOUR_GREEN
                                           : COLOUR_DIM;
}

static void print_conversation(const Page *page, const Sample *context)
{
    for (int64_t m = 0; context && m < context->message_count; m++)
        print_line(page, colour_of(&context->messages[m]), context->messages[m].role,
                   context->messages[m].content);
    if (!context)
        print_line(page, COLOUR_DIM, "-", "(its conversation is not in the data file)");
}

static void print_head(const Page *page, const ShowSample *sample)
{
    Bytes head = {0};
    if (sample->step > 0)
        bytes_print(&head, "step %lld, ", (long long)sample->step);
    if (*sample->model) {
        show_text_line(&head, sample->model);
        bytes_append_text(&head, ", ");
    }
    bytes_append_text(&head, "context ");
    show_text_line(&head, sample->cid);
    bytes_print(&head, ", response %lld", (long long)sample->repeat);
    show_text_colour(page->out, &page->screen, COLOUR_BOLD, head.data);
    bytes_append_text(page->out, "\n");
    bytes_free(&head);
}

static void print_scores(const Page *page, const ShowSample *sample)
{
    Bytes text = {0};
    if (sample->graded)
        bytes_print(&text, "A %s, C %s, F %s, reward %s", show_text_number(sample->decision).text,
                    show_text_number(sample->content).text, show_text_number(sample->format).text,
                    show_text_number(sample->reward).text);
    else
        bytes_append_text(&text, "no grade");
    if (!isnan(sample->advantage))
        bytes_print(&text, ", advantage %s", show_text_number(sample->advantage).text);
    if (sample->tokens > 0)
        bytes_print(&text, "; %lld tokens", (long long)sample->tokens);
    if (!sample->finished)
        bytes_append_text(&text, ", cut off");
    print_line(page, sample->decision > 0.5 ? COLOUR_GREEN : COLOUR_RED, "scores", text.data);
    bytes_free(&text);
}

static void print_truth(const Page *page, const ShowSample *sample)
{
    const Sample *context = sample->sample;
    print_line(page, COLOUR_DIM, "truth", truth_name(sample->truth));
    if (context && *context->info_truth)
        print_line(page, COLOUR_DIM, "facts", context->info_truth);
    for (int64_t m = 0; context && m < context->expert_count; m++)
        print_line(page, COLOUR_DIM, "expert", context->expert[m].content);
}

static void print_sample(const Page *page, const ShowSample *sample, const ShowSample *before)
{
    print_head(page, sample);
    if (before && sample->sample && before->sample == sample->sample)
        print_line(page, COLOUR_DIM, "-", "(the conversation above)");
    else
        print_conversation(page, sample->sample);
    if (*sample->earlier)
        print_line(page, COLOUR_DIM, "tools", sample->earlier);
    print_line(page, COLOUR_YELLOW, "response", sample->response);
    print_truth(page, sample);
    print_scores(page, sample);
    if (*sample->verdict)
        print_line(page, COLOUR_DIM, "judge", sample->verdict);
}

static json_t *messages_of(const Message *messages, int64_t count)
{
    json_t *list = json_array();
    for (int64_t m = 0; m < count; m++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "role", messages[m].role, "content",
                                              messages[m].content));
    return list;
}

// JSON needs no escapes for DEL and the control characters of two bytes (base/harmless.h), but a
// terminal may obey them.
static void append_escaped(const Bytes *json, Bytes *out)
{
    for (size_t i = 0; i < json->length; i++) {
        unsigned char byte = (unsigned char)json->data[i], next = (unsigned char)json->data[i + 1];
        if (byte == 0x7f)
            bytes_append_text(out, "\\u007f");
        else if (byte == 0xc2 && next < 0xa0)
            bytes_print(out, "\\u00%02x", (unsigned char)json->data[++i]);
        else
            bytes_append(out, &json->data[i], 1);
    }
}

// The line as it was, with the conversation behind it.
static void print_json(const ShowSample *sample, Bytes *out)
{
    json_t *line = json_copy(sample->line);
    const Sample *context = sample->sample;
    if (context) {
        json_object_set_new(line, "messages",
                            messages_of(context->messages, context->message_count));
        json_object_set_new(line, "info_truth", json_string(context->info_truth));
        json_object_set_new(line, "expert", messages_of(context->expert, context->expert_count));
    }
    Bytes json = {0};
    jsonl_append(&json, line);
    append_escaped(&json, out);
    bytes_append_text(out, "\n");
    bytes_free(&json);
    json_decref(line);
}

static void print_chosen(const ShowSamples *samples, const ShowArguments *arguments, Bytes *out)
{
    Page page = {samples, show_text_screen(), out};
    bool best = arguments->best > 0, worst = arguments->worst > 0;
    int64_t chosen = best ? arguments->best : worst ? arguments->worst : CHOSEN, count;
    bool whole_group = arguments->cid && !best && !worst;
    ShowChoice choice = {.decision = arguments->decision,
                         .truth = arguments->truth,
                         .cid = arguments->cid,
                         .most = whole_group ? samples->count : chosen,
                         .best = best,
                         .ordered = !whole_group};
    int64_t *indices = show_choice_make(samples, &choice, &count);
    for (int64_t i = 0; i < count; i++) {
        const ShowSample *sample = &samples->list[indices[i]];
        if (arguments->json) {
            print_json(sample, out);
            continue;
        }
        bytes_append_text(out, i > 0 ? "\n" : "");
        print_sample(&page, sample, i > 0 ? &samples->list[indices[i - 1]] : NULL);
    }
    release(indices);
    if (count == 0)
        warn("none of the %lld responses there is what was asked for", (long long)samples->count);
}

// The conversations of `path`; without them the rest is shown still.
static void open_conversations(ShowSamples *samples, const char *path, bool of_run)
{
    if (!*path)
        *samples = (ShowSamples){.contexts = json_object()};
    else if (show_samples_open(samples, path) != 0)
        warn("no conversations: %s%s", fail_message(),
             of_run ? "; the path is relative to where the run was started, or give --data" : "");
}

static int find_step(const ShowArguments *arguments, const char *directory, int64_t *step)
{
    *step = arguments->step;
    if (*step > 0)
        return 0;
    if (arguments->cid && !arguments->last) {
        if (show_samples_last_of(directory, arguments->cid, step) != 0)
            return -1;
        return *step > 0 ? 0
                         : fail(EXIT_NO_INPUT, "%s/samples.jsonl has no response to a context '%s'",
                                directory, arguments->cid);
    }
    if (show_samples_last(directory, step) != 0)
        return -1;
    return *step > 0 ? 0
                     : fail(EXIT_NO_INPUT,
                            "%s/samples.jsonl has no responses: no step has sampled any so far",
                            directory);
}

static int show_run_samples(const ShowArguments *arguments, Bytes *out)
{
    const char *directory = arguments->operands[0];
    ShowSamples samples;
    ShowRun run;
    int64_t step, last = 0;
    if (show_run_open(&run, directory) != 0)
        return -1;
    int status = find_step(arguments, directory, &step);
    if (status == 0) {
        open_conversations(&samples, arguments->data ? arguments->data : run.settings.data.train,
                           !arguments->data);
        status = show_samples_read(&samples, directory, step, step);
        if (status == 0 && samples.count == 0 && show_samples_last(directory, &last) == 0)
            status = fail(EXIT_NO_INPUT,
                          "%s/samples.jsonl has no responses of step %lld (warm-up steps sample "
                          "none); the last one with some is step %lld",
                          directory, (long long)step, (long long)last);
        if (status == 0)
            print_chosen(&samples, arguments, out);
        show_samples_close(&samples);
    }
    show_run_close(&run);
    return status;
}

static int show_output_samples(const ShowArguments *arguments, Bytes *out)
{
    const char *path = arguments->operands[0];
    ShowSamples samples;
    if (arguments->step > 0 || arguments->last)
        return fail(EXIT_USAGE, "%s is the output of an evaluation, which has no steps", path);
    open_conversations(&samples, arguments->data ? arguments->data : "", false);
    int status = show_samples_read_output(&samples, path);
    if (status == 0)
        print_chosen(&samples, arguments, out);
    show_samples_close(&samples);
    return status;
}

int show_responses(const ShowArguments *arguments, Bytes *out)
{
    struct stat status;
    if (arguments->step > 0 && arguments->last)
        return fail(EXIT_USAGE, "--step or --last, not both");
    if (arguments->worst > 0 && arguments->best > 0)
        return fail(EXIT_USAGE, "--worst or --best, not both");
    bool file = stat(arguments->operands[0], &status) == 0 && !S_ISDIR(status.st_mode);
    return file ? show_output_samples(arguments, out) : show_run_samples(arguments, out);
}
