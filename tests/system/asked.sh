# asked.sh - what the tests of asked models share; sourced after clinic.sh.
#
# `asked_model KIND [settings]` trains a tiny model on asked_data.py's KIND and leaves it as hf-KIND;
# `server_start PORT` starts the server of tests/ask and sets url (PORT 0: any); `server_stop` ends it.
# shellcheck disable=SC2154 # build and tree come from clinic.sh

asked_model() {
    kind=$1
    shift
    python3 "$tree/tests/system/asked_data.py" "$kind" data/clinic/train_samples.jsonl >"$kind.jsonl"
    clinic_train 2 "of-$kind" --set data.train="$kind.jsonl" --set algorithm.name=sft \
        --set warmup.epochs=0 --set train.steps=80 --set optimizer.learning_rate=5e-3 \
        --set rollout.max_response_tokens=100 --set evaluate.file='' "$@" ||
        die "$(tail -n 5 "of-$kind.log")"
    "$build/tools/l2a-convert" "of-$kind" "hf-$kind" --dtype f32 >/dev/null
}

server_start() {
    mkfifo server-input 2>/dev/null || true
    : >server-port
    python3 "$tree/tests/ask/misbehaving_server.py" --port "$1" <server-input >server-port &
    server=$!
    exec 9>server-input
    while ! grep -q port server-port; do sleep 0.05; done
    port=$(sed -n 's/^port //p' server-port)
    # shellcheck disable=SC2034 # for those who source this
    url=http://127.0.0.1:$port/v1
}

server_stop() {
    exec 9>&-
    kill -9 "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
}

expect_status() {
    wanted=$1
    shift
    status=0
    "$@" >status.log 2>&1 </dev/null || status=$?
    [ "$status" -eq "$wanted" ] || die "status $status, not $wanted: $(tail -n 5 status.log)"
}
