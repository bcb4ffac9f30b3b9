#!/bin/sh
# l2a-show on short runs: one that is watched while it goes on, one that is killed and taken up again by
# the command that is shown, evaluations, a damaged checkpoint; every way to call it wrongly; names and
# texts that a terminal, a shell or gnuplot would obey.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
show=$build/tools/l2a-show
clinic_data data/clinic --sessions 40 --test 6
train() {
    run=$1
    shift
    clinic_train 2 "$run" --set warmup.epochs=0 --set warmup.steps=4 --set train.steps=6 \
        --set train.batch_contexts=16 --set rollout.group_size=4 --set checkpoint.every=3 \
        --set evaluate.contexts=8 "$@"
}

# expect STATUS TEXT arguments...: the tool ends with STATUS and says TEXT.
expect() {
    wanted=$1
    text=$2
    shift 2
    status=0
    "$show" "$@" >said 2>&1 </dev/null || status=$?
    [ "$status" -eq "$wanted" ] || die "l2a-show $*: status $status, not $wanted: $(cat said)"
    grep -qF -- "$text" said || die "l2a-show $* does not say '$text': $(cat said)"
    ! grep -q "$(printf '\033')" said || die "l2a-show $* writes what a terminal obeys"
}
says() {
    grep -q -- "$1" said || die "'$1' is not said: $(cat said)"
}
until_there() { # FILE's size is not 0
    waits=600
    until [ -s "$1" ]; do
        waits=$((waits - 1))
        [ $waits -gt 0 ] || die "no $1"
        sleep 0.05
    done
}

# A line for every step while the run goes on, each once; then how it ended.
train live >/dev/null &
job=$!
until_there live/lock
"$show" live --watch >watched </dev/null
wait $job || die "$(tail -n 5 live.log)"
expect_equal 'steps that were watched' "$(sed -n 's|^step \([0-9]*\)/10 .*|\1|p' watched | tr '\n' ' ')" \
    '1 2 3 4 5 6 7 8 9 10 '
grep -q '^evaluation at step 10: reward ' watched || die "no evaluation: $(cat watched)"
grep -q '^finished: 10 of 10 steps are done$' watched || die "no end: $(cat watched)"

expect 0 'state         finished: 10 of 10 steps are done' live
says '^model  *data/clinic/model: LlamaForCausalLM'
says '^stages  *4 warm-up steps of .*, 6 grpo steps of 16 contexts; '
says '^step 5 ' # the first of its stage
says '^step 10 '
says '^ave_total_reward '
says '^checkpoints   step 10, .* (LATEST)'
[ "$(wc -l <said)" -le 45 ] || die "$(wc -l <said) lines are no screen"

# What was sampled, with its conversation.
expect 0 'step 10, context ' samples live
says '^user  *[A-Z]'
says '^response '
says '^truth  *\(continue\|stop\)$'
says '^scores  *A [01], C '
expect 0 '"messages": [{"role": "user"' samples live --json --best 1 --step 7
expect_equal 'responses as JSON' "$(wc -l <said)" 1
says '^{"step": 7, '
cid=$(sed -n 's/.*"cid": "\([^"]*\)".*/\1/p' said)
expect 0 "step 7, context $cid, response 3" samples live --cid "$cid"
expect_equal 'responses to a context' "$(grep -c '^response ' said)" 4
expect 0 'response' samples live --truth stop --decision wrong --worst 99
! grep -q '^truth  *continue' said || die 'more than what was asked for'
expect 66 'has no responses of step 2 (warm-up steps sample none); the last one with some is step 10' \
    samples live --step 2
expect 66 "no response to a context 'nobody'" samples live --cid nobody
expect 64 '--decision is wrong or right' samples live --decision maybe
expect 64 '--worst or --best, not both' samples live --worst 1 --best 1

# An evaluation's output is as good as a run.
"$build/learn2ask" evaluate "$tree/inputs/clinic.ini" --set model.path=live --set model.random=no \
    --set evaluate.contexts=8 --set evaluate.output=said.jsonl >evaluate.log 2>&1 </dev/null ||
    die "$(cat evaluate.log)"
expect 0 'context ' samples said.jsonl --data data/clinic/test_samples.jsonl --best 2
says '^user '
expect 0 '(its conversation is not in the data file)' samples said.jsonl
expect 64 'the output of an evaluation, which has no steps' samples said.jsonl --last

