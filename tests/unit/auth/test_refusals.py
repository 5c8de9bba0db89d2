"""Every policy that is refused when it is stored: the text names the place, the value and what would be right."""

import json
from typing import Any

import pytest
from tests.unit.auth.documents import document, statement

from despina.auth.document import MAX_CHARACTERS, MAX_WITH_SPACE, InvalidPolicy
from despina.auth.policy import Policy

ARN = "arn:aws:neptune-db:us-east-1:123456789012:cluster-A"


def refusal(value: str | dict[str, Any]) -> str:
    with pytest.raises(InvalidPolicy) as caught:
        Policy.parse(value, name="mine")
    text = str(caught.value)
    assert text.startswith("The policy 'mine' is refused: ")
    return text.removeprefix("The policy 'mine' is refused: ")


def condition(operator: str, value: Any, key: str = "test:Key") -> dict[str, Any]:
    return document(statement(Condition={operator: {key: value}}))


# IAM user guide, "Grammar of the IAM JSON policy language"
DOCUMENTS: dict[str, tuple[str | dict[str, Any], tuple[str, ...]]] = {
    "not JSON": ("{", ("this is not JSON", "line 1 column 2")),
    "not an object": ("[]", ("a policy is a JSON object", "a list")),
    "empty": ("", ("this is not JSON",)),
    "a member twice": ('{"Statement": [], "Statement": []}', ("'Statement' stands twice",)),
    "an inner member twice": ('{"Statement": {"Effect": "Deny", "Effect": "Allow", "Action": "*", "Resource": "*"}}',
                              ("'Effect' stands twice",)),
    "not a number": ('{"Statement": [NaN]}', ("NaN is no JSON number",)),
    "a number of thousands of digits": ('{"Statement": ' + "9" * 5000 + "}", ("this is not JSON that can be read",)),
    "deep": ("[" * 3000, ("nested too deeply",)),
    "too long": (json.dumps(document(statement(Action=["s3:GetObject"] * 1000))), (str(MAX_CHARACTERS), "without white space")),
    "too long with white space": (" " * (MAX_WITH_SPACE + 1), (str(MAX_WITH_SPACE),)),
    "not JSON in Python": ({"Statement": {1, 2}}, ("cannot be written as JSON",)),
    "an unknown element": ({"Statment": []}, ("'Statment' is no element of a policy", "did you mean 'Statement'", "Version, Id")),
    "an element's case": ({"statement": []}, ("did you mean 'Statement'",)),
    "no statement": ({"Version": "2012-10-17"}, ("Statement is missing",)),
    "a version": ({"Version": "2012-10-7", "Statement": []}, ("Version: must be '2012-10-17'", "it is '2012-10-7'")),
    "a version's type": ({"Version": 2012, "Statement": []}, ("Version:", "it is a number")),
    "an id's type": ({"Id": 1, "Statement": []}, ("Id: must be a string, it is a number",)),
    "a statement's type": ({"Statement": "Allow"}, ("Statement: must be an object", "it is a string")),
    "a statement's type in a list": ({"Statement": [statement(), []]}, ("Statement[1]: must be an object", "it is a list")),
}
# IAM user guide, "IAM JSON policy element reference"
STATEMENTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "an unknown element": (statement(Conditions={}), ("Statement[0]: 'Conditions'", "did you mean 'Condition'")),
    "a principal": (statement(Principal="*"), ("Statement[0].Principal: an identity policy has no Principal",)),
    "a principal excluded": (statement(NotPrincipal="*"), ("Statement[0].NotPrincipal",)),
    "no effect": ({"Action": "*", "Resource": "*"}, ("Statement[0].Effect: must be 'Allow' or 'Deny', it is missing",)),
    "an effect's case": (statement("allow"), ("it is 'allow' (did you mean 'Allow'?)",)),
    "an effect's type": ({**statement(), "Effect": True}, ("Effect", "a boolean")),
    "a Sid's characters": (statement(Sid="no-training"), ("Statement[0].Sid: must consist of", "'no-training'")),
    "a Sid's type": (statement(Sid=1), ("Statement[0].Sid", "a number")),
    "no action": ({"Effect": "Allow", "Resource": "*"}, ("Statement[0]: a statement must have either Action or NotAction",
                                                         "neither")),
    "both actions": ({**statement(), "NotAction": "*"}, ("either Action or NotAction", "both")),
    "no resource": ({"Effect": "Allow", "Action": "*"}, ("Statement[0]: a statement must have either Resource or NotResource",
                                                         "neither")),
    "both resources": ({**statement(), "NotResource": "*"}, ("either Resource or NotResource", "both")),
    "an action's type": (statement(Action={"a": 1}), ("Statement[0].Action: must be an action", "it is an object")),
    "an action's type in a list": (statement(Action=["*", None]), ("Statement[0].Action[1]", "null")),
    "no action in a list": (statement(Action=[]), ("Statement[0].Action: the list is empty",)),
    "an empty action": (statement(Action=""), ("Statement[0].Action", "an empty string")),
    "an action without its service": (statement(Action="ListMLEndpoints"), ("'ListMLEndpoints' is no action", "service:Name")),
    "a wildcard for the service": (statement(Action="*:*"), ("'*:*' is no action", "or '*'")),
    "an action with a blank": (statement(Action="neptune-db:Get *"), ("is no action",)),
    "an action with a variable": (statement(Action="neptune-db:${aws:username}"), ("is no action",)),
    "a misspelled action": (statement(Action="neptune-db:StartMLModelTraningJob"), ("has no action 'StartMLModelTraningJob'",
                                                                                    "did you mean 'StartMLModelTrainingJob'")),
    "an operation's name": (statement(Action="neptune-db:GetMLModelTrainingJob"), ("did you mean 'GetMLModelTrainingJobStatus'",)),
    "an action excluded": (statement(NotAction=["neptune-db:Lst*"]), ("Statement[0].NotAction[0]", "has no action 'Lst*'")),
    "a resource's type": (statement(Resource=1), ("Statement[0].Resource: must be a resource's ARN", "a number")),
    "no resource in a list": (statement(Resource=[]), ("Statement[0].Resource: the list is empty",)),
    "a resource that is no ARN": (statement(Resource="cluster-A/*"), ("'cluster-A/*' is no ARN", "arn:aws:neptune-db:")),
    "an ARN of too few parts": (statement(Resource="arn:aws:neptune-db:us-east-1:cluster-A/x"), ("is no ARN of six parts",)),
    "an ARN that ends before the service": (statement(Resource="arn:aws:*"), ("is no ARN of six parts",)),
    "an ARN's prefix": (statement(Resource=ARN.replace("arn", "urn")), ("'urn' as its arn", "must be 'arn'")),
    "an ARN's partition": (statement(Resource=ARN.replace("aws", "AWS")), ("'AWS' as its partition",)),
    "an ARN's service by wildcard": (statement(Resource=ARN.replace("neptune-db", "*")), ("'*' as its service", "no wildcards")),
    "an ARN's service in capitals": (statement(Resource=ARN.replace("neptune", "Neptune")), ("'Neptune-db'", "lower case")),
    "an ARN's region": (statement(Resource=ARN.replace("us-east-1", "US East")), ("'US East' as its region",)),
    "an ARN's account": (statement(Resource=ARN.replace("123456789012", "1234-5678-9012")), ("as its account", "12 digits")),
    "an ARN without a resource": (statement(Resource="arn:aws:neptune-db:us-east-1:123456789012:"), ("'' as its resource",)),
    "a variable in an account": (statement(Resource=ARN.replace("123456789012", "${aws:PrincipalAccount}")),
                                 ("has a policy variable in its account", "fifth colon")),
    "an excluded resource": (statement(NotResource=["*", "x"]), ("Statement[0].NotResource[1]: 'x' is no ARN",)),
    "a variable without its brace": (statement(Resource=f"{ARN}/${{aws:username"), ("'${aws:username'", "written ${key}")),
    "an empty variable": (statement(Resource=f"{ARN}/${{}}"), ("'${}'", "written ${key}")),
    "a variable with a blank": (statement(Resource=f"{ARN}/${{aws:user name}}"), ("written ${key}",)),
    "a default without its quotes": (statement(Resource=f"{ARN}/${{aws:username, x}}"), ("${key, 'default'}",)),
    "a variable without its service": (statement(Resource=f"{ARN}/${{username}}"), ("'username' is no condition key",)),
    "a misspelled variable": (statement(Resource=f"{ARN}/${{aws:usrname}}"), ("no condition key 'aws:usrname'",
                                                                              "did you mean 'aws:username'")),
    "a variable of several values": (statement(Resource=f"{ARN}/${{aws:TagKeys}}"), ("'aws:TagKeys' may have several values",)),
    "conditions' type": (statement(Condition=[]), ("Statement[0].Condition: must be an object of operators, it is a list",)),
    "no conditions": (statement(Condition={}), ("Statement[0].Condition", "leave it out")),
    "no keys": (statement(Condition={"StringEquals": {}}), ("Statement[0].Condition.StringEquals", "leave it out")),
    "keys' type": (statement(Condition={"StringEquals": "x"}), ("Statement[0].Condition.StringEquals: must be an object",)),
    "a key twice in two cases": (statement(Condition={"Bool": {"aws:SecureTransport": "true", "AWS:securetransport": "false"}}),
                                 ("'AWS:securetransport' and 'aws:SecureTransport' are the same key",)),
}
# IAM user guide, "IAM JSON policy elements: Condition operators" and "IAM policy validation check reference"
CONDITIONS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "an operator": (condition("StringLik", "x"), ("Condition.StringLik: 'StringLik' is no condition operator",
                                                  "did you mean 'StringLike'")),
    "an operator's case": (condition("stringequals", "x"), ("did you mean 'StringEquals'",)),
    "an operator's qualifier": (condition("ForAllValue:StringLike", "x"), ("did you mean 'ForAllValues:StringLike'",)),
    "Null if it exists": (condition("NullIfExists", "true"), ("'NullIfExists' is no condition operator",)),
    "Null of a set": (condition("ForAnyValue:Null", "true"), ("'ForAnyValue:Null' is no condition operator",)),
    "no values": (condition("StringEquals", []), ("Statement[0].Condition.StringEquals.test:Key: the list is empty",)),
    "a value's type": (condition("StringEquals", ["x", {}]), ("StringEquals.test:Key[1]: must be a string, a number or a boolean",
                                                              "an object")),
    "a null": (condition("StringEquals", None), ("StringEquals.test:Key", "null")),
    "a key without its service": (condition("StringEquals", "x", "SourceIp"), ("'SourceIp' is no condition key", "service:name")),
    "a misspelled key": (condition("IpAddress", "10.0.0.0/8", "aws:SourcIp"), ("no condition key 'aws:SourcIp'",
                                                                               "did you mean 'aws:SourceIp'")),
    "a misspelled key of the service": (condition("StringEquals", "x", "neptune-db:QueryLang"), ("'neptune-db:QueryLanguage'",)),
    "a key without its tag": (condition("StringEquals", "x", "aws:PrincipalTag"), ("lacks the tag's key", "'aws:PrincipalTag/")),
    "a key with a tag": (condition("StringEquals", "x", "aws:username/x"), ("which 'aws:username' does not take",)),
    "a key of several values": (condition("StringEquals", "x", "aws:TagKeys"), ("ForAllValues:StringEquals or ForAnyValue:",)),
    "a number": (condition("NumericLessThan", ["1", "ten"]), ("NumericLessThan.test:Key[1]: 'ten' is no number",)),
    "a number with a wildcard": (condition("NumericEquals", "1*"), ("'1*' is no number",)),
    "a boolean for a number": (condition("NumericEquals", True), ("'true' is no number",)),
    "a variable for a number": (condition("NumericEquals", "${aws:EpochTime}"), ("only in string and ARN operators",)),
    "a time": (condition("DateLessThan", "2026-13-01"), ("DateLessThan.test:Key: '2026-13-01' is no time", "ISO 8601")),
    "a time without its zone": (condition("DateLessThan", "2026-01-01T00:00:00"), ("with a time zone",)),
    "a time's zone": (condition("DateLessThan", "2026-01-01T00:00:00+25:00"), ("is no time",)),
    "a time without hyphens": (condition("DateLessThan", "20260101"), ("is no time",)),
    "a time with a wildcard": (condition("DateLessThan", "2026-*"), ("is no time",)),
    "milliseconds": (condition("DateLessThan", 1_767_225_600_000), ("not milliseconds",)),
    "a boolean": (condition("Bool", "yes", "aws:SecureTransport"), ("'yes' is neither 'true' nor 'false'",)),
    "two booleans": (condition("Bool", ["true", "false"], "aws:SecureTransport"), ("Bool takes one value", "2 are given")),
    "a variable for a boolean": (condition("Bool", "${aws:SecureTransport}"), ("only in string and ARN operators",)),
    "existence": (condition("Null", "maybe"), ("'maybe' is neither",)),
    "two existences": (condition("Null", ["true", "false"]), ("Null takes one value",)),
    "bytes": (condition("BinaryEquals", "%%%"), ("'%%%' is not base64",)),
    "an address": (condition("IpAddress", "203.0.113", "aws:SourceIp"), ("'203.0.113' is no IP address", "203.0.113.0/24")),
    "an address with a wildcard": (condition("IpAddress", "203.0.113.*", "aws:SourceIp"), ("is no IP address",)),
    "an address's prefix": (condition("IpAddress", "203.0.113.0/33", "aws:SourceIp"), ("is no IP address",)),
    "an address's mask": (condition("IpAddress", "203.0.113.0/255.255.255.0", "aws:SourceIp"), ("write CIDR form",)),
    "an address within a range": (condition("IpAddress", "203.0.113.7/24", "aws:SourceIp"), ("did you mean '203.0.113.0/24'",)),
    "an address of version 4 as 6": (condition("IpAddress", "::ffff:203.0.113.0/120", "aws:SourceIp"), ("'203.0.113.0' as IPv4",)),
    "a variable for an address": (condition("NotIpAddress", "${aws:SourceIp}"), ("only in string and ARN operators",)),
    "an ARN": (condition("ArnLike", "role/*", "aws:PrincipalArn"), ("'role/*' is no ARN", "six parts", "StringLike")),
    "an ARN of five parts": (condition("ArnEquals", "arn:aws:iam::123456789012", "aws:PrincipalArn"), ("is no ARN",)),
    "a star for an ARN": (condition("ArnNotLike", "*", "aws:PrincipalArn"), ("'*' is no ARN",)),
    "a variable's brace": (condition("StringLike", "${aws:username"), ("StringLike.test:Key: '${aws:username'", "written ${key}")),
    "a misspelled variable": (condition("StringEquals", "${aws:usrid}"), ("did you mean 'aws:userid'",)),
}
CASES = {
    **{f"document: {name}": case for name, case in DOCUMENTS.items()},
    **{f"statement: {name}": (document(value), parts) for name, (value, parts) in STATEMENTS.items()},
    **{f"condition: {name}": case for name, case in CONDITIONS.items()},
}


