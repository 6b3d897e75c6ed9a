"""The project around the code: a wheel that runs elsewhere, pinned requirements, clean files, complete documents."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from importlib.metadata import distributions, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gateway.config import load
from gateway.errors import ConfigError
from tests.services import ROOT

PACKAGES = ("gateway", "collectors", "alarms", "api", "simulators")
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[([a-z0-9,._-]+)\])?==(\S+)(?: ;[^\\]*)? \\$", re.MULTILINE)
LEVELS = ("base", "simulators", "dev")
# Halves, so that this file does not contain what it forbids.
FORBIDDEN = {
    "a package registry": r"py" + r"pi\.org|python" + r"hosted|registry\.np" + r"mjs|deb\.deb" + r"ian|/sim" + r"ple\b",
    "a folder of somebody's machine": r"(?<![\w./])/(?:w" + r"ork|r" + r"oot|h" + r"ome)/\w",
    "work left open": r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b",
}


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """Run a command and return what it printed; a failure shows its output."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


@cache
def project_files() -> tuple[Path, ...]:
    """Return the files of the project, relative to its root: those in git and new ones that git does not ignore."""
    listed = run("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split(
        "\0"
    )
    return tuple(Path(name) for name in listed if name and (ROOT / name).is_file())


def text_files() -> list[tuple[Path, str]]:
    """Return the project's text files with their text."""
    return [
        (path, (ROOT / path).read_text(encoding="utf-8"))
        for path in project_files()
        if path.suffix not in {".png", ".mo", ".ico", ".woff2", ".jpg"}
    ]


@cache
def pins(level: str) -> dict[str, str]:
    return {name: version for name, _, version in PIN.findall((ROOT / "requirements" / f"{level}.txt").read_text())}


@cache
def pinned_extras(level: str) -> dict[str, set[str]]:
    found = PIN.findall((ROOT / "requirements" / f"{level}.txt").read_text())
    return {name: set(extras.split(",")) for name, extras, _ in found if extras}


