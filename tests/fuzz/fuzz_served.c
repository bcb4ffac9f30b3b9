// The body of a server's answer, taken for a chat completion and for a refusal.

#include <string.h>

#include "ask/served_request.h"
#include "base/fail.h"
#include "input/utf8.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char key[] = "sk-0123";
    const char *body = (const char *)data;
    ServedAnswer answer = {0};
    Bytes words = {0};
    if (request_read(body, size, &answer))
        CHECK(strlen(answer.text) == answer.length &&
                  utf8_valid_length(answer.text, answer.length) == answer.length,
              "an answer is no text");
    release(answer.text);
    bytes_append(&words, "", 0);
    request_read_error(body, size, key, &words);
    CHECK(!strstr(words.data, key), "the key is told");
    bytes_free(&words);
    return 0;
}
