#!/bin/sh
# chain.sh - trains RUN, makes MODEL of it, evaluates that: three jobs, each of which begins when the
# one before it has succeeded. Options of sbatch are taken from the environment (SBATCH_PARTITION ...).
#
#     jobs/chain.sh INPUT.ini RUN MODEL
set -eu
input=${1:?which input file? jobs/chain.sh INPUT.ini RUN MODEL}
run=${2:?which run? jobs/chain.sh INPUT.ini RUN MODEL}
model=${3:?which directory is the model to be written to? jobs/chain.sh INPUT.ini RUN MODEL}
jobs=$(dirname "$0")
export PATH="$PWD/build:$PWD/build/tools:$PATH" # a build here, else an installed one
after() {
    previous=$1
    shift
    sbatch --parsable --dependency="afterok:$previous" --kill-on-invalid-dep=yes "$@"
}
train=$(sbatch --parsable "$jobs/requeue.sbatch" "$input" --set run.directory="$run")
convert=$(after "$train" --job-name=convert --ntasks=1 --mem=16G --time=1:00:00 \
    --output=%x-%j.log --wrap="exec l2a-convert '$run' '$model'")
evaluate=$(after "$convert" --job-name=evaluate "$jobs/one_node.sbatch" evaluate "$input" \
    --set model.path="$model" --set model.random=no)
echo "train $train, convert $convert, evaluate $evaluate"
