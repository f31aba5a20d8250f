"""The load report: what transformers says of a checkpoint's headers, in a process of its own."""

from collections.abc import Callable
from pathlib import Path

from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.engines.transformers.load_report import load_reports
from tests.checkpoints.families import FAMILIES, tiny_pair
from tests.checkpoints.weights import change_json, load, store


def rename(old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: store(folder, {k.replace(old, new): v for k, v in load(folder).items()})


def reshape(folder: Path) -> None:
    tensors = load(folder)
    tensors["model.norm.weight"] = tensors["model.norm.weight"][:-1].clone()
    store(folder, tensors)


def other_type(folder: Path) -> None:
    change_json(folder / "config.json", model_type="of_the_future", architectures=["Future"])


FAULTS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "a norm by another name": (rename("q_norm", "query_norm"), "missing", "q_norm.weight"),
    "a tensor nobody takes": (rename("k_norm", "key_norm"), "unexpected", "key_norm.weight"),
    "a shape": (reshape, "mismatched", "model.norm.weight: [31] in the file, [32] in the model"),
    "a family": (other_type, "problem", "of_the_future"),
}


def test_a_planted_fault_is_named(tmp_path: Path) -> None:
    folders = []
    for name, (plant, _, _) in FAULTS.items():
        folder = tiny_pair("qwen3", tmp_path / name)[0]
        plant(folder)
        folders.append(folder)
    reports = load_reports([inspect(locate(str(folder))) for folder in folders])
    for (_, kind, words), report in zip(FAULTS.values(), reports, strict=True):
        assert words in str(getattr(report, kind))
        assert not report.is_clean


def test_every_family_that_transformers_saved_is_clean(tmp_path: Path) -> None:
    """Stacked experts, tied heads and all, from headers alone."""
    infos = [inspect(locate(str(tiny_pair(f, tmp_path / f)[0]))) for f in FAMILIES]
    reports = load_reports(infos)
    for info, report in zip(infos, reports, strict=True):
        assert report.is_clean, (info.architecture, report)
        assert report.model_class == info.architecture
        assert report.settings["hidden_size"] == info.text_config["hidden_size"]


def test_code_of_a_checkpoint_does_not_run_unasked(tmp_path: Path) -> None:
    folder = tiny_pair("qwen3", tmp_path)[0]
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    change_json(
        folder / "config.json",
        model_type="own",
        auto_map={"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"},
    )
    (report,) = load_reports([inspect(locate(str(folder)))])
    assert "not trusted" in report.unknown
    assert not (tmp_path / "ran").exists()


def test_a_time_limit_ends_the_process_and_says_so(tmp_path: Path) -> None:
    (report,) = load_reports([inspect(locate("bundled:base"))], seconds=0.01)
    assert report.unknown == "transformers did not answer within 0.01 s"
    assert report.is_clean
