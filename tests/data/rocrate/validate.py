"""Validate a crate by roc-validator without a network: its two JSON-LD contexts are beside this.

Run by the Python that has roc-validator: python validate.py CRATE SEVERITY
Prints an issue a line; ends in 1 when there is one.
"""

import io
import sys
import urllib.request
from email.message import Message
from pathlib import Path
from urllib.response import addinfourl

import requests
from requests.adapters import HTTPAdapter
from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings

HERE = Path(__file__).parent
CONTEXTS = {
    "https://w3id.org/ro/crate/1.1/context": HERE / "ro-crate-1.1.json",
    "https://w3id.org/ro/terms/workflow-run/context": HERE / "workflow-run.json",
}


class FromFiles(urllib.request.HTTPSHandler):
    """Answers for the contexts, and knows no other place."""

    def https_open(self, request):
        path = CONTEXTS.get(request.full_url)
        if path is None:
            raise urllib.error.URLError(f"no network in tests: {request.full_url}")
        headers = Message()
        headers["Content-Type"] = "application/ld+json"
        return addinfourl(io.BytesIO(path.read_bytes()), headers, request.full_url, 200)


class FilesAdapter(HTTPAdapter):
    def send(self, request, **_):
        response = requests.Response()
        response.request, response.url = request, request.url
        path = CONTEXTS.get(request.url)
        response.status_code = 404 if path is None else 200
        response.raw = io.BytesIO(b"" if path is None else path.read_bytes())
        response.headers["Content-Type"] = "application/ld+json"
        return response


def main(crate, severity):
    urllib.request.install_opener(urllib.request.build_opener(FromFiles))
    requests.Session.get_adapter = lambda session, url: FilesAdapter()
    settings = ValidationSettings(
        rocrate_uri=crate,
        profile_identifier="workflow-run-crate",
        requirement_severity=Severity.get(severity),
        no_cache=True,
        skip_availability_check=True,
    )
    result = services.validate(settings)
    for issue in result.get_issues():
        print(f"{issue.severity.name} {issue.check.identifier}: {issue.message}")
    checks = len(result.executed_checks)
    print(f"{checks} checks")
    return int(result.has_issues())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
