#!/bin/sh
# manpage.sh - a page of the manual, made of what a program prints about itself.
#
#     manpage.sh NAME.SECTION VERSION DATE 'SEE(1) ALSO(5)' PROGRAM OPTION >NAME.SECTION
#
# OPTION is --settings-markdown for the page of the input file, else --help. A help text is
#
#     NAME - what it is for
#     <blank line>
#       NAME how it is called                (indented, up to a blank line)
#
# and then, in any order, paragraphs; indented lists of a tag and, behind two blanks or on indented
# lines below it, its meaning; words that stand alone above a list, which become headings; and a
# paragraph "Exit status: 0 done, 64 usage, ...". What is not so ends this with a message.
set -eu
page=$1 version=$2 date=$3 also=$4 program=$5 option=$6
text=$("$program" "$option" </dev/null) ||
    { echo "error: $program $option: status $?" >&2; exit 70; }
printf '%s\n' "$text" | awk -v page="$page" -v version="$version" -v date="$date" -v also="$also" \
    -v settings="$([ "$option" != --settings-markdown ] || echo 1)" '
function fault(message) {
    printf "error: %s, line %d: %s: %s\n", page, NR, message, $0 >"/dev/stderr"
    failed = 1
    exit 65
}
# Text as roff has it: what is in `backquotes` is bold, what is in *asterisks* is in italics.
function roff(text,    part, count, i, out) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    count = split(text, part, "`")
    for (i = 1; i <= count; i++) {
        if (i % 2 == 1)
            while (match(part[i], /\*[a-z ]+\*/))
                part[i] = substr(part[i], 1, RSTART - 1) "\\fI" \
                    substr(part[i], RSTART + 1, RLENGTH - 2) "\\fR" substr(part[i], RSTART + RLENGTH)
        out = out (i % 2 == 1 ? part[i] : "\\fB" part[i] "\\fR")
    }
    return out
}
function put(line) { print (line ~ /^[.\047]/ ? "\\&" : "") line }
# Text is gathered until something else follows, then written in lines of at most 80 bytes.
function add(text) { gathered = gathered (gathered == "" ? "" : " ") text }
function flush(    word, count, i, line) {
    count = split(roff(gathered), word, " ")
    for (i = 1; i <= count; i++) {
        if (line != "" && length(line) + length(word[i]) >= 80) {
            put(line)
            line = ""
        }
        line = line (line == "" ? "" : " ") word[i]
    }
    if (line != "")
        put(line)
    empty = gathered == ""
    gathered = ""
}
function macro(line) {
    flush()
    if (tagged && empty)
        fault("a tag that nothing is said of above")
    tagged = 0
    print line
}
function heading(text) {
    section = toupper(text)
    macro(".SH " section)
}
# An item of a list. Options are bold and what they take is in italics; any other tag is bold.
function put_item(tag, meaning,    word, count, i, out) {
    macro(".TP")
    tagged = 1
    count = split(tag, word, " ")
    for (i = 1; i <= count; i++)
        out = out (i > 1 ? " " : "") (tag ~ /^-/ && word[i] !~ /^-/ ? "\\fI" : "\\fB") \
            roff(word[i]) "\\fR"
    put(out)
    add(meaning)
}
function exit_status(text,    item, count, i) {
    heading("exit status")
    sub(/^Exit status: */, "", text)
    sub(/\. *$/, "", text)
    while (match(text, /, (or )?[0-9]/)) # between two of them
        text = substr(text, 1, RSTART - 1) "\n" substr(text, RSTART + RLENGTH - 1)
    count = split(text, item, "\n")
    for (i = 1; i <= count; i++) {
        if (!match(item[i], /^[0-9]+( or [0-9]+)* /))
            fault("an exit status without a number")
        put_item(substr(item[i], 1, RLENGTH - 1), substr(item[i], RLENGTH + 1))
    }
}
function see_also(    other, count, i, at, list) {
    heading("see also")
    count = split(also, other, " ")
    for (i = 1; i <= count; i++) {
        at = index(other[i], "(")
        if (substr(other[i], 1, at - 1) "." substr(other[i], at + 1, 1) != page)
            list = list (list == "" ? "" : ", ") "`" substr(other[i], 1, at - 1) "`" \
                substr(other[i], at)
    }
    add(list)
    flush()
}
function head(purpose,    name) {
    name = page
    sub(/\.[0-9]$/, "", name)
    printf ".TH %s %s %s \"learn2ask %s\" \"learn2ask manual\"\n", toupper(name),
        substr(page, length(page)), date, version
    print ".nh" # names are not divided
    print ".ad l"
    heading("name")
    add(name " - " purpose)
}

BEGIN {
    indent = -1
    if (settings) {
        head("what learn2ask is to do: every setting of its input file")
        heading("description")
    }
}

settings && /^### / {
    if (section == "DESCRIPTION")
        heading("settings")
    gsub(/^### `|`$/, "")
    macro(".SS " $0)
    next
}
settings && /^\| key \||^\|---/ { next }
settings && /^\| / {
    gsub(/^\| | \|$/, "")
    if (split($0, cell, / \| /) != 5)
        fault("not a row of five cells")
    gsub(/`/, "", cell[1])
    gsub(/`/, "", cell[2])
    macro(".TP")
    put("\\fB" cell[1] "\\fR" (cell[2] ~ /^[^ -~]/ ? "" : " = " roff(cell[2])))
    add(cell[5])
    macro(".br")
    add(toupper(substr(cell[3], 1, 1)) substr(cell[3], 2) "; changes *" cell[4] "*.")
    next
}
settings && $0 == "" { blank = 1; next }
settings {
    if (blank && section == "DESCRIPTION" && gathered != "")
        macro(".PP")
    blank = 0
    add($0)
    next
}

NR == 1 {
    at = index($0, " - ")
    if (substr($0, 1, at - 1) ".1" != page)
        fault("a help text begins with its name and what it is for")
    head(substr($0, at + 3))
    next
}
NR == 2 {
    if ($0 != "")
        fault("a blank line is expected")
    heading("synopsis")
    print ".nf"
    next
}
section == "SYNOPSIS" && $0 == "" { macro(".fi"); section = ""; next }
section == "SYNOPSIS" {
    if (!/^ /)
        fault("how is it called?")
    sub(/^ +/, "")
    put(roff($0))
    next
}
/^Exit status: / || status != "" { status = status " " $0; next }
$0 == "" { indent = -1; blank = 1; next }
/^[a-z]+$/ { heading($0); indent = -1; blank = 0; next }
/^ / {
    if ($1 ~ /^-/ && (section == "" || section == "DESCRIPTION"))
        heading("options")
    else if (section == "")
        heading("description")
    match($0, /^ +/)
    here = RLENGTH
    indent = indent < 0 ? here : indent
    sub(/^ +/, "")
    at = match($0, /  +/)
    if (here > indent)
        add($0)
    else
        put_item(at ? substr($0, 1, at - 1) : $0, at ? substr($0, at + RLENGTH) : "")
    next
}
{
    if (section == "")
        heading("description")
    else if (blank)
        macro(".PP")
    blank = 0
    add($0)
}
END {
    if (failed)
        exit 65
    if (status != "")
        exit_status(substr(status, 2))
    see_also()
}'
