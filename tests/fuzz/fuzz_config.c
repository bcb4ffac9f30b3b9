// config.json of a model.

#include <math.h>

#include "base/fail.h"
#include "base/memory.h"
#include "model/shape.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { POSITIONS = 3 };
    ModelShape shape;
    if (shape_parse(&shape, (const char *)data, size, "config.json") != 0)
        return 0;
    CHECK(shape_parameters(&shape) > 0 && shape_layer_products(&shape) > 0, "a size overflows");
    CHECK(shape.heads % shape.kv_heads == 0 && shape.head_width % 2 == 0, "odd heads");
    size_t count = (size_t)POSITIONS * (size_t)shape.head_width;
    float *table = allocate(count, sizeof *table);
    shape_rotary_table(&shape, table, POSITIONS);
    for (size_t i = 0; i < count; i++)
        CHECK(isfinite(table[i]), "an angle is not finite");
    CHECK(isfinite(shape.epsilon) && isfinite(shape.initializer_range), "not finite");
    release(table);
    return 0;
}
