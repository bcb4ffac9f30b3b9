#include "tasks/dataset.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"

static int read_text(const char *path, char **text)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return fail(EXIT_NO_INPUT, "%s: %s ([data] system_prompt)", path, strerror(errno));
    Bytes bytes = {0};
    char part[4096];
    size_t read;
    while ((read = fread(part, 1, sizeof part, file)) > 0)
        bytes_append(&bytes, part, read);
    fclose(file);
    while (bytes.length > 0 && bytes.data[bytes.length - 1] == '\n')
        bytes.data[--bytes.length] = 0;
    if (bytes.length == 0 || strlen(bytes.data) != bytes.length) {
        bytes_free(&bytes);
        return fail(EXIT_BAD_DATA, "%s: not a text", path);
    }
    *text = bytes.data;
    return 0;
}

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

int dataset_open(Dataset *dataset, const Chat *chat, DatasetOptions options)
{
    *dataset = (Dataset){0};
    SampleOptions reading = {.skip_bad = options.skip_bad, .keep_empty = options.keep_empty};
    if (samples_read(&dataset->set, options.path, reading) != 0)
        return -1;
    int status = 0;
    if (options.system_prompt[0])
        status = read_text(options.system_prompt, &dataset->system_prompt);
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
