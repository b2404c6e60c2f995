#!/usr/bin/env bash
# Run tests on an AArch64 Python, under qemu's user-mode emulation: `make test-arm`.
#
# Needs Debian or Ubuntu (apt-get and dpkg; not root). Python and its libraries come from Debian's
# arm64 packages, the rest from wheels; all of it is kept in build/arm, so that a second run only
# runs the tests. Emulated, they take twenty times as long as on a processor.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$1
arm=$PWD/build/arm
mkdir -p "$arm"

debian_packages=(
    libc6 libcrypt1 libgcc-s1 libstdc++6 zlib1g libexpat1 libffi8 libssl3 libbz2-1.0 liblzma5
    libsqlite3-0 libncursesw6 libtinfo6 libreadline8 libuuid1 libnsl2 libtirpc3 libgssapi-krb5-2
    libkrb5-3 libk5crypto3 libcom-err2 libkrb5support0 libkeyutils1
    python3.11-minimal libpython3.11-minimal libpython3.11-stdlib
)
wheels=(
    numpy numba llvmlite matplotlib pillow platformdirs safetensors typer rich threadpoolctl
    pytest hypothesis mpmath
)

if [[ ! -e $arm/system.done ]]; then
    mkdir -p "$arm"/apt/state/lists/partial "$arm"/apt/cache/archives/partial "$arm"/debs "$arm"/root
    touch "$arm/apt/status"
    cat > "$arm/apt.conf" <<END
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "$(id -un)";
Dir::State "$arm/apt/state";
Dir::State::status "$arm/apt/status";
Dir::Cache "$arm/apt/cache";
END
    export APT_CONFIG=$arm/apt.conf
    apt-get --quiet update
    (cd "$arm/debs" && apt-get --quiet download "${debian_packages[@]}")
    for package in "$arm"/debs/*.deb; do dpkg --extract "$package" "$arm/root"; done
    unset APT_CONFIG
    touch "$arm/system.done"
fi

emulator=$(command -v qemu-aarch64-static || true)
if [[ -z $emulator ]]; then
    emulator=$arm/qemu/usr/bin/qemu-aarch64-static
    if [[ ! -e $emulator ]]; then
        (cd "$arm" && apt-get --quiet download qemu-user-static)
        dpkg --extract "$arm"/qemu-user-static_*.deb "$arm/qemu"
    fi
fi

if [[ ! -e $arm/wheels.done ]]; then
    "$python" -m pip install --quiet --disable-pip-version-check --target "$arm/site" \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 \
        --platform manylinux2014_aarch64 --python-version 3.11 --implementation cp \
        --only-binary=:all: --upgrade "${wheels[@]}"
    touch "$arm/wheels.done"
fi

on_arm() {
    PYTHONPATH=$arm/site:$PWD:$PWD/tests PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1 \
        SCRATCHGAN_CACHE_DIR=$arm/cache \
        "$emulator" -L "$arm/root" "$arm/root/usr/bin/python3.11" "$@"
}

echo "Losses of a jitted training, on this processor and on AArch64:"
"$python" tests/arm/losses.py | tee "$arm/losses-here"
on_arm tests/arm/losses.py | tee "$arm/losses-on-arm"
cmp "$arm/losses-here" "$arm/losses-on-arm"

on_arm -m pytest -q -p no:cacheprovider -p no:xdist -p arm.no_programs "${@:2}" \
    tests/autograd/test_tensor.py tests/autograd/test_backward.py tests/autograd/test_modes.py \
    tests/autograd/test_changes_in_place.py tests/test_optim.py tests/test_what_fits.py \
    tests/backend/test_ufuncs.py tests/backend/test_float32.py tests/backend/test_team.py \
    tests/backend/test_products.py tests/jit/test_replay.py tests/jit/test_sums.py \
    -k "not forked and not (test_large and unit)"
