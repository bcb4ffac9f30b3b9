#!/bin/sh
# test_scripts.sh - every script of the tree is well-formed: shellcheck where it is installed, else
# the shell's own reading of the syntax.
set -eu
cd "$(dirname "$0")/../.."
if command -v shellcheck >/dev/null; then
    check() { shellcheck --external-sources --shell=sh "$1"; }
else
    check() { sh -n "$1"; }
fi
status=0
for script in .ci/run jobs/*.sh jobs/*.sbatch tests/*.sh tests/*/*.sh tools/*.sh tools/*/*.sh \
    benchmarks/*.sh benchmarks/*/*.sh; do
    [ -f "$script" ] || continue
    check "$script" || { echo "$script is not well-formed"; status=1; }
done
if command -v shellcheck >/dev/null; then
    shellcheck tools/packaging/completion.bash || status=1
fi
exit $status
