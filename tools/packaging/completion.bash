# shellcheck shell=bash
# completion.bash - how bash completes the command lines of learn2ask and its tools. What there is to
# choose from is what the program that is being called says: --help, --defaults and --explain.

# What `typed` behind --set may become: a key with its '=', or one of the values that a key takes.
# Each candidate is printed with `before` in front of it.
_learn2ask_set() {
    local program=$1 before=$2 typed=$3 kind
    if [[ $typed != *=* ]]; then
        compgen -P "$before" -S = -W "$(_learn2ask_names "$program")" -- "$typed"
        return
    fi
    before+=${typed%%=*}=
    kind=$("$program" --explain "${typed%%=*}" 2>/dev/null | sed -n 3p)
    typed=${typed#*=}
    case $kind in
    *'one of '*)
        kind=${kind#*one of }
        compgen -P "$before" -W "${kind//,/}" -- "$typed"
        ;;
    *'yes or no'*) compgen -P "$before" -W 'yes no' -- "$typed" ;;
    *'a path'*) compgen -P "$before" -f -- "$typed" ;;
    esac
}

# All settings as section.key.
_learn2ask_names() {
    "$1" --defaults 2>/dev/null |
        awk -F ' = ' '/^\[/ { section = substr($1, 2, length($1) - 2) } /^[a-z]/ { print section "." $1 }'
}

_learn2ask() {
    local program=${COMP_WORDS[0]} arguments=() words=0 option='' before='' word i help
    type -- "$program" >/dev/null 2>&1 || program=${program##*/}
    # Readline divides words at '='.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        if ((i > 1)) && [[ ${COMP_WORDS[i]} == = || ${COMP_WORDS[i - 1]} == = ]]; then
            arguments[${#arguments[@]} - 1]+=${COMP_WORDS[i]}
        else
            arguments+=("${COMP_WORDS[i]}")
        fi
    done
    local last=$((${#arguments[@]} - 1))
    for ((i = 0; i < last; i++)); do
        case ${arguments[i]} in
        --set | --explain) option=${arguments[i++]} ;; # with the argument behind it
        -*) ;;
        *) ((++words)) ;;
        esac
    done
    ((i > last)) || option=''
    local typed=${arguments[last]} kept=${arguments[last]}
    case $typed in
    --set=* | --explain=*)
        option=${typed%%=*}
        before=$option=
        typed=${typed#*=}
        ;;
    esac

    COMPREPLY=()
    help=$("$program" --help 2>/dev/null) || return
    if [[ $option == --set ]]; then
        mapfile -t COMPREPLY < <(_learn2ask_set "$program" "$before" "$typed")
        [[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace 2>/dev/null
    elif [[ $option == --explain ]]; then
        mapfile -t COMPREPLY < <(compgen -P "$before" -W "$(_learn2ask_names "$program")" -- "$typed")
    elif [[ $typed == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(grep -o '^ *--[a-z-]*' <<<"$help")" -- "$typed")
    elif ((words == 0)) && [[ $help == *$'\ntasks\n'* ]]; then
        mapfile -t COMPREPLY < <(
            compgen -W "$(sed -n '/^tasks$/,/^$/s/^ *\([a-z]*\)  .*/\1/p' <<<"$help")" -- "$typed")
    else
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(
            ((words > 0)) ||
                compgen -W "$(sed -n '/^commands$/,/^$/s/^    \([a-z]*\) .*/\1/p' <<<"$help")" -- "$typed"
            compgen -f -- "$typed")
    fi
    # Only the word at the cursor is replaced: what of the argument stands before it is taken away.
    word=${COMP_WORDS[COMP_CWORD]}
    [[ $word != = ]] || word=''
    kept=${kept%"$word"}
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}

complete -F _learn2ask @L2A_PROGRAMS@
