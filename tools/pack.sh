#!/bin/sh
# pack.sh - the built programs with the libraries they need, for machines without packages: a folder
# that runs from wherever it is put, on any x86-64 Linux with this machine's glibc or a later one.
#
#     tools/pack.sh [BUILD [OUT.tar.xz]]      (build, learn2ask.tar.xz)
#
# The folder holds learn2ask, l2a-convert, l2a-tokens, l2a-clinic, l2a-show and mpirun; inputs/ and the job
# scripts come along. Of a GPU node it asks for a driver and cuBLASLt (CUDA's lib64, found in
# /usr/local/cuda or LD_LIBRARY_PATH), and for NCCL where there are several ranks: those are larger
# than all the rest. Fails above 64 MiB.
set -eu
tree=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$tree/build}
out=${2:-learn2ask.tar.xz}
most=$((64 << 20))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pack=$work/learn2ask
mkdir -p "$pack/bin" "$pack/lib/openmpi" "$pack/lib/pmix" "$pack/share/openmpi"

die() {
    echo "error: $*" >&2
    exit "${code:-70}"
}

[ -x "$build/learn2ask" ] || code=66 die "$build/learn2ask: build it first (cmake --build $build)"
for program in learn2ask tools/l2a-convert tools/l2a-tokens tools/l2a-clinic tools/l2a-show; do
    strip -o "$pack/bin/$(basename "$program")" "$build/$program"
done
mpi=$(readlink -f "$(command -v mpirun)") || code=69 die 'mpirun is not in PATH'
cp "$mpi" "$pack/bin/mpirun"
cp "$(command -v orted)" "$pack/bin/orted"

# Open MPI and PMIx load what they can do from folders of their own.
libraries=$(dirname "$(ldd "$build/learn2ask" | sed -n 's/.*libmpi\.so[^ ]* => \([^ ]*\) .*/\1/p')")
components=$(find "$libraries/" -maxdepth 5 -name mca_btl_self.so -printf '%h\n' | head -n 1)
[ -n "$components" ] || code=69 die "Open MPI's components are not found below $libraries"
cp "$components"/*.so "$pack/lib/openmpi"
find "$libraries/" -maxdepth 5 -path '*pmix*' -name 'mca_*.so' -exec cp {} "$pack/lib/pmix" \;
cp -r /usr/share/openmpi/help*.txt "$pack/share/openmpi" 2>/dev/null || true

# Libraries but for the C library's own, which belong to the machine; components that need what is
# not here are left out: Open MPI goes on without them.
for file in "$pack"/bin/* "$pack"/lib/openmpi/*.so "$pack"/lib/pmix/*.so; do
    needed=$(ldd "$file" 2>/dev/null) || continue
    case $needed in *'not found'*) rm "$file"; continue ;; esac
    echo "$needed" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p'
done | sort -u | while read -r library; do
    case $(basename "$library") in
    libc.so* | libm.so* | libdl.so* | librt.so* | libpthread.so* | libresolv.so* | ld-linux*) ;;
    *) cp -L "$library" "$pack/lib" ;;
    esac
done
find "$pack/lib" -name '*.so*' -exec strip --strip-unneeded {} +

cat >"$pack/run" <<'END'
#!/bin/sh
# run - any program of this folder, by the name it is called by.
here=$(dirname "$(readlink -f "$0")")
export LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}:/usr/local/cuda/lib64"
export OPAL_PREFIX="$here" OMPI_MCA_mca_base_component_path="$here/lib/openmpi"
export PMIX_INSTALL_PREFIX="$here" PMIX_MCA_mca_base_component_path="$here/lib/pmix"
export PATH="$here/bin:$PATH"
export OMPI_MCA_ess_singleton_isolated=1 # a rank started without mpirun needs no daemon
command -v ssh >/dev/null || export OMPI_MCA_plm=isolated # ranks of this node only
exec "$here/bin/$(basename "$0")" "$@"
END
chmod +x "$pack/run"
for program in learn2ask l2a-convert l2a-tokens l2a-clinic l2a-show mpirun; do
    ln -s run "$pack/$program"
done
cp -r "$tree/inputs" "$tree/jobs" "$tree/LICENSE" "$pack"
tar -C "$work" -cJf "$work/pack.tar.xz" learn2ask
bytes=$(stat -c %s "$work/pack.tar.xz")
[ "$bytes" -le "$most" ] || die "the package has $bytes bytes, more than 64 MiB"
mv "$work/pack.tar.xz" "$out"
echo "$out: $((bytes >> 20)) MiB"
