#include "tasks/dataset.h"

#include <string.h>

#include <xxhash.h>

#include "base/fail.h"
#include "input/text_file.h"
#include "text/tool_format.h"

ChatMessage *dataset_messages(const Dataset *dataset, const Sample *sample, int64_t *count)
{
    int64_t first = dataset->system_prompt ? 1 : 0;
    *count = first + sample->message_count;
    ChatMessage *messages = allocate((size_t)*count, sizeof *messages);
    if (first)
        messages[0] =
            (ChatMessage){"system", dataset->system_prompt, strlen(dataset->system_prompt)};
    for (int64_t i = 0; i < sample->message_count; i++) {
        const Message *message = &sample->messages[i];
        messages[first + i] =
            (ChatMessage){message->role, message->content, strlen(message->content)};
    }
    return messages;
}

static int tokenise(Dataset *dataset, const Chat *chat, int64_t index, int64_t limit)
{
    const Sample *sample = &dataset->set.samples[index];
    ContextTokens *context = &dataset->contexts[index];
    Tokens tokens = {0};
    int64_t count;
    if (!chat) {
        context->usable = true;
        dataset->usable++;
        return 0;
    }
    ChatMessage *messages = dataset_messages(dataset, sample, &count);
    int status = chat_encode(chat, messages, count, true, &tokens);
    release(messages);
    if (status != 0) {
        tokens_free(&tokens);
        return fail_context("sample %s", sample->cid);
    }
    *context = (ContextTokens){
        .ids = tokens.ids, .count = (int32_t)tokens.count, .usable = tokens.count <= limit};
    if (!context->usable) {
        dataset->too_long++;
        return 0;
    }
    dataset->usable++;
    dataset->tokens += tokens.count;
    if (tokens.count > dataset->longest)
        dataset->longest = tokens.count;
    return 0;
}

static void declare_tools(Dataset *dataset, const json_t *tools)
{
    Bytes text = {0};
    bytes_append_text(&text, dataset->system_prompt ? dataset->system_prompt : "");
    tool_format_system(tools, &text);
    release(dataset->system_prompt);
    dataset->system_prompt = duplicate(text.data + strspn(text.data, "\n"));
    bytes_free(&text);
}

int dataset_open(Dataset *dataset, const Chat *chat, DatasetOptions options)
{
    *dataset = (Dataset){0};
    SampleOptions reading = {.skip_bad = options.skip_bad, .keep_empty = options.keep_empty};
    if (samples_read(&dataset->set, options.path, reading) != 0)
        return -1;
    int status = 0;
    if (options.system_prompt[0])
        status =
            text_file_read(options.system_prompt, "[data] system_prompt", &dataset->system_prompt);
    if (status == 0 && options.tools)
        declare_tools(dataset, options.tools);
    dataset->contexts = allocate((size_t)dataset->set.count, sizeof *dataset->contexts);
    for (int64_t i = 0; i < dataset->set.count && status == 0; i++)
        status = tokenise(dataset, chat, i, options.max_prompt_tokens);
    if (status == 0 && dataset->usable == 0)
        status = fail(EXIT_BAD_DATA, "%s: every context exceeds [data] max_prompt_tokens = %lld",
                      options.path, (long long)options.max_prompt_tokens);
    if (status != 0)
        dataset_close(dataset);
    return status;
}

void dataset_close(Dataset *dataset)
{
    for (int64_t i = 0; dataset->contexts && i < dataset->set.count; i++)
        release(dataset->contexts[i].ids);
    release(dataset->contexts);
    release(dataset->system_prompt);
    samples_free(&dataset->set);
    *dataset = (Dataset){0};
}

static void hash_text(XXH3_state_t *state, const char *text)
{
    const char *known = text ? text : "";
    XXH3_64bits_update(state, known, strlen(known) + 1);
}

static void hash_sample(XXH3_state_t *state, const Sample *sample)
{
    XXH3_64bits_update(state, &sample->truth, sizeof sample->truth);
    hash_text(state, sample->cid);
    hash_text(state, sample->info_truth);
    for (int64_t i = 0; i < sample->item_count; i++)
        hash_text(state, sample->items[i]);
    for (int64_t i = 0; i < sample->expert_count; i++)
        hash_text(state, sample->expert[i].content);
    hash_text(state, sample_rejected(sample));
}

uint64_t dataset_checksum(const Dataset *dataset)
{
    XXH3_state_t *state = XXH3_createState();
    CHECK(state, "no memory for a checksum");
    XXH3_64bits_reset(state);
    for (int64_t i = 0; i < dataset->set.count; i++) {
        const ContextTokens *context = &dataset->contexts[i];
        XXH3_64bits_update(state, &context->count, sizeof context->count);
        if (context->count > 0)
            XXH3_64bits_update(state, context->ids, (size_t)context->count * sizeof *context->ids);
        hash_sample(state, &dataset->set.samples[i]);
    }
    uint64_t checksum = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return checksum;
}
