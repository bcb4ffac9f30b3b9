// omp.h - OpenMP of one thread, for builds whose sanitizer does not know the real one.

#ifndef L2A_CUDA_ON_CPU_SERIAL_OMP_H
#define L2A_CUDA_ON_CPU_SERIAL_OMP_H

static inline int omp_get_max_threads(void)
{
    return 1;
}

static inline int omp_get_num_threads(void)
{
    return 1;
}

static inline int omp_get_thread_num(void)
{
    return 0;
}

#endif
