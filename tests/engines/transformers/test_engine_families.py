"""A family of each kind: studied as `check` says, and equal to the merged checkpoints.

``make test-families`` does the same for all of them.
"""

from pathlib import Path

import pytest

from tests.families.matrix import differing, is_right, study_family

KINDS = {
    "qwen3_vl": "one pass",
    "deepseek_v2": "one pass",
    "nemotron": "one pass",
    "gpt_oss": "in place: model.layers.0.self_attn is a GptOssAttention",
    "llama4_text": "in place: model.layers.1.feed_forward.experts is a Llama4TextExperts",
    "gemma4_text_kvshare": "in place: model.layers.0.layer_scalar is a buffer",
    "lfm2": "requests start together: its short convolution layers keep a state",
    "zamba2": "requests start together: its",
}
"""Vision tower, latent attention, plain attention without kwargs, sinks, chunks, two head sizes
and shared keys, states, and states whose steps are not what reading at once gives."""


@pytest.mark.parametrize("family", KINDS)
def test_a_family_of_each_kind(family: str, tmp_path: Path) -> None:
    found = study_family(family, tmp_path)
    assert found["failed"] == ""
    assert KINDS[family] in found["said"]
    assert differing(found) == 0
    assert is_right(found), found
    for mode in ("in-place", "one-pass"):
        assert found[mode]["check"].startswith("passed")
