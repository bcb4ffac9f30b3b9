// A directory: its index, then shards. A shard that begins with a digit is a number of bytes of
// data and a header, whose length is put in front; any other is the bytes of a file.

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "files/safetensors.h"
#include "tests/fuzz/fuzz.h"

enum { SHARDS = 3, DATA_MAXIMUM = 512 };

static void write_shard(const char *name, FuzzPart part)
{
    if (!part.data || part.length == 0 || !isdigit((unsigned char)part.data[0])) {
        fuzz_write(name, part);
        return;
    }
    char *text = fuzz_text(part), *header;
    size_t data_bytes = strtoul(text, &header, 10) % DATA_MAXIMUM;
    uint64_t length = strlen(header);
    size_t bytes = sizeof length + length + data_bytes;
    char *file = allocate(bytes, 1);
    memcpy(file, &length, sizeof length);
    memcpy(file + sizeof length, header, length);
    memset(file + sizeof length + length, 0x7f, data_bytes); // NaNs
    fuzz_write(name, (FuzzPart){file, bytes});
    release(file);
    release(text);
}

static void read_all(const SafetensorsSet *set)
{
    for (int64_t i = 0; i < safetensors_count(set); i++) {
        const SafetensorsTensor *tensor = safetensors_tensor(set, i);
        CHECK(safetensors_find(set, tensor->name) == i, "%s is not found", tensor->name);
        float *values = allocate((size_t)tensor->elements, sizeof *values);
        CHECK(safetensors_read_f32(set, i, 0, tensor->elements, values) == 0, "%s", fail_message());
        release(values);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[SHARDS] = {"model.safetensors", "a.safetensors",
                                              "b.safetensors"};
    FuzzPart parts[1 + SHARDS];
    fuzz_parts(data, size, parts, 1 + SHARDS);
    fuzz_write("model.safetensors.index.json", parts[0]);
    for (int i = 0; i < SHARDS; i++)
        write_shard(names[i], parts[1 + i].length > 0 ? parts[1 + i] : (FuzzPart){0});
    SafetensorsSet *set = safetensors_open(fuzz_directory());
    if (set)
        read_all(set);
    safetensors_close(set);
    return 0;
}
