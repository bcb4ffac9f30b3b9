#!/bin/sh
# What the program says of its libraries is what the system says of them, without MPI being started,
# and stands at the head of a run's log as well.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
for program in learn2ask tools/l2a-convert tools/l2a-tokens tools/l2a-clinic; do
    said=$("$build/$program" --version)
    case $said in
    "$(basename "$program")"\ [0-9]*.[0-9]*.[0-9]) ;;
    *) die "$program --version: $said" ;;
    esac
    expect_equal "lines of $program --version" "$(echo "$said" | wc -l)" 1
done

# Where MPI cannot start.
no_mpi() {
    OMPI_MCA_pml=none MPIR_CVAR_CH4_NETMOD=none "$@" </dev/null
}
no_mpi "$build/learn2ask" --version --verbose >told.txt || die 'MPI was started'
! no_mpi "$build/learn2ask" train "$tree/inputs/clinic.ini" >train.log 2>&1 || die 'MPI does start'
# Its message comes from a process beside, which does not always have the time to print it.
grep -q -i -e mpi -e ORTE_ERROR train.log || die "training failed for another reason: $(cat train.log)"

told() {
    sed -n "s/^$1  *//p" told.txt
}
for pair in jansson=jansson PCRE2=libpcre2-8 xxHash=libxxhash libcurl=libcurl; do
    expect_equal "${pair%=*}" "$(told "${pair%=*}")" "$(pkg-config --modversion "${pair#*=}")"
done
expect_equal HDF5 "$(told HDF5)" "$(h5dump --version | sed 's/.*Version //')"
expect_equal MPI "$(told MPI)" "$(mpirun --version | sed -n 's/^mpirun (\(.*\)) /\1 v/p')"
[ -n "$(told commit)" ] || die "no commit: $(cat told.txt)"
[ -n "$(told CUDA)" ] || die "nothing of CUDA: $(cat told.txt)"
told compiler | grep -q -e '-ffp-contract=off' || die "no flags: $(told compiler)"
expect_equal processor "$(LEARN2ASK_ISA=plain "$build/learn2ask" --version --verbose |
    sed -n 's/^processor  *\([a-z]*\) of .*plain.*/\1/p')" plain
LD_PRELOAD=$build/tests/system/libother_version.so "$build/learn2ask" --version --verbose >other.txt
expect_equal 'another library' "$(sed -n 's/^utf8proc  *//p' other.txt)" \
    "0.0.7, compiled with $(told utf8proc)"

clinic_data data/clinic --sessions 12 --test 2
clinic_train 1 run --set warmup.epochs=0 --set warmup.steps=1 --set train.steps=1 \
    --set train.batch_contexts=4 --set rollout.group_size=2 --set evaluate.file= ||
    die "$(tail -n 5 run.log)"
expect_equal 'lines of the log' "$(sed -n '/^MPI /,/^libcurl /p' run/log.txt)" \
    "$(sed -n '/^MPI /,/^libcurl /p' told.txt)"
