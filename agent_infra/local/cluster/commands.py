"""The command line of each part, as a function of the plan.

Every one listens on loopback alone and takes its keys from files, never from its arguments.
"""

from __future__ import annotations

from agent_infra.local.cluster.certificates import SERVICE_ACCOUNTS
from agent_infra.local.cluster.plan import HOST, Plan
from agent_infra.local.environment import LocalError

#: Kubernetes' defaults, and what EKS enables beside them
#: (https://docs.aws.amazon.com/eks/latest/userguide/platform-versions.html).
_ADMISSION = ("NodeRestriction", "ExtendedResourceToleration")
#: EKS' own, where the VPC does not use it.
_SERVICE_RANGE = "10.100.0.0/16"
_POD_RANGE = "10.64.0.1/16"
#: kwok reads these from the API server, so that they can be changed while it runs.
_KWOK_KINDS = (
    "Stage",
    "Metric",
    "Attach",
    "ClusterAttach",
    "Exec",
    "ClusterExec",
    "Logs",
    "ClusterLogs",
    "PortForward",
    "ClusterPortForward",
    "ResourceUsage",
    "ClusterResourceUsage",
)


def _seconds(value: float) -> str:
    return f"{value:g}s"


def etcd(plan: Plan) -> list[str]:
    files = plan.places
    client, peer = plan.url("etcd"), plan.url("etcd-peer")
    pair = {"cert-file": files.certificate("etcd"), "key-file": files.key("etcd")}
    return [
        str(plan.programs.etcd),
        "--name=local",
        f"--data-dir={files.etcd}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=local={peer}",
        *(f"--{name}={path}" for name, path in pair.items()),
        *(f"--peer-{name}={path}" for name, path in pair.items()),
        f"--trusted-ca-file={files.certificate('etcd-ca')}",
        f"--peer-trusted-ca-file={files.certificate('etcd-ca')}",
        "--client-cert-auth",
        "--peer-client-cert-auth",
        # A store to throw away: a crash of the machine may damage it, a crash of a process does not.
        "--unsafe-no-fsync",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=5m",
        "--snapshot-count=10000",
        "--logger=zap",
        "--log-level=warn",
    ]


def apiserver(plan: Plan) -> list[str]:
    files, options = plan.places, plan.options
    return [
        str(plan.programs.kube_apiserver),
        f"--bind-address={HOST}",
        f"--advertise-address={HOST}",
        f"--secure-port={plan.ports['kube-apiserver']}",
        f"--tls-cert-file={files.certificate('kube-apiserver')}",
        f"--tls-private-key-file={files.key('kube-apiserver')}",
        f"--client-ca-file={files.certificate('ca')}",
        f"--authentication-config={files.root / 'authentication.json'}",
        "--authorization-mode=Node,RBAC",
        f"--enable-admission-plugins={','.join(_ADMISSION)}",
        f"--etcd-servers={plan.url('etcd')}",
        f"--etcd-cafile={files.certificate('etcd-ca')}",
        f"--etcd-certfile={files.certificate('etcd-client')}",
        f"--etcd-keyfile={files.key('etcd-client')}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={files.certificates / SERVICE_ACCOUNTS}.pub",
        f"--service-account-signing-key-file={files.key(SERVICE_ACCOUNTS)}",
        f"--service-cluster-ip-range={_SERVICE_RANGE}",
        # The Service `kubernetes` cannot have a loopback address behind it, and nothing asks for it.
        "--endpoint-reconciler-type=none",
        f"--kubelet-certificate-authority={files.certificate('ca')}",
        f"--kubelet-client-certificate={files.certificate('kubelet-client')}",
        f"--kubelet-client-key={files.key('kubelet-client')}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={files.certificate('front-proxy-ca')}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={files.certificate('front-proxy-client')}",
        f"--proxy-client-key-file={files.key('front-proxy-client')}",
        f"--default-not-ready-toleration-seconds={options.eviction_seconds}",
        f"--default-unreachable-toleration-seconds={options.eviction_seconds}",
        "--allow-privileged=true",
        # It needs etcd 3.5.13; with an older one every watch of kwok's would fail, and be tried again later.
        "--feature-gates=WatchList=false",
        "--profiling=false",
    ]


def _served(plan: Plan, port: str, certificate: str) -> list[str]:
    """How the parts with the API server's own machinery serve: who asks is looked up there."""
    files = plan.places
    kubeconfig = files.kubeconfig_of(certificate)
    return [
        f"--bind-address={HOST}",
        f"--secure-port={plan.ports[port]}",
        f"--tls-cert-file={files.certificate(certificate)}",
        f"--tls-private-key-file={files.key(certificate)}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
    ]


