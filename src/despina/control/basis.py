"""What a new job builds on: its input, other jobs, and whether its role may read them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from msgspec.structs import replace

from despina.core import names, plans
from despina.core.errors import (
    ArtifactError,
    ArtifactsUnavailable,
    BaseJobMissing,
    BaseJobNotCompleted,
    ConflictingArguments,
    InvalidLocation,
    MissingMember,
    NotOffered,
)
from despina.core.frozen import Frozen
from despina.core.job import EarlierTraining, Job, JobKind, Status, TrainedModel
from despina.core.location import INVALID, Location
from despina.core.ports import ArtifactStore, JobStore, ListQuery, RoleBounds
from despina.core.requests import StartDataProcessing, StartModelTraining, StartModelTransform, StartRequests
from despina.core.roles import ParameterGroup

MAX_PAGE = 1024
"""Jobs looked through at a time."""
_BASE_TEXTS = {
    JobKind.DATA_PROCESSING: ("Provided MLDataProcessing job doesn't exist.", "Provided MLDataProcessing job is not completed."),
    JobKind.MODEL_TRAINING: ("Provided MLModelTraining job doesn't exist.", "Provided ModelTraining job has not completed."),
}


class JobRules(Frozen, frozen=True, kw_only=True):
    """What a cluster lets its jobs do."""

    max_active_jobs: int = 100
    max_active_jobs_per_principal: int = 100
    max_endpoints: int = 20
    endpoint_idle_seconds: float = 0.0
    """Endpoints sleep when nobody has asked them for so long; 0: never."""
    custom_models: bool = False
    """Whether training jobs may run code that a client names."""
    file_locations: bool = True
    """Whether clients may name files of this machine."""
    parameter_group: ParameterGroup = ParameterGroup()


class Basis(NamedTuple):
    """What a new job builds on: its input, and what it takes from other jobs."""

    source: str
    size: int = 0
    """Bytes of the input, where that counts."""
    previous: str | None = None
    earlier: EarlierTraining | None = None
    model: TrainedModel | None = None


class Bases:
    """Finds out what new jobs build on."""

    def __init__(self, *, store: JobStore, artifacts: ArtifactStore, rules: JobRules, bounds: RoleBounds) -> None:
        self._store, self._artifacts, self._rules, self._bounds = store, artifacts, rules, bounds

    def of(self, request: StartRequests, role: str | None) -> Basis:
        """What a job that this request starts builds on, under this role.

        Raises:
            BaseJobMissing, BaseJobNotCompleted: a job that it builds on.
            InvalidLocation: there is nothing at the input location, or it is one that the server does not offer.
            ArtifactsUnavailable: the server that has it does not answer.
            MissingMember: a custom model whose scripts are not given; a transform job without a model.
            ConflictingArguments: a transform job with a training job and a trial, or with scripts for a model that has none.
            NotOffered: a custom model, where they are switched off.
            AccessDenied: the role may not read what the job would.
        """
        match request:
            case StartDataProcessing():
                before, url = request.previous_data_processing_job_id, request.input_data_s3_location
                previous = self._processed(before, role) if before is not None else None
                return Basis(url.rstrip("/"), size=self._size(url, role), previous=previous)
            case StartModelTraining():
                self._check_custom(request, role)
                source = self._processed(request.data_processing_job_id, role)
                if request.previous_model_training_job_id is None:
                    return Basis(source)
                base = self._base(JobKind.MODEL_TRAINING, request.previous_model_training_job_id)
                if is_custom(base.request) and not is_custom(request):
                    raise ConflictingArguments("'previousModelTrainingJobId' names a job with a model of somebody's own, whose "
                                               "weights another model cannot begin with: give 'customModelTrainingParameters' too.")
                earlier = plans.earlier_training(base)
                self._read_by(role, earlier.best.model)
                self._read_by(role, earlier.best.processed)
                return Basis(source, earlier=earlier)
            case StartModelTransform():
                return self._basis_of_transform(request, role)

    def _base(self, kind: JobKind, job_id: str) -> Job:
        """A job that another one builds on."""
        missing, unfinished = _BASE_TEXTS[kind]
        base = self._store.get(kind, job_id)
        if base is None:
            raise BaseJobMissing(missing)
        if base.status is not Status.COMPLETED:
            raise BaseJobNotCompleted(unfinished)
        return base

    def _basis_of_transform(self, request: StartModelTransform, role: str | None) -> Basis:
        """A training job's best model and processed data, or the model of a trial and what it learned from."""
        job_ids = {"dataProcessingJobId": request.data_processing_job_id, "mlModelTrainingJobId": request.ml_model_training_job_id}
        given = [name for name, value in job_ids.items() if value]
        if request.training_job_name and given:
            raise ConflictingArguments(f"'trainingJobName' and '{given[0]}' may not stand together: it must be either the name of "
                                       "a training job, or the ids of a data-processing and a model-training job.")
        if request.training_job_name:
            model = self._trial(request.training_job_name)
            source = model.learned_from
        else:
            for name, value in job_ids.items():
                if not value:
                    raise MissingMember(f"The required member '{name}' is missing or empty: a transform job needs "
                                        "'dataProcessingJobId' and 'mlModelTrainingJobId', or 'trainingJobName'.")
            source = self._processed(request.data_processing_job_id or "", role)
            found = plans.trained_model(self._base(JobKind.MODEL_TRAINING, request.ml_model_training_job_id or ""))
            assert found is not None  # noqa: S101 - a completed job has a best trial
            model = found
        for url in (model.location, model.learned_from):
            self._read_by(role, url)
        return Basis(source, model=self._with_scripts(model, request, role))

    def _trial(self, name: str) -> TrainedModel:
        """The model of the trial of this name, whichever job it belongs to."""
        start, after = names.training_of_trial(name), None
        while start is not None:
            page = self._store.list_ids(ListQuery(kind=JobKind.MODEL_TRAINING, limit=MAX_PAGE, name_contains=start, after=after))
            for job_id in page.ids:
                job = self._store.get(JobKind.MODEL_TRAINING, job_id)
                if job is not None and any(run.name == name for run in job.runs):
                    model = plans.trained_model(job, name)
                    if model is None:
                        raise BaseJobNotCompleted("Provided SageMaker AI Training job has not completed.")
                    return model
            after = page.next
            start = None if after is None else start
        raise BaseJobMissing("Unable to find SageMaker AI resource. Please check your input. (There is no training job with the "
                             f"name '{name}'.)")

    def _with_scripts(self, model: TrainedModel, request: StartModelTransform, role: str | None) -> TrainedModel:
        """The model with the transform script that the request names, if it names one."""
        given = request.custom_model_transform_parameters
        if model.custom is None:
            if given is not None:
                raise ConflictingArguments("'customModelTransformParameters' may not stand beside this model, which Despina's own "
                                           "code has trained: it must be left out.")
            return model
        self._check_allowed()
        if given is None:
            return model
        self._size(given.source_s3_directory_path, role)
        return replace(model, custom=replace(model.custom, source=given.source_s3_directory_path,
                                             transform=given.transform_entry_point_script))

    def _processed(self, job_id: str, role: str | None) -> str:
        """The output of a completed data-processing job, which the role may read."""
        return self._read_by(role, plans.output_location(self._base(JobKind.DATA_PROCESSING, job_id)))

    def _check_custom(self, request: StartModelTraining, role: str | None) -> None:
        given = request.custom_model_training_parameters
        if given is None and request.model_name != "custom":
            return
        self._check_allowed()
        if given is None:
            raise MissingMember("The model 'custom' needs 'customModelTrainingParameters' with 'sourceS3DirectoryPath'.")
        self._size(given.source_s3_directory_path, role)

    def _check_allowed(self) -> None:
        if not self._rules.custom_models:
            raise NotOffered("Custom models are switched off on this server, since they run the code that a client names: the "
                             "setting cluster.custom_models is false.")

    def _size(self, url: str, role: str | None) -> int:
        """Bytes at the input location, which must hold something that the role may read."""
        location = self.offered(url)
        with _permitted():
            entries = list(self._artifacts.list(location))
        self._bounds.demand(role, "s3:GetObject", location, [entry.path for entry in entries])
        if not entries:
            raise InvalidLocation(f"{INVALID} (there is nothing at '{url}')")
        return sum(entry.size for entry in entries)

    def _read_by(self, role: str | None, url: str) -> str:
        """The location of what another job wrote, which the role may read."""
        self._bounds.demand(role, "s3:GetObject", Location.parse(url))
        return url

    def check_output(self, url: str, role: str | None) -> None:
        """Find out whether a job can write below a location, under this role. Raises InvalidLocation, AccessDenied,
        ArtifactsUnavailable.
        """
        location = self.offered(url)
        self._bounds.demand(role, "s3:PutObject", location)
        with _permitted():
            self._artifacts.check_writable(location)

    def offered(self, url: str) -> Location:
        """A location that a client may name."""
        location = Location.parse(url)
        if location.scheme == "file" and not self._rules.file_locations:
            raise InvalidLocation(f"{INVALID} ('{url}' is a file of the server's machine, which requests that are signed may not "
                                  "name: it must be an s3:// location)")
        return location


@contextmanager
def _permitted() -> Iterator[None]:
    """What an artefact store says of a location is an answer to the client who named it. That it says nothing is not his fault."""
    try:
        yield
    except ArtifactsUnavailable:
        raise
    except ArtifactError as error:
        raise InvalidLocation(f"{INVALID} ({error})") from None


def is_custom(request: StartRequests) -> bool:
    """Whether the model is a user's own."""
    return isinstance(request, StartModelTraining) and request.custom_model_training_parameters is not None


def memory_mib(size: int) -> int:
    """The memory expected for reading an export of ``size`` bytes: ten times as much, AWS's own rule, and 256 MiB at least.

    Source: Neptune user guide, "Selecting instances for Neptune ML".
    """
    return max(256, 10 * size // 2**20)
