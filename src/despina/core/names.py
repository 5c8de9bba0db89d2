"""AWS-shaped names and ARNs of jobs, trials, models and endpoints.

The forms are those seen in real answers (``docs/design/0003-names.md``); clients treat them as opaque.
"""

import hashlib
import re
from datetime import UTC, datetime

from despina.core.frozen import Frozen

_TRIAL = re.compile(r"(.{1,6})[a-p]{2}-neptune-ml-[0-9]{6}-[0-9]{4}-[0-9]{3,}-[0-9a-f]{8}")


class Cluster(Frozen, frozen=True, kw_only=True):
    """Where the ARNs say that things are; and what tells this deployment from others that share a cluster with it."""

    region: str = "us-east-1"
    account_id: str = "123456789012"
    resource_id: str = "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ"

    def arn(self, resource: str, name: str) -> str:
        """The ARN of a SageMaker resource, as in ``arn:aws:sagemaker:us-east-1:123456789012:processing-job/name``."""
        return f"arn:aws:sagemaker:{self.region}:{self.account_id}:{resource}/{name}"

    @property
    def fingerprint(self) -> str:
        """The three as eight hexadecimal digits."""
        return _hex(f"{self.region} {self.account_id} {self.resource_id}", 8)


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _stamp(ms: int, salt: str) -> str:
    # Real names end in the fraction of the second in ticks of 100 ns. Ours has milliseconds only: the digits below
    # come from the salt, so that two jobs of one millisecond differ.
    ticks = (ms % 1000) * 10_000 + int(_hex(salt, 8), 16) % 10_000
    return f"{_time(ms):%Y-%m-%d-%H-%M}-{ticks}"


def _hex(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _letters(text: str, length: int) -> str:
    return "".join(chr(ord("a") + int(digit, 16)) for digit in _hex(text, length))


def _start(job_id: str, length: int) -> str:
    return job_id.lstrip("-")[:length].rstrip("-") or "job"


def processing_job(job_id: str, ms: int, salt: str) -> str:
    """The name of a data-processing job's resource: ``link-pre-preloading-2023-05-24-11-44-390000``."""
    return f"{_start(job_id, 8)}-preloading-{_stamp(ms, salt)}"


def transform_job(job_id: str, ms: int, salt: str) -> str:
    """The name of a model-transform job's resource: ``link-pre-modeltransform-2023-05-24-11-44-390000``."""
    return f"{_start(job_id, 8)}-modeltransform-{_stamp(ms, salt)}"


def endpoint_id(ms: int, salt: str) -> str:
    """The id of an endpoint for which none was asked: ``endpoint-2022-01-27-05-53-8480000``."""
    return f"endpoint-{_stamp(ms, salt)}"


def endpoint(endpoint_id: str, ms: int, salt: str) -> str:
    """The name of an endpoint's resource: ``node-cla-2022-01-27-05-53-8480000-endpoint``."""
    return f"{_start(endpoint_id, 8)}-{_stamp(ms, salt)}-endpoint"


def endpoint_config(endpoint_name: str, version: int) -> str:
    """The name of the configuration of an endpoint: ``node-cla-2022-01-27-05-53-8480000-endpointconfig``.

    Every update has another one, as in SageMaker; from the second on the version's number stands at the end.
    """
    return f"{endpoint_name}config" if version == 1 else f"{endpoint_name}config-{version}"


def training_of_trial(trial_name: str) -> str | None:
    """What the id of the training job begins with that a trial of this name belongs to; None if it is no name of a trial."""
    found = _TRIAL.fullmatch(trial_name)
    return found[1] if found else None


def training_prefix(job_id: str, salt: str) -> str:
    """What the names of a training job's resources begin with: six characters of the id and two letters, ``node-cjx``."""
    return f"{_start(job_id, 6)}{_letters(salt, 2)}"


def autotrainer(prefix: str, ms: int, salt: str) -> str:
    """The name of a training job's processing job: ``node-cjx-autotrainer-2021-12-01-13-27-2000000``."""
    return f"{prefix}-autotrainer-{_stamp(ms, salt)}"


def tuning_job(prefix: str, ms: int) -> str:
    """The name of a tuning job, 32 characters at most: ``node-cjx-neptune-ml-211201-1331``."""
    return f"{prefix}-neptune-ml-{_time(ms):%y%m%d-%H%M}"


def trial(tuning: str, number: int, run_id: str) -> str:
    """The name of trial ``number`` (from 0): ``node-cjx-neptune-ml-211201-1331-001-2da81fb7``."""
    return f"{tuning}-{number + 1:03d}-{_hex(run_id, 8)}"


def model(trial_name: str) -> str:
    """The name of the model packaged from a trial."""
    return f"{trial_name}-cpu"
