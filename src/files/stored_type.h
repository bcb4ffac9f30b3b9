// stored_type.h - the element types that files hold, and their conversion to and from fp32.
//
// Files are little-endian, as are all machines that this program runs on.

#ifndef L2A_FILES_STORED_TYPE_H
#define L2A_FILES_STORED_TYPE_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
    STORED_F32,
    STORED_BF16,
    STORED_F16,
    STORED_F64,
    STORED_U8,
    STORED_I32,
    STORED_I64,
    STORED_TYPE_COUNT
} StoredType;

enum { STORED_RANK_MAXIMUM = 8 }; // dimensions of a stored tensor

// Bytes of one element.
size_t stored_type_bytes(StoredType type);

// The safetensors name: "F32", "BF16", "F16", "F64", "U8", "I32", "I64".
const char *stored_type_name(StoredType type);

// The type of that name, or STORED_TYPE_COUNT.
StoredType stored_type_of_name(const char *name);

// Elements of a tensor (1 for rank 0), or -1 when the count or its bytes exceed int64_t or a
// dimension is negative.
int64_t stored_type_elements(StoredType type, int rank, const int64_t *shape);

// out [count] = stored [count] in fp32, exact for F32, BF16 and F16. Other types: a broken
// precondition.
void stored_type_to_f32(StoredType type, const void *stored, int64_t count, float *out);

// out [count] = values rounded to nearest, ties to even, for F32 (a copy) and BF16; a NaN stays
// a NaN. Other types: a broken precondition.
void stored_type_from_f32(StoredType type, const float *values, int64_t count, void *out);

#endif
