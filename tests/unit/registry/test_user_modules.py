"""User modules: described without being imported here, digested by what they do, kept apart."""

import sys
from pathlib import Path

import numpy as np
import pytest

from openhcs_core.config import LIBRARIES
from openhcs_core.constants import MemoryType
from openhcs_core.errors import CompileError
from openhcs_core.pipeline import ProcessingContract
from openhcs_core.registry import REGISTRIES, RegistryService, UserModule
from openhcs_core.registry.user_import import load_module
from openhcs_core.registry.user_source import read_source

HEAD = "from openhcs_core.memory import memory_types, numpy\n"
GOOD = HEAD + "@numpy\ndef f(image_stack):\n    return image_stack\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text, name="mine.py"):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def opened(text, **options):
    return UserModule(str(write(text)), **options)


def digest(text):
    return read_source(write(text)).digest


def test_names_of_libraries_cannot_be_those_of_modules():
    assert set(REGISTRIES) <= LIBRARIES


def _imported():
    """User modules in this process."""
    return {name for name in sys.modules if name.startswith("openhcs_user_")}


def test_declarations_and_signatures_are_read(capfd):
    before = _imported()
    module = opened(
        "print('loud')\n"
        "from typing import TYPE_CHECKING, Annotated, Literal\n"
        "from pydantic import Field\n"
        "from openhcs_core.materialization import CsvOptions, MaterializationSpec\n"
        "from openhcs_core.pipeline import (ProcessingContract, chain_breaker, "
        "processing_contract, special_inputs, special_outputs)\n"
        "if TYPE_CHECKING:\n    from numpy.typing import NDArray\n" + HEAD + "@numpy\n"
        "@chain_breaker\n"
        "@processing_contract(ProcessingContract.PURE_2D)\n"
        "@special_inputs('masks')\n"
        "@special_outputs('positions', ('counts', MaterializationSpec(CsvOptions())))\n"
        "def look(image_stack: 'NDArray', masks: 'NDArray', radius: Annotated[int, Field(ge=1)],\n"
        "         mode: Literal['a', 'b'] = 'a', *, size=(2, 3), copy=None):\n"
        "    'Look at it.'\n"
        "@memory_types(input_type='cupy', output_type='numpy')\n"
        "def fetch(image_stack, /): pass\n"
        "_hidden = look\n"
        "def helper(x): pass\n"
    )
    assert module.problems == ()
    functions = module.get_functions()
    assert list(functions) == ["mine:look", "mine:fetch"]
    look = functions["mine:look"]
    assert look.doc == "Look at it."
    assert look.contract is ProcessingContract.PURE_2D
    assert look.chain_breaker
    assert look.special_inputs == ("masks",)
    assert [output.name for output in look.special_outputs] == ["positions", "counts"]
    assert look.defaults == {"mode": "a", "copy": None}  # a tuple stays one: the function's own
    schema = look.parameters_schema
    assert schema["required"] == ["radius"]
    assert schema["properties"]["radius"]["minimum"] == 1
    assert schema["properties"]["mode"]["enum"] == ["a", "b"]
    assert schema["properties"]["size"] == {"default": [2, 3]}
    fetch = functions["mine:fetch"]
    assert (fetch.input_memory_type, fetch.output_memory_type) == (
        MemoryType.CUPY,
        MemoryType.NUMPY,
    )
    assert set(look.versions) == {"source", "pydantic", "numpy"}
    out, err = capfd.readouterr()
    assert (out, err) == ("", "loud\n")
    assert _imported() == before


def test_an_undeclared_function_is_told_how():
    module = opened(GOOD + "def g(image_stack):\n    return image_stack\n")
    with pytest.raises(CompileError, match=r"mine:g .*'@numpy' above 'def g' in mine\.py:5"):
        RegistryService(modules=[module]).find("mine:g")
    with pytest.raises(CompileError, match="unknown function 'mine:ff'; did you mean 'mine:f'"):
        RegistryService(modules=[module]).find("mine:ff")


def test_what_is_imported_is_not_a_function_of_the_module():
    write(GOOD.replace("def f", "def shared"), "helpers.py")
    module = opened(HEAD + "from helpers import *\nfrom helpers import shared\nmine = shared\n")
    assert list(module.get_functions()) == ["mine:mine"]


