# Shared by the scripts of this folder: where things lie, and how progress is shown. Sourced, not run.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Everything that is fetched lies here, outside the checkout, and serves all checkouts.
deps=${VKCUDA_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/vkcuda-dev}
# The folder of ggml and libllama, built for CUDA 13, and the backend alone, built for CUDA 12.
ggml=$deps/node/node_modules/@node-llama-cpp/linux-x64-cuda/bins/linux-x64-cuda
ggml_cuda12=$deps/node/node_modules/@node-llama-cpp/linux-x64-cuda-ext/bins/linux-x64-cuda/fallback
# Versions of NVIDIA's runtime library that are tested, and where each lies.
cudart_versions=(11.8.89 12.1.105 12.8.90 13.0.96 13.5.37)
cudart=$deps/cudart
target=${CARGO_TARGET_DIR:-$root/target}
# spirv-val of PyPI's package, which is newer than Debian 12's.
for folder in "$deps"/python/lib/python*/site-packages/cmeel.prefix/bin; do
    [[ ! -x $folder/spirv-val ]] || export PATH=$folder:$PATH
done

started=$SECONDS
# No script ends without saying where.
trap 'printf "%s: line %s failed\n" "$0" "$LINENO" >&2' ERR

# step TEXT: a heading with the time since the start.
step() {
    printf '\n==> [%d:%02d] %s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$*"
}

# fail TEXT: an error, and the end.
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# node_path: puts a Node.js that is new enough first on PATH, if setup had to install one.
node_path() {
    if [[ -x $deps/python/bin/node ]]; then
        export PATH=$deps/python/bin:$PATH
    fi
}

# assemble FOLDER: builds the libraries and lays them out under the names by which CUDA programs look for them.
assemble() {
    local folder=$1 version
    (cd "$root" && cargo build --release --workspace)
    mkdir -p "$folder"
    rm -f "$folder"/*
    cp "$target/release/libcuda.so" "$folder/libcuda.so.1"
    cp "$target/release/libnvidia_ml.so" "$folder/libnvidia-ml.so.1"
    for version in 12 13; do
        cp "$target/release/libcublas$version.so" "$folder/libcublas.so.$version"
        cp "$target/release/libcublas_lt$version.so" "$folder/libcublasLt.so.$version"
    done
    for version in 12.8.90 13.0.96; do
        cp "$cudart/$version"/libcudart.so.* "$folder/"
    done
}
