#!/bin/sh
# The benchmarks of CPUs run small: each verifies what it times, prints a table and writes its rows as
# JSON with every field; a mistake in the command line gets one line, and no number.
export OMP_NUM_THREADS=1
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
bench=$build/benchmarks
for name in kernels rollout step checkpoint collectives; do
    [ -x "$bench/bench_$name" ] || { echo "skipped: bench_$name needs oneDNN (libdnnl-dev)"; exit 77; }
done
clinic_data data/clinic --sessions 20 --test 4

measure() { # name of the rows' file, command
    name=$1
    shift
    "$@" --quick --json "$name.json" >"$name.log" 2>&1 </dev/null ||
        die "$name: $(grep '^error: ' "$name.log" || tail -n 5 "$name.log")"
}
measure kernels "$bench/bench_kernels"
measure products "$bench/bench_kernels" nn bf16
measure rollout "$bench/bench_rollout" data/clinic/model
measure step mpirun -n 2 "$bench/bench_step" "$tree/inputs/clinic.ini" run \
    --set train.batch_contexts=8 --set rollout.group_size=2 --set algorithm.kl_coefficient=0.01
measure checkpoint mpirun -n 2 "$bench/bench_checkpoint" data/clinic/model saved
measure collectives mpirun -n 2 "$bench/bench_collectives"
[ ! -e saved ] || die 'bench_checkpoint leaves its run behind'

python3 - <<'END' || die 'the rows are not as they should be'
import json

TEXTS = ["what", "shape", "unit", "program", "version", "kernels", "processor", "libraries"]
WANTED = {  # of each file what must have been measured; below, how many rows have a peer
    "kernels": {"product_nt", "product_nn", "product_tn", "residual_rmsnorm_forward",
                "rmsnorm_backward", "rotary", "swiglu_forward", "swiglu_backward",
                "attention_forward", "attention_backward", "attention, decoding", "logsumexp",
                "target_backward", "loss of a chunk", "sample", "adamw", "matrix_pack", "copy"},
    "products": {"product_nn"},
    "rollout": {"prefill", "decode"},
    "step": {"step", "gen", "reference", "forward", "backward", "update_actor", "optimizer"},
    "checkpoint": {"save", "save without the copy", "load", "copy that the run waits for"},
    "collectives": {"all-gather", "reduce-scatter", "sum"},
}
PEERS = {"kernels": 6, "products": 1, "rollout": 0, "step": 0, "checkpoint": 4, "collectives": 9}


def rising(times):
    return len(times) == 3 and 0 < times[0] <= times[1] <= times[2]


for name, wanted in WANTED.items():
    rows = json.load(open(name + ".json"))
    table = open(name + ".log").read()
    assert wanted <= {row["what"] for row in rows}, (name, [row["what"] for row in rows])
    for row in rows:
        assert all(isinstance(row[key], str) for key in TEXTS), row
        assert row["threads"] == 1 and row["ranks"] in (1, 2), row
        assert rising(row["seconds"]) and row["figure"] > 0, row
        assert f"\n{row['what']} " in table, row
        peer = row["peer"] is not None
        for key in ("peer_figure", "ratio"):
            assert (row[key] is not None and row[key] > 0) == peer, row
        assert rising(row["peer_seconds"]) if peer else row["peer_seconds"] is None, row
        if row["ceiling"] is None:
            assert row["ceiling_of"] is None and row["share"] is None, row
        else:
            assert abs(row["share"] * row["ceiling"] / row["figure"] - 1) < 1e-4, row
    assert sum(row["peer"] is not None for row in rows) == PEERS[name], name
    print(f"{name}: {len(rows)} rows")
assert {row["what"]: row["ceiling_of"] for row in json.load(open("step.json"))}["step"]
END

refused() { # exit code, what is said, command
    wanted=$1 said=$2 status=0
    shift 2
    "$@" >log 2>&1 </dev/null || status=$?
    expect_equal "exit code of $(basename "$1")" "$status" "$wanted"
    grep -q "$said" log || die "nobody says '$said': $(cat log)"
}
refused 64 'needs a file' "$bench/bench_kernels" nt f32 --json
refused 64 'bench_rollout MODEL_DIRECTORY' "$bench/bench_rollout"
refused 64 'nt|nn|tn|others' "$bench/bench_kernels" mm
refused 66 config.json "$bench/bench_rollout" nowhere --quick
refused 73 no/such "$bench/bench_kernels" nn f32 --quick --json no/such/place.json
refused 64 'mpirun -n 2' "$bench/bench_collectives" --quick