def test_all_says_what_is_public():
    module = opened(GOOD + "@numpy\ndef g(image_stack): pass\n__all__ = ['g']\n")
    assert list(module.get_functions()) == ["mine:g"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:\n", "mine.py:1: not valid Python: invalid syntax"),
        ("\nimport nothing_of_this_name\n", "mine.py:2: ModuleNotFoundError: No module named"),
        (
            "from openhcs.core.memory.decorators import numpy\n",
            "mine.py:1: ModuleNotFoundError: No module named 'openhcs'; decorators are imported "
            "from openhcs_core.memory and openhcs_core.pipeline",
        ),
        ("\n\nx = 1 / 0\n", "mine.py:3: ZeroDivisionError: division by zero; "),
        ("raise SystemExit(3)\n", "mine.py:1: ends the process (exit code 3) when it is imported"),
        ("import os\nos._exit(7)\n", "mine.py: Python ended (exit code 7) while the module"),
        (HEAD + "numpy(input_type='nunpy')\n", "mine.py:2: ValueError: 'nunpy' is not a valid"),
        ("X = 1\n", "mine.py: defines no function for pipelines; take it out of functions:"),
        ("def f(x): pass\n", "mine.py: no function says what arrays it takes; write '@numpy' above "
         "'def f' (from openhcs_core.memory import numpy)"),
    ],
)  # fmt: skip
def test_mistakes_of_modules_have_file_line_and_remedy(text, message):
    (problem,) = opened(text).problems
    assert problem.startswith(message)
    assert "; " in problem


WRONG = [
    ("a = numpy(lambda x: x)", "a is a lambda; write it as a 'def'"),
    ("b = outer()", "b is the function outer.inner, made inside another one; define it at the top"),
    ("c = numpy(partial(f))", "c is a partial, not a function; write a 'def' that calls it"),
    ("@numpy\nasync def d(x): pass", "d does not return its result when it is called; "),
    ("@numpy\ndef e(): pass", "e needs a first parameter, which takes the image stack"),
    ("@numpy\ndef g(x, y, /): pass", "g has 'y', which cannot be given by name; "),
    ("@numpy\ndef h(x, y=float('nan')): pass", "h has the default nan for 'y', which JSON cannot "),
    ("@numpy\ndef i(x, y=[{1: 2}]): pass", "i has the default [{1: 2}] for 'y', which JSON cannot"),
    ("@numpy\ndef j(x, y: 'Mask'): pass", "j has a type hint that cannot be read (NameError: name"),
    ("@numpy\ndef k(x, y: slice): pass", "k has a type hint that cannot be read (PydanticSchema"),
]


def test_mistakes_of_functions_are_told_together_and_the_others_stay_usable():
    head = GOOD + (
        "from functools import partial\n"
        "def outer():\n    @numpy\n    def inner(x): pass\n    return inner\n"
    )
    module = opened(head + "".join(f"{text}\n" for text, _ in WRONG))
    line = head.count("\n") + 1
    for (text, message), problem in zip(WRONG, module.problems, strict=True):
        at = line + text.count("\n")
        assert problem.startswith(f"mine.py:{at}: {message}")
        line = at + 1
    assert list(module.get_functions()) == ["mine:f"]


def test_a_mistake_in_a_helper_has_the_helpers_line():
    write("def g():\n    raise ValueError('no')\n", "helpers.py")
    (problem,) = opened("import helpers\nhelpers.g()\n").problems
    assert problem.startswith("helpers.py:2: ValueError: no; ")
    write("def g(:\n", "helpers.py")
    (problem,) = opened("import helpers\n").problems
    assert problem.startswith("helpers.py:1: not valid Python")


def test_a_module_that_hangs_is_ended():
    (problem,) = opened("import time\ntime.sleep(60)\n", timeout_s=2).problems
    assert problem.startswith("mine.py: not imported after 2 s; ")


def test_modules_of_the_working_directory_are_not_those_of_jobs():
    write("X = 1\n", "lab.py")
    (problem,) = UserModule(str(write("import lab\n", "folder/mine.py"))).problems
    assert problem.startswith("folder/mine.py:1: ModuleNotFoundError: No module named 'lab'; ")


def test_it_is_imported_again_only_when_something_changed(capfd):
    text = "print('imported')\n" + GOOD
    first = opened(text)
    assert opened(text).get_functions() == first.get_functions()
    assert capfd.readouterr().err.count("imported") == 1
    (path,) = Path("cache/openhcs-core").glob("functions-mine-*.json")
    path.write_text("{")
    assert opened(text).get_functions() == first.get_functions()
    assert capfd.readouterr().err.count("imported") == 1


