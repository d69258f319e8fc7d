"""Works with a server as a user of OWSLib does, who knows nothing of it.

Usage: client.py URL FILE

Lists and describes the processes, executes each with its example and one both
ways, follows the job to its results and dismisses one. The identifiers of jobs
that it leaves behind, in several states, go to FILE, quoted and one a line.
"""

import sys
import time

from owslib.ogcapi.processes import Processes

PATIENCE = 60  # seconds that any job may take
FINAL = {"successful", "failed", "dismissed"}


class Client:
    """The calls of OWSLib, and the ones that it leaves to its users."""

    def __init__(self, url):
        self.api = Processes(url)

    def submit(self, process, inputs):
        """Executes asynchronously and returns the identifier of the job."""
        status = self.api.execute(process, inputs=inputs, async_=True)
        location = self.api.response_headers["Location"]
        assert location.endswith("/jobs/" + status["jobID"]), location
        return status["jobID"]

    def status(self, job):
        return self.api._request(path="jobs/" + job)

    def results(self, job):
        return self.api._request(path=f"jobs/{job}/results")

    def dismiss(self, job):
        return self.api._request(method="DELETE", path="jobs/" + job)

    def finished(self, job):
        """Waits for the end of a job and returns its last status."""
        end = time.monotonic() + PATIENCE
        while (status := self.status(job))["status"] not in FINAL:
            assert time.monotonic() < end, f"job {job} does not end: {status}"
            time.sleep(0.05)
        return status


def equal(got, want):
    assert got == want, f"{got!r}, want {want!r}"


def discovers(c):
    ids = {p["id"] for p in c.api.processes()}
    assert {"echo", "hello-world"} <= ids, ids
    for id_ in ids:
        description = c.api.process(id_)
        equal(description["id"], id_)
        assert description["inputs"] and description["outputs"], description


def executes_at_once(c):
    greeting = c.api.execute("hello-world", inputs={"name": "OWSLib"})
    equal(greeting["echo"]["value"]["value"], "Hello OWSLib!")
    results = c.api.execute("echo", inputs={"text": "a", "numbers": [1, 2]}, outputs={"numbers": {}, "count": {}})
    equal(results, {"numbers": [1, 2], "count": 2})


def executes_examples(c):
    """Executes each process with the example that the document of the API has for it."""
    paths = c.api._request(path="api", kwargs={"f": "oas30"})["paths"]
    tried = 0
    for path, operations in paths.items():
        content = operations.get("post", {}).get("requestBody", {}).get("content", {})
        if example := content.get("application/json", {}).get("example"):
            assert c.api.execute(path.split("/")[2], inputs=example["inputs"]), path
            tried += 1
    return tried


def executes_later(c):
    job = c.submit("echo", {"text": "later", "numbers": [3, 4]})
    status = c.finished(job)
    equal(status["status"], "successful")
    equal(status["processID"], "echo")
    results = c.results(job)
    equal((results["text"], results["numbers"]), ("later", [3, 4]))
    return job


def dismisses(c):
    job = c.submit("echo", {"text": "a", "pause": 600})
    equal(c.dismiss(job)["status"], "dismissed")
    equal(c.finished(job)["status"], "dismissed")
    return job


def refuses(c):
    try:
        c.api.execute("echo", inputs={"text": 1})
    except RuntimeError as e:
        assert "InvalidParameterValue" in str(e), e
    else:
        raise AssertionError("a wrong input is accepted")


def main(url, file):
    c = Client(url)
    discovers(c)
    executes_at_once(c)
    refuses(c)
    examples = executes_examples(c)
    assert examples, "the document has no examples"
    jobs = [executes_later(c) for _ in range(5)] + [dismisses(c)]
    listed = {j["jobID"] for j in c.api._request(path="jobs", kwargs={"limit": 100})["jobs"]}
    assert set(jobs) <= listed, listed
    with open(file, "w") as out:
        out.writelines(f'"{job}"\n' for job in jobs)
    print("listed, described, executed sync and async, refused, dismissed: 6 passed, 0 failed")
    print(f"examples of the document executed: {examples} passed, 0 failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
