#!/bin/sh
# The Debian package, installed by apt into a clean root of this release, trains there as an ordinary
# user and ends with the bits of the build; removed, it leaves nothing.
#
# What is mounted is mounted in a namespace of this test's own, which ends with its last process.
set -eu
if [ "${1:-}" = --inside ]; then
    root=$2 mirror=$3 release=$4
    eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
    [ -z "${http_proxy:-}" ] || export http_proxy
    mount -t tmpfs -o size=2g,mode=755 tmpfs "$root"
    debootstrap --variant=minbase "$release" "$root" "$mirror" >debootstrap.log
    mount -t proc proc "$root/proc"
    mount -t tmpfs tmpfs "$root/dev/shm"
    apt-config dump | grep '^Acquire::' >"$root/etc/apt/apt.conf.d/99host" # proxies and the like
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
skip() {
    echo "skipped: $*"
    exit 77
}
command -v debootstrap >/dev/null || skip 'no debootstrap'
command -v dpkg-shlibdeps >/dev/null || skip 'no dpkg-dev'
unshare --mount --pid --fork true 2>/dev/null || skip 'needs root'
# Where this machine has its packages from.
uri=$(apt-get download --print-uris base-files 2>/dev/null | sed "s/^'\([^']*\)'.*/\1/")
case $uri in */pool/*) ;; *) skip 'apt knows no archive (apt-get update)' ;; esac
mirror=${uri%%/pool/*}
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
apt-get download -qq base-files 2>/dev/null || skip "the archive cannot be reached"

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

script=$tree/tests/system/test_package.sh
(cd inside && exec unshare --mount --pid --fork --kill-child "$script" \
    --inside "$work/root" "$mirror" "$release") >package.log 2>&1 </dev/null &
inside=$!
trap 'kill -9 $inside; exit 143' HUP INT TERM
wait $inside || die "$(tail -n 20 package.log)"
sed -n '/^learn2ask /,/^libcurl /p' package.log
expect_equal 'weights of the packaged program' \
    "$(sed -n 's/^RESULT .* weights=\([0-9a-f]*\) .*/\1/p' package.log)" "$(clinic_weights built)"
