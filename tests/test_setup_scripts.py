"""The scripts that set up, test and demonstrate, in a copied tree where a stub plays Python: nothing is installed."""

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from data import find_dataset
from models import find_model
from options import test_options
from options.declare import flags
from options.parse import parse_train

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = [*sorted((ROOT / "scripts").rglob("*.sh")), ROOT / ".ci" / "run"]
REQUIREMENTS = ["requirements.txt", "requirements-visdom-py311.txt", "requirements-dev.txt"]

# What the stub does with its arguments: it makes a .venv with itself in it, notes what is run with `-m` or as a script,
# fails where told to, and lets the real Python answer questions (`-c`) in its own version's name.
STUB = r"""#!/usr/bin/env bash
while [[ ${1-} == -[IS] ]]; do shift; done
case "${1-} ${2-}" in
    "-c "*)
        prelude='import os, sys; sys.version_info = (%(version)s, 0, "final", 0); sys.modules.update(%(hidden)s)'
        exec "%(python)s" -S -c "$prelude; os.__file__ = '/stub/%(version)s/os.py'; exec(sys.argv[1])" "$2" ;;
    "-m venv")
        target=${!#}
        rm -rf "$target" && mkdir -p "$target/bin" "$target/lib/python3/site-packages"
        cp "$0" "$target/bin/python" && touch "$target/bin/activate" ;;
    "-m pip")
        [[ $* == *--version ]] || echo "${*:2}" >>"%(log)s"
        [[ $* == *install* ]] && sleep "${STUB_SLEEP:-0}" ;;
    *) echo "$*" >>"%(log)s" ;;
esac
if [[ -n ${STUB_FAIL:-} && $* =~ $STUB_FAIL ]]; then
    echo "ERROR: as told" >&2
    exit 1
fi
"""


class Checkout:
    """A copy of what set-up needs, and the stub Pythons made for it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"  # the space is on purpose
        self.venv = self.root / ".venv"
        self.log = folder / "log"
        self.bin = folder / "bin"
        self.elsewhere = folder / "elsewhere"
        for path in (self.root, self.bin, self.elsewhere):
            path.mkdir()
        shutil.copytree(ROOT / "scripts", self.root / "scripts")
        for name in [*REQUIREMENTS, "constraints.txt"]:
            shutil.copy(ROOT / name, self.root)

    def python(self, version: str = "3.11", name: str = "python3", ensurepip: bool = True) -> Path:
        path = self.bin / name
        hidden = "" if ensurepip else "ensurepip=None"
        fields = {"version": version.replace(".", ", "), "python": sys.executable, "hidden": hidden, "log": self.log}
        path.write_text(STUB % fields)
        path.chmod(0o755)
        return path

    def environment(self, python: Path | str | None, **variables: str) -> dict[str, str]:
        ours = ("PYTHON", "PIP_", "TORCH_INDEX_URL", "CONSTRAINTS", "TMPDIR", "STUB_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        chosen = {} if python is None else {"PYTHON": str(python)}
        return inherited | {"PATH": f"{self.bin}:{os.environ['PATH']}"} | chosen | variables

    def run(
        self, script: str, *arguments: str, python: Path | str | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(self.root / "scripts" / script), *arguments],
            cwd=self.elsewhere,
            env=self.environment(python, **variables),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def calls(self) -> list[str]:
        """Return what the stub was run with since the last time, one line each."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def lines_about(word: str, result: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in (result.stdout + result.stderr).splitlines() if word in line]


def requirements(name: str) -> list[Requirement]:
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    return [Requirement(line) for line in lines if line]


# --- files


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_well_formed(script):
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert script.stat().st_mode & stat.S_IXUSR, f"{script} is not executable"
    assert "\r" not in script.read_text()
    assert "set -euo pipefail" in script.read_text()


def test_constraints_pin_torch_and_the_tools_within_the_requirements():
    pins = {requirement.name: requirement for requirement in requirements("constraints.txt")}
    assert {"torch", "torchvision", "ruff", "mypy"} <= pins.keys()
    allowed = {requirement.name: requirement for name in REQUIREMENTS for requirement in requirements(name)}
    for name, pin in pins.items():
        (specifier,) = pin.specifier
        assert specifier.operator == "==", f"{pin} does not pin"
        assert allowed[name].specifier.contains(specifier.version), f"{pin} is not {allowed[name]}"


def test_visdom_is_left_to_its_own_file_on_python_311():
    def installed(version: str) -> set[str]:
        return {
            requirement.name
            for requirement in requirements("requirements.txt")
            if requirement.marker is None or requirement.marker.evaluate({"python_version": version})
        }

    assert installed("3.12") - installed("3.11") == {"visdom", "tornado"}
    assert {requirement.name for requirement in requirements("requirements-visdom-py311.txt")} == {"visdom", "tornado"}


