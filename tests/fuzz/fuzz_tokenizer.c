// A model's directory as tokenizer_open reads it, then a text to encode.

#include "base/fail.h"
#include "tests/fuzz/fuzz.h"
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json",
                                        "generation_config.json", "config.json"};
    enum { FILES = sizeof names / sizeof *names };
    static uint8_t *classes; // the same for all: too many to be made again for each
    FuzzPart parts[FILES + 1];
    fuzz_parts(data, size, parts, FILES + 1);
    for (int i = 0; i < FILES; i++)
        fuzz_write(names[i], parts[i]);
    classes = classes ? classes : unicode_classes_make();
    Tokenizer *tokenizer = allocate(1, sizeof *tokenizer);
    tokenizer->classes = classes;
    if (tokenizer_load(tokenizer, fuzz_directory()) == 0) {
        Tokens ids = {0};
        Bytes text = {0};
        tokenizer_encode_special(tokenizer, parts[FILES].data, parts[FILES].length, &ids);
        tokenizer_decode(tokenizer, ids.ids, ids.count, true, &text);
        CHECK(tokenizer_size(tokenizer) <= VOCABULARY_LARGEST, "a token of too large an id");
        tokens_free(&ids);
        bytes_free(&text);
    }
    tokenizer->classes = NULL;
    tokenizer_close(tokenizer);
    return 0;
}
