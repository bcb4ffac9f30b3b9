#!/bin/sh
# test_manual.sh - the pages of the manual are well-formed and leave nothing out: every option of every
# program, every task, every setting. What a program says of itself in another form is refused.
#
#     test_manual.sh BUILD
set -eu
build=$1
pages=$build/man
make=$(cd "$(dirname "$0")/../.." && pwd)/tools/packaging/manpage.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

die() {
    echo "error: $*" >&2
    exit 1
}

# Every formatter that is here: what it complains of, and what a reader sees.
formatters=
! command -v mandoc >/dev/null || formatters=mandoc
! command -v groff >/dev/null || formatters="$formatters groff"
[ -n "$formatters" ] || { echo 'skipped: neither mandoc nor groff is installed'; exit 77; }
complaints() {
    case $1 in
    mandoc) mandoc -T lint "$2" 2>&1 ;;
    groff) groff -man -k -ww -z "$2" 2>&1 ;;
    esac
}
rendered() { # one line, so that no name is divided between two
    case $1 in
    mandoc) mandoc -T utf8 "$2" ;;
    groff) groff -man -k -Tutf8 -P-cbou "$2" ;;
    esac | sed "s/.$(printf '\010')//g" | tr '\n' ' ' | tr -s ' '
}
expect_words() { # formatter, page, words
    text=$(rendered "$1" "$2")
    shift 2
    for word; do
        case $text in
        *" $word "* | *" $word,"*) ;;
        *) die "$page has no '$word'" ;;
        esac
    done
}

for formatter in $formatters; do
    for page in "$pages"/man?/*.[15]; do
        said=$(complaints "$formatter" "$page" || true)
        [ -z "$said" ] || die "$formatter of $page: $said"
        gzip -dc "$page.gz" | cmp - "$page" || die "$page.gz is another one"
    done
    for page in "$pages"/man1/*.1; do
        program=$(basename "$page" .1)
        [ -x "$build/$program" ] || program=tools/$program
        # shellcheck disable=SC2046 # one word an option
        expect_words "$formatter" "$page" $("$build/$program" --help | grep -o '^ *--[a-z-]*')
    done
    page=$pages/man1/learn2ask.1
    # shellcheck disable=SC2046 # one word a task
    expect_words "$formatter" "$page" \
        $("$build/learn2ask" --help | sed -n '/^tasks$/,/^$/s/^ *\([a-z]*\)  .*/\1/p') train check
    page=$pages/man5/learn2ask.ini.5
    # A section with all that follows it, in its order.
    settings=$("$build/learn2ask" --defaults | sed -n 's/^\[.*\]$/&/p; s/^\([a-z][a-z0-9_]*\) = .*/\1/p')
    # shellcheck disable=SC2086 # one word a name
    expect_words "$formatter" "$page" $settings
    text=$(rendered "$formatter" "$page")
    for setting in $settings; do
        case $text in
        *" $setting "*) text=${text#*" $setting "} ;;
        *) die "$page has no '$setting' in its place" ;;
        esac
        text=" $text"
    done
    echo "$formatter: $(echo "$settings" | wc -l) sections and settings"
done
[ "$(echo "$settings" | wc -l)" -gt 150 ] || die 'settings are missing'

refused() { # a help text that is in another form
    printf '#!/bin/sh\ncat <<END\n%b\nEND\n' "$1" >"$work/tool"
    chmod +x "$work/tool"
    if "$make" tool.1 1 2000-01-01 'tool(1)' "$work/tool" --help >/dev/null 2>"$work/said"; then
        die "a page was made of '$1'"
    fi
    grep -q "error: tool.1, line [0-9]*: $2" "$work/said" || die "$(cat "$work/said")"
}
refused 'usage: tool FILE' 'a help text begins with its name'
refused 'tool - a tool\nof mine' 'a blank line is expected'
refused 'tool - a tool\n\ntool FILE' 'how is it called'
refused 'tool - a tool\n\n  tool FILE\n\n  --a\n  --b  what' 'a tag that nothing is said of'
refused 'tool - a tool\n\n  tool FILE\n\nExit status: done' 'an exit status without a number'
