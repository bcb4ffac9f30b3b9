#!/bin/sh
# What `check` says a GPU needs is what a run takes there: with so much memory, and a twentieth more,
# an emulated GPU does; with nine tenths of it the run ends with 71.
#
#     test_gpu_memory.sh BUILD
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/../system/clinic.sh"
clinic_data data/clinic --sessions 12 --test 2
settings="--set warmup.epochs=0 --set warmup.steps=1 --set warmup.batch_contexts=8
    --set train.steps=2 --set train.batch_contexts=4 --set rollout.group_size=2
    --set rollout.max_response_tokens=8 --set evaluate.file= --set algorithm.kl_coefficient=0.01
    --set parallel.backend=cuda --set parallel.micro_batch_tokens=512"

train() { # MiB RUN [settings]: the exit status
    memory=$1
    run=$2
    shift 2
    status=0
    # shellcheck disable=SC2086 # one word a setting
    CUDA_ON_CPU_MEMORY_MIB=$memory \
        "$build/tests/cuda_on_cpu/learn2ask_cuda_on_cpu" train "$tree/inputs/clinic.ini" \
        $settings --set run.directory="$run" "$@" >"$run.log" 2>&1 </dev/null || status=$?
}

measure() { # NAME [settings]
    name=$1
    shift
    # shellcheck disable=SC2086
    "$build/learn2ask" check "$tree/inputs/clinic.ini" $settings --set check.gpus=80 "$@" >"$name.txt" 2>&1
    # On one GPU, without the allowance for the driver, which the emulation has not.
    said=$(awk '/CUDA and NCCL/ { driver = $5 } /all on the GPU/ { all = $5 }
        END { printf "%d", (all - driver) * 1e9 / 1048576 }' "$name.txt")
    train $((said * 21 / 20)) "$name-fits" "$@"
    [ $status -eq 0 ] || die "$name: ends with $status: $(tail -n 3 "$name-fits.log")"
    train $((said * 9 / 10)) "$name-lacks" "$@"
    [ $status -eq 71 ] || die "$name: ends with $status on nine tenths: $(tail -n 3 "$name-lacks.log")"
    echo "$name: $said MiB are what it takes"
}
measure device
measure host --set optimizer.memory=host --set parallel.recompute=layer
measure narrow --set optimizer.moments=bf16 --set model.compute=bf16
