"""A pair of random bf16 checkpoints with the shapes of Qwen3-0.6B, or larger.

    python benchmarks/merge_pair.py FOLDER [--shards 3] [--times 1]

``--times 4`` makes a pair four times as large (four times the layers of everything but the
vocabulary, and a vocabulary four times as long).
"""

import argparse
import json
from pathlib import Path

import numpy as np

_CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "max_position_embeddings": 40960,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "eos_token_id": 2,
    "torch_dtype": "bfloat16",
}


def write_pair(folder: Path, *, shards: int = 3, times: int = 1) -> tuple[Path, Path]:
    """Write ``instruct`` and ``thinking`` into ``folder`` and return their paths."""
    config = {
        **_CONFIG,
        "num_hidden_layers": 28 * times,
        "vocab_size": 151936 * times,
    }
    paths = []
    for seed, side in enumerate(("instruct", "thinking")):
        path = folder / side
        path.mkdir(parents=True)
        (path / "config.json").write_text(json.dumps(config))
        _write_tokenizer(path)
        _write_weights(path, _shapes(times), shards, np.random.default_rng(seed))
        paths.append(path)
    return paths[0], paths[1]


def _shapes(times: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (151936 * times, 1024)}
    for layer in range(28 * times):
        prefix = f"model.layers.{layer}."
        shapes |= {
            prefix + "input_layernorm.weight": (1024,),
            prefix + "mlp.down_proj.weight": (1024, 3072),
            prefix + "mlp.gate_proj.weight": (3072, 1024),
            prefix + "mlp.up_proj.weight": (3072, 1024),
            prefix + "post_attention_layernorm.weight": (1024,),
            prefix + "self_attn.k_norm.weight": (128,),
            prefix + "self_attn.k_proj.weight": (1024, 1024),
            prefix + "self_attn.o_proj.weight": (1024, 2048),
            prefix + "self_attn.q_norm.weight": (128,),
            prefix + "self_attn.q_proj.weight": (2048, 1024),
            prefix + "self_attn.v_proj.weight": (1024, 1024),
        }
    shapes["model.norm.weight"] = (1024,)
    return shapes


def _write_weights(
    path: Path, shapes: dict[str, tuple[int, ...]], shards: int, rng: np.random.Generator
) -> None:
    # A block of normal numbers, started anywhere, is random enough for timing.
    normal = rng.standard_normal(1 << 22, np.float32) * np.float32(0.03)
    block = (normal.view(np.uint32) >> 16).astype(np.uint16)
    block = np.concatenate([block, block])
    sizes = {name: 2 * int(np.prod(shape)) for name, shape in shapes.items()}
    limit = -(-sum(sizes.values()) // shards)
    groups: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if filled >= limit * len(groups):
            groups.append([])
        groups[-1].append(name)
        filled += size
    weight_map: dict[str, str] = {}
    for number, names in enumerate(groups, 1):
        file = f"model-{number:05d}-of-{len(groups):05d}.safetensors"
        _write_file(path / file, {name: shapes[name] for name in names}, block, rng)
        weight_map |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": weight_map}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))


def _write_file(
    file: Path,
    shapes: dict[str, tuple[int, ...]],
    block: np.ndarray[tuple[int], np.dtype[np.uint16]],
    rng: np.random.Generator,
) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, shape in shapes.items():
        end = position + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [position, end]}
        position = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    half = len(block) // 2
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            left = int(np.prod(shape))
            while left:
                count = min(left, half)
                start = int(rng.integers(half))
                stream.write(block[start : start + count].data)
                left -= count


def _write_tokenizer(path: Path) -> None:
    model = {"type": "WordLevel", "vocab": {"<pad>": 0, "<s>": 1, "</s>": 2}, "unk_token": "<pad>"}
    tokenizer = {"version": "1.0", "added_tokens": [], "model": model}
    (path / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}
    (path / "tokenizer_config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shards", type=int, default=3)
    parser.add_argument("--times", type=int, default=1)
    arguments = parser.parse_args()
    write_pair(arguments.folder, shards=arguments.shards, times=arguments.times)
