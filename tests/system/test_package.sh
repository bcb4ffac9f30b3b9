#!/bin/sh
# The Debian package, installed by apt into a clean root of this release, trains there as an ordinary
# user and ends with the bits of the build; removed, it leaves nothing.
set -eu
# shellcheck source=tests/system/clean_root.sh
. "$(dirname "$0")/clean_root.sh"
if [ "${1:-}" = --inside ]; then
    root=$2
    clean_root_make "$root" "$3" "$4" 2g
    mkdir "$root/tmp/test"
    cp ./*.deb settings "$root/tmp/test"
    chmod -R a+rX "$root/tmp/test"
    # shellcheck disable=SC2016 # inside
    exec chroot "$root" /bin/sh -eu -c '
        cd /tmp/test
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update
        apt-get -qq install --yes --no-install-recommends ./*.deb >apt.log 2>&1 || cat apt.log
        useradd --create-home --shell /bin/sh user
        su user -c "set -eu
            cd
            . /usr/share/learn2ask/jobs/mpi.sh
            export OMP_NUM_THREADS=1
            learn2ask --version --verbose
            l2a-clinic data/clinic --sessions 12 --test 2
            learn2ask check /usr/share/learn2ask/inputs/clinic.ini
            mpirun -n 2 learn2ask train /usr/share/learn2ask/inputs/clinic.ini \
                --set run.directory=run $(cat settings)"
        dpkg -L learn2ask >files.txt
        dpkg --purge learn2ask
        while read -r file; do
            [ -d "$file" ] || [ ! -e "$file" ] || { echo "$file is left"; exit 1; }
        done <files.txt
        ls -d /usr/share/learn2ask /usr/share/doc/learn2ask 2>/dev/null && exit 1
        exit 0'
fi
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clean_root_check
command -v dpkg-shlibdeps >/dev/null || skip 'no dpkg-dev'

(cd "$build" && cpack -G DEB -B "$work/deb") >cpack.log 2>&1 || die "$(tail -n 5 cpack.log)"
mkdir inside root
cp "$work"/deb/learn2ask_*.deb inside
if command -v lintian >/dev/null; then
    lintian --allow-root --fail-on error inside/*.deb || die 'lintian has found faults'
fi

settings='--set warmup.epochs=0 --set warmup.steps=1 --set train.steps=2 --set evaluate.file='
settings="$settings --set train.batch_contexts=4 --set rollout.group_size=2"
echo "$settings" >inside/settings
clinic_data data/clinic --sessions 12 --test 2
# shellcheck disable=SC2086 # one word a setting
clinic_train 2 built $settings || die "$(tail -n 5 built.log)"

clean_root_run package.log "$tree/tests/system/test_package.sh"
sed -n '/^learn2ask /,/^libcurl /p' package.log
expect_equal 'weights of the packaged program' \
    "$(sed -n 's/^RESULT .* weights=\([0-9a-f]*\) .*/\1/p' package.log)" "$(clinic_weights built)"
