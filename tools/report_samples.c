// report_samples.c - the chosen responses and their conversations for the page's script.
//
// {"conversations": [{"session", "about", "messages": [[role, text], ...]}],
//  "contexts": [{"cid", "conversation": index or null, "count" of its messages, "truth", "facts",
//  "expert"}], "groups": [{"step", "context", "reason", "responses"}]}. A conversation is there
// once, as far as the longest context needs it.

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "dialogue/sessions.h"
#include "input/jsonl.h"
#include "tools/report_html.h"
#include "tools/report_parts.h"

typedef struct {
    const Sample *sample; // of the longest context; its messages begin all the others'
} Conversation;

typedef struct {
    const ShowSample *response; // one to it
    int64_t conversation;       // -1: not known
} Context;

typedef struct {
    const ReportChoice *choice;
    Conversation *conversations; // owned
    Context *contexts;           // owned
    int64_t conversation_count, context_count;
} Writer;

static int64_t conversation_of(Writer *writer, const Sample *sample)
{
    for (int64_t i = 0; sample && i < writer->conversation_count; i++) {
        Conversation *conversation = &writer->conversations[i];
        if (conversation->sample->messages != sample->messages)
            continue;
        if (conversation->sample->message_count < sample->message_count)
            conversation->sample = sample;
        return i;
    }
    if (sample)
        writer->conversations[writer->conversation_count] = (Conversation){sample};
    return sample ? writer->conversation_count++ : -1;
}

static int64_t context_of(Writer *writer, const ShowSample *response)
{
    for (int64_t i = 0; i < writer->context_count; i++)
        if (strcmp(writer->contexts[i].response->cid, response->cid) == 0)
            return i;
    writer->contexts[writer->context_count] =
        (Context){response, conversation_of(writer, response->sample)};
    return writer->context_count++;
}

static void append_text(Bytes *json, const char *key, const char *text)
{
    bytes_print(json, ",\"%s\":", key);
    jsonl_append_string(json, text);
}

static void append_number(Bytes *json, const char *key, double value)
{
    if (isfinite(value))
        bytes_print(json, ",\"%s\":%.6g", key, value);
}

static void append_response(const ShowSample *response, Bytes *json)
{
    bytes_print(json, "{\"repeat\":%lld,\"tokens\":%lld,\"finished\":%s,\"graded\":%s",
                (long long)response->repeat, (long long)response->tokens,
                response->finished ? "true" : "false", response->graded ? "true" : "false");
    append_number(json, "decision", response->decision);
    append_number(json, "content", response->content);
    append_number(json, "format", response->format);
    append_number(json, "reward", response->reward);
    append_number(json, "advantage", response->advantage);
    append_text(json, "text", response->response);
    if (*response->earlier)
        append_text(json, "earlier", response->earlier);
    if (*response->verdict)
        append_text(json, "verdict", response->verdict);
    bytes_append_text(json, "}");
}

static void append_group(Writer *writer, const ChoiceGroup *group, Bytes *json)
{
    static const char *const reasons[] = {
        [CHOSEN_EVENLY] = "evenly", [CHOSEN_WORST] = "worst", [CHOSEN_BEST] = "best"};
    const ShowSample *responses = &writer->choice->samples.list[group->first];
    bytes_print(json, "{\"step\":%lld,\"context\":%lld,\"reason\":\"%s\",\"responses\":[",
                (long long)responses->step, (long long)context_of(writer, responses),
                reasons[group->reason]);
    for (int64_t r = 0; r < group->count; r++) {
        bytes_append_text(json, r > 0 ? ",\n" : "\n");
        append_response(&responses[r], json);
    }
    bytes_append_text(json, "]}");
}

static void append_context(const Context *context, Bytes *json)
{
    const Sample *sample = context->response->sample;
    bytes_print(json, "{\"truth\":\"%s\"", truth_name(context->response->truth));
    append_text(json, "cid", context->response->cid);
    if (sample) {
        bytes_print(json, ",\"conversation\":%lld,\"count\":%lld,\"facts\":[",
                    (long long)context->conversation, (long long)sample->message_count);
        for (int64_t i = 0; i < sample->item_count; i++) {
            bytes_append_text(json, i > 0 ? "," : "");
            jsonl_append_string(json, sample->items[i]);
        }
        bytes_append_text(json, "],\"expert\":[");
        for (int64_t i = 0; i < sample->expert_count; i++) {
            bytes_append_text(json, i > 0 ? "," : "");
            jsonl_append_string(json, sample->expert[i].content);
        }
        bytes_append_text(json, "]");
    } else {
        bytes_append_text(json, ",\"conversation\":null");
    }
    bytes_append_text(json, "}");
}

