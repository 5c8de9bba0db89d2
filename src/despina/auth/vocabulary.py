"""The names that policies are made of: the actions of ``neptune-db``, and the keys of conditions and variables."""

import re

from despina.auth.document import InvalidPolicy, shown, suggestion

SERVICE = "neptune-db"

ACTIONS: tuple[str, ...] = (
    "CancelLoaderJob", "CancelMLDataProcessingJob", "CancelMLModelTrainingJob", "CancelMLModelTransformJob", "CancelQuery",
    "CreateMLEndpoint", "DeleteDataViaQuery", "DeleteMLEndpoint", "DeleteStatistics", "GetEngineStatus", "GetGraphSummary",
    "GetLoaderJobStatus", "GetMLDataProcessingJobStatus", "GetMLEndpointStatus", "GetMLModelTrainingJobStatus",
    "GetMLModelTransformJobStatus", "GetQueryStatus", "GetStatisticsStatus", "GetStreamRecords", "ListLoaderJobs",
    "ListMLDataProcessingJobs", "ListMLEndpoints", "ListMLModelTrainingJobs", "ListMLModelTransformJobs", "ManageStatistics",
    "ReadDataViaQuery", "ResetDatabase", "StartLoaderJob", "StartMLDataProcessingJob", "StartMLModelTrainingJob",
    "StartMLModelTransformJob", "WriteDataViaQuery", "connect",
)
"""All actions of the service, not only those of ML: a cluster's policies name them too.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon Neptune".
"""

GLOBAL_KEYS: tuple[str, ...] = tuple(f"aws:{name}" for name in (
    "AssumedRoot", "CalledVia", "CalledViaAWSMCP", "CalledViaFirst", "CalledViaLast", "ChatbotSourceArn", "CurrentTime",
    "Ec2InstanceSourcePrivateIPv4", "Ec2InstanceSourceVpc", "EpochTime", "FederatedProvider", "MultiFactorAuthAge",
    "MultiFactorAuthPresent", "PrincipalAccount", "PrincipalArn", "PrincipalIsAWSService", "PrincipalOrgID", "PrincipalOrgPaths",
    "PrincipalServiceName", "PrincipalServiceNamesList", "PrincipalTag", "PrincipalType", "RequestTag", "RequestedRegion",
    "ResourceAccount", "ResourceOrgID", "ResourceOrgPaths", "ResourceTag", "SecureTransport", "SignInSessionArn",
    "SourceAccount", "SourceArn", "SourceIdentity", "SourceIp", "SourceOrgID", "SourceOrgPaths", "SourceOwner", "SourceVpc",
    "SourceVpcArn", "SourceVpce", "TagKeys", "TokenIssueTime", "UserAgent", "ViaAWSMCPService", "ViaAWSService", "VpcSourceIp",
    "VpceAccount", "VpceOrgID", "VpceOrgPaths", "referer", "userid", "username"))
"""Source: IAM user guide, "AWS global condition context keys". Neptune supports some (``wire-contract`` §3.2); the others are known
names that no request has."""

_OWN_KEYS = (f"{SERVICE}:QueryLanguage",)
_WITH_TAG = frozenset({"aws:principaltag", "aws:requesttag", "aws:resourcetag"})
_CLOSED = {key.lower(): key for key in (*GLOBAL_KEYS, *_OWN_KEYS)}
_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*:[^\x00-\x1f\x7f]+")

MULTIVALUED = frozenset(f"aws:{name}" for name in (
    "calledvia", "principalorgpaths", "principalservicenameslist", "resourceorgpaths", "sourceorgpaths", "tagkeys", "vpceorgpaths"))
"""Keys, in lower case, that may have several values in one request. Source: value types of the global condition keys."""


def known_key(key: str, place: str) -> str:
    """The key in lower case, since the case of keys does not count (IAM user guide, "Condition").

    Keys of other services are taken as they are, since no list of them is at hand: no request has them. Raises InvalidPolicy for a
    key that is malformed, or misspelled as far as that can be known.
    """
    if not _FORM.fullmatch(key):
        raise InvalidPolicy(f"{place}: {shown(key)} is no condition key; keys have the form service:name, as in 'aws:SourceIp'")
    lower = key.lower()
    prefix = lower.partition(":")[0]
    name, slash, tag = lower.partition("/")
    if prefix in {"aws", SERVICE}:
        if name not in _CLOSED:
            raise InvalidPolicy(f"{place}: there is no condition key {shown(key)}{suggestion(name, _CLOSED.values())}")
        if name in _WITH_TAG and not tag:
            raise InvalidPolicy(f"{place}: {shown(key)} lacks the tag's key, as in '{_CLOSED[name]}/department'")
        if slash and name not in _WITH_TAG:
            raise InvalidPolicy(f"{place}: {shown(key)} has a tag, which '{_CLOSED[name]}' does not take")
    return lower
