"""Names have the forms that were seen in real answers, and keep SageMaker's limits."""

import re

from hypothesis import given
from hypothesis import strategies as st

from despina.core import names, plans
from despina.core.job import JobKind

NOW = 1_638_365_221_200  # 2021-12-01 13:27:01.2 UTC
SAGEMAKER_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
IDS = st.text("abcXYZ019-", min_size=1, max_size=48)


def test_forms_seen_in_real_answers() -> None:
    processing = names.processing_job("link-prediction-1684928671", NOW, "x")
    assert re.fullmatch(r"link-pre-preloading-2021-12-01-13-27-\d{1,7}", processing)
    prefix = names.training_prefix("node-classification-1638362501", "x")
    assert re.fullmatch(r"node-c[a-p]{2}", prefix)
    assert re.fullmatch(prefix + r"-autotrainer-2021-12-01-13-27-\d{1,7}", names.autotrainer(prefix, NOW, "x"))
    tuning = names.tuning_job(prefix, NOW)
    assert tuning == f"{prefix}-neptune-ml-211201-1327"
    trial = names.trial(tuning, 0, "run")
    assert re.fullmatch(re.escape(tuning) + r"-001-[0-9a-f]{8}", trial)
    assert names.model(trial) == f"{trial}-cpu"


def test_an_arn_names_region_account_and_resource() -> None:
    cluster = names.Cluster(region="eu-west-2", account_id="210987654321")
    assert cluster.arn("model", "m") == "arn:aws:sagemaker:eu-west-2:210987654321:model/m"


@given(job_id=IDS, now=st.integers(0, 2**42))
def test_all_names_keep_sagemakers_pattern_and_lengths(job_id: str, now: int) -> None:
    prefix = names.training_prefix(job_id, "salt")
    tuning = names.tuning_job(prefix, now)
    assert len(tuning) <= 32
    for name in (names.processing_job(job_id, now, "salt"), names.autotrainer(prefix, now, "salt"), tuning,
                 names.trial(tuning, 999, "run"), names.model(names.trial(tuning, 998, "run"))):
        assert SAGEMAKER_NAME.fullmatch(name), name


@given(kind=st.sampled_from(JobKind), job_id=IDS, created=st.integers(0, 2**42), label=st.sampled_from(["process", "trial001"]))
def test_a_run_id_leads_back_to_its_job(kind: JobKind, job_id: str, created: int, label: str) -> None:
    assert plans.job_of_run(f"{kind}-{job_id}-{created:x}-{label}-1") == (kind, job_id)
