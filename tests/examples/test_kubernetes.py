# SPDX-License-Identifier: Apache-2.0
"""examples/kubernetes and the chart (issue 13, section 4). There is no cluster and no Helm in Debian: what is looked
at is the manifests as YAML, the configurations in them by those who read them, and that the chart, rendered
by chart.py, gives the same objects."""

import re
import stat

import pytest

from chart import Chart
from common import EXAMPLES, SOURCE, haproxy_accepts, host_accepts, load

MANIFESTS = EXAMPLES / "kubernetes"
CHART = EXAMPLES / "helm" / "spoe-host"
HAPROXY_FILES = {"haproxy.cfg": "otel-spoe.cfg", "spoe-otel.cfg": "spoe-otel.cfg"}


def objects(folder=MANIFESTS):
    return {(o["kind"], o["metadata"]["name"]): o
            for path in sorted(folder.glob("*.yaml")) for o in load(path)}


def pod():
    return objects()["Deployment", "edge"]["spec"]["template"]["spec"]


def variables(container):
    """Its environment with $(NAME) put in, as Kubernetes does it."""
    env = {}
    for entry in container["env"]:
        value = entry.get("value", "a-" + entry["name"].lower().replace("_", "-"))
        env[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda m, env=dict(env): env[m.group(1)], value)
    return env


def test_files_of_haproxy_are_the_projects():
    data = objects()["ConfigMap", "edge-haproxy"]["data"]
    assert data.keys() == HAPROXY_FILES.keys()
    for name, source in HAPROXY_FILES.items():
        text = (SOURCE / "haproxy" / source).read_text()
        assert data[name] == text, f"configmap.yaml: {name} is not haproxy/{source}"
        assert (CHART / "files" / name).read_text() == text, f"the chart's {name} is not haproxy/{source}"


def test_haproxy_takes_them(tmp_path):
    """With the variables and paths of the container."""
    env = variables(pod()["containers"][0])
    folder = "/usr/local/etc/haproxy"
    assert env["SPOE_CFG"] == f"{folder}/spoe-otel.cfg"
    for name, text in objects()["ConfigMap", "edge-haproxy"]["data"].items():
        (tmp_path / name).write_text(text)
    haproxy_accepts(tmp_path / "haproxy.cfg", {
        **env, "SPOE_CFG": env["SPOE_CFG"].replace(folder, str(tmp_path)), "APP_ADDR": "127.0.0.1:8000"})


def test_spoe_host_takes_its_variables(tmp_path):
    """-t with the sidecar's environment and the secret as its file."""
    (sidecar,) = pod()["initContainers"]
    env = variables(sidecar)
    headers = tmp_path / "headers"
    headers.write_text(objects()["Secret", "edge-otlp-headers"]["stringData"]["headers"])
    headers.chmod(stat.S_IRUSR)
    assert env["OTLP_HEADERS_FILE"] == "/etc/otlp/headers"
    assert env["SPOE_ADDR"] == "unix:/run/spoe-host/spoe.sock"
    env.update(OTLP_HEADERS_FILE=str(headers), SPOE_ADDR=f"unix:{tmp_path}/spoe.sock",
               SPOE_SOCKET_GROUP=str(tmp_path.stat().st_gid))
    assert "$(" not in env["OTEL_RESOURCE_ATTRIBUTES"] and " " not in env["OTEL_RESOURCE_ATTRIBUTES"]
    assert "k8s.pod.name=a-pod-name,k8s.pod.uid=a-pod-uid" in env["OTEL_RESOURCE_ATTRIBUTES"]
    # No name is asked for here.
    env["OTEL_EXPORTER_OTLP_ENDPOINT"] = env["OTEL_EXPORTER_OTLP_ENDPOINT"].replace(
        "otel-collector.observability", "localhost")
    host_accepts(env)


