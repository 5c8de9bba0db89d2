"""Which role a request works under, and which it may name."""

import pytest

from despina.core.errors import MissingMember, RoleNotInParameterGroup
from despina.core.frozen import Frozen
from despina.core.requests import CreateEndpoint, ListJobs, StartModelTraining
from despina.core.roles import MISSING, ParameterGroup

A, B, C = (f"arn:aws:iam::123456789012:role/{name}" for name in "ABC")


def start(neptune: str | None = None, sagemaker: str | None = None) -> StartModelTraining:
    return StartModelTraining(data_processing_job_id="dp", train_model_s3_location="s3://bucket/models",
                              neptune_iam_role_arn=neptune, sagemaker_iam_role_arn=sagemaker)


@pytest.mark.parametrize("roles", [None, (A, B)])
@pytest.mark.parametrize(("request_", "role"), [
    (start(), A), (start(neptune=B), B), (start(sagemaker=B), B), (start(neptune=A, sagemaker=B), B), (ListJobs(), A),
    (ListJobs(neptune_iam_role_arn=B), B), (CreateEndpoint(neptune_iam_role_arn=B), B)])
def test_the_role_that_does_the_work_comes_first_and_the_default_last(
        roles: tuple[str, ...] | None, request_: Frozen, role: str) -> None:
    assert ParameterGroup(roles=roles, default=A).role_of(request_) == role


@pytest.mark.parametrize(("request_", "member"), [
    (start(neptune=C), "neptuneIamRoleArn"), (start(sagemaker=C), "sagemakerIamRoleArn"), (start(neptune=C, sagemaker=A), "nept"),
    (ListJobs(neptune_iam_role_arn=C), "neptuneIamRoleArn")])
def test_each_role_must_be_in_the_group(request_: Frozen, member: str) -> None:
    with pytest.raises(RoleNotInParameterGroup, match=member) as caught:
        ParameterGroup(roles=(A, B), default=A).role_of(request_)
    assert all(role in str(caught.value) for role in (A, B, C))
    with pytest.raises(RoleNotInParameterGroup, match="as the group is empty"):
        ParameterGroup(roles=()).role_of(request_)


def test_without_a_group_any_role_will_do_and_none_is_needed() -> None:
    assert ParameterGroup().role_of(start(neptune=C)) == C
    assert ParameterGroup().role_of(start()) is None


@pytest.mark.parametrize("request_", [start(), ListJobs()])
def test_with_a_group_there_must_be_a_role(request_: Frozen) -> None:
    with pytest.raises(MissingMember) as caught:
        ParameterGroup(roles=(A,)).role_of(request_)
    assert str(caught.value) == MISSING
