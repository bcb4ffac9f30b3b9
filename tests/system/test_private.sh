#!/bin/sh
# test_private.sh - what a run writes can be read by its owner alone, unless [run] readable_by and
# the umask both let others; names of directories and files of every task are tried.
#
#     test_private.sh BUILD_DIRECTORY
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 60 --test 20
umask 022

small() { # umask, directory, settings: train, evaluate and prepare
    mask=$1
    place=$2
    shift 2
    set -- --set run.directory="$place/run" "$@"
    (
        umask "$mask"
        for task in train evaluate prepare; do
            "$build/learn2ask" $task "$tree/inputs/clinic.ini" --set warmup.epochs=0 \
                --set train.steps=1 --set train.batch_contexts=4 \
                --set prepare.input=data/clinic/test_origin.jsonl \
                --set prepare.output="$place/run/prepared.jsonl" \
                --set prepare.extractor=none "$@" >"$place.log" 2>&1 </dev/null ||
                die "$task: $(tail -n 3 "$place.log")"
        done
    )
}

expect_modes() { # directory, mode of files, of directories
    files=$(find "$1" -type f | wc -l)
    [ "$files" -ge 8 ] || die "$1: only $files files"
    others=$(find "$1" \( -type f ! -perm "$2" -o -type d ! -perm "$3" \) -exec ls -ld {} +)
    [ -z "$others" ] || die "$1: not $2 and $3:
$others"
    echo "$1: $files files of mode $2 in directories of mode $3"
}

small 022 owner
expect_modes owner 600 700
small 022 group --set run.readable_by=group
expect_modes group 640 750
small 022 all --set run.readable_by=all
expect_modes all 644 755
small 077 narrow --set run.readable_by=all
expect_modes narrow 600 700
