#!/bin/sh
# bench_judge.sh - how long after the last sampled token the last verdict of a served judge comes.
#
#     benchmarks/bench_judge.sh BUILD_DIRECTORY [SECONDS] [settings]
#
# One GRPO step of the real run (inputs/smollm2-mts.ini, natural lengths, jobs/smollm2.sh made its
# files) with a judge on loopback that answers after SECONDS (3), 64 requests in flight (the default).
set -eu
build=$(cd "$1" && pwd)
seconds=${2:-3}
[ $# -lt 2 ] || shift
shift
tree=$(cd "$(dirname "$0")/.." && pwd)
cd "$tree"
# shellcheck source=jobs/mpi.sh
. jobs/mpi.sh
work=$(mktemp -d)
trap 'exec 9>&-; rm -rf "$work"' EXIT
mkfifo "$work/input"
python3 tests/ask/misbehaving_server.py <"$work/input" >"$work/port" &
exec 9>"$work/input"
while ! grep -q port "$work/port"; do sleep 0.1; done
url=http://127.0.0.1:$(sed -n 's/^port //p' "$work/port")/v1
"$build/learn2ask" train inputs/smollm2-mts.ini --set run.directory="$work/run" \
    --set warmup.epochs=0 --set evaluate.file='' --set train.steps=1 --set reward.judge=served \
    --set judge.url="$url" --set judge.name="delay:$seconds,fixed:<format_score>1</format_score><content_score>0.5</content_score>" \
    --set judge.prompt=inputs/prompts/judge.txt "$@" >"$work/log" 2>&1 || {
    tail -n 5 "$work/log" >&2
    exit 1
}
sed 's/[{}]//g; s/,/\n/g' "$work/run/metrics.jsonl" |
    grep -E '"(grading/|group/|timing_s/(gen|reward)|response_length/mean|rollout/decode_rows)'
awk -F'"timing_s/reward":' -v answer="$seconds" '{ split($2, value, /[,}]/);
    printf "last verdict %.2f s after the last token: %.2f answer times\n", value[1],
        value[1] / answer }' "$work/run/metrics.jsonl"
