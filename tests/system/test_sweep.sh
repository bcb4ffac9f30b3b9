#!/bin/sh
# benchmarks/sweep.sh on one and two ranks: a table, JSON and a plot, and no number of a run that fails.
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clinic_data data/clinic --sessions 20 --test 4
export PROGRAM="$build/learn2ask" STEPS=4 REPEATS=1
sweep() {
    kind=$1
    shift
    "$tree/benchmarks/sweep.sh" "$kind" "$kind" "$tree/inputs/clinic.ini" '1 2' \
        --set rollout.group_size=2 "$@" >said 2>&1
}
sweep strong --set train.batch_contexts=8 || die "$(cat said)"
sweep weak --set rollout.max_response_tokens=4 || die "$(cat said)"
for kind in strong weak; do
    found=$(python3 -c 'import json, sys
swept = json.load(open(sys.argv[1]))
one, two = swept["runs"]
assert one["ranks"] == 1 and two["ranks"] == 2 and one["efficiency"] == 1
assert 0 < two["efficiency"] < 2 and two["tokens_per_second"] > 0
print(swept["kind"])' "$kind/scaling.json")
    expect_equal 'kind of the sweep' "$found" "$kind"
    ! command -v gnuplot >/dev/null || [ -s "$kind/scaling.png" ] || die 'no plot'
done
rows() { sed -n '1s/.*"perf\/total_num_tokens":\([0-9]*\).*/\1/p' "$1/metrics.jsonl"; }
[ "$(rows weak/ranks-2)" -gt "$(rows weak/ranks-1)" ] || die 'a weak step does not grow'
expect_equal 'tokens of a strong step' "$(rows strong/ranks-2)" "$(rows strong/ranks-1)"
! sweep strong --set model.path=nowhere || die 'a run that failed got a number'
grep -q nowhere said || die "nobody says why: $(cat said)"
cat >astray.sh <<'END'
#!/bin/sh
"$REAL" "$@" || exit
[ ! -e strong/ranks-1/metrics.jsonl ] ||
    sed -i 's/"mismatch\/logprob_gap_max":0/"mismatch\/logprob_gap_max":0.02/' strong/ranks-1/metrics.jsonl
END
chmod +x astray.sh
export REAL="$PROGRAM" PROGRAM=./astray.sh
! sweep strong || die 'a sampler that is not the learner got a number'
grep -q 'sampler and learner disagree' said || die "nobody says why: $(cat said)"