def test_mypy_is_told_about_every_python_file():
    covered = set()
    for pattern in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["files"]:
        for path in ROOT.glob(pattern):
            covered |= {path, *path.rglob("*.py")}
    packages = [path.parent for path in ROOT.glob("*/__init__.py")]
    present = {*ROOT.glob("*.py"), *(ROOT / "scripts").glob("*.py"), *(ROOT / "datasets").glob("*.py")}
    present |= {path for folder in [*packages, ROOT / "tests"] for path in folder.rglob("*.py")}
    assert present <= covered, f"not in [tool.mypy] files: {sorted(map(str, present - covered))}"


# --- a first set-up


def test_setup_installs_torch_first_and_visdom_apart(checkout):
    result = checkout.run("setup.sh", python=checkout.python())
    assert result.returncode == 0, result.stderr
    assert len(lines_about("set-up: ", result)) == 2  # what it is about to do, and that it is done
    main, tools, visdom = checkout.calls()
    kept = (checkout.venv / "ganvas" / "requirements.txt").read_text()
    assert "torch>=" in kept
    assert "visdom>" not in kept
    assert f"-c {checkout.root}/constraints.txt" in main
    assert "setuptools<81 wheel" in tools
    assert "--no-build-isolation" in visdom
    assert visdom.endswith("requirements-visdom-py311.txt")
    assert not (checkout.venv / "ganvas" / "tmp").exists()


@pytest.mark.parametrize(("name", "package"), [("python3", "python3-venv"), ("python3.12", "python3.12-venv")])
def test_without_ensurepip_one_line_names_the_package(checkout, name, package):
    version = "3.12" if name == "python3.12" else "3.11"
    result = checkout.run("setup.sh", python=checkout.python(version, name, ensurepip=False))
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.endswith(f": apt install {package}")
    assert not checkout.venv.exists()


@pytest.mark.parametrize("version", ["2.7", "3.9", "3.10"])
def test_an_old_python_is_refused_in_one_line(checkout, version):
    result = checkout.run("setup.sh", python=checkout.python(version))
    assert result.returncode == 1
    (line,) = (result.stdout + result.stderr).splitlines()
    assert re.search(rf"Python {version} .*3\.11 or newer", line)
    assert not checkout.venv.exists()


def test_a_missing_python_is_said_in_one_line(checkout):
    result = checkout.run("setup.sh", python="python3.99")
    assert result.returncode == 1
    (line,) = (result.stdout + result.stderr).splitlines()
    assert "no python3.99 here" in line


def test_an_unknown_argument_is_refused(checkout):
    result = checkout.run("setup.sh", "--devel", python=checkout.python())
    assert result.returncode == 1
    assert "--devel" in result.stderr
    assert checkout.calls() == []


@pytest.mark.parametrize("version", ["3.11", "3.12"])
def test_a_failing_visdom_stops_nothing_and_is_said_once(checkout, version):
    python = checkout.python(version)
    visdom_step = r"pip.*/requirements-visdom-py311.txt|pip.* [^ ]*a checkout/requirements.txt"
    result = checkout.run("setup.sh", python=python, STUB_FAIL=visdom_step)
    assert result.returncode == 0
    assert result.stderr == ""
    assert len(lines_about("visdom", result)) == 1
    assert "ERROR" in (checkout.venv / "ganvas" / "visdom.log").read_text()
    checkout.calls()
    again = checkout.run("setup.sh", python=python)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert checkout.calls() == []


# --- the next set-ups


def test_the_second_call_runs_no_pip_and_says_nothing(checkout):
    python = checkout.python()
    checkout.run("setup.sh", "--dev", python=python)
    assert checkout.calls()[-1].endswith("requirements-dev.txt")
    for arguments, chosen in [((), python), (("--dev",), python), (("--dev",), None)]:
        result = checkout.run("setup.sh", *arguments, python=chosen)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert checkout.calls() == []


def test_the_tools_are_added_to_a_runtime_set_up(checkout):
    checkout.run("setup.sh", python=checkout.python())
    checkout.calls()
    checkout.run("setup.sh", "--dev")
    (call,) = checkout.calls()
    assert call.endswith("requirements-dev.txt")


@pytest.mark.parametrize("name", ["requirements.txt", "constraints.txt"])
def test_changed_requirements_are_installed_into_the_same_venv(checkout, name):
    python = checkout.python()
    checkout.run("setup.sh", python=python)
    checkout.calls()
    (checkout.venv / "mine").touch()
    with (checkout.root / name).open("a") as file:
        file.write("tqdm>=4.67\n")
    result = checkout.run("setup.sh", python=python)
    assert lines_about("the requirements changed", result)
    assert len(checkout.calls()) == 3
    assert (checkout.venv / "mine").exists()
    assert checkout.run("setup.sh", python=python).stdout == ""


