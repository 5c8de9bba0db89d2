"""Python that does the same as a page, to be copied."""

from despina.api.console.page import ConsoleRequest


def client(request: ConsoleRequest, service: str, name: str) -> str:
    """Python that makes a boto3 client of this server."""
    keys = "" if request.settings.iam_auth else ',\n    aws_access_key_id="any", aws_secret_access_key="any"'
    return (f'{name} = boto3.client(\n    "{service}", endpoint_url="{request.origin}", '
            f'region_name="{request.cluster.region}"{keys})')
