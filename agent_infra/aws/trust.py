"""Which pods of a cluster may take a role: trust policies for EKS Pod Identity and for IRSA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent_infra.aws import policies
from agent_infra.component import MaybeOutput
from agent_infra.outputs import computed

_WEB_IDENTITY_AUDIENCE = "sts.amazonaws.com"


def pod_identity_trust(
    *,
    account: MaybeOutput[str],
    cluster: Mapping[str, MaybeOutput[str]],
    namespace: MaybeOutput[str],
    service_account: MaybeOutput[str],
) -> MaybeOutput[str]:
    """EKS may hand the role to one service account of one cluster, and to no other that asks it to.

    Args:
        account: this one's id.
        cluster: which one, by its tag: `{"eks-cluster-arn": ...}` or `{"eks-cluster-name": ...}`.
        namespace: the service account's.
        service_account: its name.

    Without conditions whoever may make associations in the account could give the role to their pods.
    The tags are those that EKS sends with every request:
    https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html. `aws:SourceArn` is left out, for
    what exchanges a pod's token in the pod's place, such as the S3 CSI driver, sends none that fits
    (awslabs/mountpoint-s3-csi-driver#781).
    """
    return policies.document(
        {
            "Sid": "PodIdentity",
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {
                "StringEquals": {
                    "aws:SourceAccount": account,
                    **{f"aws:RequestTag/{tag}": value for tag, value in cluster.items()},
                    "aws:RequestTag/kubernetes-namespace": namespace,
                    "aws:RequestTag/kubernetes-service-account": service_account,
                }
            },
        }
    )


def web_identity_trust(
    *,
    oidc_provider_arn: MaybeOutput[str],
    namespace: MaybeOutput[str],
    service_account: MaybeOutput[str],
) -> MaybeOutput[str]:
    """One service account's tokens may be exchanged for the role (IRSA)."""

    def written(values: Sequence[str]) -> str:
        arn, namespace, account = values
        issuer = arn.partition(":oidc-provider/")[2]
        return policies.written(
            {
                "Sid": "WebIdentity",
                "Effect": "Allow",
                "Principal": {"Federated": arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        f"{issuer}:sub": f"system:serviceaccount:{namespace}:{account}",
                        f"{issuer}:aud": _WEB_IDENTITY_AUDIENCE,
                    }
                },
            }
        )

    return computed([oidc_provider_arn, namespace, service_account], written)
