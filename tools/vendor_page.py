"""Renews the libraries that are inlined into the page of `roofsim explore`, with npm: `python tools/vendor_page.py`.

Each comes as its own published build, newest release, unchanged.
`roofsim/web/vendor/vendor.json` then says which version it is, under which licence, and its SHA-256, which a test holds
the files to; `LICENSES.txt` has the licences of everything inside, and goes into every page that is written.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

VENDOR = Path(__file__).resolve().parents[1] / "roofsim/web/vendor"
BUILDS = {"d3": "dist/d3.min.js", "@observablehq/plot": "dist/plot.umd.min.js"}
INSIDE = ("interval-tree-1d", "binary-search-bounds", "isoformat")
"""What Plot's build has inside beside Plot: of these only the licence is needed."""


def package(name: str, folder: Path) -> tuple[dict[str, Any], Path]:
    """The newest release of a package: its package.json and the folder that it was unpacked into."""
    done = subprocess.run(["npm", "pack", "--json", name], cwd=folder, check=True, capture_output=True, text=True)
    file = json.loads(done.stdout)[0]["filename"].replace("@", "").replace("/", "-")
    target = folder / file.removesuffix(".tgz")
    with tarfile.open(folder / file) as archive:
        archive.extractall(target, filter="data")
    return json.loads((target / "package/package.json").read_text()), target / "package"


def main(arguments: list[str]) -> int:
    """Fetches all, writes the builds, their table and their licences."""
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    VENDOR.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str]] = []
    licences: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in (*BUILDS, *INSIDE):
            said, path = package(name, Path(folder))
            licences.append(f"{name} {said['version']}\n\n{(path / 'LICENSE').read_text().strip()}\n")
            if name not in BUILDS:
                continue
            build = (path / BUILDS[name]).read_bytes()
            file = Path(BUILDS[name]).name
            (VENDOR / file).write_bytes(build)
            digest = hashlib.sha256(build).hexdigest()
            rows.append(
                {"name": name, "version": said["version"], "licence": said["license"], "file": file, "sha256": digest}
            )
            print(f"{name} {said['version']}: {file}, {len(build):,} bytes")
    (VENDOR / "vendor.json").write_text(json.dumps(rows, indent=2) + "\n")
    (VENDOR / "LICENSES.txt").write_text(("\n" + "-" * 80 + "\n\n").join(licences))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