def controllers(plan: Plan) -> list[str]:
    files, options = plan.places, plan.options
    name = "kube-controller-manager"
    scaler = "--horizontal-pod-autoscaler"
    return [
        str(plan.programs.kube_controller_manager),
        *_served(plan, name, name),
        f"--kubeconfig={files.kubeconfig_of(name)}",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={files.key(SERVICE_ACCOUNTS)}",
        f"--root-ca-file={files.certificate('ca')}",
        f"{scaler}-sync-period={_seconds(options.hpa_sync_seconds)}",
        f"{scaler}-downscale-stabilization={_seconds(options.hpa_downscale_seconds)}",
        f"{scaler}-cpu-initialization-period={_seconds(options.hpa_cpu_initialization_seconds)}",
        f"{scaler}-initial-readiness-delay={_seconds(options.hpa_readiness_seconds)}",
        f"--node-monitor-period={_seconds(min(5.0, options.node_grace_seconds / 4))}",
        f"--node-monitor-grace-period={_seconds(options.node_grace_seconds)}",
        # What a managed control plane has: the default of 20 would be what a large roll-out waits for.
        "--kube-api-qps=100",
        "--kube-api-burst=200",
        "--profiling=false",
    ]


def scheduler(plan: Plan) -> list[str]:
    name = "kube-scheduler"
    return [
        str(plan.programs.kube_scheduler),
        *_served(plan, name, name),
        f"--kubeconfig={plan.places.kubeconfig_of(name)}",
        "--leader-elect=false",
        "--kube-api-qps=100",
        "--kube-api-burst=200",
        "--profiling=false",
    ]


def kwok(plan: Plan) -> list[str]:
    files = plan.places
    return [
        str(plan.programs.kwok),
        f"--kubeconfig={files.kubeconfig_of('kwok')}",
        # Without a file of its own it reads the user's.
        f"--config={files.root / 'kwok.json'}",
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        f"--node-ip={HOST}",
        f"--node-port={plan.ports['kwok']}",
        f"--server-address={plan.address('kwok')}",
        f"--tls-cert-file={files.certificate('kwok')}",
        f"--tls-private-key-file={files.key('kwok')}",
        f"--cidr={_POD_RANGE}",
        f"--node-lease-duration-seconds={max(1, int(plan.options.node_grace_seconds * 0.8))}",
        f"--enable-crds={','.join(_KWOK_KINDS)}",
    ]


def metrics_server(plan: Plan) -> list[str]:
    files = plan.places
    return [
        str(plan.programs.metrics_server),
        *_served(plan, "metrics-server", "metrics-server"),
        f"--kubeconfig={files.kubeconfig_of('metrics-server')}",
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-use-node-status-port",
        f"--kubelet-certificate-authority={files.certificate('ca')}",
        f"--kubelet-client-certificate={files.certificate('metrics-server')}",
        f"--kubelet-client-key={files.key('metrics-server')}",
        f"--metric-resolution={_seconds(plan.options.metrics_seconds)}",
        # It must be the shorter of the two.
        f"--kubelet-request-timeout={_seconds(min(10, plan.options.metrics_seconds / 2))}",
    ]


def keda_operator(plan: Plan) -> list[str]:
    return [
        str(plan.programs.keda_operator),
        f"--health-probe-bind-address={plan.address('keda-operator')}",
        f"--metrics-service-bind-address={plan.address('keda-metrics')}",
        "--enable-prometheus-metrics=false",
        "--leader-elect=false",
        "--enable-cert-rotation=false",
        "--enable-webhook-patching=false",
        f"--cert-dir={plan.places.certificates / 'keda'}",
        f"--ca-dir={plan.places.run / 'no-further-authorities'}",
        "--kube-api-qps=50",
        "--kube-api-burst=100",
        "--zap-log-level=info",
        "--zap-encoder=console",
        "--zap-time-encoding=rfc3339",
    ]


def keda_adapter(plan: Plan) -> list[str]:
    return [
        str(plan.programs.keda_adapter),
        *_served(plan, "keda-adapter", "keda"),
        f"--client-ca-file={plan.places.certificate('ca')}",
        f"--cert-dir={plan.places.certificates / 'keda'}",
        f"--lister-kubeconfig={plan.places.kubeconfig_of('keda')}",
        f"--metrics-service-address={plan.address('keda-metrics')}",
        # Its own metrics; this port cannot be switched off nor bound to loopback: any free one.
        "--port=0",
        "--zap-log-level=error",
        "--zap-encoder=console",
    ]


def keda_variables(plan: Plan) -> dict[str, str]:
    try:
        moto = str(plan.environment.service("moto")["url"])
    except (LocalError, KeyError):
        moto = f"http://{HOST}:9"  # nobody answers there: what is asked must not leave this machine
    return {
        "KUBECONFIG": str(plan.places.kubeconfig_of("keda")),
        "POD_NAMESPACE": "kube-system",
        "KEDA_CLUSTER_OBJECT_NAMESPACE": "kube-system",
        "WATCH_NAMESPACE": "",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": moto,
    }


def argo(plan: Plan) -> list[str]:
    return [
        str(plan.programs.rollouts_controller),
        f"--kubeconfig={plan.places.kubeconfig_of('argo-rollouts')}",
        f"--healthzPort={plan.ports['argo-rollouts']}",
        f"--metricsport={plan.ports['argo-metrics']}",
        "--leader-elect=false",
    ]
