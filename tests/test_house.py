"""The house: small folders, no import circles, first lines that name, tests beside their code."""

import ast
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = ROOT / "mi_tui"
TESTS = ROOT / "tests"

LARGEST = 20
"""The most modules and folders in one folder."""

TWO_WAY = {
    ("mi_tui.engines.transformers.load_report", "mi_tui.engines.transformers.model"),
    ("mi_tui.engines.transformers.self_check", "mi_tui.engines.transformers.weights"),
    ("mi_tui.probes.kinds", "mi_tui.probes.scorers"),
}
"""Neighbours of which each imports from the other; no pair is added without a reason."""

CIRCLES = {
    ("mi_tui.engines.transformers.load_report", "mi_tui.engines.transformers.model.meta_model"),
}
"""Modules that import each other in a ring: the first is also the program that runs the second."""

WHOLE_PRODUCT = {
    "test_documents",
    "test_extensions",
    "test_house",
    "test_package",
    "test_probes_page",
    "test_python_tour",
    "test_ssh",
    "test_terminals",
    "test_wheel",
    "test_whole_way",
    "engines/vllm/test_server",
    "engines/vllm/test_study",
    "pretended_cuda/test_pretended_cuda",
    "tui/test_snapshots",
}
"""Tests of more than one module, by their place in ``tests``."""

NOT_A_NAME = re.compile(
    r"(What|How|Whether|Who|Where|When|Which|Why|Make|Makes|Read|Reads|Write|Writes|Find|Finds|Take"
    r"|Keep|Keeps|Measure|Measures|Refuse|Draw|Draws|Ask|Asks|Decide|Open|Say|Turn|Look|Tell|Get"
    r"|Run|Compute|Compare|Merge|Mix|Let|Hold|Give|Confirm|Export|Load|Start|Watch|Pick) "
)


def modules() -> Iterator[Path]:
    return (path for path in sorted(CODE.rglob("*.py")) if "__pycache__" not in path.parts)


@pytest.fixture(scope="module")
def imports() -> Mapping[str, frozenset[str]]:
    """What each module imports; without the package, which only names its Python interface."""
    graph = grimp.build_graph("mi_tui", cache_dir=None)
    return {
        module: frozenset(graph.find_modules_directly_imported_by(module)) - {"mi_tui"}
        for module in graph.modules
        if module != "mi_tui"
    }


def rings(imports: Mapping[str, frozenset[str]]) -> set[tuple[str, ...]]:
    """The sets of modules that reach each other (Tarjan's strongly connected components)."""
    reach: dict[str, set[str]] = {}
    for start in imports:
        seen: set[str] = set()
        todo = list(imports[start])
        while todo:
            module = todo.pop()
            if module not in seen:
                seen.add(module)
                todo += imports.get(module, ())
        reach[start] = seen
    return {
        tuple(sorted({start, *(other for other in reach[start] if start in reach[other])}))
        for start in imports
        if start in reach[start]
    }


def two_way(imports: Mapping[str, frozenset[str]]) -> set[tuple[str, str]]:
    """Pairs of neighbours, modules or folders, of which each imports from the other."""
    edges = {
        neighbours
        for module, taken in imports.items()
        for other in taken
        if (neighbours := _neighbours(module, other)) is not None
    }
    return {pair for pair in edges if pair[::-1] in edges and pair[0] < pair[1]}


def _neighbours(module: str, other: str) -> tuple[str, str] | None:
    """The two in the folder that they share, in which an import crosses from one to the other."""
    one, two = module.split("."), other.split(".")
    shared = sum(
        1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False))
    )
    if shared in (len(one), len(two)):
        return None
    return ".".join(one[: shared + 1]), ".".join(two[: shared + 1])


def mirrors(place: str) -> bool:
    """Whether a test file lies where a module or folder of that name, or its beginning, lies."""
    folder, _, name = place.rpartition("/")
    of = name.removeprefix("test_").split("_")
    roots = (ROOT if folder.split("/")[0] in ("benchmarks", "scripts") else CODE) / folder
    names = ("_".join(of[:count]) for count in range(len(of), 0, -1))
    return any((roots / each).is_dir() or (roots / f"{each}.py").is_file() for each in names)


def test_no_folder_is_larger_than_a_glance() -> None:
    counts = Counter(
        path.parent.parent if path.name == "__init__.py" else path.parent
        for path in modules()
        if path.parent != CODE or path.name != "__init__.py"
    )
    assert max(counts.values()) > 5
    assert {str(folder): n for folder, n in counts.items() if n > LARGEST} == {}


def test_no_module_is_in_an_import_circle(imports: Mapping[str, frozenset[str]]) -> None:
    assert rings(imports) <= CIRCLES


def test_neighbours_import_one_way(imports: Mapping[str, frozenset[str]]) -> None:
    assert two_way(imports) <= TWO_WAY


def test_a_planted_circle_is_found(imports: Mapping[str, frozenset[str]]) -> None:
    planted = dict(imports)
    planted["mi_tui.plan.base"] |= {"mi_tui.plan.preset"}
    planted["mi_tui.study.view"] |= {"mi_tui.study.worker.session"}
    assert any("mi_tui.plan.base" in ring for ring in rings(planted))
    assert ("mi_tui.study.view", "mi_tui.study.worker") in two_way(planted)


def test_the_first_line_of_a_module_names_what_it_holds() -> None:
    wrong = {}
    for path in modules():
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        first = text.split("\n")[0]
        if NOT_A_NAME.match(first) or not first.endswith("."):
            wrong[str(path.relative_to(ROOT))] = first
    assert wrong == {}


@pytest.mark.parametrize("line", ["What is read.", "Make a study.", "How it is asked."])
def test_a_first_line_that_is_a_sentence_is_found(line: str) -> None:
    assert NOT_A_NAME.match(line)


def test_tests_lie_where_their_code_lies() -> None:
    places = {
        str(path.relative_to(TESTS).with_suffix(""))
        for path in TESTS.rglob("test_*.py")
        if "__pycache__" not in path.parts
    }
    assert len(places) > 100
    assert {place for place in places - WHOLE_PRODUCT if not mirrors(place)} == set()
    assert places >= WHOLE_PRODUCT
    assert not mirrors("tui/test_tools")
    assert mirrors("engines/openai/test_client_failures")
