#!/usr/bin/env bash
# Builds wheels of mamba_ssm and causal_conv1d from their sdists for one kind of GPU, without a network.
#
# usage: tools/build_mamba_kernels.sh FOLDER MAMBA_SSM.tar.gz CAUSAL_CONV1D.tar.gz
#
# The wheels are left in FOLDER and installed. Needs PyTorch with CUDA, nvcc, ninja, setuptools, wheel and packaging.
#   ARCH=90           compute capability, 90 for an H100
#   JOBS=<cores>      compilers at once
#   FORWARD_ONLY=1    leave out the backward scan of Mamba-1, which takes most of the time; 0 builds all of it
#   INSTALL=1         install what was built; 0 only builds
#   PYTHON=python3
#
# Both setup.py compile for every GPU there is: of their -gencode lines those of ARCH stay.
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
missing = [name for name in ("torch", "setuptools", "wheel", "packaging", "ninja") if u.find_spec(name) is None]
if missing:
    sys.exit(f"not installed: {', '.join(missing)}")
import torch
print(f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, Python {sys.version.split()[0]}")
if torch.version.cuda is None:
    sys.exit("this PyTorch is built without CUDA")
PY
command -v nvcc >/dev/null || export PATH="${CUDA_HOME:-/usr/local/cuda}/bin:$PATH"
nvcc --version | sed -n 's/^Cuda compilation tools, //p'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Unpack an sdist into its own folder and keep the -gencode lines of ARCH only; with `forward`, drop the backward scan.
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
scan = folder / "csrc" / "selective_scan"
if extent == "forward" and scan.is_dir():
    instances = []
    for source in sorted(scan.glob("selective_scan_bwd_*.cu")):
        instances += re.findall(r"selective_scan_bwd_cuda<[^;]*;", source.read_text())
        text = re.sub(rf'^ *"csrc/selective_scan/{source.name}",\n', "", text, flags=re.M)
    stub = [
        "#include <c10/cuda/CUDAStream.h>",
        "#include <torch/python.h>",
        '#include "selective_scan.h"',
        "template <typename input_t, typename weight_t>",
        "void selective_scan_bwd_cuda(SSMParamsBwd &, cudaStream_t) {",
        '    TORCH_CHECK(false, "built without the backward scan");',
        "}",
        *(f"template void {each}" for each in instances),
    ]
    (scan / "selective_scan_no_bwd.cpp").write_text("\n".join(stub) + "\n")
    first = '"csrc/selective_scan/selective_scan.cpp",'
    if len(instances) != 6 or text.count(first) != 1 or "_bwd_" in text:
        sys.exit(f"{setup}: not as expected; set FORWARD_ONLY=0")
    text = text.replace(first, f'{first}\n                "csrc/selective_scan/selective_scan_no_bwd.cpp",')
setup.write_text(text)
PY
}

build() {
  echo "== $1 ($2) =="
  local start=$SECONDS
  (cd "$work/$1" && MAMBA_FORCE_BUILD=TRUE CAUSAL_CONV1D_FORCE_BUILD=TRUE MAX_JOBS=$jobs \
    TORCH_CUDA_ARCH_LIST="${arch%?}.${arch: -1}" CC=${CC:-gcc} CXX=${CXX:-g++} \
    "$python" -m pip wheel . --quiet --no-build-isolation --no-deps --no-index --wheel-dir "$wheels") || return 1
  echo "$1 took $((SECONDS - start)) s"
}

prepare causal_conv1d "$3" all
build causal_conv1d all
if [ "$forward_only" = 1 ] && prepare mamba_ssm "$2" forward && build mamba_ssm forward; then
  :
else
  prepare mamba_ssm "$2" all
  build mamba_ssm all
fi
ls -l "$wheels"

if [ "$install" = 1 ]; then
  # their metadata asks for packages that only other parts of them use
  "$python" -m pip install --quiet --no-deps --no-index --force-reinstall "$wheels"/*.whl
  cd "$work"  # away from any folder with sources
  "$python" -c "
import causal_conv1d, mamba_ssm
from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined
from mamba_ssm.ops.triton.selective_state_update import selective_state_update
print('mamba_ssm', mamba_ssm.__version__, 'causal_conv1d', causal_conv1d.__version__)"
fi
