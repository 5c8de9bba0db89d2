"""Linear layers over features that are mostly zeros equal those over the same features laid out, in results and gradients."""

from math import sqrt

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.learn.graphs import communities, hot_of
from torch import Tensor, nn

from despina.graph.graph import Features
from despina.learn.encoders import FEATURE_WIDTH, NodeEncoder
from despina.learn.linear import FeatureRows, FeatureShape, HotRows, MixedLinear

WIDTH = 9
matrices = st.lists(st.sets(st.integers(0, WIDTH - 1)).map(sorted), max_size=8)


def linear_of(layer: nn.Module) -> nn.Linear:
    """The layer over ``[dense, hot]`` laid out, with copies of the weights."""
    assert isinstance(layer, MixedLinear)
    parts: list[Tensor] = [layer.weight] if layer.hot_weight is None else [layer.weight, layer.hot_weight.T]
    weight = torch.cat(parts, dim=1).detach()
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight, linear.bias = nn.Parameter(weight), nn.Parameter(layer.bias.detach().clone())
    return linear


def gradient(weight: Tensor | None) -> Tensor:
    assert weight is not None
    assert weight.grad is not None
    return weight.grad.to_dense()


@given(matrices, st.integers(0, 3), st.booleans())
def test_it_is_a_linear_layer_over_both_parts(rows: list[list[int]], dense: int, few: bool) -> None:
    hot = hot_of(rows, WIDTH)
    x = torch.randn(len(rows), dense, requires_grad=True)
    laid_out = torch.cat([x.detach(), torch.from_numpy(hot.to_dense())], dim=1).requires_grad_()
    layer = MixedLinear(dense, WIDTH, 4)
    linear = linear_of(layer)
    upstream = torch.randn(len(rows), 4)
    result, expected = layer(x, HotRows.of(hot, few=few)), linear(laid_out)
    torch.testing.assert_close(result, expected)
    for output in (result, expected):
        output.backward(upstream)
    torch.testing.assert_close(gradient(layer.bias), gradient(linear.bias))
    torch.testing.assert_close(torch.cat([gradient(layer.weight), gradient(layer.hot_weight).T], dim=1), gradient(linear.weight))
    torch.testing.assert_close(gradient(x), gradient(laid_out)[:, :dense])


def test_the_gradient_of_a_few_rows_has_only_the_columns_that_occur() -> None:
    layer = MixedLinear(0, WIDTH, 4)
    assert layer.hot_weight is not None
    layer(torch.zeros(3, 0), HotRows.of(hot_of([[7], [], [2, 7]], WIDTH), few=True)).sum().backward()
    assert layer.hot_weight.grad is not None
    assert layer.hot_weight.grad.is_sparse
    assert layer.hot_weight.grad.coalesce().indices().tolist() == [[2, 7]]
    assert layer.hot_weight.grad.coalesce().values().tolist() == [[1.0] * 4, [2.0] * 4]


def test_weights_begin_as_those_of_one_linear_layer_over_all_columns() -> None:
    torch.manual_seed(0)
    layer = MixedLinear(5, 395, 64)
    for weight in (layer.weight, layer.hot_weight, layer.bias):
        assert weight is not None
        assert 0.9 / sqrt(400) < weight.abs().max() <= 1 / sqrt(400)
        assert abs(weight.mean()) < 0.2 / sqrt(400)
    torch.manual_seed(0)
    linear = nn.Linear(5, 3)
    torch.manual_seed(0)
    alone = MixedLinear(5, 0, 3)
    torch.testing.assert_close((alone.weight, alone.bias), (linear.weight, linear.bias))
    assert alone.hot_weight is None


def test_a_matrix_is_never_laid_out() -> None:
    rows, columns = 100_000, 1_000_000  # as float32 numbers this would be 400 GB
    hot = HotRows.of(hot_of(([row] for row in range(rows)), columns), few=False)
    layer = MixedLinear(0, columns, 2)
    result = layer(torch.zeros(rows, 0), hot)
    result.sum().backward()
    assert layer.hot_weight is not None
    torch.testing.assert_close(result, layer.hot_weight[:rows] + layer.bias)
    assert gradient(layer.hot_weight).sum() == 2 * rows


