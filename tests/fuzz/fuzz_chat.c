// A chat template's files and a conversation: a letter that forces a kind or not, the template, the
// configuration, then messages, each of which begins with the letter of its role.

#include <string.h>

#include "base/fail.h"
#include "tests/fuzz/fuzz.h"
#include "text/chat.h"

enum { FILES = 2, MESSAGES = 6 };

static ChatMessage message_of(FuzzPart part)
{
    static const char *const roles[] = {"user", "assistant", "system", "tool", "observer"};
    size_t role = part.length > 0 ? (uint8_t)part.data[0] % (sizeof roles / sizeof *roles) : 0;
    size_t skip = part.length > 0;
    return (ChatMessage){roles[role], part.data + skip, part.length - skip};
}

// The ids of a rendering decode to its text.
static void check_ids(const Tokenizer *tokenizer, const Tokens *ids, const Bytes *text)
{
    Bytes decoded = {0};
    bytes_append(&decoded, "", 0);
    tokenizer_decode(tokenizer, ids->ids, ids->count, false, &decoded);
    CHECK(decoded.length == text->length && memcmp(decoded.data, text->data, text->length) == 0,
          "the ids are another text's");
    bytes_free(&decoded);
}

static void render(const Tokenizer *tokenizer, const Chat *chat, const ChatMessage *messages,
                   int64_t count)
{
    Tokens ids = {0}, mask = {0};
    Bytes text = {0};
    int status = chat_render(chat, messages, count, true, &text);
    CHECK(chat_encode(chat, messages, count, true, &ids) == status, "one of two renders");
    if (status == 0) {
        check_ids(tokenizer, &ids, &text);
        tokens_clear(&ids);
        const ChatMessage reply = messages[count - 1];
        CHECK(chat_encode_replies(chat, messages, count, &reply, 1, &ids, &mask) == 0, "%s",
              fail_message());
        CHECK(ids.count == mask.count && mask.ids[mask.count - 1] == 1, "the mask does not fit");
        tokens_clear(&ids);
        CHECK(chat_encode_next(chat, messages, count, &ids) == 0, "%s", fail_message());
    }
    tokens_free(&ids);
    tokens_free(&mask);
    bytes_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const kinds[] = {"auto", "chatml", "qwen3", "llama3"};
    static Tokenizer *tokenizer;
    FuzzPart parts[1 + FILES + MESSAGES];
    ChatMessage messages[MESSAGES];
    int64_t count = 0;
    tokenizer = tokenizer ? tokenizer : tokenizer_open(TEXT_DATA);
    CHECK(tokenizer, "%s", fail_message());
    fuzz_parts(data, size, parts, 1 + FILES + MESSAGES);
    uint8_t choice = parts[0].length > 0 ? (uint8_t)parts[0].data[0] : 0;
    fuzz_write("chat_template.jinja", parts[1].length > 0 ? parts[1] : (FuzzPart){0});
    fuzz_write("tokenizer_config.json", parts[2]);
    while (count < MESSAGES && parts[1 + FILES + count].data) {
        messages[count] = message_of(parts[1 + FILES + count]);
        count++;
    }
    Chat *chat = chat_open(tokenizer, fuzz_directory(), kinds[choice & 3], choice & 4);
    if (chat)
        render(tokenizer, chat, messages, count);
    chat_close(chat);
    return 0;
}
