// convert.c - l2a-convert: checkpoints to Hugging Face directories and back.

#include "tools/convert.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/memory.h"

static const char help[] =
    "l2a-convert - checkpoints to Hugging Face directories and back\n"
    "\n"
    "  l2a-convert [options] RUN_OR_CHECKPOINT OUT_DIRECTORY\n"
    "  l2a-convert --import HF_DIRECTORY OUT.h5\n"
    "\n"
    "RUN_OR_CHECKPOINT is a step-NNNNNN.h5, or the directory of a run, of which LATEST is taken.\n"
    "OUT_DIRECTORY and OUT.h5 must not exist yet; they appear when they are complete.\n"
    "\n"
    "An adapter is merged with its base, which the checkpoint knows by path and checksum.\n"
    "\n"
    "  --dtype bf16|f32    type of the written weights (default bf16; rounded to nearest even;\n"
    "                      of --adapter f32)\n"
    "  --best              take the checkpoint of the run that was best, not the latest\n"
    "  --shard-size SIZE   split the weights into files of at most SIZE (default 5GB; KB MB GB "
    "are\n"
    "                      powers of 1000, KiB MiB GiB of 1024)\n"
    "  --adapter           write the adapter alone, as a directory that PEFT loads\n"
    "  --base DIRECTORY    its base (also a checkpoint or a run), where that has moved\n"
    "  --import            the way back: weights are kept in fp32, text files as they are\n"
    "  --help              print this text\n"
    "  --version           print the version\n"
    "\n"
    "Exit status: 0 done, 64 usage, 65 unusable input, 66 missing input, 73 or 74 cannot write.\n";

enum {
    OPTION_DTYPE = 256,
    OPTION_BEST,
    OPTION_SHARD_SIZE,
    OPTION_ADAPTER,
    OPTION_BASE,
    OPTION_IMPORT,
    OPTION_VERSION
};

static int parse_type(const char *text, StoredType *type)
{
    if (strcmp(text, "bf16") == 0)
        *type = STORED_BF16;
    else if (strcmp(text, "f32") == 0)
        *type = STORED_F32;
    else
        return fail(EXIT_USAGE, "--dtype is bf16 or f32, not '%s'", text);
    return 0;
}

static int parse_size(const char *text, int64_t *size)
{
    static const struct {
        const char *name;
        int64_t bytes;
    } units[] = {{"", 1},          {"KB", 1000},     {"MB", 1000000}, {"GB", 1000000000},
                 {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
    char *unit;
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && digits <= 15) {
        long long count = strtoll(text, &unit, 10);
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            if (strcmp(unit, units[i].name) == 0 && count > 0 &&
                !__builtin_mul_overflow(count, units[i].bytes, size))
                return 0;
        }
    }
    return fail(EXIT_USAGE, "--shard-size is a size such as 5GB or 500MiB, not '%s'", text);
}

// Reads the command line into `options`; the operands begin at argv[optind].
static int parse_options(int argc, char **argv, ConvertOptions *options, bool *import)
{
    static const struct option names[] = {
        {"dtype", required_argument, NULL, OPTION_DTYPE},
        {"best", no_argument, NULL, OPTION_BEST},
        {"shard-size", required_argument, NULL, OPTION_SHARD_SIZE},
        {"adapter", no_argument, NULL, OPTION_ADAPTER},
        {"base", required_argument, NULL, OPTION_BASE},
        {"import", no_argument, NULL, OPTION_IMPORT},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {NULL, 0, NULL, 0}};
    int status = 0, exports = 0;
    bool typed = false;
    opterr = 0;
    for (int option; status == 0 && (option = getopt_long(argc, argv, ":h", names, NULL)) != -1;) {
        exports += option >= OPTION_DTYPE && option < OPTION_IMPORT;
        typed |= option == OPTION_DTYPE;
        if (option == OPTION_DTYPE)
            status = parse_type(optarg, &options->type);
        else if (option == OPTION_BEST)
            options->best = true;
        else if (option == OPTION_SHARD_SIZE)
            status = parse_size(optarg, &options->shard_size);
        else if (option == OPTION_ADAPTER)
            options->adapter = true;
        else if (option == OPTION_BASE)
            options->base = optarg;
        else if (option == OPTION_IMPORT)
            *import = true;
        else if (option == 'h')
            exit(fputs(help, stdout) < 0 ? EXIT_CANNOT_WRITE : EXIT_DONE);
        else if (option == OPTION_VERSION)
            exit(puts("l2a-convert " L2A_VERSION) < 0 ? EXIT_CANNOT_WRITE : EXIT_DONE);
        else
            status =
                fail(EXIT_USAGE, "%s '%s'; see l2a-convert --help",
                     option == ':' ? "no value for option" : "no such option", argv[optind - 1]);
    }
    if (status == 0 && argc - optind != 2)
        status = fail(EXIT_USAGE,
                      "expected two names, what to convert and what to make, not %d; "
                      "see l2a-convert --help",
                      argc - optind);
    if (status == 0 && *import && exports > 0)
        status = fail(EXIT_USAGE, "--import takes no other option");
    if (status == 0 && options->adapter && options->base)
        status = fail(EXIT_USAGE, "--adapter needs no --base");
    if (options->adapter && !typed)
        options->type = STORED_F32; // it is small, and trained in fp32
    return status;
}

int main(int argc, char **argv)
{
    ConvertOptions options = {.type = STORED_BF16, .shard_size = 5000000000};
    ConvertCounts counts = {0};
    bool import = false;
    signal(SIGXFSZ, SIG_IGN); // a write past `ulimit -f` fails and is told instead
    json_set_alloc_funcs(memory_take, release);
    if (parse_options(argc, argv, &options, &import))
        die_failed();
    const char *from = argv[optind], *to = argv[optind + 1];
    int status =
        import ? convert_import(from, to, &counts) : convert_export(from, to, &options, &counts);
    if (status)
        die_failed();
    printf("%s: %lld tensors, %lld parameters in %s, %lld file%s\n", to, (long long)counts.tensors,
           (long long)counts.elements, stored_type_name(import ? STORED_F32 : options.type),
           (long long)counts.files, counts.files == 1 ? "" : "s");
    return EXIT_DONE;
}
