# clean_root.sh - a root of this Debian release with nothing but its base; to be sourced after clinic.sh.
#
# What is mounted is mounted in a namespace of its own, which ends with its last process.
# `clean_root_check` ends with 77 where there cannot be one; `clean_root_run LOG SCRIPT` calls SCRIPT
# --inside ROOT MIRROR RELEASE in the namespace, from the directory `inside`; that makes the root with
# `clean_root_make ROOT MIRROR RELEASE SIZE`.

skip() {
    echo "skipped: $*"
    exit 77
}

clean_root_check() {
    command -v debootstrap >/dev/null || skip 'no debootstrap'
    unshare --mount --pid --fork true 2>/dev/null || skip 'needs root'
    # Where this machine has its packages from.
    uri=$(apt-get download --print-uris base-files 2>/dev/null | sed "s/^'\([^']*\)'.*/\1/")
    case $uri in */pool/*) ;; *) skip 'apt knows no archive (apt-get update)' ;; esac
    mirror=${uri%%/pool/*}
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    apt-get download -qq base-files 2>/dev/null || skip "the archive cannot be reached"
}

clean_root_make() {
    eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
    [ -z "${http_proxy:-}" ] || export http_proxy
    mount -t tmpfs -o "size=$4,mode=755" tmpfs "$1"
    debootstrap --variant=minbase "$3" "$1" "$2" >debootstrap.log
    mount -t proc proc "$1/proc"
    mount -t tmpfs tmpfs "$1/dev/shm"
    apt-config dump | grep '^Acquire::' >"$1/etc/apt/apt.conf.d/99host" # proxies and the like
}

clean_root_run() {
    root=$PWD/root
    (cd inside && exec unshare --mount --pid --fork --kill-child "$2" \
        --inside "$root" "$mirror" "$release") >"$1" 2>&1 </dev/null &
    inside=$!
    trap 'kill -9 $inside; exit 143' HUP INT TERM
    wait $inside || die "$(tail -n 20 "$1")"
}
