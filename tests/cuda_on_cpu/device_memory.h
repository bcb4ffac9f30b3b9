// device_memory.h - what an emulated device has given away, for tests in C.

#ifndef L2A_TESTS_DEVICE_MEMORY_H
#define L2A_TESTS_DEVICE_MEMORY_H

#include <stddef.h>

size_t device_memory_used(void); // bytes

#endif
