// Any bytes as text, under the splitting and normalising that the first byte chooses: decoding
// gives them back, and the spans of the ids tile them.

#include <string.h>

#include "base/fail.h"
#include "tests/fuzz/fuzz.h"
#include "text/tokenizer_parts.h"

static Tokenizer *open_as(uint8_t choice)
{
    static Tokenizer *tokenizer;
    tokenizer = tokenizer ? tokenizer : tokenizer_open(TEXT_DATA);
    CHECK(tokenizer, "%s", fail_message());
    tokenizer->splitter = (Splitter){.digits = choice & 1,
                                     .digits_individual = choice & 2,
                                     .pattern = (SplitPattern)(choice >> 2 & 3)};
    tokenizer->nfc = choice & 16;
    tokenizer->merges.whole_first = choice & 32;
    return tokenizer;
}

static void check_spans(const Tokens *ids, const Tokens *ends, size_t length)
{
    CHECK(ends->count == ids->count, "%lld ends of %lld ids", (long long)ends->count,
          (long long)ids->count);
    for (int64_t i = 0; i < ends->count; i++)
        CHECK(ends->ids[i] >= (i > 0 ? ends->ids[i - 1] : 0) && (size_t)ends->ids[i] <= length,
              "end %lld is %d", (long long)i, ends->ids[i]);
    CHECK(length == 0 || (ends->count > 0 && (size_t)ends->ids[ends->count - 1] == length),
          "the last end is not the text's");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const Tokenizer *tokenizer = open_as(data[0]);
    const char *text = (const char *)data + 1;
    size_t length = size - 1;
    Tokens ids = {0}, same = {0}, special = {0}, ends = {0};
    Bytes decoded = {0};
    bytes_append(&decoded, "", 0);
    tokenizer_encode(tokenizer, text, length, &ids);
    tokenizer_encode_spans(tokenizer, text, length, &same, &ends);
    tokenizer_encode_special(tokenizer, text, length, &special);
    CHECK(ids.count == same.count &&
              (ids.count == 0 || memcmp(ids.ids, same.ids, (size_t)ids.count * 4) == 0),
          "spans change the ids");
    check_spans(&ids, &ends, length);
    tokenizer_decode(tokenizer, ids.ids, ids.count, false, &decoded);
    CHECK(tokenizer->nfc || (decoded.length == length && memcmp(decoded.data, text, length) == 0),
          "decoding gives another text");
    tokens_free(&ids);
    tokens_free(&same);
    tokens_free(&special);
    tokens_free(&ends);
    bytes_free(&decoded);
    return 0;
}
