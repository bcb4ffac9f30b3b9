#!/bin/sh
# check_includes.sh - the arrows between modules point down only.
#
#     check_includes.sh TREE     prints "FILE: MODULE may not include OTHER"; 1 if there is one
set -eu
cd "$1"
grep -rn --include='*.[ch]' --include='*.cu' --include='*.cuh' '^#include "' src kernels tools |
    awk '
BEGIN {
    # Of each module all that is below it.
    below["base"] = ""
    below["files"] = below["kernels"] = below["input"] = "base"
    below["parallel"] = "base kernels"
    below["text"] = "base files input"
    below["dialogue"] = "base files input text"
    below["reward"] = "base files input text dialogue"
    below["model"] = "base files input kernels parallel"
    below["engine"] = below["model"] " text model"
    below["ask"] = below["engine"] " engine dialogue"
    below["learner"] = below["exchange"] = below["model"] " model"
    below["store"] = "base files kernels parallel"
    below["tasks"] = below["ask"] " ask reward learner exchange store"
    below["main.c"] = below["tasks"] " tasks"
    below["tools"] = "base files input text dialogue reward" # no MPI there
}
{
    split($0, field, ":")
    file = field[1]
    depth = split(file, part, "/")
    module = part[1] == "src" ? part[2] : part[1]
    split($0, quoted, "\"")
    split(quoted[2], path, "/")
    other = path[1]
    if (!(module in below)) {
        print file ": the module " module " is not in the table of check_includes.sh"
        bad = 1
    } else if (other != module && index(" " below[module] " ", " " other " ") == 0) {
        print file ": " module " may not include " other
        bad = 1
    }
}
END { exit bad }'
