// tokens.c - the tool l2a-tokens: JSON lines of texts or messages to token ids, and back.

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/memory.h"
#include "text/chat.h"
#include "text/tokenizer.h"
#include "tools/lossy.h"

static const char help[] =
    "l2a-tokens - texts and conversations to token ids, and back\n"
    "\n"
    "  l2a-tokens MODEL_DIR [--chat NAME] [--thinking on|off] [--decode [--skip-special]]\n"
    "\n"
    "Reads JSON lines on standard input and writes each with its token ids to standard output.\n"
    "MODEL_DIR is a Hugging Face directory (tokenizer.json, tokenizer_config.json).\n"
    "\n"
    "  {\"text\": \"...\"}             adds \"ids\"; control tokens in the text are recognised, "
    "unless\n"
    "                              the line also has \"plain\": true\n"
    "  {\"messages\": [{\"role\": \"user\", \"content\": \"...\"}, ...]}\n"
    "                              adds \"rendered\" and \"ids\"; with \"add_generation_prompt\": "
    "true\n"
    "                              the header of the answer too; with \"replies\": [\"...\", ...] "
    "the\n"
    "                              answers behind it, and \"mask\": 1 where a token is the model's "
    "own\n"
    "  {\"ids\": [...]}              with --decode: adds \"text\"\n"
    "\n"
    "  --chat NAME       chat template: auto (default: the model's), chatml, qwen3, llama3\n"
    "  --thinking WORD   on or off (default): whether qwen3 may think before it answers\n"
    "  --decode          ids to text\n"
    "  --skip-special    leave special tokens out of the text\n"
    "  --help            print this text\n"
    "  --version         print the version\n"
    "\n"
    "Exit status: 0 done, 64 usage, 65 unusable line or model, 66 missing model, 74 cannot "
    "write.\n";

typedef struct {
    const char *directory, *chat;
    bool thinking, decode, skip_special;
} Options;

typedef struct {
    Options options;
    Tokenizer *tokenizer; // owned
    Chat *chat;           // owned; NULL until messages come
} Tool;

static json_t *ids_array(const Tokens *tokens)
{
    json_t *array = json_array();
    for (int64_t i = 0; i < tokens->count; i++)
        json_array_append_new(array, json_integer(tokens->ids[i]));
    return array;
}

static int encode_text(const Tool *tool, json_t *line, const json_t *text)
{
    if (!json_is_string(text))
        return fail(EXIT_BAD_DATA, "'text' must be a string");
    Tokens ids = {0};
    const char *bytes = json_string_value(text);
    size_t length = json_string_length(text);
    if (json_is_true(json_object_get(line, "plain")))
        tokenizer_encode(tool->tokenizer, bytes, length, &ids);
    else
        tokenizer_encode_special(tool->tokenizer, bytes, length, &ids);
    json_object_set_new(line, "ids", ids_array(&ids));
    tokens_free(&ids);
    return 0;
}

// Fills `messages` [size of `list`] with borrowed texts. A message of `list` is an object, or with
// `role` given a content alone.
static int read_messages(const json_t *list, const char *role, ChatMessage *messages)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item)
    {
        const json_t *content = role ? item : json_object_get(item, "content");
        const char *name = role ? role : json_string_value(json_object_get(item, "role"));
        if (!name || !json_is_string(content))
            return fail(EXIT_BAD_DATA, "%s %zu must have %s", role ? "reply" : "message", i + 1,
                        role ? "a string" : "the strings 'role' and 'content'");
        messages[i] = (ChatMessage){name, json_string_value(content), json_string_length(content)};
    }
    return 0;
}

static int encode_replies(const Tool *tool, json_t *line, const ChatMessage *messages,
                          int64_t count, const json_t *list)
{
    size_t reply_count = json_array_size(list);
    if (reply_count == 0)
        return fail(EXIT_BAD_DATA, "'replies' must be a list of at least one string");
    ChatMessage *replies = allocate(reply_count, sizeof *replies);
    Tokens ids = {0}, mask = {0};
    int status = read_messages(list, "assistant", replies);
    if (!status)
        status = chat_encode_replies(tool->chat, messages, count, replies, (int64_t)reply_count,
                                     &ids, &mask);
    json_object_set_new(line, "ids", ids_array(&ids));
    json_object_set_new(line, "mask", ids_array(&mask));
    tokens_free(&ids);
    tokens_free(&mask);
    release(replies);
    return status;
}

static int encode_context(const Tool *tool, json_t *line, const ChatMessage *messages,
                          int64_t count)
{
    bool prompt = json_is_true(json_object_get(line, "add_generation_prompt"));
    Bytes rendered = {0};
    Tokens ids = {0};
    int status = chat_render(tool->chat, messages, count, prompt, &rendered) ||
                         chat_encode(tool->chat, messages, count, prompt, &ids)
                     ? -1
                     : 0;
    if (!status)
        json_object_set_new(line, "rendered", json_stringn(rendered.data, rendered.length));
    json_object_set_new(line, "ids", ids_array(&ids));
    bytes_free(&rendered);
    tokens_free(&ids);
    return status;
}

static int encode_messages(Tool *tool, json_t *line, const json_t *list)
{
    if (!json_is_array(list))
        return fail(EXIT_BAD_DATA, "'messages' must be a list");
    const Options *options = &tool->options;
    if (!tool->chat)
        tool->chat =
            chat_open(tool->tokenizer, options->directory, options->chat, options->thinking);
    if (!tool->chat)
        return -1;
    size_t count = json_array_size(list);
    ChatMessage *messages = allocate(count, sizeof *messages);
    const json_t *replies = json_object_get(line, "replies");
    int status = read_messages(list, NULL, messages);
    if (!status)
        status = replies ? encode_replies(tool, line, messages, (int64_t)count, replies)
                         : encode_context(tool, line, messages, (int64_t)count);
    release(messages);
    return status;
}

