// bench_tokenizer.c - how fast a tokenizer encodes; driven by bench_tokenizer.py.
//
//     bench_tokenizer MODEL_DIR DOCUMENTS
//
// DOCUMENTS holds texts, each ended by a zero byte. For every line on standard input all of them
// are encoded once, and the seconds it took and the number of tokens are printed.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"
#include "text/tokenizer.h"

static void read_all(const char *path, Bytes *out)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        die(EXIT_NO_INPUT, "%s: cannot open", path);
    char block[65536];
    for (size_t got; (got = fread(block, 1, sizeof block, file)) > 0;)
        bytes_append(out, block, got);
    fclose(file);
}

int main(int count, char **words)
{
    if (count != 3)
        die(EXIT_USAGE, "usage: bench_tokenizer MODEL_DIR DOCUMENTS");
    double opened = clock_now();
    Tokenizer *tokenizer = tokenizer_open(words[1]);
    if (!tokenizer)
        die_failed();
    fprintf(stderr, "opened in %.2f s\n", clock_now() - opened);
    Bytes text = {0};
    read_all(words[2], &text);
    Tokens ids = {0};
    char line[16];
    while (fgets(line, sizeof line, stdin)) {
        int64_t tokens = 0;
        double start = clock_now();
        for (const char *at = text.data, *end = text.data + text.length; at < end;) {
            size_t length = strlen(at);
            tokens_clear(&ids);
            tokenizer_encode_special(tokenizer, at, length, &ids);
            tokens += ids.count;
            at += length + 1;
        }
        printf("%.6f %lld\n", clock_now() - start, (long long)tokens);
        fflush(stdout);
    }
    tokens_free(&ids);
    bytes_free(&text);
    tokenizer_close(tokenizer);
    return EXIT_DONE;
}
