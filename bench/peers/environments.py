"""Folders under build/compare with what a package registry gave."""

import os
import pathlib
import subprocess
import sys
import venv

from peers.protocol import Unavailable

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "compare"
PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
TAIL_LINES = 5
SERVING_PACKAGES = ["aiohttp==3.14.5"]


def install(what, command, env=None):
    print(f"installing {what} into {FOLDER}", file=sys.stderr)
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                              env=os.environ | (env or {}))  # fmt: skip
    except OSError as error:
        raise Unavailable(f"{what} cannot be installed: {error}") from error
    if done.returncode != 0:
        tail = "; ".join((done.stderr or done.stdout).strip().splitlines()[-TAIL_LINES:])
        raise Unavailable(f"{what} cannot be installed: {tail}")


def python_with(name, packages, env=None, options=()):
    """The interpreter of a virtual environment that has these packages, made on first use. `options` are pip's."""
    folder = FOLDER / name
    python, stamp = folder / "bin" / "python", folder / "packages.txt"
    wanted = "\n".join(packages)
    if not stamp.exists() or stamp.read_text() != wanted:
        try:
            venv.create(folder, with_pip=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Unavailable(f"{name}: no virtual environment with pip can be made here: {error}") from error
        command = [python, "-m", "pip", "install", "--disable-pip-version-check", *options, *packages]
        install(" ".join(packages), command, env)
        stamp.write_text(wanted)
    return python


def reenter_with(name):
    """Goes on in the virtual environment of that name, with what bench/serving needs."""
    python = python_with(name, SERVING_PACKAGES)
    if pathlib.Path(sys.prefix) != python.parent.parent:
        os.execv(python, [str(python), *sys.argv])


def python_version(python, package):
    program = f"import importlib.metadata as m; print(m.version('{package}'))"
    return subprocess.run([python, "-c", program], capture_output=True, check=True, text=True).stdout.strip()


def node_module(package, version):
    """The folder of an npm package, installed on first use. Nothing of it runs at install time."""
    folder = FOLDER / "node" / "node_modules" / package
    manifest = folder / "package.json"
    if not manifest.exists() or f'"version": "{version}"' not in manifest.read_text():
        (FOLDER / "node").mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--prefix", FOLDER / "node", "--ignore-scripts", "--no-audit", "--no-fund"]
        install(f"{package} {version}", [*command, f"{package}@{version}"])
    return folder