@cache
def pyproject() -> dict[str, dict[str, object]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def wanted(level: str) -> list[Requirement]:
    """Return what pyproject.toml asks for at a level; each level includes those before it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return [
        Requirement(text)
        for text in (
            *project["dependencies"],
            *(extras["simulators"] if level != "base" else ()),
            *(extras["dev"] if level == "dev" else ()),
        )
    ]


def is_installed(name: str) -> bool:
    return bool(list(distributions(name=name)))


def is_asked_here(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in text_files()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, f"{what} is named in\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a package registry", "see https://py" + "pi.org/x"),
        ("a folder of somebody's machine", 'open("/wo' + 'rk/x")'),
        ("work left open", "# TO" + "DO: later"),
    ],
)
def test_what_is_forbidden_would_be_found(what: str, line: str) -> None:
    assert re.search(FORBIDDEN[what], line)


def test_text_files_end_with_a_newline_and_have_no_trailing_spaces() -> None:
    wrong = [
        str(path)
        for path, text in text_files()
        if text and (not text.endswith("\n") or re.search(r"[ \t]$", text, re.MULTILINE) or "\r" in text)
    ]
    assert not wrong


@pytest.mark.parametrize("level", LEVELS)
def test_every_requirement_is_pinned_with_hashes(level: str) -> None:
    text = (ROOT / "requirements" / f"{level}.txt").read_text()
    blocks = [block for block in re.split(r"\n(?=\S)", text.strip()) if block]
    assert len(blocks) == len(pins(level)) > 20
    for block in blocks:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block.splitlines()[0]
    assert "://" not in text
    assert "--index" not in text
    assert "--find" not in text


@pytest.mark.parametrize("level", LEVELS)
def test_the_pins_are_what_pyproject_asks_for(level: str) -> None:
    for requirement in wanted(level):
        name = canonicalize_name(requirement.name)
        assert name in pins(level), f"{name} is not pinned; run scripts/pin.sh"
        assert requirement.specifier.contains(pins(level)[name]), f"{name}: run scripts/pin.sh"


@pytest.mark.parametrize("level", LEVELS)
def test_a_package_that_another_asks_for_with_extras_is_pinned_with_them(level: str) -> None:
    # pip checks hashes of "coverage[toml]" apart from those of "coverage": without its own pin it takes the newest
    # version, finds no hash for it and refuses the whole installation on the day that version comes out
    asked = [Requirement(text) for name in pins(level) if is_installed(name) for text in requires(name) or ()]
    asked += wanted(level)
    for requirement in asked:
        name = canonicalize_name(requirement.name)
        if requirement.extras and name in pins(level) and is_asked_here(requirement):
            assert requirement.extras <= pinned_extras(level).get(name, set()), f"{requirement}: run scripts/pin.sh"
    assert {"uvicorn", "python-socketio"} <= set(pinned_extras(level))


def test_a_production_install_stays_small() -> None:
    assert set(pins("base")) < set(pins("simulators")) < set(pins("dev"))
    for small, large in (("base", "simulators"), ("simulators", "dev")):
        assert pins(small).items() <= pins(large).items()
    assert not {"pytest", "mypy", "playwright", "pyarrow", "iotcore", "setuptools"} & set(pins("base"))


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_imports_is_installed_with_it(package: str) -> None:
    level = "simulators" if package == "simulators" else "base"
    distributions = packages_distributions()
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / package).rglob("*.py")
        if "roundup_tracker" not in path.parts  # run by Roundup
        for name in imported(path)
        if name not in sys.stdlib_module_names
        and name not in PACKAGES
        and not {canonicalize_name(one) for one in distributions.get(name, [])} & set(pins(level))
    }
    assert not missing


def imported(path: Path) -> set[str]:
    """Return the top-level names of the modules that a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    whole = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    parts = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.split(".")[0] for name in whole | parts}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the project's files, so that nothing else can slip in."""
    folder = tmp_path_factory.mktemp("wheel")
    for path in project_files():
        (folder / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / "source" / path)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", cwd=folder / "source")
    (built,) = (folder / "dist").glob("gasgate-*-py3-none-any.whl")
    return built


def test_the_wheel_has_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    expected = {path.as_posix() for path in project_files() if path.parts[0] in PACKAGES}
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        licence = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    assert inside == expected
    assert licence


