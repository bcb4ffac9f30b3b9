#!/bin/sh
# What is changed between two starts of a run is told by class: freely, on request, never. Data, model
# files and reference are compared by content, not by name.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 60 --test 6
settings="--set warmup.epochs=0 --set warmup.steps=2 --set checkpoint.every=1 --set evaluate.file=
    --set train.batch_contexts=8 --set rollout.group_size=2 --set algorithm.kl_coefficient=0.01"
# `go_on RUN STEPS [settings]`: status and log of a further start.
go_on() {
    run=$1
    steps=$2
    shift 2
    status=0
    # shellcheck disable=SC2086 # one word a setting
    clinic_train 1 "$run" $settings --set train.steps="$steps" "$@" || status=$?
}
expect_log() {
    grep -q "$1" "$run.log" || die "the log does not say '$1': $(tail -n 5 "$run.log")"
}
go_on run 4
expect_equal 'status of the first start' $status 0
go_on run 4 --set parallel.threads=2 --set checkpoint.keep_last=3
expect_equal 'status of other threads' $status 0
expect_log '^changed    parallel.threads from 0 to 2; checkpoint.keep_last from 2 to 3$'
go_on run 4 --set run.seed=2
expect_equal 'status of another seed' $status 78
expect_log '^error: the run cannot go on from step 6 with other values: run.seed from 1 to 2; '
go_on run 5 --set optimizer.learning_rate=0.002
expect_equal 'status of another learning rate' $status 78
expect_log '^error: since step 6 this was changed: optimizer.learning_rate from 0.001 to 0.002; train.steps from 4 to 5; '
go_on run 5 --set optimizer.learning_rate=0.002 --set run.accept_changes=yes
expect_equal 'status of the same on request' $status 0
expect_log '^changed    optimizer.learning_rate from 0.001 to 0.002; train.steps from 4 to 5$'
expect_log '^RESULT steps=7 '
go_on run 5 --set optimizer.learning_rate=0.002
expect_equal 'status of the next start' $status 0
! grep -q '^changed    opt' run.log || die 'what was accepted is told again'

mv data/clinic/train_samples.jsonl data/clinic/moved.jsonl
go_on run 5 --set optimizer.learning_rate=0.002 --set data.train=data/clinic/moved.jsonl
expect_equal 'status of data that were moved' $status 0
sed '3s/stop/continue/; 3!s/Hello/Good day/' data/clinic/moved.jsonl |
    sed '$d' >data/clinic/train_samples.jsonl
go_on run 5 --set optimizer.learning_rate=0.002
expect_equal 'status of other data' $status 78
expect_log 'this was changed: the contexts and labels of data.train'
mv data/clinic/moved.jsonl data/clinic/train_samples.jsonl

cp -r data/clinic/model kept
sed -i 's/"merges"/ "merges"/' data/clinic/model/tokenizer.json
go_on run 5 --set optimizer.learning_rate=0.002
expect_equal 'status of another tokenizer' $status 78
expect_log "with other values: the model's tokenizer.json; "
cp kept/tokenizer.json data/clinic/model/
printf '{}' >data/clinic/model/special_tokens_map.json
go_on run 5 --set optimizer.learning_rate=0.002
expect_equal 'status of a new file of the model' $status 78
expect_log "this was changed: the model's special_tokens_map.json, which is new; "
rm data/clinic/model/special_tokens_map.json

# A run that begins with a trained model is held to it: it must stay what it was.
"$build/tools/l2a-convert" run trained >/dev/null
go_on held 2 --set warmup.steps=0 --set model.path=trained --set model.random=no
expect_equal 'status of a run on a trained model' $status 0
rm held/step-000002.h5 held/LATEST
go_on held 2 --set warmup.steps=0 --set model.path=trained --set model.random=no
expect_equal 'status of a restart on it' $status 0
weights=$(clinic_weights held)
rm held/step-000002.h5 held/LATEST
cp trained/model.safetensors first.safetensors
size=$(stat -c %s trained/model.safetensors)
printf '\001' | dd of=trained/model.safetensors bs=1 seek=$((size - 2)) conv=notrunc 2>/dev/null
go_on held 2 --set warmup.steps=0 --set model.path=trained --set model.random=no
expect_equal 'status of a restart on another one' $status 65
expect_log '^error: trained, the reference of the run, holds other weights than when the run began '
cp first.safetensors trained/model.safetensors
go_on held 2 --set warmup.steps=0 --set model.path=trained --set model.random=no
expect_equal 'weights on the first one again' "$(clinic_weights held)" "$weights"
