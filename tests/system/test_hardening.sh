#!/bin/sh
# test_hardening.sh - how the programs were built, read from their headers, and what our code can call:
# no shell, no listener, no function that has no safe use.
#
#     test_hardening.sh [--debug] BUILD PROGRAM...
set -eu
optimised=yes
if [ "$1" = --debug ]; then # nothing is known of sizes then
    optimised=no
    shift
fi
build=$1
shift
status=0

wrong() { # program, what
    echo "$1: $2"
    status=1
}

has() { # readelf's option, pattern
    readelf -W "$1" "$program" | grep -qE "$2"
}

for program; do
    has -h 'Type: +DYN' || wrong "$program" 'has a fixed address'
    has -d '\((FLAGS|FLAGS_1)\).*NOW' || wrong "$program" 'looks functions up when they are called'
    has -l '^ +GNU_RELRO' || wrong "$program" 'has a table of functions that can be written to'
    has -l '^ +GNU_STACK .* RW +0x' || wrong "$program" 'has a stack that can be executed'
    readelf -W --dyn-syms "$program" | awk '$7 == "UND" { sub("@.*", "", $8); print $8 }' |
        sort -u >imported
    grep -qx __stack_chk_fail imported || wrong "$program" 'has no guarded stack'
    if [ $optimised = yes ] && ! grep -q '_chk$' imported; then
        wrong "$program" 'has no checked copies'
    fi
done
rm -f imported

# Programs are started by posix_spawnp, with arguments of their own. (Of the programs themselves NVIDIA's
# runtime, which is linked in, has more.)
find "$build/src" "$build/tools" \( -name '*.a' -o -name '*.o' \) -exec nm -u {} + 2>/dev/null |
    sed -n 's/^ *U \([A-Za-z0-9_]*\)$/\1/p' | sort -u >called
grep -qx posix_spawnp called || wrong "$build" 'its objects cannot be read'
found=$(grep -xE 'system|popen|exec[lv]p?e?|fexecve|wordexp|listen|bind|accept4?|gets|strcpy|strcat|sprintf|vsprintf|mktemp|tmpnam|tempnam|rand|setuid' called) &&
    wrong "$build" "its objects call $(echo "$found" | tr '\n' ' ')"
rm -f called
exit $status