def test_another_python_makes_the_venv_anew_and_stays(checkout):
    checkout.run("setup.sh", python=checkout.python("3.11"))
    (checkout.venv / "old").touch()
    newer = checkout.python("3.12", "python3.12")
    result = checkout.run("setup.sh", python=newer)
    assert len(lines_about(".venv anew: it has Python 3.11", result)) == 1
    assert not (checkout.venv / "old").exists()
    checkout.calls()
    for chosen in (newer, None, checkout.venv / "bin" / "python"):
        assert checkout.run("setup.sh", python=chosen).stdout == ""
    (checkout.venv / "bin" / "activate").unlink()  # a broken one is repaired with the Python that it had
    assert lines_about("it is not complete", checkout.run("setup.sh"))
    assert checkout.run("setup.sh", python=newer).stdout == ""


def test_a_python_that_will_not_do_leaves_the_venv_alone(checkout):
    checkout.run("setup.sh", python=checkout.python())
    for python in (checkout.python("3.10", "python3.10"), checkout.python("3.12", "python3.12", ensurepip=False)):
        assert checkout.run("setup.sh", python=python).returncode == 1
    assert checkout.run("setup.sh").stdout == ""


def test_a_failed_install_fails_and_the_next_call_goes_on(checkout):
    python = checkout.python()
    result = checkout.run("setup.sh", python=python, STUB_FAIL="ganvas/requirements.txt")
    assert result.returncode == 1
    assert result.stderr.splitlines() == ["ERROR: as told", result.stderr.splitlines()[-1]]
    assert "goes on from here" in result.stderr
    assert len(checkout.calls()) == 1
    site_packages = checkout.venv / "lib" / "python3" / "site-packages"
    whole, half = site_packages / "a-1.dist-info", site_packages / "b-1.dist-info"
    for folder in (whole, half):
        folder.mkdir()
        (folder / "METADATA").touch()
    (whole / "RECORD").touch()
    result = checkout.run("setup.sh", python=python)
    assert result.returncode == 0
    assert len(checkout.calls()) == 3
    assert whole.exists()
    assert not half.exists()  # pip was killed in the middle of it: it must be installed again


