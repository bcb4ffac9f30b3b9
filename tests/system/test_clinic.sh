#!/bin/sh
# The embedded default, whole: the warm-up ends at or below 60 % of the best possible reward, GRPO at
# or above 85 %, on complaints that neither saw. `test_clinic.sh BUILD SEED permute` is the control:
# with rewards permuted inside each group the gain stays under 3 %.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
seed=${2:-1}
control=${3:-}
clinic_data data/clinic
[ -z "$control" ] || control='--set reward.permute=yes'
# shellcheck disable=SC2086
clinic_train 2 run --set run.seed="$seed" $control || die "$(tail -n 5 run.log)"
tail -n 18 run.log
reward() {
    sed -n 's/^ *"ave_total_reward": \[\([0-9.e+-]*\),.*/\1/p' "run/evaluation-$1.json"
}
best=$(sed -n 's/.*"test": {"best_reward": \([0-9.]*\),.*/\1/p' data/clinic/best.json)
awk -v best="$best" -v before="$(reward warm-up)" -v after="$(reward final)" -v control="$control" '
BEGIN {
    printf "warm-up %.1f %%, final %.1f %% of the best possible %.3f\n", 100 * before / best,
        100 * after / best, best
    if (control != "") exit !(after - before < 0.03 * best)
    exit !(before <= 0.60 * best && after >= 0.85 * best)
}' || die 'not what the embedded default must reach'
gaps=$(grep -ho '"mismatch/logprob_gap_max":[^,}]*' run/metrics.jsonl | sort -u)
expect_equal 'gap between sampler and learner' "$gaps" '"mismatch/logprob_gap_max":0'
