#!/bin/sh
# sweep.sh - how training scales with ranks: strong (the same step) or weak (a step that grows with them).
#
#     benchmarks/sweep.sh strong|weak OUTPUT INPUT.ini 'RANKS...' [--set SECTION.KEY=VALUE]...
#
# For each number of ranks, after one another, a run of STEPS (8) steps of the input in OUTPUT/ranks-N,
# REPEATS (3) times in turns; all responses of full length, no warm-up, evaluation or checkpoints. Of a
# run the first two steps do not count, of the others the median does. Writes OUTPUT/scaling.json and
# scaling.png: seconds a step (least, median, most of the repeats), tokens a second, efficiency against
# the first number. A run whose sampler and learner disagree is refused a number where they must not: on CPUs
# with rollout.tensor_parallel = 1.
#
# In an allocation of Slurm ranks are started by `srun --mpi=pmix -n`, else by `mpirun -n`; LAUNCH replaces
# both. PROGRAM (build/learn2ask) is what is started.
set -eu
kind=${1:?strong or weak? benchmarks/sweep.sh strong|weak OUTPUT INPUT.ini \'RANKS...\'}
output=${2:?where to? benchmarks/sweep.sh strong|weak OUTPUT INPUT.ini \'RANKS...\'}
input=${3:?which input file? benchmarks/sweep.sh strong|weak OUTPUT INPUT.ini \'RANKS...\'}
numbers=${4:?how many ranks? benchmarks/sweep.sh strong|weak OUTPUT INPUT.ini \'1 2 4\'}
shift 4
case $kind in
strong | weak) ;;
*) echo "error: strong or weak, not $kind" >&2 && exit 64 ;;
esac
program=${PROGRAM:-build/learn2ask}
steps=${STEPS:-8}
repeats=${REPEATS:-3}
if [ -n "${SLURM_JOB_ID:-}" ]; then
    launch=${LAUNCH:-srun --mpi=pmix -n}
else
    # shellcheck source=jobs/mpi.sh
    . "$(dirname "$0")/../jobs/mpi.sh"
    launch=${LAUNCH:-mpirun -n}
fi
mkdir -p "$output"
contexts=$(sed -n '/^ *\[train\]/,/^ *\[/s/^ *batch_contexts *= *\([0-9]*\).*/\1/p' "$input")
contexts=${contexts:-64}

splits() { # of a run: over how many ranks its sampler's sums are spread
    sed -n '/^\[rollout\]/,/^\[/s/^tensor_parallel = //p' "$1/run.ini"
}

median() { # of the lines of standard input
    sort -g | awk '{ v[NR] = $1 } END { print v[int(NR / 2) + 1] }'
}

: >"$output/times"
for repeat in $(seq "$repeats"); do
    for ranks in $numbers; do
        run=$output/ranks-$ranks
        rm -rf "$run"
        batch=$contexts
        [ "$kind" = strong ] || batch=$((contexts * ranks))
        # shellcheck disable=SC2086 # words of a command
        $launch "$ranks" "$program" train "$input" --set run.directory="$run" \
            --set run.samples_every=0 --set train.steps="$steps" --set train.batch_contexts=$batch \
            --set rollout.forced_length=yes --set warmup.steps=0 --set warmup.epochs=0 \
            --set evaluate.file= --set checkpoint.every=0 "$@" >"$run.log" 2>&1 </dev/null ||
            { grep '^error: ' "$run.log" >&2 || tail -n 20 "$run.log" >&2; exit 70; }
        if grep -q '^backend  *cpu' "$run.log" && [ "$(splits "$run")" -le 1 ] &&
            grep -v '"mismatch/logprob_gap_max":0[,}]' "$run/metrics.jsonl" | grep -q .; then
            echo "error: $run: sampler and learner disagree: no number is told" >&2
            exit 70
        fi
        value() {
            sed -n "3,\$s|.*\"$1\":\\([^,}]*\\).*|\\1|p" "$run/metrics.jsonl" | median
        }
        echo "$ranks $repeat $(value perf/time_per_step) $(value perf/total_num_tokens)" |
            tee -a "$output/times"
    done
done

version=$("$program" --version)
host=$(uname -n)
processor=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
sort -k1,1g -k3,3g "$output/times" | awk -v kind="$kind" -v version="$version" -v host="$host" \
    -v processor="$processor" -v table="$output/table" '
function flush(    middle, efficiency) {
    if (!count) return
    middle = v[int(count / 2) + 1]
    if (!base) { base = middle; base_ranks = ranks }
    efficiency = kind == "strong" ? base * base_ranks / (middle * ranks) : base / middle
    printf "%s\n    {\"ranks\": %d, \"seconds\": [%s, %s, %s], \"tokens_per_second\": %.6g, " \
        "\"efficiency\": %.4f}", rows++ ? "," : "", ranks, v[1], middle, v[count], tokens / middle,
        efficiency
    print ranks, v[1], middle, v[count], tokens / middle, efficiency >table
    count = 0
}
BEGIN {
    printf "{\"kind\": \"%s\", \"version\": \"%s\", \"host\": \"%s\", \"processor\": \"%s\", " \
        "\"runs\": [", kind, version, host, processor
}
$1 != ranks { flush(); ranks = $1 }
{ v[++count] = $3; tokens = $4 }
END { flush(); print "\n]}" }' >"$output/scaling.json.new"
mv "$output/scaling.json.new" "$output/scaling.json"
echo 'ranks, least, median and most seconds a step, tokens a second, efficiency'
cat "$output/table"
command -v gnuplot >/dev/null || exit 0
gnuplot <<END
set terminal pngcairo size 900,420 font ",11"
set output "$output/scaling.png"
set multiplot layout 1,2
set grid lc rgb "#dddddd"
set logscale x 2
set xlabel "ranks"
set title "seconds a step"
set yrange [0:*]
plot "$output/table" using 1:3:2:4 with yerrorlines lw 2 lc rgb "#1f4e79" notitle
set title "efficiency, $kind"
set yrange [0:1.1]
plot "$output/table" using 1:6 with linespoints lw 2 pt 7 lc rgb "#1f4e79" notitle, 1 lc rgb "#bbbbbb" notitle
END