# The journal for other programs.
expect 0 'step	critic/rewards/mean	actor/lr' metrics live critic/rewards/mean actor/lr
expect_equal 'rows and columns' "$(awk -F '\t' '{ print NF }' said | sort | uniq -c | tr -s ' \n' ' ')" ' 12 3 '
expect_equal 'a value' "$(awk -F '\t' '$1 == 10 { print $2 }' said)" \
    "$(sed -n 's/.*"step":10,.*"critic\/rewards\/mean":\([^,]*\),.*/\1/p' live/metrics.jsonl)"
expect 0 'critic/rewards/mean' metrics live --names
! awk -F '\t' '$2 == "" || $3 == "" { print; found = 1 } END { exit !found }' said ||
    die 'these numbers have no description'
expect 64 "no number of live is called 'critic/reward/mean'; did you mean 'critic/rewards/mean'?" metrics live critic/reward/mean

# Two runs side by side; the second one is killed in its main stage, and taken up again.
train killed --set optimizer.learning_rate=2e-3 >/dev/null &
job=$!
until grep -q '"step":8,' killed/metrics.jsonl 2>/dev/null; do
    kill -0 $job 2>/dev/null || die "ended too early: $(tail -n 5 killed.log)"
    sleep 0.02
done
launcher=$(pgrep -P $job)
# shellcheck disable=SC2046 # one word a process
kill -9 $(pgrep -P "$launcher") "$launcher"
wait $job || true
waits=100 # the kernel takes a while
until "$show" killed | grep -q '^state  *ended before its end: '; do
    waits=$((waits - 1))
    [ $waits -gt 0 ] || die 'who is killed still holds the run'
    sleep 0.05
done
expect 0 'ended before its end: ' killed
says 'ended without giving the run back'
says 'are in no checkpoint and will be done again\|checkpoints   step'
words=$(sed -n 's/.*to go on, where it was started: mpirun -n 2 learn2ask \(.*\)/\1/p' said)
expect_equal 'the command to go on' "$words" 'train killed/run.ini'
timeout 20 "$show" killed --watch >watched </dev/null || die 'a run that is over is watched for ever'
grep -q '^ended before its end: ' watched || die "no end: $(cat watched)"
# shellcheck disable=SC2086
mpirun -n 2 "$build/learn2ask" $words >killed.log 2>&1 </dev/null || die "$(tail -n 5 killed.log)"
expect 0 'state         finished: 10 of 10 steps are done' killed

expect 0 'the last evaluation of each run' compare live killed
says '^optimizer.learning_rate  *0.001  *0.002$'
! grep -q '^run.directory' said || die 'every run has a directory of its own'
says '^ave_total_reward  *[0-9]'
says '^reward (mean of ten), killed$'

# A run that is taken up again while it is watched: its journal is cut back and grows again.
mkdir again
cp live/run.ini live/log.txt again
echo 'step=0 of=10 starts=1' >again/progress
head -n 8 live/metrics.jsonl >again/metrics.jsonl # steps 0 to 7
echo "host=$(uname -n) pid=$$ job=none" >again/lock
"$show" again --watch >watched </dev/null &
job=$!
until_there watched
sed -n 9p live/metrics.jsonl | head -c 100 >>again/metrics.jsonl # a line that is not whole
sleep 1
echo 'step=4 of=10 starts=1' >again/progress
head -n 5 live/metrics.jsonl >again/metrics.jsonl
sed -n 6,11p live/metrics.jsonl | sed 's/"actor\/lr":/"again":1,&/' >>again/metrics.jsonl
sleep 1
: >again/lock
wait $job || die "status $? of the watcher"
expect_equal 'steps of a run that was taken up again' \
    "$(sed -n 's|^step \([0-9]*\)/10 .*|\1|p; s/^the run was taken up again behind step 4$/again/p' \
        watched | tr '\n' ' ')" '1 2 3 4 5 6 7 again 5 6 7 8 9 10 '

# On a terminal a panel; colours unless they are not wanted.
if command -v script >/dev/null; then
    panel=$(TERM=xterm script -qc "stty cols 60; '$show' live --watch" /dev/null </dev/null)
    case $panel in
    *'[█'*'] 100 %'*'reward '*' to '*'finished: 10 of 10'*) ;;
    *) die "no panel: $panel" ;;
    esac
    [ "$(echo "$panel" | tr -d '\r' | sed 's/.*\[J//' | awk '{ print length }' | sort -n | tail -n 1)" -le 200 ] ||
        die 'the panel is too wide'
    TERM=xterm script -qc "'$show' samples live" /dev/null </dev/null >coloured
    grep -q "$(printf '\033')\[36muser" coloured || die 'roles have no colour on a terminal'
    TERM=xterm NO_COLOR=1 script -qc "'$show' samples live" /dev/null </dev/null >plain
    ! grep -q "$(printf '\033')" plain || die 'NO_COLOR is not respected'