static void append_conversation(const Sample *sample, Bytes *json)
{
    char *session = session_name(sample->session_id);
    bytes_append_text(json, "{\"session\":");
    jsonl_append_string(json, session);
    append_text(json, "about", sample->diagn);
    bytes_append_text(json, ",\"messages\":[");
    for (int64_t m = 0; m < sample->message_count; m++) {
        bytes_append_text(json, m > 0 ? ",\n[" : "\n[");
        jsonl_append_string(json, sample->messages[m].role);
        bytes_append_text(json, ",");
        jsonl_append_string(json, sample->messages[m].content);
        bytes_append_text(json, "]");
    }
    bytes_append_text(json, "]}");
    release(session);
}

void report_samples(const ReportChoice *choice, Bytes *json)
{
    size_t count = (size_t)choice->count;
    Writer writer = {.choice = choice,
                     .conversations = allocate(count, sizeof *writer.conversations),
                     .contexts = allocate(count, sizeof *writer.contexts)};
    bytes_append_text(json, "{\"groups\":[");
    for (int64_t g = 0; g < choice->count; g++) {
        bytes_append_text(json, g > 0 ? ",\n" : "\n");
        append_group(&writer, &choice->groups[g], json);
    }
    bytes_append_text(json, "],\n\"contexts\":[");
    for (int64_t c = 0; c < writer.context_count; c++) {
        bytes_append_text(json, c > 0 ? ",\n" : "\n");
        append_context(&writer.contexts[c], json);
    }
    bytes_append_text(json, "],\n\"conversations\":[");
    for (int64_t c = 0; c < writer.conversation_count; c++) {
        bytes_append_text(json, c > 0 ? ",\n" : "\n");
        append_conversation(writer.conversations[c].sample, json);
    }
    bytes_append_text(json, "]}");
    release(writer.conversations);
    release(writer.contexts);
}

static void append_taken(const ReportChoice *choice, Bytes *html)
{
    for (int64_t i = 0; i < choice->taken_count; i++) {
        bytes_append_text(html, i == 0 ? "" : i + 1 < choice->taken_count ? ", " : " and ");
        report_html_count(html, choice->taken[i]);
    }
}

void report_chosen(const ReportChoice *choice, Bytes *html)
{
    if (choice->steps == 0)
        bytes_append_text(html, "<p>This run has sampled no responses.</p>\n");
    if (choice->left_out.length > 0) {
        bytes_append_text(html, "<p class=\"notice\">");
        bytes_append_text(html, choice->count > 0 ? "Conversations are left out: "
                                                  : "Samples are left out: ");
        report_html_text(html, choice->left_out.data);
        bytes_append_text(html, "</p>\n");
    }
    if (choice->count == 0)
        return;
    bytes_append_text(html, "<p>Here are <strong>");
    report_html_count(html, choice->samples.count);
    bytes_append_text(html, " responses</strong> to ");
    report_html_count(html, choice->count);
    bytes_append_text(html, " contexts, the same ones whenever this page is made. Of the ");
    report_html_count(html, choice->steps);
    bytes_print(html, " steps that sampled, %lld %s taken evenly (", (long long)choice->taken_count,
                choice->taken_count == 1 ? "is" : "are");
    append_taken(choice, html);
    bytes_append_text(html, "), and of each some contexts evenly, with all of their responses.");
    if (choice->extremes > 0) {
        bytes_append_text(html, " Besides, from step ");
        report_html_count(html, choice->extremes_from);
        bytes_print(html,
                    " on, up to %lld contexts with the worst and up to %lld with the best "
                    "responses, of different sessions.",
                    (long long)choice->extremes, (long long)choice->extremes);
    }
    bytes_append_text(html, " These steps have ");
    report_html_count(html, choice->responses);
    bytes_append_text(html, " responses to ");
    report_html_count(html, choice->contexts);
    bytes_append_text(html, " contexts; all of them are in the run's <code>samples.jsonl</code>.");
    if (choice->passed_over)
        bytes_append_text(html, " Contexts with very long texts were passed over.");
    bytes_append_text(html, "</p>\n");
}