static int decode_ids(const Tool *tool, json_t *line, const json_t *list)
{
    if (!json_is_array(list))
        return fail(EXIT_BAD_DATA, "with --decode a line must have a list 'ids'");
    Tokens ids = {0};
    size_t i;
    const json_t *item;
    int status = 0;
    json_array_foreach(list, i, item)
    {
        int64_t id = json_integer_value(item);
        if (!json_is_integer(item) || id < 0 || id >= tokenizer_size(tool->tokenizer))
            status = fail(EXIT_BAD_DATA, "ids must be whole numbers from 0 to %lld",
                          (long long)tokenizer_size(tool->tokenizer) - 1);
        tokens_append(&ids, (int32_t)id);
    }
    Bytes bytes = {0}, text = {0};
    if (!status) {
        tokenizer_decode(tool->tokenizer, ids.ids, ids.count, tool->options.skip_special, &bytes);
        lossy_append(&text, bytes.data, bytes.length);
        json_object_set_new(line, "text", json_stringn(text.data ? text.data : "", text.length));
    }
    bytes_free(&bytes);
    bytes_free(&text);
    tokens_free(&ids);
    return status;
}

static int treat_object(Tool *tool, json_t *line)
{
    const json_t *text = json_object_get(line, "text");
    const json_t *messages = json_object_get(line, "messages");
    if (tool->options.decode)
        return decode_ids(tool, line, json_object_get(line, "ids"));
    if (messages)
        return encode_messages(tool, line, messages);
    if (text)
        return encode_text(tool, line, text);
    return fail(EXIT_BAD_DATA, "a line must have 'text' or 'messages'");
}

static int treat_line(Tool *tool, const char *bytes, size_t length)
{
    json_error_t error;
    json_t *line = json_loadb(bytes, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!line)
        return fail(EXIT_BAD_DATA, "not a JSON object: %s", error.text);
    int status =
        json_is_object(line) ? treat_object(tool, line) : fail(EXIT_BAD_DATA, "not a JSON object");
    if (!status && (json_dumpf(line, stdout, JSON_COMPACT) || putchar('\n') == EOF))
        status = fail(EXIT_CANNOT_WRITE, "standard output: cannot write: %s", strerror(errno));
    json_decref(line);
    return status;
}

static int treat_input(Tool *tool)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    int status = 0;
    for (int64_t number = 1; !status && (length = getline(&line, &capacity, stdin)) > 0; number++) {
        size_t used = (size_t)length;
        while (used > 0 && strchr(" \t\r\n", line[used - 1]) && line[used - 1])
            used--;
        if (used > 0 && treat_line(tool, line, used))
            status = fail_code() == EXIT_CANNOT_WRITE
                         ? -1
                         : fail_context("standard input:%lld", (long long)number);
    }
    if (!status && ferror(stdin))
        status = fail(EXIT_NO_INPUT, "standard input: cannot read: %s", strerror(errno));
    if (!status && fflush(stdout))
        status = fail(EXIT_CANNOT_WRITE, "standard output: cannot write: %s", strerror(errno));
    free(line);
    return status;
}

static int usage(const char *problem, const char *what)
{
    return fail(EXIT_USAGE, "%s%s; see l2a-tokens --help", problem, what);
}

// 0 to go on, 1 when all is said, -1 for a wrong command line.
static int read_options(int count, char **words, Options *options)
{
    static const struct option table[] = {
        {"chat", required_argument, NULL, 'c'},
        {"thinking", required_argument, NULL, 't'},
        {"decode", no_argument, NULL, 'd'},
        {"skip-special", no_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    opterr = 0;
    for (int option; (option = getopt_long(count, words, "", table, NULL)) != -1;) {
        if (option == 'h' || option == 'v') {
            fputs(option == 'h' ? help : "l2a-tokens " L2A_VERSION "\n", stdout);
            return 1;
        }
        if (option == '?')
            return usage("unknown or incomplete option ", words[optind - 1]);
        if (option == 'c')
            options->chat = optarg;
        if (option == 'd')
            options->decode = true;
        if (option == 's')
            options->skip_special = true;
        if (option == 't') {
            options->thinking = strcmp(optarg, "on") == 0;
            if (!options->thinking && strcmp(optarg, "off") != 0)
                return usage("--thinking takes on or off, not ", optarg);
        }
    }
    if (count - optind != 1)
        return usage(count == optind ? "MODEL_DIR is missing" : "one MODEL_DIR is wanted", "");
    options->directory = words[optind];
    return 0;
}

int main(int count, char **words)
{
    Tool tool = {.options = {.chat = "auto"}};
    json_set_alloc_funcs(memory_take, release);
    int status = read_options(count, words, &tool.options);
    if (status == 0) {
        tool.tokenizer = tokenizer_open(tool.options.directory);
        status = tool.tokenizer ? treat_input(&tool) : -1;
    }
    chat_close(tool.chat);
    tokenizer_close(tool.tokenizer);
    if (status < 0) {
        fflush(stdout);
        fprintf(stderr, "error: %s\n", fail_message());
        return fail_code();
    }
    return EXIT_DONE;
}
