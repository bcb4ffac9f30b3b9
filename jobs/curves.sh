#!/bin/sh
# curves.sh - draws the learning curves of a run: metrics.jsonl -> curves.png.
#
#     jobs/curves.sh RUN_DIRECTORY
set -eu
run=${1:?which run? jobs/curves.sh RUN_DIRECTORY}
[ -f "$run/metrics.jsonl" ] || { echo "error: no $run/metrics.jsonl" >&2; exit 66; }
if ! grep -q '"critic/rewards/mean"' "$run/metrics.jsonl"; then
    echo "no rewards in $run/metrics.jsonl: nothing to draw"
    exit 0
fi
table=$(mktemp)
trap 'rm -f "$table"' EXIT
# A line of the journal is one flat object of numbers. Columns: step, evaluation, and for each part
# of the reward its value and the mean of its last ten.
awk '
function value(name,    at, rest) {
    at = index($0, "\"" name "\":")
    rest = substr($0, at + length(name) + 3)
    return at > 0 && rest ~ /^ *[-0-9]/ ? rest + 0 : "nan"
}
function mean(name, new,    i, sum, from) {
    if (new == "nan") return "nan"
    kept[name, seen[name]++] = new
    from = seen[name] > 10 ? seen[name] - 10 : 0
    for (i = from; i < seen[name]; i++) sum += kept[name, i]
    return sum / (seen[name] - from)
}
BEGIN { parts = split("critic/rewards/mean reward/decision reward/content reward/format", part, " ") }
{
    printf "%s %s", value("step"), value("val/ave_total_reward")
    for (i = 1; i <= parts; i++) {
        new = value(part[i])
        printf " %s %s", new, mean(part[i], new)
    }
    print ""
}' "$run/metrics.jsonl" >"$table"
gnuplot -e "run = '$run'; table = '$table'" "$(dirname "$0")/curves.gp"
echo "$run/curves.png"
