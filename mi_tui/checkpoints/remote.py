"""Headers of a checkpoint on the hub, read without downloading its weights."""

from pathlib import Path

from mi_tui.checkpoints.errors import CheckpointError, HeaderError
from mi_tui.checkpoints.headers import TensorInfo, checked_tensor
from mi_tui.checkpoints.locate import Location, http_error


def remote_headers(location: Location) -> tuple[list[Path], dict[str, TensorInfo], list[str]]:
    """The files, tensors and problems of a hub checkpoint whose weights are not local.

    The paths are where the files would lie. A few range requests for each shard.

    Raises:
        CheckpointError: the hub cannot be reached, or has no safetensors there.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import NotASafetensorsRepoError, SafetensorsParsingError

    repository = location.repository or location.reference
    try:
        listed = HfApi().get_safetensors_metadata(repository, revision=location.revision)
    except (NotASafetensorsRepoError, SafetensorsParsingError) as error:
        raise CheckpointError(f"{location.reference} has no usable safetensors files") from error
    except (http_error(), OSError, ValueError) as error:
        raise CheckpointError(
            f"cannot read the headers of {location.reference} from the hub: {error}"
        ) from error
    files: list[Path] = []
    tensors: dict[str, TensorInfo] = {}
    problems: list[str] = []
    for name, content in sorted(listed.files_metadata.items()):
        file = location.path / Path(name).name
        files.append(file)
        for tensor_name, info in content.tensors.items():
            entry = {
                "dtype": info.dtype,
                "shape": list(info.shape),
                "data_offsets": list(info.data_offsets),
            }
            try:
                tensors[tensor_name] = checked_tensor(file, tensor_name, entry, 0)
            except HeaderError as error:
                problems.append(str(error))
    return files, tensors, problems
