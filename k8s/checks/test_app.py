"""`spin registry push` needs nothing but what the repository holds or its build makes."""

import re
import tomllib
from pathlib import PurePosixPath

from manifests import ROOT

MANIFEST = tomllib.loads((ROOT / "spin.toml").read_text())


def inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts


def test_every_source_is_what_the_build_makes():
    for name, component in MANIFEST["component"].items():
        source = component["source"]
        assert isinstance(source, str), f"{name}: a source from elsewhere is not in the repository"
        assert inside(source)
        command = component["build"]["command"]
        package = re.search(r"(?:-p|--package) (\S+)", command)[1]
        target = re.search(r"--target (\S+)", command)[1]
        profile = "release" if "--release" in command else "debug"
        assert source == f"target/{target}/{profile}/{package.replace('-', '_')}.wasm"


def test_no_folder_is_mounted():
    for name, component in MANIFEST["component"].items():
        assert "files" not in component, f"{name}: Spin prepares mounts anew for every request"


def test_every_trigger_names_a_component():
    for triggers in MANIFEST["trigger"].values():
        for trigger in triggers:
            assert trigger["component"] in MANIFEST["component"]


def test_every_secret_is_required_or_can_be_left_out():
    for name, variable in MANIFEST["variables"].items():
        if variable.get("secret"):
            required = variable.get("required") and "default" not in variable
            assert required or variable["default"] == "", name
