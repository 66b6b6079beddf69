"""Writes the pins that the README's commands install from, with uv: `python tools/pins.py [--upgrade]`.

What an installation brings is settled here and nowhere else: every package that pyproject.toml leads to, extras,
build and all, by version and hash, for each Python and system that the project supports. `pins/main.txt` is what
`roofsim` needs, `pins/test.txt` what its checks need beside that, `pins/page.txt`, `pins/site.txt` and
`pins/measure.txt` what the tests of the page, the site and `roofsim measure` with its tests need beside both. The last
has no hashes: PyTorch is built for processors and for cards under one version, and which of the two an index serves is
the reader's choice. Without `--upgrade` a version stays unless pyproject.toml rules it out.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "pins"
HEAD = "# Made by `python tools/pins.py`; {says}.\n"
SAYS = {
    "main": "what roofsim needs to be installed and run",
    "test": "what its checks need beside main.txt",
    "page": "what the tests of the page of `roofsim explore` need beside both",
    "site": "what `tools/build_site.py` needs beside both",
    "measure": "what `roofsim measure` needs beside the first two, for PyTorch's builds for processors and for cards",
}


def blocks(text: str) -> dict[str, str]:
    """The lines of each pin, by the package's name; a package can have one pin per Python version."""
    found: dict[str, str] = {}
    for block in re.findall(r"^[^\s#].*\n(?:[ \t].*\n)*", text, re.MULTILINE):
        name = re.split(r"[=\s\[]", block, maxsplit=1)[0]
        found[name] = found.get(name, "") + block
    return found


def settled(requirements: Iterable[str], extras: Iterable[str], known: str, *options: str) -> dict[str, str]:
    """What uv settles on for pyproject.toml with these extras and for further requirements; `known` is kept to."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "pins.txt"
        output.write_text(known)
        subprocess.run(
            ["uv", "pip", "compile", "pyproject.toml", "-", "--quiet", "--universal", "--python-version=3.11",
             "--no-annotate", "--no-header", f"--output-file={output}", *(f"--extra={e}" for e in extras), *options],
            cwd=ROOT, check=True, text=True, input="\n".join(requirements), stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return blocks(output.read_text())


def main(arguments: list[str]) -> int:
    """Settles all files and writes them."""
    if arguments not in ([], ["--upgrade"]):
        print(__doc__, file=sys.stderr)
        return 2
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    build = project["build-system"]["requires"]
    old = "" if arguments else "".join(file.read_text() for file in sorted(PINS.glob("*.txt")))
    plain = re.sub(r" *\\\n +--hash=\S+", "", old)
    exact = "".join(settled(build, ["dev", "measure", "llamacpp", "page", "site"], plain).values())
    measure = settled(build, ["dev", "measure", "llamacpp"], exact)
    page, site = (settled(build, ["dev", extra], exact, "--generate-hashes") for extra in ("page", "site"))
    test = settled(build, ["dev"], exact, "--generate-hashes")
    names = settled(build, [], exact).keys()
    parts = {
        "main": {name: pin for name, pin in test.items() if name in names},
        "test": {name: pin for name, pin in test.items() if name not in names},
        "page": {name: pin for name, pin in page.items() if name not in test},
        "site": {name: pin for name, pin in site.items() if name not in test},
        "measure": {name: pin for name, pin in measure.items() if name not in test},
    }
    for name, pins in parts.items():
        (PINS / f"{name}.txt").write_text(HEAD.format(says=SAYS[name]) + "".join(pins.values()))
        print(f"pins/{name}.txt: {len(pins)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