def test_the_wheel_runs_outside_the_checkout_with_its_data(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def python(*arguments: str) -> str:
        return run(sys.executable, *arguments, cwd=elsewhere, PYTHONPATH=str(target)).strip()

    assert python("-c", "import gateway; print(gateway.__file__)") == str(target / "gateway" / "__init__.py")
    assert python("-m", "gateway", "version") == f"gasgate {version_in_source()}"
    names = python("-c", "from gateway.profiles import load_profile as l, profile_names as p; print(*map(l, p()))")
    assert names.count("Profile(") >= 4


def version_in_source() -> str:
    (version,) = re.findall(r'^__version__ = "(.+)"$', (ROOT / "gateway" / "__init__.py").read_text(), re.MULTILINE)
    return str(version)


def test_the_version_stands_in_one_place_and_in_the_changelog() -> None:
    assert "version" not in pyproject()["project"]
    assert version_in_source() in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_pre_commit_and_make_lint_run_the_same_checks() -> None:
    hooks = re.findall(r"entry: (.*?),", (ROOT / ".pre-commit-config.yaml").read_text())
    (listed,) = re.findall(r"^CHECKS=\((.*)\)$", (ROOT / "scripts" / "lint.sh").read_text(), re.MULTILINE)
    assert hooks == [f"scripts/lint.sh {check}" for check in listed.split()]
    assert {"style", "types", "imports", "spelling"} <= set(listed.split())


def test_lint_names_the_check_that_fails_and_knows_no_others(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "lint.sh", tmp_path / "scripts")
    for name, code in (("ruff", 0), ("mypy", 1)):
        tool = tmp_path / ".venv" / "bin" / name
        tool.write_text(f"#!/bin/sh\necho {name} ran\nexit {code}\n")
        tool.chmod(0o755)

    def lint(*checks: str) -> tuple[int, str]:
        done = subprocess.run(["scripts/lint.sh", *checks], cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert lint("style") == (0, "lint: style is fine\n")
    assert lint("types", "style") == (1, "mypy ran\nlint: types FAILED\nlint: style is fine\n")
    assert lint("beauty")[0] == 2


def test_make_help_lists_every_target() -> None:
    shown = run("make")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^  make ([a-z-]+) +\S", shown, re.MULTILINE)) == set(phony.split())


@pytest.mark.parametrize(
    "script", sorted([*(ROOT / "scripts").glob("*.sh"), ROOT / ".ci" / "run"]), ids=lambda p: p.name
)
def test_scripts_parse_can_be_run_and_stop_at_errors(script: Path) -> None:
    run("bash", "-n", script)
    assert os.access(script, os.X_OK)
    assert re.search(r"^set -e?uo pipefail$", script.read_text(), re.MULTILINE)


def fake_python(folder: Path, *, new_enough: bool) -> Path:
    """Write an interpreter that knows its version but has no venv module, as Debian's without python3-venv."""
    fake = folder / "fake-python"
    fake.write_text(
        f"#!/bin/sh\ncase $2 in *ensurepip*) exit 1;; *version_info*) exit {0 if new_enough else 1};; esac\n"
    )
    fake.chmod(0o755)
    return fake


@pytest.mark.parametrize(
    ("new_enough", "message"),
    [(True, r"sudo apt install python3-venv"), (False, r"is not a Python 3.11 or newer")],
)
def test_setup_says_what_is_missing(tmp_path: Path, new_enough: bool, message: str) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup.sh", tmp_path / "scripts")
    fake = fake_python(tmp_path, new_enough=new_enough)
    done = subprocess.run(
        ["scripts/setup.sh"],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": str(fake)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert re.search(message, done.stderr)


def test_decisions_are_numbered_without_gaps_and_complete() -> None:
    found = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [path.name[:4] for path in found] == [f"{number:04}" for number in range(1, len(found) + 1)]
    for path in found:
        text = path.read_text()
        assert re.match(rf"# {path.name[:4]}: \S", text), path
        for part in ("Objective", "Choice", "What else was looked at", "What would change it"):
            assert f"**{part}.**" in text, f"{path.name} lacks: {part}"
        assert len(text.split()) < 700, f"{path.name} is longer than a page"


def test_links_inside_the_documents_lead_somewhere() -> None:
    broken = [
        f"{path}: {link}"
        for path, text in text_files()
        if path.suffix == ".md"
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
        if not (ROOT / path.parent / link).exists()
    ]
    assert not broken


def test_every_key_of_the_configuration_is_documented_with_its_meaning() -> None:
    run(sys.executable, ROOT / "scripts" / "config_doc.py", "--check")
    text = (ROOT / "docs" / "configuration.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", text, re.MULTILINE)
    assert len(rows) > 50
    assert not [key for key, meaning in rows if len(meaning) < 4]


def test_the_example_of_the_documents_is_a_valid_configuration(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "configuration.md").read_text(), re.DOTALL)
    file = tmp_path / "gasgate.toml"
    file.write_text(example)
    loaded = load(file)
    assert [len(loaded.source), len(loaded.output), len(loaded.ticket_sink)] == [2, 1, 1]
    file.write_text(example.replace("timeout_s", "time_out_s"))
    with pytest.raises(ConfigError, match="time_out_s"):
        load(file)


def test_every_route_is_documented() -> None:
    found = re.findall(
        r'@router\.(get|post|put|patch|delete)\("([^"]+)"',
        "\n".join(path.read_text() for path in sorted((ROOT / "api" / "routes").glob("*.py"))),
    )
    text = (ROOT / "docs" / "api.md").read_text()
    assert len(found) > 15
    assert not [f"{method.upper()} {path}" for method, path in found if not route_is_named(text, method, path)]


def route_is_named(text: str, method: str, path: str) -> bool:
    return f"`{method.upper()} {path}`" in text or f"`{path}`" in text
