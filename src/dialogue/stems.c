#include "dialogue/stems.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "base/fail.h"
#include "base/memory.h"
#include "dialogue/stopwords.h"
#include "input/utf8.h"

enum {
    LETTER_BITS = 21,
    LETTERS_A_PART = 3,
    WORD_LEAST = 3,
    // Longer words need not be remembered: whatever suffix is cut off, seven letters remain, and no
    // stop word is as long.
    WORD_KEPT = 14,
};

typedef struct {
    StemSet *set;
    int32_t letters[WORD_KEPT];
    int length;     // letters seen, more than WORD_KEPT included
    int32_t before; // of a run of CJK characters, the last; 0 outside
    bool paired;    // the run has given a bigram
} Scan;

int stem_compare(const Stem *a, const Stem *b)
{
    for (int i = 0; i < 3; i++)
        if (a->part[i] != b->part[i])
            return a->part[i] < b->part[i] ? -1 : 1;
    return 0;
}

static Stem pack(const int32_t *letters, int count)
{
    Stem stem = {{0}};
    for (int i = 0; i < count; i++) {
        int shift = LETTER_BITS * (LETTERS_A_PART - 1 - i % LETTERS_A_PART);
        stem.part[i / LETTERS_A_PART] |= (uint64_t)letters[i] << shift;
    }
    return stem;
}

void stem_text(Stem stem, char *text)
{
    for (int i = 0; i < 3 * LETTERS_A_PART; i++) {
        int shift = LETTER_BITS * (LETTERS_A_PART - 1 - i % LETTERS_A_PART);
        uint64_t letter = stem.part[i / LETTERS_A_PART] >> shift & ((1 << LETTER_BITS) - 1);
        if (letter)
            text += utf8proc_encode_char((utf8proc_int32_t)letter, (utf8proc_uint8_t *)text);
    }
    *text = 0;
}

bool stem_parse(const char *text, Stem *stem)
{
    int32_t letters[STEM_LETTERS] = {0};
    int count = 0;
    while (*text && count < STEM_LETTERS) {
        utf8proc_ssize_t size =
            utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &letters[count]);
        if (size <= 0)
            return false;
        count++;
        text += size;
    }
    *stem = pack(letters, count);
    return count > 0 && !*text;
}

// Where `stem` is, or should be.
static size_t place(const StemSet *set, const Stem *stem)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (stem_compare(&set->stems[middle], stem) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool stems_hold(const StemSet *set, Stem stem)
{
    size_t at = place(set, &stem);
    return at < set->count && stem_compare(&set->stems[at], &stem) == 0;
}

void stems_insert(StemSet *set, Stem stem)
{
    size_t at = place(set, &stem);
    if (at < set->count && stem_compare(&set->stems[at], &stem) == 0)
        return;
    grow((void **)&set->stems, &set->capacity, set->count + 1, sizeof *set->stems);
    memmove(set->stems + at + 1, set->stems + at, (set->count - at) * sizeof *set->stems);
    set->stems[at] = stem;
    set->count++;
}

// The first of them that fits and leaves three letters is cut off: longer forms come first.
static int without_suffix(const int32_t *letters, int length)
{
    static const char *const suffixes[] = {"ations", "ation", "ingly", "ings", "ing", "ness",
                                           "ies",    "ied",   "ed",    "es",   "s",   "y"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        int cut = (int)strlen(suffixes[i]), matched = 0;
        if (length - cut < WORD_LEAST)
            continue;
        while (matched < cut && letters[length - cut + matched] == suffixes[i][matched])
            matched++;
        if (matched == cut)
            return length - cut;
    }
    return length;
}

static bool is_stopword(const int32_t *letters, int length)
{
    char word[STOPWORD_LETTERS + 1] = {0};
    if (length > STOPWORD_LETTERS)
        return false;
    for (int i = 0; i < length; i++) {
        if (letters[i] >= 0x80)
            return false;
        word[i] = (char)letters[i];
    }
    return stopword(word);
}

static void end_word(Scan *scan)
{
    int length = scan->length;
    scan->length = 0;
    if (length < WORD_LEAST || is_stopword(scan->letters, length))
        return;
    if (length < WORD_KEPT)
        length = without_suffix(scan->letters, length);
    stems_insert(scan->set, pack(scan->letters, length < STEM_LETTERS ? length : STEM_LETTERS));
}

static void end_run(Scan *scan)
{
    if (scan->before && !scan->paired)
        stems_insert(scan->set, pack(&scan->before, 1));
    scan->before = 0;
    scan->paired = false;
}

// Han, kana and Hangul: scripts whose words no blank parts, or whose words take endings freely.
static bool is_cjk(int32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x3040 && c <= 0x30FF && c != 0x30FB) || (c >= 0xAC00 && c <= 0xD7A3) ||
           (c >= 0x20000 && c <= 0x323AF) || c == 0x3005;
}

