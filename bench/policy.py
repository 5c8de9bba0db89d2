"""CPU time of a policy decision, for policies of ten statements, beside the floor of any signature check: one HMAC-SHA256.

``reader`` is a usual policy: statements about other actions, one that allows. In ``conditions`` the first nine statements deny and
have conditions, each of which has to be tried; in ``variables`` the first nine are about other users' resources.

    python bench/policy.py [--rounds 9]
"""

import argparse
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from despina.auth.policy import AuthorizationRequest, Policy, evaluate

CLUSTER = "arn:aws:neptune-db:us-east-1:123456789012:cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CALLS = 2000
REQUEST = AuthorizationRequest(
    action="neptune-db:GetMLModelTrainingJobStatus", resource=f"{CLUSTER}/database",
    context={"aws:CurrentTime": "2026-01-01T00:00:00Z", "aws:EpochTime": "1767225600", "aws:PrincipalAccount": "123456789012",
             "aws:PrincipalArn": "arn:aws:iam::123456789012:user/alice", "aws:PrincipalType": "User",
             "aws:RequestedRegion": "us-east-1", "aws:SecureTransport": "true", "aws:SourceIp": "203.0.113.9",
             "aws:UserAgent": "Boto3/1.42.0 md/Botocore#1.42.0 ua/2.1 os/linux#6.1", "aws:ViaAWSService": "false",
             "aws:userid": "AIDAEXAMPLE", "aws:username": "alice"})
FROM_HERE = {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:db8::/32"]}, "Bool": {"aws:SecureTransport": "true"}}
NEVER = {"IpAddress": FROM_HERE["IpAddress"], "DateGreaterThan": {"aws:CurrentTime": "2040-01-01T00:00:00Z"}}
LAST = {"Effect": "Allow", "Action": ["neptune-db:Get*", "neptune-db:List*"], "Resource": f"{CLUSTER}/*", "Condition": FROM_HERE}
FIRST_NINE: dict[str, dict[str, Any]] = {
    "reader": {**LAST, "Action": ["neptune-db:Start*", "neptune-db:Cancel*"]},
    "conditions": {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": NEVER},
    "variables": {"Effect": "Allow", "Action": "*", "Resource": f"{CLUSTER}/${{aws:username}}/*"},
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=9)
    rounds = options.parse_args().rounds
    tasks: dict[str, Callable[[], object]] = {"hmac": lambda: hmac.digest(b"k" * 32, b"m" * 200, "sha256")}
    tasks |= {name: decision(statement) for name, statement in FIRST_NINE.items()}
    best = dict.fromkeys(tasks, float("inf"))
    for _ in range(rounds):  # side by side, so that a busy machine slows all of them
        for name, task in tasks.items():
            best[name] = min(best[name], seconds(task))
    for name, value in best.items():
        print(json.dumps({"task": name, "cpu_us": round(value * 1e6, 1), "of_hmac": round(value / best["hmac"], 1)}))


def decision(statement: dict[str, Any]) -> Callable[[], object]:
    policy = Policy.parse({"Version": "2012-10-17", "Statement": [*[statement] * 9, LAST]})
    assert evaluate([policy], None, REQUEST).statement == "policy/Statement[9]"
    return lambda: evaluate([policy], None, REQUEST)


def seconds(task: Callable[[], object]) -> float:
    start = time.process_time()
    for _ in range(CALLS):
        task()
    return (time.process_time() - start) / CALLS


if __name__ == "__main__":
    main()
