"""The wheel, built from the sdist and installed outside the checkout, is the same program as the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

# One group: under xdist the wheel is built once, not once per worker.
pytestmark = [pytest.mark.packaging, pytest.mark.xdist_group("packaging")]

ROOT = Path(__file__).resolve().parents[2]
SPEC_FOLDERS = ("hardware", "models", "runtimes")
COMMANDS = (
    ("devices", "-f", "json"),
    ("models", "-f", "json"),
    ("runtimes", "-f", "json"),
    ("crossover", "--device", "orin", "-f", "json"),
)


def output(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What the command prints, run without the Python settings of this process."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=inherited | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def spec_files(folder: Path) -> dict[str, bytes]:
    """Path below `folder` → content, of all files but hidden ones."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if not any(part.startswith(".") for part in Path(name).parts)
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `python -m build` does it: sdist from the checkout, wheel from the sdist."""
    built = tmp_path_factory.mktemp("dist")
    output(sys.executable, "-m", "build", "--no-isolation", "--outdir", built, ROOT, cwd=built)
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new environment with the wheel in it; the dependencies are those of this process."""
    home = tmp_path_factory.mktemp("installed")
    environment = home / "environment"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    output(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=home)
    (site_packages,) = environment.glob("lib/python*/site-packages")
    # A folder named in a .pth file is searched last, and the .pth files inside it are not read: an editable
    # roofsim of this process stays out of sight.
    dependencies = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site_packages / "dependencies.pth").write_text("\n".join(dependencies))
    return environment


def test_the_wheel_holds_the_package_and_nothing_beside_it(wheel: Path) -> None:
    top = {name.split("/")[0] for name in ZipFile(wheel).namelist()}
    assert top == {"roofsim", "-".join(wheel.name.split("-")[:2]) + ".dist-info"}


@pytest.mark.parametrize("kind", SPEC_FOLDERS)
def test_the_wheel_holds_every_spec_of_the_checkout(kind: str, installed: Path, tmp_path: Path) -> None:
    where = output(installed / "bin" / "python", "-c", "import roofsim; print(roofsim.__path__[0])", cwd=tmp_path)
    package = Path(where.strip())
    assert package.is_relative_to(installed)
    specs = spec_files(ROOT / kind)
    assert specs
    assert spec_files(package / "data" / kind) == specs


def test_the_wheel_holds_what_the_page_is_made_of(wheel: Path) -> None:
    held = set(ZipFile(wheel).namelist())
    for folder in ("roofsim/web/assets", "roofsim/web/vendor"):
        files = {str(path.relative_to(ROOT)) for path in (ROOT / folder).iterdir()}
        assert files
        assert files <= held


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_the_installed_command_answers_like_the_checkout(
    arguments: tuple[str, ...], installed: Path, tmp_path: Path
) -> None:
    main = (sys.executable, "-c", "from roofsim.cli import main; main()")
    checkout = output(*main, *arguments, cwd=ROOT, PYTHONPATH=str(ROOT))
    assert checkout.strip()
    assert output(installed / "bin" / "roofsim", *arguments, cwd=tmp_path) == checkout