static void scan_cjk(Scan *scan, int32_t c)
{
    end_word(scan);
    if (scan->before) {
        stems_insert(scan->set, pack((int32_t[]){scan->before, c}, 2));
        scan->paired = true;
    }
    scan->before = c;
}

// Letters, and inside a word the marks that some scripts write vowels with.
static bool is_letter(const Scan *scan, int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
           (scan->length > 0 &&
            (category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC));
}

static void scan_character(Scan *scan, int32_t c)
{
    if (c >= 0x80 && is_cjk(c)) {
        scan_cjk(scan, c);
        return;
    }
    end_run(scan);
    bool letter;
    if (c < 0x80) {
        c = c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c;
        letter = c >= 'a' && c <= 'z';
    } else {
        letter = is_letter(scan, c);
        c = utf8proc_tolower(c);
    }
    if (!letter) {
        end_word(scan);
        return;
    }
    if (scan->length < WORD_KEPT)
        scan->letters[scan->length] = c;
    scan->length++;
}

// A copy in NFKC, with a blank for every byte that is not UTF-8. Free with free: it is utf8proc's.
static char *normalised(const char *text, size_t length, size_t *normalised_length)
{
    char *valid = allocate(length + 1, 1);
    for (size_t i = 0, size; i < length; i += size) {
        size = utf8_sequence(text + i, length - i);
        if (size)
            memcpy(valid + i, text + i, size);
        else
            valid[i] = ' ', size = 1;
    }
    utf8proc_uint8_t *mapped = NULL;
    utf8proc_ssize_t bytes =
        utf8proc_map((const utf8proc_uint8_t *)valid, (utf8proc_ssize_t)length, &mapped,
                     UTF8PROC_COMPAT | UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    release(valid);
    if (bytes == UTF8PROC_ERROR_NOMEM)
        die(EXIT_NO_MEMORY, "out of memory: cannot normalise %zu bytes", length);
    *normalised_length = bytes > 0 ? (size_t)bytes : 0;
    return (char *)mapped;
}

static bool is_ascii(const char *text, size_t length)
{
    unsigned char seen = 0;
    for (size_t i = 0; i < length; i++)
        seen |= (unsigned char)text[i];
    return seen < 0x80;
}

void stems_add(StemSet *set, const char *text, size_t length)
{
    Scan scan = {.set = set};
    if (is_ascii(text, length)) {
        for (size_t i = 0; i < length; i++)
            scan_character(&scan, text[i]);
    } else {
        size_t bytes;
        char *nfkc = normalised(text, length, &bytes);
        for (size_t i = 0; i < bytes;) {
            utf8proc_int32_t c;
            utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)nfkc + i,
                                                     (utf8proc_ssize_t)(bytes - i), &c);
            scan_character(&scan, c);
            i += size > 0 ? (size_t)size : 1;
        }
        free(nfkc);
    }
    end_word(&scan);
    end_run(&scan);
}

void stems_clear(StemSet *set)
{
    set->count = 0;
}

void stems_free(StemSet *set)
{
    release(set->stems);
    *set = (StemSet){0};
}

double stems_jaccard(const StemSet *a, const StemSet *b)
{
    size_t shared = 0;
    for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
        int order = stem_compare(&a->stems[i], &b->stems[j]);
        shared += order == 0;
        i += order <= 0;
        j += order >= 0;
    }
    size_t all = a->count + b->count - shared;
    return all ? (double)shared / (double)all : 0.0;
}
