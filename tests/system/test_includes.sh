#!/bin/sh
# test_includes.sh - the tree's includes point down, and the check finds one that does not.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

expect() { # file, its include, what is said of it
    mkdir -p "$tree/src" "$tree/kernels" "$tree/tools" "$(dirname "$tree/$1")"
    echo "#include \"$2\"" >"$tree/$1"
    said=$("$here/check_includes.sh" "$tree") && status=0 || status=$?
    rm "$tree/$1"
    wanted=0
    [ -z "$3" ] || wanted=1
    [ "$said" = "$3" ] && [ "$status" -eq $wanted ] && return
    echo "expected '$3', found '$said' (status $status)"
    exit 1
}
expect src/base/a.c files/raw.h 'src/base/a.c: base may not include files'
expect src/text/a.h model/tree.h 'src/text/a.h: text may not include model'
expect kernels/cpu/a.c parallel/group.h 'kernels/cpu/a.c: kernels may not include parallel'
expect tools/a.c parallel/group.h 'tools/a.c: tools may not include parallel'
expect src/extra/a.c base/fail.h \
    'src/extra/a.c: the module extra is not in the table of check_includes.sh'
expect src/tasks/a.c kernels/kernels.h ''
expect src/main.c tasks/train.h ''

"$here/check_includes.sh" "$here/../.."