def test_another_version_of_a_library_is_another_version():
    text = "import pydantic\n" + GOOD
    version = opened(text).get_library_versions()["pydantic"]
    (path,) = Path("cache/openhcs-core").glob("functions-mine-*.json")
    path.write_text(path.read_text().replace(f'"{version}"', '"0.1"'))  # as kept before an upgrade
    assert opened(text).get_library_versions()["pydantic"] == version


def test_code_of_no_version_is_named(monkeypatch, tmp_path):
    write("X = 1\n", "lab/lab_of_no_version.py")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "lab"), prepend=":")
    assert opened("import lab_of_no_version\n" + GOOD).unversioned == ("lab_of_no_version",)


def test_digest_is_of_what_the_code_does():
    write("FACTOR = 2\n", "helpers.py")
    write("", "pack/__init__.py")
    write("from . import other\nfrom ..helpers import FACTOR\n", "pack/part.py")
    write("X = 1\n", "pack/other.py")
    first = digest("def f(x):\n    return x\n")
    assert digest("# why\ndef f( x ):\n    '''Say.'''\n\n    return (x)\n") == first
    assert digest("def f(x):\n    return x + 1\n") != first
    write("FACTOR = 3\n", "helpers.py")
    assert digest("def f(x):\n    return x\n") == first

    text = "def f(x):\n    import pack.part\n"
    first = digest(text)
    write("X = 2\n", "pack/other.py")
    second = digest(text)
    assert second != first
    write("X = 2  # two\n", "pack/other.py")
    assert digest(text) == second


def test_native_functions_in_use_count(monkeypatch):
    text = "from openhcs_core.functions.project import max_projection\n"
    first = digest(text)
    monkeypatch.setattr("openhcs_core.registry.user_source.source_digest", lambda *_: "other")
    assert digest(text) != first
    assert digest("from openhcs_core.memory import numpy\n") != first


def load(path, name="f"):
    return getattr(load_module(read_source(path)), name)


def test_helpers_of_one_name_in_two_folders_stay_apart():
    text = (
        "import helpers\nfrom helpers import value\n"
        "def f():\n    import helpers as late\n    return helpers.VALUE, value(), late.VALUE\n"
    )
    helper = "import json\nVALUE = {}\ndef value():\n    from pack import part\n    return part.X\n"
    for number in (1, 2):
        write(text, f"f{number}/mine.py")
        write(helper.format(number), f"f{number}/helpers.py")
        write(f"X = {number * 10}\n", f"f{number}/pack/part.py")
    first, second = load(Path("f1/mine.py")), load(Path("f2/mine.py"))
    assert first() == (1, 10, 1)
    assert second() == (2, 20, 2)
    assert "helpers" not in sys.modules
    write(helper.format(3), "f1/helpers.py")
    assert load(Path("f1/mine.py"))() == (3, 10, 3)
    assert first() == (1, 10, 1)


def test_a_module_may_be_named_like_one_of_python():
    write("import numpy as np\ndef f(x):\n    import random\n    return np.sort(x)\n", "signal.py")
    np.testing.assert_array_equal(load(Path("signal.py"))(np.array([2, 1])), [1, 2])
    import signal

    assert signal.SIGKILL


def test_dotted_and_relative_imports_work():
    write("X = 4\n", "pack/deep/part.py")
    write("from .deep.part import X\nfrom . import deep\n", "pack/__init__.py")
    path = write(
        "import pack.deep.part\nfrom .pack import X\ndef f():\n    return X, pack.deep.part.X\n"
    )
    assert load(path)() == (4, 4)


def test_type_hints_and_dataclasses_work():
    path = write(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Cell:\n    area: int\ndef f():\n    return Cell(3).area, __file__\n"
    )
    assert load(path)() == (3, str(path.absolute()))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("numpy.py", "import numpy as np\n", "imports 'numpy', which is the library of that name"),
        ("mine.py", f"x = {'+'.join(['1'] * 20000)}\n", "nested too deep"),
        ("mine.py", "__all__ = None\n", "__all__ is None; expected a list of names"),
        ("mine.py", "__all__ = ['gone']\n", "__all__ names gone, which it does not define"),
        ("mine.py", "raise ValueError('first\\nsecond')\n", "mine.py:1: ValueError: first; a mod"),
    ],
)
def test_what_else_a_module_cannot_be(name, text, message):
    (problem,) = UserModule(str(write(text, name))).problems
    assert message in problem
