#!/bin/sh
# What `cmake --install` puts below a prefix works from there: programs, manual, completion, module
# file, examples and job scripts, wherever the build is.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
install_to() { # options
    cmake --install "$build" "$@" >install.log || die "$(tail -n 5 install.log)"
}
install_to --prefix "$work/a prefix"
prefix="$work/a prefix"
share=$prefix/share/learn2ask
if grep -rlF -e "$build" -e "$tree" "$prefix"; then
    die 'these files name the place where they were built'
fi

# The programs, of which the build has no others.
for program in "$build/learn2ask" "$build"/tools/l2a-*; do
    if [ ! -f "$program" ] || [ ! -x "$program" ]; then continue; fi
    name=$(basename "$program")
    expect_equal "$name" "$("$prefix/bin/$name" --version)" "$("$program" --version)"
    [ -s "$prefix/share/man/man1/$name.1.gz" ] || die "no page of $name"
    [ -s "$prefix/share/bash-completion/completions/$name" ] || die "no completion of $name"
done
if command -v man >/dev/null; then
    for page in learn2ask learn2ask.ini l2a-convert; do
        MANPATH="$prefix/share/man" man -w "$page" || die "man does not find $page"
    done
fi

# An installed example, on data that an installed program makes.
"$prefix/bin/l2a-clinic" data/clinic --sessions 12 --test 2 >/dev/null
"$prefix/bin/learn2ask" check "$share/inputs/clinic.ini" >check.log 2>&1 || die "$(tail -n 5 check.log)"
cp -r "$share/inputs" .
cmp inputs/prompts/judge.txt "$tree/inputs/prompts/judge.txt"
[ -x "$share/jobs/chain.sh" ] || die 'chain.sh is not a program'

# In bash: the answers of the program that is being called.
completed() { # words of a command line, the last of which is completed
    BASH_ENV='' bash -c '. "$0/share/bash-completion/completions/l2a-tokens"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        complete -p learn2ask l2a-convert l2a-tokens l2a-clinic l2a-show >/dev/null || exit
        _learn2ask && echo "${COMPREPLY[*]}"' "$prefix" "$@"
}
learn2ask=$prefix/bin/learn2ask
expected=$("$learn2ask" --defaults | sed -n '/^\[optimizer\]/,/^\[/s/^\([a-z0-9_]*\) = .*/optimizer.\1=/p')
expect_equal completion "$(completed "$learn2ask" train a.ini --set opti)" \
    "$(echo "$expected" | tr '\n' ' ' | sed 's/ $//')"
expect_equal 'of a task' "$(completed "$learn2ask" ev)" evaluate
expect_equal 'of an option' "$(completed "$learn2ask" --settings)" --settings-markdown
expect_equal 'of a value' "$(completed "$learn2ask" --set optimizer.schedule = co)" 'constant cosine'
expect_equal 'of a flag' "$(completed "$learn2ask" check a.ini --set = model.random =)" 'yes no'
expect_equal 'of a key after a value' \
    "$(completed "$learn2ask" check --set a.b = c --set adapter.al)" adapter.alpha=
expect_equal 'of a name' "$(completed "$learn2ask" --explain judge.te)" \
    'judge.temperature judge.tensor_parallel'
expect_equal 'of a file' "$(completed "$learn2ask" check inputs/cl)" inputs/clinic.ini
expect_equal 'of a tool' "$(completed "$prefix/bin/l2a-convert" --sh)" --shard-size
expect_equal 'of a command' "$(completed "$prefix/bin/l2a-show" comp)" compare

# The module file names the prefix. Below /usr there is none.
module=$(echo "$share"/modulefiles/learn2ask/*)
if command -v tclsh >/dev/null; then
    cat >module.tcl <<'TCL'
proc module-whatis text {}
proc conflict name {}
proc append-path {name value} {}
proc setenv {name value} {puts "$name=$value"}
proc prepend-path {name value} {puts "$name=$value"}
source [lindex $argv 0]
TCL
    tclsh module.tcl "$module" >module.txt
    expect_equal 'what the module sets' "$(cat module.txt)" "LEARN2ASK_ROOT=$prefix
PATH=$prefix/bin
MANPATH=$prefix/share/man"
fi
grep -qxF "set root {$prefix}" "$module" || die "$module names another prefix"
DESTDIR=$work/staged install_to --prefix /usr
[ -x staged/usr/bin/learn2ask ] || die 'nothing was staged'
[ ! -e staged/usr/share/learn2ask/modulefiles ] || die 'a module file in /usr'
