#!/bin/sh
# device.sh - builds and runs the tests of the CUDA kernels on a machine with a GPU, then once more
# under compute-sanitizer. Logs go to the folder that is named; prints a summary.
#   tests/cuda/device.sh LOGS [build options for CMake]
logs=$1
shift
mkdir -p "$logs"
build='build-cuda'
names="products rows attention vocabulary sample optimiser memory"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
nvcc --version | tail -2
cmake -S tests/cuda -B $build -DCMAKE_CUDA_ARCHITECTURES=90a-real "$@" >"$logs/configure" 2>&1
cmake --build $build -j16 >"$logs/build" 2>&1 || { tail -40 "$logs/build"; exit 1; }
for name in $names; do
    L2A_SHOW_DISTANCES=1 timeout 60 "$build/test_cuda_$name" >"$logs/$name" 2>&1
    echo "test_cuda_$name: status $?"
    grep -h 'passed\|failed\|differ$' "$logs/$name"
    grep -h 'FAILED\|error' "$logs/$name" | head -12
done
for tool in memcheck racecheck; do
    for name in $names; do
        timeout 100 compute-sanitizer --tool "$tool" "$build/test_cuda_$name" \
            >"$logs/$tool-$name" 2>&1 &
    done
    wait
    for name in $names; do
        echo "$tool $name: $(tail -1 "$logs/$tool-$name")"
    done
done
