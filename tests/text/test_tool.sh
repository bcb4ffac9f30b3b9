#!/bin/sh
# test_tool.sh - l2a-tokens from the outside: what it prints, and how it ends.
#
#     test_tool.sh L2A_TOKENS DATA
set -u
tool=$1 data=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
status=0

# expect NAME STATUS PATTERN arguments...: with standard input from $folder/in, the tool ends with
# STATUS, and PATTERN (fixed text) is in what it says.
expect() {
    name=$1 wanted=$2 pattern=$3
    shift 3
    "$tool" "$@" <"$folder/in" >"$folder/out" 2>&1
    got=$?
    if [ "$got" -ne "$wanted" ] || ! grep -qF -- "$pattern" "$folder/out"; then
        echo "FAILED: $name: ended with $got, not $wanted, or does not say '$pattern':"
        cat "$folder/out"
        status=1
    fi
}

: >"$folder/in"
expect 'help' 0 '  l2a-tokens MODEL_DIR' --help
expect 'version' 0 'l2a-tokens ' --version
expect 'no directory' 64 'MODEL_DIR is missing'
expect 'two directories' 64 'one MODEL_DIR is wanted' "$data" "$data"
expect 'unknown option' 64 'unknown or incomplete option --fast' "$data" --fast
expect 'incomplete option' 64 'unknown or incomplete option --chat' "$data" --chat
expect 'wrong word' 64 '--thinking takes on or off, not maybe' "$data" --thinking maybe
expect 'missing model' 66 'tokenizer.json: no such file' "$folder/none"

printf '{"text": "Yes.\\n\\nNo.", "id": 7}\n\n{"text": ""}\n' >"$folder/in"
expect 'text' 0 '"id":7,"ids":[' "$data"
expect 'empty text' 0 '{"text":"","ids":[]}' "$data"

printf '{"messages": [{"role": "user", "content": "hi"}], "add_generation_prompt": true}\n' >"$folder/in"
expect 'messages' 0 '"rendered":"<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n","ids":[' "$data" --chat chatml
expect 'thinking off' 0 'assistant\n<think>\n\n</think>\n\n"' "$data" --chat qwen3
expect 'thinking on' 0 'assistant\n","ids"' "$data" --chat qwen3 --thinking on
expect 'unknown chat' 78 "no chat template is called 'vicuna'" "$data" --chat vicuna
expect 'no template' 65 'standard input:1: ' "$data"

printf '{"messages": [{"role": "user", "content": "hi"}], "replies": ["a", "b"]}\n' >"$folder/in"
expect 'replies' 0 '"mask":[0' "$data" --chat chatml
printf '{"messages": [{"role": "user", "content": "hi"}], "replies": []}\n' >"$folder/in"
expect 'no replies' 65 "'replies' must be a list of at least one string" "$data" --chat chatml
printf '{"messages": [{"role": "user", "content": "hi"}], "replies": [1]}\n' >"$folder/in"
expect 'bad reply' 65 'reply 1 must have a string' "$data" --chat chatml

printf '{"text": "fine"}\n{"text": \n' >"$folder/in"
expect 'not JSON' 65 'error: standard input:2: not a JSON object' "$data"
expect 'the line before' 65 '{"text":"fine","ids":[' "$data"
printf '[1]\n' >"$folder/in"
expect 'not an object' 65 'standard input:1: not a JSON object' "$data"
printf '{"words": "x"}\n' >"$folder/in"
expect 'nothing to do' 65 "a line must have 'text' or 'messages'" "$data"
printf '{"text": 1}\n' >"$folder/in"
expect 'text of wrong type' 65 "'text' must be a string" "$data"
printf '{"messages": "x"}\n' >"$folder/in"
expect 'messages of wrong type' 65 "'messages' must be a list" "$data" --chat chatml
printf '{"messages": [{"role": "user"}]}\n' >"$folder/in"
expect 'message without content' 65 "message 1 must have the strings 'role' and 'content'" "$data" --chat chatml
printf '{"messages": []}\n' >"$folder/in"
expect 'no messages' 65 'a chat without messages' "$data" --chat chatml

printf '{"text": "<|im_start|>\\u00e9 \\ud83d\\ude00"}\n' >"$folder/in"
"$tool" "$data" <"$folder/in" | sed 's/"text"/"was"/' >"$folder/ids" && cp "$folder/ids" "$folder/in"
expect 'round trip' 0 '"text":"<|im_start|>' "$data" --decode
expect 'without special' 0 '"text":"é 😀"' "$data" --decode --skip-special
printf '{"ids": [1000000]}\n' >"$folder/in"
expect 'no such id' 65 'ids must be whole numbers from 0 to' "$data" --decode
printf '{"text": "x"}\n' >"$folder/in"
expect 'nothing to decode' 65 "a line must have a list 'ids'" "$data" --decode

if [ -e /dev/full ]; then
    "$tool" "$data" <"$folder/in" >/dev/full 2>"$folder/out"
    [ $? -eq 74 ] || { echo 'FAILED: a full disk goes unnoticed'; status=1; }
fi
exit $status
