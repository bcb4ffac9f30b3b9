#!/bin/sh
# prepare asks a served model or one of our own for the facts: the same file on 1, 2 and 4 ranks,
# after kill -9 on another number of ranks, and after a server that went away; other settings are
# asked anew.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
# shellcheck source=tests/system/asked.sh
. "$tree/tests/system/asked.sh"
clinic_data data/clinic --sessions 60 --test 6
echo 'List facts.' >extract.txt
cat >served.ini <<'INI'
[prepare]
input = data/clinic/train_origin.jsonl
output = out.jsonl
processed = processed.jsonl
extractor = served
[extractor]
prompt = extract.txt
name = facts
backoff = 0.01
INI
prepare() {
    ranks=$1
    shift
    mpirun -n "$ranks" "$build/learn2ask" prepare "$@"
}
same() {
    if ! cmp out.jsonl want.jsonl || ! cmp processed.jsonl want-processed.jsonl; then die "$1"; fi
}
fresh() { rm -f out.jsonl out.jsonl.* processed.jsonl; }

server_start 0
prepare 1 served.ini --set extractor.url="$url" >log.txt || die "$(cat log.txt)"
grep -q '^rounds whose extraction failed: [1-9]' log.txt || die "nothing failed: $(cat log.txt)"
[ "$(wc -l <out.jsonl)" -gt 100 ] || die 'hardly any samples'
if grep -q none out.jsonl; then die 'an unusable answer became a truth'; fi
mv out.jsonl want.jsonl
mv processed.jsonl want-processed.jsonl
for ranks in 2 4; do
    fresh
    prepare $ranks served.ini --set extractor.url="$url" >log.txt || die "$(cat log.txt)"
    same "$ranks ranks"
done
fresh
slow=delay:0.2,facts
prepare 2 served.ini --set extractor.url="$url" --set extractor.name="$slow" --set extractor.in_flight=4 \
    >/dev/null 2>&1 &
sleep 2
pkill -9 -f "$slow" || true
wait $! 2>/dev/null || true
[ ! -e out.jsonl ] || die 'a file before its time'
[ "$(cat out.jsonl.extract-*.jsonl | wc -l)" -gt 10 ] || die 'the journal did not grow'
prepare 1 served.ini --set extractor.url="$url" --set extractor.name="$slow" >log.txt || die "$(cat log.txt)"
grep -q '^answers from an earlier start: [1-9]' log.txt || die "$(cat log.txt)"
same 'after kill -9'
prepare 4 served.ini --set extractor.url="$url" >log.txt || die "$(cat log.txt)"
if grep -q '^answers from an earlier start: [1-9]' log.txt; then die 'answers to other questions'; fi

# Any name of an output finds its journals.
for again in first second; do
    prepare 2 served.ini --set extractor.url="$url" --set prepare.output='odd[1]*.jsonl' >log.txt ||
        die "$(cat log.txt)"
done
grep -q '^answers from an earlier start: [1-9]' log.txt || die "$again: $(cat log.txt)"
if grep -q '^questions asked' log.txt; then die "asked again: $(cat log.txt)"; fi

# The server goes away: what it said is kept, no file is written, the rest is asked later.
fresh
(sleep 1 && kill -9 "$server") &
expect_status 75 "$build/learn2ask" prepare served.ini --set extractor.url="$url" \
    --set extractor.name="$slow" --set extractor.retries=1 --set extractor.in_flight=16
grep -q 'questions found no answer, one of them because: ' status.log || die "$(cat status.log)"
[ ! -e out.jsonl ] || die 'a file without all answers'
expect_status 69 "$build/learn2ask" prepare served.ini --set extractor.url="$url" \
    --set prepare.output=none.jsonl --set extractor.retries=1
[ ! -e none.jsonl ] || die 'a file without answers'
server_stop
server_start "$port"
prepare 2 served.ini --set extractor.url="$url" --set extractor.name="$slow" >log.txt || die "$(cat log.txt)"
same 'after the server came back'
server_stop

# A model of our own.
asked_model lists
for ranks in 1 2 4; do
    rm -f own.jsonl.*
    prepare $ranks served.ini --set prepare.extractor=model --set extractor.path=hf-lists \
        --set prepare.output=own.jsonl --set extractor.max_tokens=60 --set extractor.name='' \
        --set extractor.max_prompt_tokens=1500 >log.txt 2>&1 || die "$(cat log.txt)"
    [ -e own-1.jsonl ] || cp own.jsonl own-1.jsonl
    cmp own.jsonl own-1.jsonl || die "another file on $ranks ranks"
done
grep -q ' attempts, [1-9][0-9]* answers unusable' log.txt || die "all usable: $(cat log.txt)"
[ "$(wc -l <own.jsonl)" -gt 20 ] || die "hardly any samples: $(cat log.txt)"
cat log.txt
# A question that is too long is refused; with more room it is put.
long="--set prepare.extractor=model --set extractor.path=hf-lists --set prepare.output=long.jsonl
    --set extractor.max_tokens=60"
# shellcheck disable=SC2086
{
    prepare 1 served.ini $long --set extractor.max_prompt_tokens=20 >log.txt 2>&1 || die "$(cat log.txt)"
    grep -q '^rounds with info_set: 0' log.txt || die "$(cat log.txt)"
    prepare 1 served.ini $long --set extractor.max_prompt_tokens=1500 >log.txt 2>&1 || die "$(cat log.txt)"
}
cmp long.jsonl own-1.jsonl || die 'a question once refused is never put'
