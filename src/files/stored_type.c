#include "files/stored_type.h"

#include <string.h>

#include "base/fail.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian");

static const struct {
    const char *name;
    size_t bytes;
} types[STORED_TYPE_COUNT] = {
    [STORED_F32] = {"F32", 4}, [STORED_BF16] = {"BF16", 2}, [STORED_F16] = {"F16", 2},
    [STORED_F64] = {"F64", 8}, [STORED_U8] = {"U8", 1},     [STORED_I32] = {"I32", 4},
    [STORED_I64] = {"I64", 8},
};

size_t stored_type_bytes(StoredType type)
{
    CHECK((unsigned)type < STORED_TYPE_COUNT, "stored type %d", (int)type);
    return types[type].bytes;
}

const char *stored_type_name(StoredType type)
{
    CHECK((unsigned)type < STORED_TYPE_COUNT, "stored type %d", (int)type);
    return types[type].name;
}

StoredType stored_type_of_name(const char *name)
{
    int type = 0;
    while (type < STORED_TYPE_COUNT && strcmp(types[type].name, name) != 0)
        type++;
    return (StoredType)type;
}

int64_t stored_type_elements(StoredType type, int rank, const int64_t *shape)
{
    int64_t elements = 1, bytes;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0 || __builtin_mul_overflow(elements, shape[i], &elements))
            return -1;
    }
    if (__builtin_mul_overflow(elements, (int64_t)stored_type_bytes(type), &bytes))
        return -1;
    return elements;
}

static uint32_t bits_of_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 0x1f, fraction = half & 0x3ff;
    if (exponent == 0x1f)
        return sign | 0x7f800000 | fraction << 13;
    if (exponent > 0)
        return sign | (exponent + 112) << 23 | fraction << 13;
    if (fraction == 0)
        return sign;
    // A subnormal half is a normal float: shift its leading one to the implicit place.
    int shift = __builtin_clz(fraction) - 21;
    return sign | (uint32_t)(113 - shift) << 23 | ((fraction << shift) & 0x3ff) << 13;
}

static uint16_t bf16_of_bits(uint32_t bits)
{
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40); // quiet, lest a NaN's low payload round to infinity
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void stored_type_to_f32(StoredType type, const void *stored, int64_t count, float *out)
{
    const uint16_t *halves = stored;
    CHECK(type == STORED_F32 || type == STORED_BF16 || type == STORED_F16, "no fp32 of %s",
          stored_type_name(type));
    if (type == STORED_F32 && count > 0)
        memcpy(out, stored, (size_t)count * sizeof *out);
    for (int64_t i = 0; type == STORED_BF16 && i < count; i++) {
        uint32_t bits = (uint32_t)halves[i] << 16;
        memcpy(&out[i], &bits, sizeof bits);
    }
    for (int64_t i = 0; type == STORED_F16 && i < count; i++) {
        uint32_t bits = bits_of_half(halves[i]);
        memcpy(&out[i], &bits, sizeof bits);
    }
}

void stored_type_from_f32(StoredType type, const float *values, int64_t count, void *out)
{
    uint16_t *halves = out;
    CHECK(type == STORED_F32 || type == STORED_BF16, "no %s of fp32", stored_type_name(type));
    if (type == STORED_F32 && count > 0)
        memcpy(out, values, (size_t)count * sizeof *values);
    for (int64_t i = 0; type == STORED_BF16 && i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        halves[i] = bf16_of_bits(bits);
    }
}
