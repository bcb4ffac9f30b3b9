#!/bin/sh
# The benchmarks of CPUs run small: each verifies what it times, prints a table and writes its rows as
# JSON with every field; a mistake in the command line gets one line, and no number.
export OMP_NUM_THREADS=1
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
bench=$build/benchmarks
for name in kernels rollout step; do
    [ -x "$bench/bench_$name" ] || { echo "skipped: bench_$name needs oneDNN (libdnnl-dev)"; exit 77; }
done
clinic_data data/clinic --sessions 20 --test 4

# A peer that decodes, updates and, faster than all others, multiplies, and does not prefill.
cat >peer.py <<'END'
from turns import take_turns
SECONDS = {"prefill": lambda sizes: None, "nn": lambda sizes: 1e-9}
take_turns("stand-in 1.0", lambda what, *sizes: SECONDS.get(what, lambda sizes: sizes[0] * 1e-3)(sizes))
END
export PYTHONPATH="$tree/benchmarks/peers"

measure() { # name of the rows' file, ranks, benchmark, its arguments
    name=$1
    launch=
    [ "$2" -eq 1 ] || launch="mpirun -n $2"
    program=$bench/bench_$3
    shift 3
    # shellcheck disable=SC2086
    $launch "$program" --quick --json "$name.json" "$@" >"$name.log" 2>&1 </dev/null ||
        die "$name: $(grep '^error: ' "$name.log" || tail -n 5 "$name.log")"
}
small='--set train.batch_contexts=8 --set rollout.group_size=2'
measure kernels 1 kernels
measure products 1 kernels nn bf16 -- python3 peer.py
measure rollout 1 rollout data/clinic/model
measure turns 1 rollout data/clinic/model f32 -- python3 peer.py
# shellcheck disable=SC2086
measure step 2 step "$tree/inputs/clinic.ini" run $small --set algorithm.kl_coefficient=0.01
# shellcheck disable=SC2086
measure update 1 step "$tree/inputs/clinic.ini" updated $small -- python3 peer.py
# shellcheck disable=SC2086
clinic_train 1 trained $small --set warmup.epochs=0 --set warmup.steps=1 --set train.steps=1 \
    --set evaluate.file= || die "$(tail -n 5 trained.log)"
"$build/tools/l2a-convert" trained model >/dev/null
measure start 1 start model
measure checkpoint 2 checkpoint data/clinic/model saved
measure collectives 2 collectives
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
    "turns": {"prefill", "decode"},
    "update": {"step", "update_actor"},
    "start": {"start"},
    "step": {"step", "gen", "reference", "forward", "backward", "update_actor", "optimizer"},
    "checkpoint": {"save", "save without the copy", "load", "copy that the run waits for"},
    "collectives": {"all-gather", "reduce-scatter", "sum"},
}
PEERS = {"kernels": 6, "products": 1, "rollout": 0, "turns": 2, "update": 2, "start": 2, "step": 0, "checkpoint": 4, "collectives": 9}


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
        if peer and name in ("products", "turns", "update"):  # the stand-in's time is known
            assert row["peer"] == "stand-in 1.0", row
            assert row["peer_seconds"][0] == row["peer_seconds"][2] or name == "update", row
        for key in ("peer_figure", "ratio"):
            assert (row[key] is not None and row[key] > 0) == peer, row
        assert rising(row["peer_seconds"]) if peer else row["peer_seconds"] is None, row
        if row["ceiling"] is None:
            assert row["ceiling_of"] is None and row["share"] is None, row
        elif name in ("rollout", "turns"):  # a ceiling each round
            assert 0.2 < row["share"] * row["ceiling"] / row["figure"] < 5, row
        else:
            assert abs(row["share"] * row["ceiling"] / row["figure"] - 1) < 1e-4, row
    exact = [row for row in rows if not row["shape"].endswith("native")]  # not every machine has those
    assert sum(row["peer"] is not None for row in exact) == PEERS[name], name
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
refused 69 'ended early' "$bench/bench_rollout" data/clinic/model f32 --quick -- false
echo 'import turns; turns.say("short of breath"); turns.say("1.0") if input() else 0' >brief.py
refused 69 'the peer short of breath ended early' "$bench/bench_rollout" data/clinic/model f32 --quick -- \
    python3 brief.py
refused 69 'cannot be started' "$bench/bench_rollout" data/clinic/model f32 --quick -- no/such
refused 66 no/such "$bench/bench_start" no/such --quick
refused 64 'nt|nn|tn|others' "$bench/bench_kernels" mm
refused 66 config.json "$bench/bench_rollout" nowhere --quick
refused 73 no/such "$bench/bench_kernels" nn f32 --quick --json no/such/place.json
refused 64 'mpirun -n 2' "$bench/bench_collectives" --quick
