#!/bin/sh
# test_names.sh - no file of the tree names a place that exists on one machine only, or a host that
# packages come from: whoever clones it has other ones.
set -eu
cd "$(dirname "$0")/../.."
# The brackets keep this file from finding itself.
pattern='(^|[^A-Za-z0-9_.])/(wor[k]|roo[t]|far[m]|hom[e])/|/tmp/l2[a]|/opt/l2[a]|pypi\.or[g]'
pattern="$pattern"'|pythonhoste[d]|download\.pytorc[h]|registry\.npmj[s]|crates\.i[o]|deb\.debia[n]'

echo "see /wor""k/main" | grep -qE "$pattern" || { echo 'the pattern finds nothing'; exit 1; }
if git rev-parse --git-dir >/dev/null 2>&1; then
    list() { git ls-files -z --cached --others --exclude-standard; }
else
    list() { find . -path './build*' -prune -o -type f -print0; }
fi
if list | xargs -0 grep -nIE "$pattern" -- /dev/null; then
    echo 'These lines name what other machines do not have.'
    exit 1
fi
