// Small files of a run: stem weights, the result of an evaluation, a pointer to a step, a prompt.

#include <string.h>

#include "base/fail.h"
#include "dialogue/stem_weights.h"
#include "files/run_files.h"
#include "input/text_file.h"
#include "reward/evaluation_result.h"
#include "tests/fuzz/fuzz.h"

static void read_weights(const char *path)
{
    StemWeights weights, again;
    if (stem_weights_read(&weights, path) != 0)
        return;
    char copy[256];
    strcpy(copy, path);
    strcpy(strrchr(copy, '/'), "/again");
    CHECK(stem_weights_write(&weights, copy) == 0 && stem_weights_read(&again, copy) == 0, "%s",
          fail_message());
    CHECK(weights.count == again.count && weights.documents == again.documents, "other weights");
    stem_weights_free(&weights);
    stem_weights_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[256];
    strcpy(path, fuzz_write("file", (FuzzPart){(const char *)data, size}));
    read_weights(path);
    EvaluationResult result;
    evaluation_result_read(path, &result);
    char *prompt;
    if (text_file_read(path, "[data] system_prompt", &prompt) == 0)
        release(prompt);
    run_files_pointer(fuzz_directory(), "file");
    return 0;
}
