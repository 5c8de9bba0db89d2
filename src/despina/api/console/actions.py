"""The names, by kind of job, of the operations that pages perform; the IAM actions of those that list and cancel are the same."""

from despina.core.job import JobKind

_JOB = {JobKind.DATA_PROCESSING: "MLDataProcessingJob", JobKind.MODEL_TRAINING: "MLModelTrainingJob",
        JobKind.MODEL_TRANSFORM: "MLModelTransformJob"}
GET = {kind: f"Get{name}" for kind, name in _JOB.items()}
GET_ACTION = {kind: f"Get{name}Status" for kind, name in _JOB.items()}
LIST = {kind: f"List{name}s" for kind, name in _JOB.items()}
CANCEL = {kind: f"Cancel{name}" for kind, name in _JOB.items()}
