"""What a request asks for that one machine has nothing to act on: it is recorded, and the job's notes say so."""

from despina.core.requests import CreateEndpoint, StartRequests, members

_OWN_CORES = "the job runs on this machine's own cores, memory and disk"
_SAID = {
    "processing_instance_type": _OWN_CORES,
    "processing_instance_volume_size_in_gb": _OWN_CORES,
    "base_processing_instance_type": _OWN_CORES,
    "base_processing_instance_volume_size_in_gb": _OWN_CORES,
    "training_instance_type": _OWN_CORES,
    "training_instance_volume_size_in_gb": _OWN_CORES,
    "subnets": "the job runs on this machine and joins no network",
    "security_group_ids": "the job runs on this machine and joins no network",
    "volume_encryption_kms_key": "files are encrypted if the disk they lie on is",
    "s3_output_encryption_kms_key": "files are encrypted if the disk they lie on is",
    "enable_managed_spot_training": "there are no spot instances here; nothing interrupts the job",
    "max_wait_time": "there are no spot instances to wait for",
    "model_name": "the model that the hyperparameter file of the data-processing job names is trained, as in Neptune ML",
    "sagemaker_iam_role_arn": "the job runs under the server's own account",
}

_OF_ENDPOINTS = {"instance_type": "replicas run on this machine's own cores and memory",
                 "model_name": "the model of the job is served"}


def notes(request: StartRequests | CreateEndpoint) -> tuple[str, ...]:
    """One sentence for each such member that the request sets."""
    said, texts = [], _SAID | (_OF_ENDPOINTS if isinstance(request, CreateEndpoint) else {})
    for field, member in members(type(request)).items():
        value = getattr(request, field)
        if field in texts and value and value != "custom":  # that one does have an effect
            shown = ", ".join(value) if isinstance(value, tuple) else value
            said.append(f"{member.wire} ({shown}) is recorded and has no effect: {texts[field]}.")
    return tuple(said)
