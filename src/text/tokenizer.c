#include "text/tokenizer.h"

#include <string.h>

#include "base/fail.h"
#include "text/normalise.h"
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

Tokenizer *tokenizer_open(const char *directory)
{
    Tokenizer *tokenizer = allocate(1, sizeof *tokenizer);
    tokenizer->classes = unicode_classes_make();
    if (tokenizer_load(tokenizer, directory)) {
        tokenizer_close(tokenizer);
        return NULL;
    }
    return tokenizer;
}

void tokenizer_close(Tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    release(tokenizer->classes);
    vocabulary_free(&tokenizer->vocabulary);
    merge_free(&tokenizer->merges);
    added_free(&tokenizer->raw);
    added_free(&tokenizer->composed);
    tokens_free(&tokenizer->end_tokens);
    release(tokenizer);
}

// One call of encode: everything that changes meanwhile, so that the Tokenizer need not.
typedef struct {
    const Tokenizer *tokenizer;
    bool controls; // recognise control tokens
    Tokens *out;
    Tokens *ends; // NULL unless asked for
    Bytes composed;
    Edits edits;
} Encoding;

// Where the text at hand lies in the caller's bytes: `origin` is the offset of its first byte; its
// own offsets go through `edits` first, unless that is NULL.
typedef struct {
    size_t origin;
    const Edits *edits;
} Place;

static void add_end(Encoding *encoding, Place place, size_t offset)
{
    size_t source = place.edits ? normalise_source(place.edits, offset) : offset;
    tokens_append(encoding->ends, (int32_t)(place.origin + source));
}

// The ends of the ids from `first` on, which stand for the piece text[at, at + length): their bytes
// are the piece's, save those that have no token.
static void add_ends(Encoding *encoding, Place place, const char *text, size_t at, size_t length,
                     int64_t first)
{
    const Vocabulary *vocabulary = &encoding->tokenizer->vocabulary;
    size_t end = at + length;
    for (int64_t i = first; i < encoding->out->count; i++) {
        for (size_t left = vocabulary->tokens[encoding->out->ids[i]].length; left > 0 && at < end;
             at++)
            left -= vocabulary->byte[(uint8_t)text[at]] >= 0;
        add_end(encoding, place, at);
    }
}

// Text without added tokens: pre-tokeniser and merges.
static void encode_pieces(Encoding *encoding, Place place, const char *text, size_t from,
                          size_t end)
{
    const Tokenizer *tokenizer = encoding->tokenizer;
    size_t part_end = 0;
    for (size_t at = from, length; at < end; at += length) {
        length = split_next(&tokenizer->splitter, tokenizer->classes, text, end, at, &part_end);
        int64_t first = encoding->out->count;
        merge_piece(&tokenizer->merges, &tokenizer->vocabulary, text + at, length, encoding->out);
        if (encoding->ends)
            add_ends(encoding, place, text, at, length, first);
    }
}

// Valid UTF-8 without raw added tokens: normaliser and the added tokens of normalised text.
static void encode_valid(Encoding *encoding, size_t origin, const char *text, size_t length)
{
    const Tokenizer *tokenizer = encoding->tokenizer;
    Place place = {origin, NULL};
    if (tokenizer->nfc && normalise_nfc(tokenizer->classes, text, length, &encoding->composed,
                                        encoding->ends ? &encoding->edits : NULL)) {
        text = encoding->composed.data;
        length = encoding->composed.length;
        place.edits = &encoding->edits;
    }
    AddedMatch match;
    size_t at = 0;
    while (added_next(&tokenizer->composed, text, length, at, encoding->controls, &match)) {
        encode_pieces(encoding, place, text, at, match.start);
        tokens_append(encoding->out, match.id);
        if (encoding->ends)
            add_end(encoding, place, match.end);
        at = match.end;
    }
    encode_pieces(encoding, place, text, at, length);
}

// The end of the valid UTF-8 at the start of `text`.
static size_t valid_length(const char *text, size_t length)
{
    size_t at = 0;
    while (at < length) {
        uint64_t word;
        while (length - at >= sizeof word) {
            memcpy(&word, text + at, sizeof word);
            if (word & 0x8080808080808080u)
                break;
            at += sizeof word;
        }
        uint32_t code;
        size_t bytes = at < length ? unicode_decode(text + at, length - at, &code) : 0;
        if (bytes == 0)
            break;
        at += bytes;
    }
    return at;
}

