// sanitizers.h - what is told to sanitizers, which see neither fibers nor the ends of shared
// memory. Each function does nothing in a build without its sanitizer.

#ifndef L2A_TESTS_CUDA_ON_CPU_SANITIZERS_H
#define L2A_TESTS_CUDA_ON_CPU_SANITIZERS_H

#include <stddef.h>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
enum { WITH_ADDRESS_SANITIZER = 1 };
#else
enum { WITH_ADDRESS_SANITIZER = 0 };
static inline void __sanitizer_start_switch_fiber(void **, const void *, size_t)
{
}
static inline void __sanitizer_finish_switch_fiber(void *, const void **, size_t *)
{
}
static inline void __asan_poison_memory_region(const volatile void *, size_t)
{
}
static inline void __asan_unpoison_memory_region(const volatile void *, size_t)
{
}
#endif

#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
enum { WITH_MEMORY_SANITIZER = 1 };
#else
enum { WITH_MEMORY_SANITIZER = 0 };
static inline void __msan_poison(const volatile void *, size_t)
{
}
static inline void __msan_unpoison(const volatile void *, size_t)
{
}
static inline void __msan_check_mem_is_initialized(const volatile void *, size_t)
{
}
#endif

// The emulator itself is compiled without -fsanitize=thread, so CMake says whether kernels are
// with.
#ifdef CUDA_ON_CPU_THREAD_SANITIZER
extern "C" {
void *__tsan_get_current_fiber();
void *__tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_acquire(void *place);
void __tsan_release(void *place);
void __tsan_read16(void *address);
void __tsan_write16(void *address);
}
static inline void tsan_read16(const void *address)
{
    __tsan_read16(const_cast<void *>(address));
}
static inline void tsan_write16(void *address)
{
    __tsan_write16(address);
}
enum { WITH_THREAD_SANITIZER = 1 };
#else
enum { WITH_THREAD_SANITIZER = 0 };
static inline void *__tsan_get_current_fiber()
{
    return NULL;
}
static inline void *__tsan_create_fiber(unsigned)
{
    return NULL;
}
static inline void __tsan_switch_to_fiber(void *, unsigned)
{
}
static inline void __tsan_acquire(void *)
{
}
static inline void __tsan_release(void *)
{
}
static inline void tsan_read16(const void *) // compilers know the other name as their own
{
}
static inline void tsan_write16(void *)
{
}
#endif

#endif
