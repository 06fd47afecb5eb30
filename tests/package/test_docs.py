"""What the docs say about containers and clusters agrees with the code: paths, times, options, names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from trtkit import cli, config, models
from trtkit.package import triton
from trtkit.serve.gate import OPEN
from trtkit.serve.limits import Limits

ROOT = Path(__file__).parent.parent.parent
SCALE_OUT = (ROOT / "docs" / "scale-out.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def deployments() -> dict[str, dict]:
    found = [yaml.safe_load(block) for block in blocks(SCALE_OUT, "yaml")]
    return {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in found}


def test_the_probes_ask_what_is_served_and_needs_no_key():
    for pod in deployments().values():
        (container,) = pod["containers"]
        probes = [container[name]["httpGet"] for name in ("readinessProbe", "livenessProbe") if name in container]
        assert probes
        for probe in probes:
            assert probe["path"] in OPEN
            assert probe["port"] == 8000


def test_a_pod_is_given_the_time_that_its_requests_may_take():
    pod = deployments()["trtkit"]
    (container,) = pod["containers"]
    (_, waited) = container["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] >= int(waited) + Limits().drain


def test_a_pod_runs_as_the_images_user_on_models_that_there_are():
    pod = deployments()["trtkit"]
    user = re.search(r"^USER (\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user
    assert pod["securityContext"]["runAsUser"] == int(user[1])
    assert set(pod["containers"][0]["args"]) <= set(models.NAMES)
    assert pod["containers"][0]["env"][0]["name"] == "TRTKIT_API_KEYS"


def test_the_balancer_lets_pass_what_the_server_takes():
    (lines,) = blocks(SCALE_OUT, "nginx")
    limits = Limits()
    assert f"client_max_body_size {limits.upload >> 20}m;" in lines
    wait = re.search(r"proxy_read_timeout (\d+)s;", lines)
    assert wait
    assert int(wait[1]) > limits.seconds


@pytest.mark.parametrize(("page", "verb"), [("scale-out.md", "serve"), ("package.md", "package triton")])
def test_the_options_that_a_page_names_exist(page, verb):
    command = get_command(cli.app)
    for word in verb.split():
        command = command.commands[word]
    known = {option for parameter in command.params for option in parameter.opts}
    text = (ROOT / "docs" / page).read_text()
    if verb == "serve":
        named = set(re.findall(r"`(--(?:queue|processes|workers|device|max-upload|time-limit)\b)", text))
        named |= set(re.findall(r"# (?:as|past) (--[a-z-]+)", text))
        assert len(named) >= 4
    else:
        named = set(re.findall(r"^\| `(--[a-z-]+)", text, re.MULTILINE))
        assert known - named == {"models", "--style", "--artifacts", "--config"}
    assert named <= known


@pytest.mark.parametrize("source", ["serve.md", "package"])
def test_the_clients_code_is_python_that_asks_for_a_model_there_is(source, tmp_path):
    if source == "package":
        made = triton.make([models.get("cv_unet")], tmp_path, [], None, config.load())
        text = made.files["README.md"]
        assert isinstance(text, bytes)
        found = blocks(text.decode(), "python")
    else:
        found = blocks((ROOT / "docs" / source).read_text(), "python")
    (code,) = [block for block in found if "tritonclient" in block]
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    (infer,) = [call for call in calls if getattr(call.func, "attr", "") == "infer"]
    assert ast.literal_eval(infer.args[0]) in models.NAMES
