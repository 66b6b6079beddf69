#!/usr/bin/env bash
# Builds wheels of mamba_ssm and causal_conv1d from their sdists for one kind of GPU, without a network.
#
# usage: tools/build_mamba_kernels.sh FOLDER MAMBA_SSM.tar.gz CAUSAL_CONV1D.tar.gz
#
# The wheels are left in FOLDER and installed. Needs PyTorch with CUDA, nvcc, g++, ninja, setuptools, wheel, packaging.
#   ARCH=90           compute capability, 90 for an H100
#   JOBS=<cores>      compilers at once
#   FORWARD_ONLY=1    leave out the backward passes, which take most of the time; 0 builds all
#   INSTALL=1         install what was built; 0 only builds
#   PYTHON=python3
#
# Both setup.py compile for every GPU there is: of their -gencode lines those of ARCH stay. If the build without the
# backward passes fails, all is built.
set -euo pipefail

[ $# = 3 ] || { sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2; exit 2; }
arch=${ARCH:-90} jobs=${JOBS:-$(nproc)} python=${PYTHON:-python3} forward_only=${FORWARD_ONLY:-1} install=${INSTALL:-1}
mkdir -p "$1"
wheels=$(cd "$1" && pwd)
for file in "$2" "$3"; do
  [ -f "$file" ] || { echo "$file: no such file; an sdist (.tar.gz) is expected" >&2; exit 2; }
done
"$python" - <<'PY'
import importlib.util as u, sys
missing = [name for name in ("torch", "setuptools", "wheel", "packaging", "ninja", "pip") if u.find_spec(name) is None]
if missing:
    sys.exit(f"not installed: {', '.join(missing)}")
import torch
print(f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, Python {sys.version.split()[0]}")
if torch.version.cuda is None:
    sys.exit("this PyTorch is built without CUDA")
PY

# PyTorch takes the folder above nvcc for CUDA's, which is wrong if nvcc is a link or a wrapper
for home in "${CUDA_HOME:-}" /usr/local/cuda "$(dirname "$(dirname "$(readlink -f "$(command -v nvcc || echo /)")")")"; do
  if [ -x "$home/bin/nvcc" ] && [ -f "$home/include/cuda_runtime_api.h" ]; then
    export CUDA_HOME=$home PATH="$home/bin:$PATH"
    break
  fi
done
nvcc --version | sed -n 's/^Cuda compilation tools, /CUDA /p'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Unpack an sdist into its own folder and keep the -gencode lines of ARCH only; with `forward`, put functions that
# raise in the place of the backward kernels.
prepare() {
  rm -rf "$work/$1" && mkdir "$work/$1" && tar -xzf "$2" -C "$work/$1" --strip-components=1 || return 1
  "$python" - "$work/$1" "$arch" "$3" <<'PY'
import re
import sys
from pathlib import Path

folder, arch, extent = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
setup = folder / "setup.py"
text = setup.read_text()
pair = re.compile(
    r'^(?P<indent> *)cc_flag\.append\("-gencode"\)\n *cc_flag\.append\("arch=compute_(?P<arch>\d+)[^"]*"\)$', re.M
)
found = {match["arch"] for match in pair.finditer(text)}
if arch not in found:
    sys.exit(f"{setup}: no -gencode line of {arch} among {', '.join(sorted(found)) or 'none'}")
text = pair.sub(lambda match: match[0] if match["arch"] == arch else f"{match['indent']}pass", text)
text = text.replace('"--ptxas-options=-v",', "").replace('"-lineinfo",', "")  # both only make the build larger
if extent == "forward":
    line = re.compile(r'^ *"(?P<path>csrc/[\w/]*_bwd[\w]*\.cu)",\n', re.M)
    sources = [folder / match["path"] for match in line.finditer(text)]
    instance = re.compile(r"^template void (\w+)<([^;]*)>\((\w+) &params, cudaStream_t stream\);", re.M)
    made = [match for source in sources for match in instance.findall(source.read_text())]
    if not made:
        sys.exit(f"{setup}: no backward kernels found")
    place = sources[0].parent
    (header,) = [path for path in place.glob("*.h") if path.stem in ("selective_scan", "causal_conv1d")]
    stub = ["#include <c10/cuda/CUDAStream.h>", "#include <torch/python.h>", f'#include "{header.name}"']
    stub.append("using complex_t = c10::complex<float>;")  # as selective_scan_common.h has it
    for name, parameters in dict.fromkeys((name, parameters) for name, _, parameters in made):
        stub.append("template <typename input_t, typename weight_t>")
        stub.append(f"void {name}({parameters} &, cudaStream_t) {{")
        stub.append('    TORCH_CHECK(false, "built without the backward passes");\n}')
    stub += [f"template void {name}<{types}>({parameters} &, cudaStream_t);" for name, types, parameters in made]
    (place / "no_backward.cpp").write_text("\n".join(stub) + "\n")
    first, added = f'"{sources[0].relative_to(folder).as_posix()}",', place.relative_to(folder) / "no_backward.cpp"
    text = line.sub(lambda match: f'"{added.as_posix()}",\n' if first in match[0] else "", text)
setup.write_text(text)
PY
}

build() {
  echo "== $1 ($2) =="
  local start=$SECONDS
  (cd "$work/$1" && MAMBA_FORCE_BUILD=TRUE CAUSAL_CONV1D_FORCE_BUILD=TRUE MAX_JOBS=$jobs \
    TORCH_CUDA_ARCH_LIST="${arch%?}.${arch: -1}" \
    "$python" -m pip wheel . --quiet --no-build-isolation --no-deps --no-index --wheel-dir "$wheels") || return 1
  echo "$1 took $((SECONDS - start)) s"
}

# NAME SDIST: without the backward passes, or else all
make_wheel() {
  if [ "$forward_only" = 1 ]; then
    prepare "$1" "$2" forward && build "$1" forward && return
    echo "$1: the build without the backward passes failed; building all" >&2
  fi
  prepare "$1" "$2" all && build "$1" all
}

# side by side: each has fewer sources than a large machine has cores
make_wheel causal_conv1d "$3" &
conv=$!
make_wheel mamba_ssm "$2"
wait "$conv"
ls -l "$wheels"

if [ "$install" = 1 ]; then
  # their metadata asks for packages that only other parts of them use
  "$python" -m pip install --quiet --no-deps --no-index --force-reinstall "$wheels"/mamba_ssm*.whl "$wheels"/causal_conv1d*.whl
  cd "$work"  # away from any folder with sources
  "$python" -c "
import causal_conv1d, mamba_ssm
from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined
from mamba_ssm.ops.triton.selective_state_update import selective_state_update
print('mamba_ssm', mamba_ssm.__version__, 'causal_conv1d', causal_conv1d.__version__)"
fi
