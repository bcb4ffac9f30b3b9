#include "tests/testing.h"

#include "tests/files/sample.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "tests/files/scratch.h"

const CheckpointAttribute sample_attributes[SAMPLE_ATTRIBUTES] = {
    {.name = "config", .kind = ATTRIBUTE_TEXT, .text = "[train]\nlearning_rate = 3e-6\n"},
    {.name = "empty", .kind = ATTRIBUTE_TEXT, .text = ""},
    {.name = "step", .kind = ATTRIBUTE_INTEGER, .integer = INT64_C(-5000000000)},
    {.name = "best", .kind = ATTRIBUTE_REAL, .real = 0.1},
};

const CheckpointTensor sample_tensors[SAMPLE_TENSORS] = {
    {.name = "/weights/model.norm.weight", .type = STORED_F32, .rank = 2, .shape = {300, 1000}},
    {.name = "/weights/model.embed.weight", .type = STORED_BF16, .rank = 2, .shape = {300, 1000}},
    {.name = "/optimizer/m/model.norm.weight", .type = STORED_F32, .rank = 1, .shape = {3}},
    {.name = "/files/config.json", .type = STORED_U8, .rank = 1, .shape = {17}},
    {.name = "/counters", .type = STORED_I64, .rank = 1, .shape = {5}},
    {.name = "/scalar", .type = STORED_F64, .rank = 0},
    {.name = "/nothing", .type = STORED_I32, .rank = 2, .shape = {0, 3}},
};

int64_t sample_bytes(const CheckpointTensor *tensor)
{
    return stored_type_elements(tensor->type, tensor->rank, tensor->shape) *
           (int64_t)stored_type_bytes(tensor->type);
}

unsigned char *sample_content(int64_t i, int64_t bytes)
{
    unsigned char *content = allocate((size_t)bytes, 1);
    for (int64_t k = 0; k < bytes; k++)
        content[k] = (unsigned char)((k * 131 + i * 17 + k / 251) & 0x3f);
    return content;
}

void sample_make(const char *name)
{
    CheckpointTensor tensors[SAMPLE_TENSORS];
    memcpy(tensors, sample_tensors, sizeof tensors);
    int64_t payload_bytes;
    const char *path = scratch_path(name);
    unlink(path);
    if (checkpoint_file_create(path, tensors, SAMPLE_TENSORS, sample_attributes, SAMPLE_ATTRIBUTES,
                               &payload_bytes))
        fail_msg("%s", fail_message());
    int descriptor = open(path, O_RDWR);
    for (int i = 0; i < SAMPLE_TENSORS; i++) {
        unsigned char *content = sample_content(i, sample_bytes(&tensors[i]));
        int64_t elements = stored_type_elements(tensors[i].type, tensors[i].rank, tensors[i].shape);
        if (sample_bytes(&tensors[i]) >= 65536)
            assert_int_equal(tensors[i].offset % 4096, 0);
        assert_int_equal(checkpoint_file_write(descriptor, path, &tensors[i], 0, elements, content),
                         0);
        release(content);
    }
    close(descriptor);
    assert_int_equal(checkpoint_file_seal(path, payload_bytes, tensors, SAMPLE_TENSORS), 0);
}
