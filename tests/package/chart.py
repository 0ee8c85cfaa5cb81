"""Renders the Helm chart, and checks what it renders against the schemas of Kubernetes."""

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "event-gateway"
VERSIONS = ("1.27", "1.33")  # of Kubernetes: the oldest that the chart takes, and a later one
EVERY_KIND = {
    "ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy",
    "PodDisruptionBudget", "PrometheusRule", "Service", "ServiceAccount", "ServiceMonitor",
}  # fmt: skip


def _rendering(helm: str, values: Path | None, version: str) -> subprocess.CompletedProcess[str]:
    words = [helm, "template", "test", str(CHART), "--kube-version", version]
    words += ["--values", str(values)] if values else []
    return subprocess.run(words, capture_output=True, text=True, check=False)


def check(helm: str, validator: str, folder: Path) -> str:
    """Returns what was seen. Raises AssertionError or CalledProcessError."""
    subprocess.run(
        [helm, "lint", "--strict", str(CHART), "--values", str(CHART / "ci" / "all-values.yaml")],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    refused = _rendering(helm, None, VERSIONS[-1])
    assert refused.returncode
    assert "config.nats.url is required" in refused.stderr, refused.stderr
    count = 0
    for values in sorted((CHART / "ci").glob("*.yaml")):
        for version in VERSIONS:
            done = _rendering(helm, values, version)
            done.check_returncode()
            text = done.stdout
            resources = [item for item in yaml.safe_load_all(text) if item]
            kinds = {item["kind"] for item in resources}
            assert values.stem != "all-values" or kinds == EVERY_KIND, kinds ^ EVERY_KIND
            _monitoring(resources)
            file = folder / f"{values.stem}-{version}.yaml"
            file.write_text(text)
            subprocess.run(
                [validator, "--strict", "--kubernetes-version", version, str(file)],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            count += len(resources)
    return f"{count} resources, valid for Kubernetes {' and '.join(VERSIONS)}"


def _monitoring(resources: list[dict[str, Any]]) -> None:
    """Rules and dashboards are those in deploy, which Prometheus' tests try."""
    for item in resources:
        if item["kind"] == "PrometheusRule":
            rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yaml").read_text())
            assert item["spec"] == rules
        for name, text in item.get("data", {}).items():
            if name.endswith(".json"):
                shipped = ROOT / "deploy" / "grafana" / "dashboards" / name
                assert json.loads(text) == json.loads(shipped.read_text())
