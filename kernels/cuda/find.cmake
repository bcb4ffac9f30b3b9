# CUDA for this project: sets L2A_CUDA_FOUND, and where it is found enables its language. Included by
# a top-level CMakeLists.txt, since a language is known from there down.
set(LEARN2ASK_CUDA AUTO CACHE STRING "GPUs: AUTO (where nvcc is found), ON, OFF")
set_property(CACHE LEARN2ASK_CUDA PROPERTY STRINGS AUTO ON OFF)

set(L2A_CUDA_FOUND OFF)
if(NOT LEARN2ASK_CUDA STREQUAL "OFF")
    include(CheckLanguage)
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
        set(L2A_CUDA_FOUND ON)
    elseif(LEARN2ASK_CUDA STREQUAL "ON")
        message(FATAL_ERROR "LEARN2ASK_CUDA is ON, but there is no nvcc: put it in PATH")
    endif()
endif()
if(L2A_CUDA_FOUND)
    # Machine code for A100 and H100, and what the driver of a later card translates.
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
        set(CMAKE_CUDA_ARCHITECTURES 80-real 90a-real 90-virtual)
    endif()
    enable_language(CUDA)
    find_package(CUDAToolkit REQUIRED)
endif()