@given(matrices, st.lists(st.integers(1, WIDTH - 1), unique=True, max_size=4).map(sorted))
def test_rows_taken_apart_by_feature_are_multiplied_feature_by_feature(rows: list[list[int]], later: list[int]) -> None:
    hot = hot_of(rows, WIDTH)
    starts = [0, *later]
    weight = torch.randn(WIDTH, 2, requires_grad=True)
    laid_out = torch.from_numpy(hot.to_dense())
    product = HotRows.of(hot, few=False).by_feature(torch.tensor(starts, dtype=torch.int32)) @ weight
    expected = torch.stack([laid_out[:, start:stop] @ weight[start:stop]
                            for start, stop in zip(starts, [*later, WIDTH], strict=True)], dim=1)
    torch.testing.assert_close(product.view(len(rows), len(starts), 2), expected)
    upstream = torch.randn_like(product)
    (mine,) = torch.autograd.grad(product, weight, upstream)
    (its,) = torch.autograd.grad(expected, weight, upstream.view(expected.shape))
    torch.testing.assert_close(mine, its)


def users() -> Features:
    return communities(hot=True).features["user"]


def test_rows_of_features_are_those_asked_for() -> None:
    features, rows = users(), np.array([7, 0, 7, 41], dtype=np.int32)
    taken = FeatureRows.of(features, rows, few=True)
    assert taken.hot is not None
    product = taken.hot @ torch.eye(27)
    np.testing.assert_array_equal(torch.cat([taken.dense, product], dim=1).numpy(), features.to_dense()[rows])


@pytest.mark.parametrize("embed", [False, True])
@pytest.mark.parametrize("by_feature", [False, True])
def test_an_encoder_computes_the_same_whichever_way_features_are_kept(embed: bool, by_feature: bool) -> None:
    kept = users()
    laid_out = Features(columns=kept.columns, dense=kept.to_dense())
    torch.manual_seed(1)
    sparse, dense = (NodeEncoder(80, FeatureShape.of(features), 6, embed=embed, by_feature=by_feature)
                     for features in (kept, laid_out))
    copy_weights(sparse, dense)
    outputs = [encoder(None, FeatureRows.of(features, few=False)) for encoder, features in ((sparse, kept), (dense, laid_out))]
    assert outputs[0].shape == (80, 6)
    torch.testing.assert_close(outputs[0], outputs[1])
    upstream = torch.randn(80, 6)
    for output in outputs:
        output.backward(upstream)
    for mine, its in zip(weights_of(sparse), weights_of(dense), strict=True):
        torch.testing.assert_close(gradient(mine), gradient(its))


def weights_of(encoder: NodeEncoder) -> list[Tensor]:
    """The weights that both ways have in the same form."""
    assert encoder.project is not None
    own: list[Tensor] = [encoder.project.bias]
    if encoder.embedding is not None:
        own.append(encoder.embedding)
    projects = () if encoder.features is None else list(encoder.features.dense)[:2]
    return own + [project.weight for project in projects if isinstance(project, nn.Linear)]


def copy_weights(sparse: NodeEncoder, dense: NodeEncoder) -> None:
    """Give the encoder of the features laid out the weights of the other one."""
    assert sparse.project is not None
    assert dense.project is not None
    with torch.no_grad():
        if sparse.embedding is not None and dense.embedding is not None:
            dense.embedding.copy_(sparse.embedding)
        dense.project.bias.copy_(sparse.project.bias)
        if sparse.features is None or dense.features is None:
            assert sparse.project.hot_weight is not None
            weight = sparse.project.weight
            dense.project.weight.copy_(torch.cat([weight[:, :3], sparse.project.hot_weight.T, weight[:, 3:]], dim=1))
            return
        dense.project.weight.copy_(sparse.project.weight)
        assert sparse.features.hot_weight is not None
        assert sparse.features.hot_bias is not None
        for mine, its in zip(sparse.features.dense, dense.features.dense, strict=False):
            its.load_state_dict(mine.state_dict())
        hot = zip(((0, 20), (20, 27)), sparse.features.hot_bias, list(dense.features.dense)[2:], strict=True)
        for (start, stop), bias, its in hot:
            its.load_state_dict({"weight": sparse.features.hot_weight[start:stop].T, "bias": bias})


def test_each_wide_feature_begins_as_a_linear_layer_of_its_own() -> None:
    torch.manual_seed(0)
    encoder = NodeEncoder(80, FeatureShape.of(users()), 6, embed=False, by_feature=True)
    assert encoder.features is not None
    assert encoder.features.width == 4 * FEATURE_WIDTH
    assert encoder.features.hot_weight is not None
    for start, stop in ((0, 20), (20, 27)):
        bound = 1 / sqrt(stop - start)
        assert 0.9 * bound < encoder.features.hot_weight[start:stop].abs().max() <= bound


def test_a_type_without_features_is_its_embeddings() -> None:
    encoder = NodeEncoder(5, None, 6, embed=False, by_feature=True)
    assert encoder.embedding is not None
    torch.testing.assert_close(encoder(torch.tensor([3, 1]), None), encoder.embedding[[3, 1]])