else
    echo 'not tried on a terminal: there is no script'
fi

# Checkpoints: by name, of a run, damaged.
expect 0 'whole: all of its' checkpoint live
says '^/weights '
says 'model.layers.\*.self_attn.q_proj.weight'
says '^  optimizer.schedule = cosine$'
expect 0 'model.layers.3.self_attn.q_proj.weight' checkpoint live/step-000010.h5 --all
says '^  run.seed = 1$'
cp live/step-000010.h5 damaged.h5
size=$(stat -c %s damaged.h5)
printf 'X' | dd of=damaged.h5 bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
block=$((size / 2 / 262144))
expect 65 "damaged.h5 is damaged in block $block (bytes $((block * 262144)) to $((block * 262144 + 262143))), in /" \
    checkpoint damaged.h5
says 'must not be used'
head -c 1000 live/step-000010.h5 >short.h5
expect 65 'short.h5 has no checksum trailer' checkpoint short.h5
expect 66 'cannot open none.h5' checkpoint none.h5
mkdir empty
expect 66 'there is no checkpoint (step-NNNNNN.h5) in empty' checkpoint empty

# Curves.
expect 0 'decision (mean of ten), live' plot live --text
if command -v gnuplot >/dev/null; then
    expect 0 'live/curves.png' plot live
    expect_equal 'a picture' "$(head -c 4 live/curves.png | tail -c 3)" PNG
    name="a'; system('touch obeyed'); print '\`touch obeyed\`"
    cp -r live "$name"
    expect 0 'two.svg' plot live "$name" --output two.svg --metric critic/rewards/mean
    grep -q '<svg' two.svg || die 'no SVG'
    grep -q 'touch obeyed' two.svg || die 'the name of the run is not in the picture'
    [ ! -e obeyed ] || die 'the name of a run was obeyed'
    expect 73 'cannot create nowhere/x.png' plot live --output nowhere/x.png
else
    echo 'no pictures: there is no gnuplot'
fi
mkdir bin
PATH_BEFORE=$PATH
PATH=$PWD/bin
status=0
"$show" plot live >said 2>&1 || status=$?
PATH=$PATH_BEFORE
expect_equal 'status without gnuplot' $status 69
says 'there is no gnuplot in PATH.*l2a-show plot --text'
expect 64 'ends in .png or .svg' plot live --output x.gif
expect 64 'with several runs' plot live killed
expect 64 "did you mean 'critic/rewards/mean'?" plot live --metric critic/reward/mean

# Called wrongly.
expect 64 'which run? l2a-show RUN'
expect 64 "no command is called 'comapre'; did you mean 'compare'?" comapre live killed
expect 64 "no option is called '--wach'; did you mean '--watch'?" live --wach
expect 64 '--json is no option of' live --json
expect 66 "none is no run's directory: cannot open none/run.ini" none
expect 66 "empty is no run's directory" empty --watch
expect 0 'samples RUN' --help
expect 0 'l2a-show 0.' --version
status=0
"$show" live >/dev/full 2>said || status=$?
expect_equal 'status on a full disk' $status 74
says 'standard output: cannot write'

# Texts of a run that a terminal would obey; a journal and samples that are none.
cp -r live hostile
printf '%s\n' '{"step": 11, "cid": "\u001b[2J", "repeat": 0, "decision_truth": "stop", "response": "\u001b]0;owned\u0007\u009b31m", "verdict": "\u001bc", "graded": true, "reward": 0}' \
    >>hostile/samples.jsonl
printf '%s\n' '{"step":11,"stage":1,"perf/time_per_step":1,"\u001b[31m":1e308,"critic/rewards/mean":-1e308}' \
    >>hostile/metrics.jsonl
printf 'learn2ask \033[31m\nmodel      \033]0;x\007\nRESULT \033c\n' >>hostile/log.txt
expect 0 '?]0;owned?' samples hostile
expect 0 '\u001b]0;owned\u0007\u009b31m' samples hostile --json
expect 0 'finished' hostile
says '^model  *?\]0;x?$'
for command in "metrics hostile" "metrics hostile --names" "plot hostile --text" "compare hostile live"; do
    # shellcheck disable=SC2086
    expect 0 '' $command
done
echo '{"step": oops' >>hostile/metrics.jsonl
expect 65 'hostile/metrics.jsonl:13: ' hostile
echo 'oops' >>hostile/samples.jsonl
cp live/metrics.jsonl hostile
expect 65 'hostile/samples.jsonl: at byte ' samples hostile
echo 'learning_rat = 1' >>hostile/run.ini
expect 78 'hostile/run.ini:' hostile
