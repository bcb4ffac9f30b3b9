#!/bin/sh
# Under a real Slurm: an array of seeds, training, conversion and evaluation one after the other, and
# the job script that learn2ask prints for an input file.
set -eu
# shellcheck source=tests/slurm/slurm.sh
. "$(dirname "$0")/slurm.sh"
slurm_start
clinic_data data/clinic --sessions 60 --test 6
sed -e 's/^steps = .*/steps = 2/' -e 's/^epochs = .*/steps = 6/' -e 's/^batch_contexts = .*/batch_contexts = 16/' \
    inputs/clinic.ini >tiny.ini

# The script that is printed is jobs/requeue.sbatch, made for one input file.
build/learn2ask job tiny.ini --set run.directory='runs/of mine' >printed.sbatch
tail -n 5 jobs/requeue.sbatch >expected.txt
tail -n 5 printed.sbatch | sed -e "s|$(readlink -f build)/||" \
    -e "s| tiny.ini --set 'run.directory=runs/of mine'||" >found.txt
diff expected.txt found.txt || die 'another script is printed'
! build/learn2ask job tiny.ini --set parallel.backend=cpu | grep gpus || die 'it asks for GPUs'
build/learn2ask job tiny.ini --set parallel.backend=cuda | grep '^#SBATCH --gpus-per-task=1$' ||
    die 'it asks for no GPUs'
split='--set parallel.placement=split --set parallel.rollout_ranks=3 --set parallel.learner_ranks=2'
# shellcheck disable=SC2086 # one word a setting
build/learn2ask job tiny.ini $split | grep '^#SBATCH --ntasks=5$' || die 'not 5 tasks'
needs=$(build/learn2ask check tiny.ini | sed -n 's/.*each of 1 shared rank: \([0-9]*\) MiB.*/\1/p')
asked=$(sed -n 's/^#SBATCH --mem-per-cpu=\([0-9]*\)M$/\1/p' printed.sbatch)
echo "a rank needs $needs MiB, the script asks for 8 times $asked"
if [ $((asked * 8)) -lt "$needs" ] || [ $((asked * 4)) -ge "$needs" ]; then
    die 'memory that does not fit'
fi

# An installed program's: submitted from where there is no build, with the program in PATH.
cmake --install build --prefix "$work/prefix" >/dev/null
mkdir elsewhere
ln -s ../data elsewhere/data
installed=$(cd elsewhere && PATH="$work/prefix/bin:$PATH" sbatch --parsable --ntasks=1 \
    --cpus-per-task=1 --output=../installed.log "$work/prefix/share/learn2ask/jobs/one_node.sbatch" \
    train ../tiny.ini --set evaluate.file= --set run.directory=installed)
"$work/prefix/bin/learn2ask" job tiny.ini | grep "^srun .* $work/prefix/bin/learn2ask train " ||
    die 'the script that an installed program prints names another one'

printed=$(sbatch --parsable --output=printed.log printed.sbatch --set evaluate.file=)
array=$(sbatch --parsable --array=2-3 --ntasks=1 --output=seed-%a.log jobs/seeds.sbatch tiny.ini \
    runs/seed --set evaluate.file=)
chain=$(jobs/chain.sh tiny.ini runs/chain model)
echo "$chain"
job_await "$installed" 'COMPLETED 0:0'
job_await "$printed" 'COMPLETED 0:0'
expect_equal 'weights of the installed program' "$(clinic_weights installed)" \
    "$(clinic_weights printed)"
expect_equal 'weights of the printed job' "$(clinic_weights printed)" \
    "$(sed -n 's/^RESULT .* weights=\([0-9a-f]*\) .*/\1/p' 'runs/of mine/log.txt')"
for seed in 2 3; do
    job_await "${array}_$seed" 'COMPLETED 0:0'
    mpirun -n 1 build/learn2ask train tiny.ini --set run.directory=alone-$seed \
        --set run.seed=$seed --set evaluate.file= >alone-$seed.log 2>&1 </dev/null
    expect_equal "weights of seed $seed" "$(clinic_weights seed-$seed)" \
        "$(clinic_weights alone-$seed)"
done
[ "$(clinic_weights seed-2)" != "$(clinic_weights seed-3)" ] || die 'both seeds are one'

for task in train convert evaluate; do
    job=$(echo "$chain" | sed "s/.*$task \([0-9]*\).*/\1/")
    job_await "$job" 'COMPLETED 0:0'
done
[ -f model/model.safetensors ] || slurm_log 'no model was made'
grep '^ave_total_reward ' evaluate-"$job".log || slurm_log 'no table of scores'

# What cannot be trained is not converted either.
chain=$(jobs/chain.sh missing.ini runs/none none)
job_await "$(echo "$chain" | sed 's/.*convert \([0-9]*\).*/\1/')" CANCELLED
[ ! -e none ] || die 'something was converted'
