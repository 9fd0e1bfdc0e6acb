"""Services and Ingresses: something answers behind them, and they have an address."""

from __future__ import annotations

from typing import Final

from agent_infra.local.standins.kubernetes.awaiting.verdicts import (
    Ready,
    Related,
    Rule,
    Scene,
    Verdict,
    Waiting,
    name_of,
    section,
)
from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.server import Properties

_SLICE: Final = Kind("discovery.k8s.io", "v1", "EndpointSlice")
_SERVICE: Final = Kind("", "v1", "Service")
#: For how long the endpoints must not have changed. The official plugin's is 10 s, which leaves the
#: controllers of a loaded cluster time; those of this machine act within a second.
SETTLED: Final = 2.0


def endpoints(service: Properties) -> list[Related]:
    return [Related(_SLICE, labels=f"kubernetes.io/service-name={name_of(service)}")]


def service(scene: Scene) -> Verdict:
    """Every pod that its selector finds is ready, and a load balancer has an address."""
    spec = section(scene.object, "spec")
    if scene.balancers and unaddressed(scene.object):
        return Waiting("[2/2] waiting for the load balancer's address", _NO_BALANCER)
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
        return Ready()
    found = [
        section(endpoint, "conditions")
        for slice in scene.related.get("EndpointSlice", ())
        for endpoint in slice.get("endpoints") or ()
    ]
    # Those that are on their way out are not waited for.
    unready = [each for each in found if each.get("ready") is False and not each.get("terminating")]
    if unready:
        return Waiting(f"[1/2] {len(found) - len(unready)} of {len(found)} endpoints ready")
    if not scene.related.get("EndpointSlice") or scene.quiet < SETTLED:
        # With no pods at all it is ready too, once nobody has more to say.
        return Waiting("[1/2] waiting for the endpoints to settle")
    return Ready()


def behind(ingress: Properties) -> list[Related]:
    return [Related(_SERVICE, name=name) for name in _backends(ingress)]


def ingress(scene: Scene) -> Verdict:
    """Each path's Service is there, and the controller has given the Ingress an address."""
    there = {name_of(found) for found in scene.related.get("Service", ())}
    missing = [name for name in _backends(scene.object) if name not in there]
    if missing:
        return Waiting(f"[1/2] waiting for the Service {', '.join(missing)}")
    if scene.balancers and unaddressed(scene.object):
        return Waiting("[2/2] waiting for the Ingress controller's address", _NO_BALANCER)
    return Ready()


_NO_BALANCER: Final = ("status.loadBalancer.ingress is empty: does a controller of this cluster fill it?",)


def unaddressed(object: Properties) -> bool:
    """Whether a load balancer is wanted that has no address."""
    wanted = object.get("kind") == "Ingress" or section(object, "spec").get("type") == "LoadBalancer"
    return wanted and not section(object, "status", "loadBalancer").get("ingress")


def _backends(ingress: Properties) -> list[str]:
    spec = section(ingress, "spec")
    paths = [path for rule in spec.get("rules") or () for path in section(rule, "http").get("paths") or ()]
    names = (section(path, "backend", "service").get("name") for path in paths)
    return list(dict.fromkeys(str(name) for name in names if name))


SERVICE_RULE: Final = Rule(service, endpoints)
INGRESS_RULE: Final = Rule(ingress, behind)
