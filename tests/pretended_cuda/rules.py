"""What CUDA allows: which operations may meet two devices, which wait, which launch nothing."""


def _named(words: str) -> frozenset[str]:
    return frozenset(words.split())


CROSS_DEVICE = _named(
    "copy_ _to_copy to _copy_from set_ _has_compatible_shallow_copy_type is_same_size "
    "_has_same_storage_numel size stride detach _to_dense"
)
"""Operations that take tensors of two devices."""

INDEXING = _named("index index_put_ index_put _index_put_impl_ _unsafe_index")
"""Operations whose indices may lie on the host, which costs a copy that waits."""

NO_HOST_SCALAR = _named(
    "mm addmm addmm_ bmm baddbmm matmul linear embedding gather scatter_ scatter index_select "
    "index_copy_ index_add_ cat stack cumsum sort topk _softmax native_layer_norm _fused_rms_norm "
    "isin repeat_interleave searchsorted one_hot bincount _grouped_mm conv1d"
)
"""Operations that refuse even a tensor without dimensions from the host."""

WITHOUT_LAUNCH = _named(
    "view _unsafe_view as_strided expand permute transpose t slice select unsqueeze squeeze alias "
    "detach split split_with_sizes unbind _reshape_alias diagonal unfold lift_fresh chunk "
    "view_as_real narrow lift is_pinned _pin_memory _local_scalar_dense _assert_async size stride "
    "sym_size sym_stride empty empty_like new_empty empty_strided new_empty_strided equal"
)
"""Operations that launch no kernel: views, allocations and questions."""

WAITING = _named(
    "_local_scalar_dense nonzero equal masked_select unique_dim _unique2 is_nonzero bincount"
)
"""Operations that make the host wait for the device."""