@pytest.mark.parametrize("name", CASES)
def test_a_policy_is_refused(name: str) -> None:
    value, parts = CASES[name]
    text = refusal(value)
    for part in parts:
        assert part in text, text


def test_two_statements_of_one_name_are_refused() -> None:
    text = refusal(document(statement(Sid="A"), statement(Sid="B"), statement(Sid="A")))
    assert text.startswith("Statement[2].Sid: 'A'")


def test_text_and_objects_are_refused_alike() -> None:
    for value, _ in CASES.values():
        if isinstance(value, dict) and value.get("Statement") != {1, 2}:
            assert refusal(value) == refusal(json.dumps(value))


def test_a_value_is_shown_so_that_it_can_be_printed() -> None:
    text = refusal(document(statement(Action="\ud800" + "x" * 1000)))
    text.encode()
    assert "…" in text
    assert len(text) < 500


@pytest.mark.parametrize("value", [
    {"Version": "2012-10-17", "Id": "any text", "Statement": []},
    document(statement(Sid="")),
    document(statement(Action=["s3:Get?bject", "logs:*"], Resource=["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"])),
    document(statement(Resource="arn:aws:iam::aws:policy/x")),
    condition("StringEquals", "x", "s3:prefix"),
    condition("StringLike", "x", "accounts.google.com:aud"),
    condition("StringEquals", "x", "aws:RequestTag/a key: with=signs"),
    " \n" * 20_000 + '{"Statement": []}',
])
def test_a_policy_is_taken(value: str | dict[str, Any]) -> None:
    Policy.parse(value)
