#!/bin/sh
# A packed program runs in a tree that holds nothing but the C library and a shell, alone and with two
# ranks, and ends with the bits of the one that was built.
set -eu
# shellcheck source=tests/system/clinic.sh
. "$(dirname "$0")/clinic.sh"
unshare -m true 2>/dev/null || { echo 'skipped: needs root'; exit 77; }
clinic_data data/clinic --sessions 12 --test 2
settings='--set warmup.epochs=0 --set warmup.steps=1 --set train.steps=1'
settings="$settings --set train.batch_contexts=4 --set rollout.group_size=2 --set evaluate.file="
# shellcheck disable=SC2086 # one word a setting
clinic_train 2 built $settings || die "$(tail -n 5 built.log)"

"$tree/tools/pack.sh" "$build" pack.tar.xz
for program in sh dirname readlink basename; do
    install -D "$(readlink -f "$(command -v $program)")" "root/bin/$program"
done
for library in $(ldd /bin/sh /usr/bin/readlink | grep -o '/[^ ]*\.so[^ ]*') \
    $(ldd "$build/learn2ask" | grep -o '/[^ ]*/lib\(c\|m\|dl\|rt\|pthread\|resolv\)\.so[^ ]*'); do
    install -D "$(readlink -f "$library")" "root$library"
done
mkdir -p root/tmp root/proc root/dev root/etc
echo 'root:x:0:0:root:/:/bin/sh' >root/etc/passwd
tar -C root -xJf pack.tar.xz
cp -r data root/tmp
# shellcheck disable=SC2016 # inside
unshare -m sh -c 'mount -t proc proc root/proc && mount --bind /dev root/dev && exec chroot root \
    /bin/sh -c "cd /tmp && $0"' "
    /learn2ask/learn2ask train /learn2ask/inputs/clinic.ini --set run.directory=one $settings &&
    /learn2ask/mpirun -n 2 /learn2ask/learn2ask train /learn2ask/inputs/clinic.ini \
        --set run.directory=two $settings" >packed.log 2>&1 || die "$(tail -n 20 packed.log)"
expect_equal 'packed, two ranks' \
    "$(sed -n 's/^RESULT .* weights=\([0-9a-f]*\) .*/\1/p' packed.log | tail -n 1)" \
    "$(clinic_weights built)"
