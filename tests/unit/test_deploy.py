"""The files in deploy and beside it: they parse, agree with the code, and start what exists."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from event_gateway.cli.command_reference import all_commands
from event_gateway.config.load import load
from event_gateway.config.model import Config
from event_gateway.core.text.units import parse_duration
from event_gateway.request.transformations import compile_definition
from event_gateway.secrets.external import ExternalSecrets
from event_gateway.transport.egress_guard import url_rule
from package.dockerfile import stages
from support.service_file import service_file

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
MOUNTED = {name: ROOT / config["file"] for name, config in COMPOSE["configs"].items()}
IMAGE = stages(ROOT / "Dockerfile")[-1]


def _parses(words: list[str]) -> None:
    """Raises a UsageError if the command line does not take these words."""
    dict(all_commands())[words[0]].make_context(words[0], words[1:])


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(IMAGE.command()[1:], id="Dockerfile"),
        pytest.param(COMPOSE["services"]["gateway"]["command"], id="compose.yaml"),
        pytest.param(shlex.split(service_file()["ExecStart"][0])[1:], id="systemd"),
        pytest.param(shlex.split(service_file()["ExecStartPre"][0])[1:], id="systemd before"),
    ],
)
def test_a_command_is_one_that_exists(words: list[str]) -> None:
    _parses(words)


def test_the_image_has_a_python_with_which_tests_were_run() -> None:
    found = re.search(r"^ARG PYTHON=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found
    compatibility = (ROOT / "docs/compatibility.md").read_text()
    assert re.search(rf"^\|.*\| {re.escape(found[1])} \| (the named set passes|all tests)",
                     compatibility, re.MULTILINE)  # fmt: skip


def test_the_image_runs_as_a_user_by_number_without_a_shell() -> None:
    user = IMAGE.last("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert IMAGE.command()[0] == "event-gateway"
    assert IMAGE.health_check()[0] == "python3"
    ports = {"8080", "8081", IMAGE.last("ENV").rpartition("ADMIN__PORT=")[2]}
    assert set(IMAGE.last("EXPOSE").split()) == ports


def test_what_the_dockerfile_copies_is_sent_to_the_engine() -> None:
    sent = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        name
        for stage in stages(ROOT / "Dockerfile")
        for instruction, argument in stage.instructions
        if instruction == "COPY" and not argument.startswith("--from")
        for name in argument.split()[:-1]
    }
    assert copied == sent
    assert all((ROOT / name).exists() for name in copied)


def test_the_configuration_of_compose() -> None:
    environ = COMPOSE["services"]["gateway"]["environment"] | {
        name: value
        for name, _, value in (
            word.partition("=") for word in IMAGE.last("ENV").split() if "__" in word
        )
    }
    config = load(
        MOUNTED["gateway"], environ, transformation_rule=compile_definition, url_rule=url_rule
    )
    hosts = {config.nats.url, config.redis.url, config.webhooks["play"].url}
    services = set(COMPOSE["services"])
    assert {re.split(r"[:/]+", str(url))[1] for url in hosts} <= services
    assert config.server.admin is not None
    prometheus = yaml.safe_load(MOUNTED["prometheus"].read_text())
    (scraped,) = prometheus["scrape_configs"]
    assert scraped["static_configs"][0]["targets"] == [f"gateway:{config.server.admin.port}"]
    shipped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    assert scraped["job_name"] == shipped["scrape_configs"][0]["job_name"]  # rules.yaml names it
    assert prometheus["rule_files"] == shipped["rule_files"]
    compile(MOUNTED["receiver"].read_text(), "receiver.py", "exec")


def test_compose_waits_for_a_health_check_of_each_service_that_has_one() -> None:
    """``up --wait`` fails for a service that disables the check of its image."""
    checks = [service.get("healthcheck", {}) for service in COMPOSE["services"].values()]
    assert not any(check.get("disable") for check in checks)


def test_the_files_that_compose_mounts_exist() -> None:
    """A container whose files are read-only takes no configuration but a file that is mounted."""
    for path in MOUNTED.values():
        assert path.exists()
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source
            else:
                assert source in COMPOSE["volumes"]
        for config in service.get("configs", []):
            assert config["source"] in COMPOSE["configs"]


def test_whoever_stops_the_gateway_waits_for_its_drain() -> None:
    drain = Config().server.drain_timeout
    grace = COMPOSE["services"]["gateway"]["stop_grace_period"]
    assert parse_duration(grace) >= drain + 10
    # The unit and the image alone have embedded servers, with up to 10 seconds each.
    (stop,) = service_file()["TimeoutStopSec"]
    assert parse_duration(stop) >= drain + 30
    assert f"--stop-timeout {stop[:-1]} " in (ROOT / "docs/guides/docker.md").read_text()


def test_the_health_check_is_a_program() -> None:
    compile(IMAGE.health_check()[2], "health check", "exec")
    assert IMAGE.health_check()[1] == "-c"


CHART = ROOT / "deploy" / "helm" / "event-gateway"


def test_the_chart_takes_rules_and_dashboards_from_the_files_that_are_tried_elsewhere() -> None:
    files = {path for path in (CHART / "files").rglob("*") if not path.is_dir()}
    shipped = {ROOT / "deploy/prometheus/rules.yaml"}
    shipped |= set((ROOT / "deploy/grafana/dashboards").glob("*.json"))
    assert all(path.is_symlink() for path in files)
    assert {path.resolve() for path in files} == shipped


def test_the_values_of_the_chart_keep_to_their_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    for path in ("values.yaml", "ci/all-values.yaml", "ci/least-values.yaml"):
        validator.validate(yaml.safe_load((CHART / path).read_text()))
    assert set(schema["properties"]) == set(defaults) | {"global"}
    with pytest.raises(jsonschema.ValidationError, match="replica"):
        validator.validate({"replica": 3})


def test_the_chart_waits_for_a_drain_and_starts_a_command_that_exists() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["terminationGracePeriodSeconds"] >= Config().server.drain_timeout + 10
    template = (CHART / "templates" / "deployment.yaml").read_text()
    found = re.search(r"args: \[(.*)\]", template)
    assert found
    words = re.sub(r"{{.*?}}", "2", found[1]).replace('"', "").split(", ")
    _parses(words)


def test_the_configuration_of_the_chart(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    for name in ("all", "least"):
        values = yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text())
        path.write_text(yaml.safe_dump(values["config"]))
        load(path, {"REDIS_PASSWORD": "x"}, transformation_rule=compile_definition,
             url_rule=url_rule)  # fmt: skip


def test_the_gateway_finds_the_sealing_key_that_the_guide_to_kubernetes_makes(
    tmp_path: Path,
) -> None:
    guide = (ROOT / "docs/guides/kubernetes.md").read_text()
    made = next(line for line in guide.splitlines() if "generic gateway-secrets" in line)
    for name in re.findall(r"--from-file=(\S+)", made):
        (tmp_path / name).write_text(f"the content of {name}")
    found = ExternalSecrets({}, "EVENT_GATEWAY_SECRET_", tmp_path)
    assert found.find("siem_token") == ("file", "the content of siem_token")
    assert found.sealing_key() == "the content of sealing_key"
    assert "sealing_key." in (CHART / "values.yaml").read_text()


def test_workflows_call_what_a_laptop_calls() -> None:
    workflows = [yaml.safe_load(path.read_text()) for path in ROOT.glob(".github/workflows/*.yml")]
    run = [
        step.get("run", "")
        for workflow in workflows
        for job in workflow["jobs"].values()
        for step in job["steps"]
    ]
    assert any(".ci/run" in line for line in run)
    assert run.count("make package") == 2
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert "package" in targets


def test_the_release_pushes_the_image_that_the_chart_asks_for() -> None:
    release = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    steps = {step["id"]: step for step in release["jobs"]["image"]["steps"] if "id" in step}
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    output = subprocess.run(
        ["bash", "-ec", "GITHUB_OUTPUT=/dev/stdout; " + steps["name"]["run"]],
        env={"GITHUB_REF_NAME": f"v{version}", "GITHUB_REPOSITORY": "A/B", "REGISTRY": "r.example"},
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout  # fmt: skip
    outputs = dict(line.split("=", 1) for line in output.splitlines())
    tag = re.sub(
        r"\$\{\{ steps\.name\.outputs\.(\w+) \}\}",
        lambda found: outputs[found[1]],
        steps["push"]["with"]["tags"],
    )
    assert tag == f"r.example/a/b:{version}"