// Bytes without raw added tokens: stretches of valid UTF-8, and the bytes between them alone.
static void encode_stretches(Encoding *encoding, const char *bytes, size_t from, size_t end)
{
    for (size_t at = from; at < end;) {
        size_t valid = valid_length(bytes + at, end - at);
        if (valid > 0)
            encode_valid(encoding, at, bytes + at, valid);
        at += valid;
        for (uint32_t code; at < end && !unicode_decode(bytes + at, end - at, &code); at++) {
            int32_t id = encoding->tokenizer->vocabulary.byte[(uint8_t)bytes[at]];
            if (id < 0)
                continue;
            tokens_append(encoding->out, id);
            if (encoding->ends)
                tokens_append(encoding->ends, (int32_t)(at + 1));
        }
    }
}

static void encode(const Tokenizer *tokenizer, bool controls, const char *bytes, size_t length,
                   Tokens *out, Tokens *ends)
{
    CHECK(!ends || length <= INT32_MAX, "spans of a text of %zu bytes", length);
    Encoding encoding = {.tokenizer = tokenizer, .controls = controls, .out = out, .ends = ends};
    AddedMatch match;
    size_t at = 0;
    while (added_next(&tokenizer->raw, bytes, length, at, controls, &match)) {
        encode_stretches(&encoding, bytes, at, match.start);
        tokens_append(out, match.id);
        if (ends)
            tokens_append(ends, (int32_t)match.end);
        at = match.end;
    }
    encode_stretches(&encoding, bytes, at, length);
    bytes_free(&encoding.composed);
    release(encoding.edits.items);
}

void tokenizer_encode(const Tokenizer *tokenizer, const char *bytes, size_t length, Tokens *out)
{
    encode(tokenizer, false, bytes, length, out, NULL);
}

void tokenizer_encode_spans(const Tokenizer *tokenizer, const char *bytes, size_t length,
                            Tokens *out, Tokens *ends)
{
    encode(tokenizer, false, bytes, length, out, ends);
}

void tokenizer_encode_special(const Tokenizer *tokenizer, const char *bytes, size_t length,
                              Tokens *out)
{
    encode(tokenizer, true, bytes, length, out, NULL);
}

void tokenizer_decode(const Tokenizer *tokenizer, const int32_t *ids, int64_t count,
                      bool skip_special, Bytes *out)
{
    const Vocabulary *vocabulary = &tokenizer->vocabulary;
    for (int64_t i = 0; i < count; i++) {
        int32_t id = ids[i];
        if (id < 0 || id >= vocabulary->size || vocabulary->tokens[id].length == 0)
            continue;
        if (skip_special && (vocabulary->tokens[id].flags & VOCABULARY_SPECIAL))
            continue;
        bytes_append(out, vocabulary->text.data + vocabulary->tokens[id].start,
                     vocabulary->tokens[id].length);
    }
}

int64_t tokenizer_size(const Tokenizer *tokenizer)
{
    return tokenizer->vocabulary.size;
}

static int32_t find_added(const Added *added, const char *text, size_t length)
{
    for (size_t i = 0; i < added->count; i++) {
        if (added->items[i].length == length && memcmp(added->items[i].content, text, length) == 0)
            return added->items[i].id;
    }
    return -1;
}

int32_t tokenizer_find(const Tokenizer *tokenizer, const char *text)
{
    size_t length = strlen(text);
    int32_t id = find_added(&tokenizer->raw, text, length);
    if (id < 0)
        id = find_added(&tokenizer->composed, text, length);
    return id < 0 && length > 0 ? vocabulary_find(&tokenizer->vocabulary, text, length) : id;
}

bool tokenizer_is_special(const Tokenizer *tokenizer, int32_t id)
{
    return id >= 0 && id < tokenizer->vocabulary.size &&
           (tokenizer->vocabulary.tokens[id].flags & VOCABULARY_SPECIAL);
}

const Tokens *tokenizer_end_tokens(const Tokenizer *tokenizer)
{
    return &tokenizer->end_tokens;
}