def test_the_sidecar_is_native():
    (sidecar,) = pod()["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["startupProbe"]["httpGet"] == {"path": "/readyz", "port": "admin"}
    assert sidecar["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "admin"}
    (port,) = sidecar["ports"]
    assert variables(sidecar)["SPOE_ADMIN_ADDR"].endswith(f":{port['containerPort']}")


def every_pod():
    return [(name, o["spec"]["template"]["spec"]) for (kind, name), o in objects().items()
            if kind == "Deployment"]


@pytest.mark.parametrize("name,spec", every_pod(), ids=lambda v: v if isinstance(v, str) else "")
def test_what_each_container_may(name, spec):
    assert spec["securityContext"]["runAsNonRoot"] is True
    for container in spec.get("initContainers", []) + spec["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] and context["capabilities"] == {"drop": ["ALL"]}
        assert context["allowPrivilegeEscalation"] is False
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        assert mounted <= {volume["name"] for volume in spec.get("volumes", [])}


def test_they_name_each_other():
    """ConfigMap, Secret, labels, ports, and the application."""
    found = objects()
    for volume in pod()["volumes"]:
        if "configMap" in volume:
            assert ("ConfigMap", volume["configMap"]["name"]) in found
        if "secret" in volume:
            assert ("Secret", volume["secret"]["secretName"]) in found
    for name in ("edge", "app"):
        deployment, service = found["Deployment", name]["spec"], found["Service", name]["spec"]
        labels = deployment["template"]["metadata"]["labels"]
        assert deployment["selector"]["matchLabels"] == labels == service["selector"]
        ports = {port["name"] for c in deployment["template"]["spec"]["containers"] for port in c["ports"]}
        assert {port["targetPort"] for port in service["ports"]} <= ports
    app = found["Service", "app"]["spec"]["ports"][0]["port"]
    assert variables(pod()["containers"][0])["APP_ADDR"] == f"app:{app}"


def without_checksums(o):
    annotations = o.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations", {})
    for key in [key for key in annotations if key.startswith("checksum/")]:
        assert re.fullmatch("[0-9a-f]{64}", annotations.pop(key))
    return o


def test_the_chart_gives_the_manifests():
    """With its own values and the release's name "edge"; the application is not part of it."""
    rendered = Chart(CHART, "edge").render()
    assert rendered.keys() == {p.name for p in MANIFESTS.glob("*.yaml")} - {"app.yaml"}
    for name, found in rendered.items():
        assert [without_checksums(o) for o in found] == load(MANIFESTS / name), name


def test_the_charts_values_count():
    """Each of them is somewhere in what is rendered, under the release's own name."""
    values = {"replicas": 7, "image": {"repository": "registry.example/spoe-host", "tag": "9"},
              "haproxy": {"image": "haproxy:3.0", "app": "shop:80", "config": "# my \"own\"\n",
                          "spoeConfig": "# mine\n",
                          "resources": {"requests": {"cpu": "3", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}},
              "otel": {"serviceName": "front", "endpoint": "https://otlp.example", "sampler": "always_off",
                       "headers": "a: b\n"},
              "resources": {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}}
    rendered = Chart(CHART, "other", values).render()
    (deployment,), (configmap,), (secret,) = (rendered[f"{kind}.yaml"] for kind in
                                              ("deployment", "configmap", "secret"))
    assert deployment["metadata"]["name"] == "other" and deployment["spec"]["replicas"] == 7
    spec = deployment["spec"]["template"]["spec"]
    (sidecar,), (proxy,) = spec["initContainers"], spec["containers"]
    assert sidecar["image"] == "registry.example/spoe-host:9" and proxy["image"] == "haproxy:3.0"
    assert sidecar["resources"] == values["resources"]
    assert proxy["resources"] == values["haproxy"]["resources"]
    env = variables(sidecar)
    assert [env[n] for n in ("OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_ENDPOINT", "SAMPLER")] == [
        "front", "https://otlp.example", "always_off"]
    assert variables(proxy)["APP_ADDR"] == "shop:80"
    assert configmap["data"] == {"haproxy.cfg": "# my \"own\"\n", "spoe-otel.cfg": "# mine\n"}
    assert secret["stringData"] == {"headers": "a: b\n"}
    assert secret["metadata"]["name"] in str(spec["volumes"])


def test_version():
    """The image's tag is this version."""
    version = re.search(r"project\([^)]*VERSION ([0-9.]+)", (SOURCE / "CMakeLists.txt").read_text(), re.S)[1]
    (sidecar,) = pod()["initContainers"]
    assert sidecar["image"] == f"spoe-host:{version}"
    compose = load(EXAMPLES / "compose" / "compose.yaml")[0]
    assert compose["services"]["spoe-host"]["image"] == f"spoe-host:{version}"
    (chart,) = load(CHART / "Chart.yaml")
    assert chart["appVersion"] == version
