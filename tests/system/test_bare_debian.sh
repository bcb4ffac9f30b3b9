#!/bin/sh
# README followed as a new user would, in a clean root of this release: the test command (with the unit
# tests alone), the demonstration made short, and the tutorial.
#
#     test_bare_debian.sh BUILD_DIRECTORY
set -eu
# shellcheck source=tests/system/clean_root.sh
. "$(dirname "$0")/clean_root.sh"
if [ "${1:-}" = --inside ]; then
    root=$2
    clean_root_make "$root" "$3" "$4" 12g
    mkdir -p "$root/srv/learn2ask"
    tar -xf tree.tar -C "$root/srv/learn2ask"
    exec chroot "$root" /bin/sh -eu -c '
        cd /srv/learn2ask
        tests/run.sh --label-regex "^unit$"
        jobs/demo.sh --set warmup.epochs=1 --set train.steps=10
        python3 tests/system/test_readme_commands.py . build'
fi
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
clean_root_check
mkdir inside root
(cd "$tree" && git ls-files -z | tar --null -cf - -T -) >inside/tree.tar
clean_root_run bare.log "$tree/tests/system/test_bare_debian.sh"
grep -q '^100% tests passed' bare.log || die 'no test ran'
grep -q '^RESULT steps=179 ' bare.log || die "the demonstration: $(grep ^RESULT bare.log)"
tail -n 1 bare.log
