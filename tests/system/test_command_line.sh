#!/bin/sh
# test_command_line.sh - the program's answers and its exit codes for mistaken calls.
#
#     test_command_line.sh LEARN2ASK
set -eu
program=$1
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"

expect() { # exit code, text that is part of what is said, arguments
    code=$1
    text=$2
    shift 2
    said=$("$program" "$@" 2>&1 </dev/null) && status=0 || status=$?
    case $said in
    *"$text"*) [ "$status" -eq "$code" ] && return ;;
    esac
    printf 'learn2ask %s\nexpected %s, %s\nfound %s, %s\n' "$*" "$code" "$text" "$status" "$said"
    exit 1
}

expect 0 'learn2ask TASK INPUT.ini' --help
expect 0 'learn2ask ' --version
expect 0 'learning_rate = 5e-7' --defaults
expect 0 'rollout.top_p = 1' --explain rollout.top_p
expect 64 "error: no setting or section is called 'topp'; did you mean 'top_p'?" --explain topp
expect 64 'error: what is to be done?'
expect 64 "error: no task is called 'trian'; did you mean 'train'?" trian a.ini
expect 64 'error: which input file?' check
expect 64 'error: --probe belongs to check' train a.ini --probe
expect 64 'error: --probe belongs to check' --probe
expect 64 'error: which model? learn2ask chat MODEL' chat
expect 66 'error: [model] path: nowhere: there is no such file or directory' chat nowhere
expect 66 'error: cannot open a.ini: No such file or directory' check a.ini
expect 66 'error: cannot open a.ini: No such file or directory' job a.ini
printf '[train]\nstep = 1\nepochs = x\n' >a.ini
expect 78 "error: a.ini:2: no setting is called 'step' in [train]; did you mean 'steps'?" check a.ini
expect 78 'error: a.ini:3: epochs = x: expected an integer from 1 to' check a.ini
: >a.ini
expect 78 'error: a.ini: data.train: nothing to check' check a.ini
expect 78 'error: a.ini: data.train: must be given for train' job a.ini
expect 64 'error: --set train.steps: steps = x: expected' check a.ini --set train.steps=x
"$program" --defaults >a.ini
expect 78 'error: a.ini:' check a.ini
