#!/bin/sh
# test_chat.sh - a model that has only ever seen the end of conversations stops, and says so before; one
# of random weights does not. What was said becomes a session that prepare takes.
#
#     test_chat.sh BUILD_DIRECTORY
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 200
grep '"decision_truth": "stop"' data/clinic/train_samples.jsonl >stops.jsonl
clinic_train 1 stopper --set data.train=stops.jsonl --set algorithm.name=sft --set train.steps=120 \
    --set train.batch_contexts=8 --set optimizer.learning_rate=4e-3 \
    --set warmup.epochs=0 --set evaluate.file= || die "training failed: $(cat stopper.log)"

chat() { # model, settings; lines come from standard input
    "$build/learn2ask" chat "$@" >said 2>errors || die "chat ended with $?: $(cat errors)"
}
stop_probability() { # the largest that was told
    sed -n 's/.*<stop \/> with probability \(.*\)\]$/\1/p' said | sort -g | tail -n 1
}

printf 'My knee hurts.\nSince Monday.\n/save talk.jsonl\n/new\nIt itches.\n/save talk.jsonl\n' |
    chat stopper
[ ! -s errors ] || die "complaints: $(cat errors)"
[ "$(grep -c '^model> <stop />$' said)" -eq 3 ] || die "it does not stop: $(cat said)"
grep -q 'it has asked enough' said || die 'nobody is told that it has'
awk -v p="$(stop_probability)" 'BEGIN { exit !(p > 0.9 && p <= 1) }' || die "p = $(stop_probability)"
[ "$(wc -l <talk.jsonl)" -eq 2 ] || die "$(wc -l <talk.jsonl) sessions were saved, not 2"
printf '[prepare]\ninput = talk.jsonl\noutput = samples.jsonl\n' >prepare.ini
"$build/learn2ask" prepare prepare.ini --set prepare.processed=rounds.jsonl >/dev/null ||
    die 'prepare does not take the sessions'
[ "$(wc -l <rounds.jsonl)" -eq 3 ] || die "$(wc -l <rounds.jsonl) rounds, not 3"

# The bare model, as an input file names it; the same seed says the same, the next draw may not.
cp "$tree/inputs/clinic.ini" bare.ini
printf 'My knee hurts.\n' | chat bare.ini
mv said once
printf 'My knee hurts.\n/again\n/undo\nMy knee hurts.\n' | chat bare.ini
[ "$(grep -c '^model> ' said)" -eq 3 ] || die "three answers were wanted: $(cat said)"
first=$(grep '^model> ' once)
[ "$(sed -n '/^model> /p' said | sed -n 1p)" = "$first" ] || die 'the same seed says something else'
[ "$(sed -n '/^model> /p' said | sed -n 3p)" = "$first" ] || die '/undo left something behind'
awk -v p="$(stop_probability)" 'BEGIN { exit !(p < 0.1) }' || die "p = $(stop_probability)"

# What cannot be done is told, and the talk goes on.
printf '/dance\n/again\n/save x\n\377\nMy knee hurts.\n/save no/such/place\n' |
    chat bare.ini --set evaluate.max_response_tokens=4
for reason in "no command is called '/dance'" 'no answer to take back' 'nothing was said yet' \
    'that is not UTF-8' 'no/such/place'; do
    grep -qF "$reason" errors || die "not told: $reason; $(cat errors)"
done
grep -q '^model> ' said || die 'the talk did not go on'
printf 'My knee hurts.\n' | chat bare.ini --set data.max_prompt_tokens=3
grep -q 'tokens, and 3 is the most: /new' errors || die "too long: $(cat errors)"
status=0
mpirun -n 2 "$build/learn2ask" chat bare.ini >said 2>&1 </dev/null || status=$?
[ $status -eq 64 ] || die "two ranks: $status, $(cat said)"
grep -q 'without mpirun or srun' said || die "two ranks: $(cat said)"