def test_two_at_once_install_once(checkout):
    if shutil.which("flock") is None:
        pytest.skip("no flock here")
    command = ["bash", str(checkout.root / "scripts" / "setup.sh")]
    environment = checkout.environment(checkout.python(), STUB_SLEEP="0.2")
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    output = "".join(process.communicate(timeout=60)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert len(checkout.calls()) == 3
    assert "waiting for another set-up" in output


def test_torch_index_url_comes_first_and_is_remembered(checkout):
    python = checkout.python()
    checkout.run("setup.sh", python=python, TORCH_INDEX_URL="https://example.org/cpu")
    first = checkout.calls()[0]
    assert first.endswith("torch torchvision --index-url https://example.org/cpu")
    assert f"-c {checkout.root}/constraints.txt" in first
    assert checkout.run("setup.sh").stdout == ""
    assert lines_about("anew", checkout.run("setup.sh", TORCH_INDEX_URL="https://example.org/cuda"))
    assert lines_about("anew", checkout.run("setup.sh", python=checkout.python("3.12", "python3.12")))
    assert checkout.calls()[-2].startswith("pip --disable")
    assert (checkout.venv / "ganvas" / "torch_index_url").read_text() == "https://example.org/cuda\n"


def test_other_constraints_replace_ours_and_are_remembered(checkout):
    python = checkout.python()
    assert checkout.run("setup.sh", python=python, CONSTRAINTS="/dev/null").returncode == 0
    assert all("-c /dev/null" in call for call in checkout.calls() if "-r" in call.split())
    assert checkout.run("setup.sh").stdout == ""
    (checkout.elsewhere / "mine.txt").write_text("torch==2.15.0\n")
    checkout.run("setup.sh", CONSTRAINTS="mine.txt")
    assert f"-c {checkout.elsewhere}/mine.txt" in checkout.calls()[0]
    result = checkout.run("setup.sh", CONSTRAINTS="none.txt")
    assert result.returncode == 1
    assert "none.txt" in result.stderr


def test_settings_that_would_install_elsewhere_are_ignored(checkout):
    python = checkout.python()
    python.write_text(python.read_text().replace('"${*:2}"', '"$PIP_USER,${PIP_TARGET-},${PYTHONPATH-}"'))
    checkout.run("setup.sh", python=python, PIP_USER="1", PIP_TARGET="/elsewhere", PYTHONPATH="/elsewhere")
    assert set(checkout.calls()) == {"0,,"}


# --- test.sh and demo.sh


def test_test_sh_runs_lint_types_and_tests(checkout):
    result = checkout.run("test.sh", python=checkout.python())
    assert result.returncode == 0, result.stderr
    calls = checkout.calls()[4:]  # after pip's
    assert calls == ["-m ruff check", "-m ruff format --check", "-m mypy", "-m pytest -n 2"]
    assert checkout.run("test.sh", "-k", "resume").returncode == 0
    assert checkout.calls() == ["-m pytest -k resume"]


@pytest.mark.parametrize("step", ["ruff check", "ruff format", "mypy", "pytest"])
def test_test_sh_is_red_when_a_step_is(checkout, step):
    assert checkout.run("test.sh", python=checkout.python(), STUB_FAIL=f"^-m {step}").returncode == 1
    assert step in checkout.calls()[-1]


def test_demo_trains_from_scratch_and_ends_with_the_pages(checkout):
    pages = [
        checkout.root / "checkpoints" / "rps_mini_demo" / "web" / "index.html",
        checkout.root / "results" / "rps_mini_demo" / "test_latest" / "index.html",
    ]
    assert checkout.run("demo.sh", python=checkout.python()).returncode == 1  # the stub writes no page
    for page in pages:
        page.parent.mkdir(parents=True)
        page.touch()
    checkout.calls()
    result = checkout.run("demo.sh", "--seed", "1")
    assert result.returncode == 0, result.stderr
    train, test = checkout.calls()
    assert train.startswith("train.py") and " --dataroot rps_mini " in train
    assert "--overwrite" in train
    assert train.endswith("--seed 1")
    assert test.startswith("test.py ")
    for page, line in zip(pages, result.stdout.splitlines()[-2:], strict=True):
        assert line.endswith(f" {page}")
    assert checkout.run("demo.sh", STUB_FAIL="^train.py").returncode == 1
    assert len(checkout.calls()) == 1


RECIPES = sorted(
    str(script.relative_to(ROOT / "scripts"))
    for script in (ROOT / "scripts").rglob("*.sh")
    if "recipe.sh" in script.read_text() and script.name != "recipe.sh"
)


def test_recipes_are_found():
    assert {"demo.sh", "demo_translation.sh", "train_pix2pix.sh", "test_single.sh", "recipes/mnist_cgan.sh"} <= set(
        RECIPES
    )


def recognize(root, mode):
    return "idx" if "mnist" in root else "image_folder", Path("no card")


@pytest.mark.parametrize("quick", [[], ["--quick"]], ids=["whole", "quick"])
@pytest.mark.parametrize("script", RECIPES)
def test_the_options_of_every_recipe_exist(checkout, script, quick):
    """All commands are parsed as train.py would, but for the data, which need not be there."""
    checkout.run("setup.sh", python=checkout.python())
    checkout.calls()
    takes_folder = "TAKES_FOLDER=" in (ROOT / "scripts" / script).read_text()
    checkout.run(script, *[str(checkout.root)] * takes_folder, *quick, "--seed", "3")
    commands = [shlex.split(call.replace(str(checkout.root), "photos")) for call in checkout.calls()]
    assert commands
    trained = [words[1:] for words in commands if words[0] == "train.py"]
    assert bool(trained) == (not script.startswith("test_"))
    for words in trained:
        config = parse_train("", words, find_model, find_dataset, recognize)
        assert config.run.seed == 3
        assert config.run.name == words[words.index("--name") + 1]
        assert config.run.lr_policy != "constant" or not config.run.n_epochs_decay  # which would be more of the same
    for words in commands:
        if words[0] == "test.py":
            known = {f"--{flag.name}" for flag in flags(test_options.TestOptions)}
            assert {word for word in words[1:] if word.startswith("--")} <= known


def test_a_recipe_takes_paths_from_where_the_user_stands(checkout):
    checkout.run("setup.sh", python=checkout.python())
    checkout.calls()
    (checkout.elsewhere / "hands").mkdir()
    (checkout.elsewhere / "5").touch()
    checkout.run("recipes/rps_cgan.sh", "--dataroot", "hands", "--n_epochs", "5", "--val_list", "none.txt")
    train = shlex.split(checkout.calls()[0])
    assert train[-6:] == ["--dataroot", f"{checkout.elsewhere}/hands", "--n_epochs", "5", "--val_list", "none.txt"]


def test_a_set_up_checkout_answers_fast(checkout):
    checkout.run("setup.sh", python=checkout.python())
    start = time.perf_counter()
    checkout.run("setup.sh")
    assert time.perf_counter() - start < 2
