#!/bin/sh
# install.sh - installs what building and testing need of Debian 12 packages, where it is missing.
#
#     jobs/install.sh [further packages]
set -eu
missing=
for package in gcc g++ cmake ninja-build pkg-config git libopenmpi-dev openmpi-bin libhdf5-dev strace \
    hdf5-tools libiniparser-dev libjansson-dev libpcre2-dev libutf8proc-dev libxxhash-dev \
    libcurl4-openssl-dev libcmocka-dev gnuplot-nox python3-venv python3-yaml clang-format clang \
    libclang-rt-dev clang-tidy cppcheck shellcheck mandoc man-db "$@"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "warning: no apt-get here; the counterparts of these packages are needed:$missing" >&2
    exit 0
fi
as_root=
[ "$(id -u)" -eq 0 ] || as_root=sudo
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get -qq update </dev/null
# shellcheck disable=SC2086 # one word a package
$as_root apt-get -qq install --yes --no-install-recommends $missing </dev/null
