"""Writes an empty release, newer than any, of every pinned package: `python tools/newer_releases.py FOLDER`.

An index that holds them must not change what the README's commands install; `.ci/run` tries that.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from zipfile import ZipFile

PINS = Path(__file__).resolve().parents[1] / "pins"
NEWER = "9999"


def write(name: str, folder: Path) -> None:
    """A wheel of nothing, under the name of a package."""
    stem = f"{name.replace('-', '_')}-{NEWER}"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {NEWER}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: roofsim\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        for file, text in files.items():
            wheel.writestr(f"{stem}.dist-info/{file}", text)


def main(folder: Path) -> None:
    """One wheel per package of the pins."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(file.read_text() for file in PINS.glob("*.txt"))
    for name in set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)):
        write(name, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
