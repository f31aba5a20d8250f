"""Consent to code of others: for one state of it, the user's alone, listed and taken back."""

from pathlib import Path

import pytest

from mi_tui.errors import MiTuiError
from mi_tui.plan import remote_code
from mi_tui.plan.remote_code import (
    RemoteCode,
    RemoteCodeError,
    allow,
    consents,
    digest_of,
    files_below,
    is_allowed,
    require_allowed,
    revoke,
)

CODE = RemoteCode("owner/name", "0123456789abcdef", ("a.py", "b.py"))


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "mi-tui" / "trusted_code"


def test_consent_is_to_one_revision_of_one_checkpoint(config: Path) -> None:
    assert not is_allowed(CODE)
    allow([CODE, None])
    assert is_allowed(CODE)
    assert not is_allowed(RemoteCode("owner/name", "fedcba", CODE.files))
    assert not is_allowed(RemoteCode("owner/other", CODE.revision, CODE.files))
    (file,) = config.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert config.stat().st_mode & 0o777 == 0o700


def test_consent_is_listed_and_taken_back() -> None:
    other = RemoteCode("/some/folder", "sha256:" + 64 * "0", ())
    allow([CODE, other])
    assert [one.code for one in consents()] == [other, CODE]
    assert revoke("owner/name") == 1
    assert revoke("owner/name") == 0
    assert not is_allowed(CODE)
    assert is_allowed(other)


def test_a_consent_that_others_could_have_written_counts_for_nothing(config: Path) -> None:
    allow([CODE])
    (file,) = config.iterdir()
    file.chmod(0o666)
    assert not is_allowed(CODE)
    assert consents() == ()


@pytest.mark.parametrize("text", ["", "[]", '{"of": 1}', "\x00", '{"of": "owner/other"}'])
def test_a_consent_that_is_damaged_counts_for_nothing(config: Path, text: str) -> None:
    allow([CODE])
    (file,) = config.iterdir()
    file.write_text(text)
    assert not is_allowed(CODE)


def test_a_refusal_names_the_code_and_what_to_do() -> None:
    other = RemoteCode("/some/folder", "sha256:" + 64 * "1", ("x.py",))
    allow([other])
    with pytest.raises(RemoteCodeError) as refused:
        require_allowed([other, None, CODE, CODE])
    assert refused.value.codes == (CODE,)
    said = str(refused.value)
    for part in ("owner/name", "0123456789ab", "a.py, b.py", "--trust-remote-code"):
        assert part in said


def test_code_is_known_by_names_and_contents(tmp_path: Path) -> None:
    def digest() -> str:
        return digest_of(files_below(tmp_path, (".py",)), tmp_path)

    (tmp_path / "a.py").write_text("1")
    first = digest()
    (tmp_path / "readme.txt").write_text("words")
    assert digest() == first
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.py").write_text("")
    second = digest()
    (tmp_path / "a.py").rename(tmp_path / "c.py")
    assert len({first, second, digest()}) == 3


def test_more_code_than_can_be_known_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.py", "b.py", "c.py"):
        (tmp_path / name).write_text("12345")
    monkeypatch.setattr(remote_code, "_FILES", 2)
    with pytest.raises(MiTuiError, match="too many files"):
        files_below(tmp_path, (".py",))
    monkeypatch.setattr(remote_code, "_BYTES", 14)
    with pytest.raises(MiTuiError, match="of code"):
        digest_of(sorted(tmp_path.glob("*.py")), tmp_path)
