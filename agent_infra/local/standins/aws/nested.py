"""The keys inside structured inputs, by type and path, as the Python SDK has them; `*` is required."""

from __future__ import annotations

KEYS: dict[str, dict[str, str]] = {
    "aws:ec2/launchTemplate:LaunchTemplate": {
        "blockDeviceMappings": "deviceName ebs noDevice virtualName",
        "blockDeviceMappings.ebs": (
            "deleteOnTermination encrypted iops kmsKeyId snapshotId throughput volumeInitializationRate "
            "volumeSize volumeType"
        ),
        "metadataOptions": (
            "httpEndpoint httpProtocolIpv6 httpPutResponseHopLimit httpTokens instanceMetadataTags"
        ),
        "monitoring": "enabled",
        "tagSpecifications": "resourceType tags",
    },
    "aws:ec2/natGateway:NatGateway": {
        "availabilityZoneAddresses": "allocationIds availabilityZone availabilityZoneId"
    },
    "aws:ec2/routeTable:RouteTable": {
        "routes": (
            "carrierGatewayId cidrBlock coreNetworkArn destinationPrefixListId egressOnlyGatewayId "
            "gatewayId ipv6CidrBlock localGatewayId natGatewayId networkInterfaceId odbNetworkArn "
            "transitGatewayId vpcEndpointId vpcPeeringConnectionId"
        ),
    },
    "aws:ec2/securityGroup:SecurityGroup": {
        "egress": (
            "fromPort* protocol* toPort* cidrBlocks description ipv6CidrBlocks prefixListIds "
            "securityGroups self"
        ),
        "ingress": (
            "fromPort* protocol* toPort* cidrBlocks description ipv6CidrBlocks prefixListIds "
            "securityGroups self"
        ),
    },
    "aws:ec2/vpcEndpoint:VpcEndpoint": {
        "dnsOptions": (
            "dnsRecordIpType privateDnsOnlyForInboundResolverEndpoint privateDnsPreference "
            "privateDnsSpecifiedDomains"
        ),
        "subnetConfigurations": "ipv4 ipv6 subnetId",
    },
    "aws:ec2/flowLog:FlowLog": {
        "destinationOptions": "fileFormat hiveCompatiblePartitions perHourPartition",
        "tagFieldSpecifications": "resourceType* tagKeys*",
    },
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": {
        "egress": (
            "fromPort* protocol* toPort* cidrBlocks description ipv6CidrBlocks prefixListIds "
            "securityGroups self"
        ),
        "ingress": (
            "fromPort* protocol* toPort* cidrBlocks description ipv6CidrBlocks prefixListIds "
            "securityGroups self"
        ),
    },
    "aws:iam/role:Role": {"inlinePolicies": "name policy"},
    "aws:eks/cluster:Cluster": {
        "vpcConfig": (
            "subnetIds* clusterSecurityGroupId controlPlaneEgressMode endpointPrivateAccess "
            "endpointPublicAccess publicAccessCidrs securityGroupIds vpcId"
        ),
        "accessConfig": "authenticationMode bootstrapClusterCreatorAdminPermissions",
        "computeConfig": "enabled nodePools nodeRoleArn",
        "controlPlaneScalingConfig": "tier",
        "encryptionConfig": "provider* resources*",
        "encryptionConfig.provider": "keyArn*",
        "kubeApiServerConfig": "eventTtl serviceNodePortRange",
        "kubeApiServerConfig.serviceNodePortRange": "maxPort minPort",
        "kubeControllerManagerConfig": "horizontalPodAutoscalerControllerConfig podGcControllerConfig",
        "kubeControllerManagerConfig.horizontalPodAutoscalerControllerConfig": (
            "horizontalPodAutoscalerSyncPeriod"
        ),
        "kubeControllerManagerConfig.podGcControllerConfig": "terminatedPodGcThreshold",
        "kubeSchedulerConfig": "nodeResourcesFit",
        "kubeSchedulerConfig.nodeResourcesFit": "scoringStrategy",
        "kubeSchedulerConfig.nodeResourcesFit.scoringStrategy": "resources type",
        "kubeSchedulerConfig.nodeResourcesFit.scoringStrategy.resources": "name weight",
        "kubernetesNetworkConfig": "elasticLoadBalancing ipFamily serviceIpv4Cidr serviceIpv6Cidr",
        "kubernetesNetworkConfig.elasticLoadBalancing": "enabled",
        "outpostConfig": (
            "controlPlaneInstanceType* outpostArns* controlPlanePlacement etcdInstanceType etcdPlacement"
        ),
        "outpostConfig.controlPlanePlacement": "groupName spreadLevel",
        "outpostConfig.etcdPlacement": "spreadLevel",
        "remoteNetworkConfig": "remoteNodeNetworks remotePodNetworks",
        "remoteNetworkConfig.remoteNodeNetworks": "cidrs",
        "remoteNetworkConfig.remotePodNetworks": "cidrs",
        "storageConfig": "blockStorage",
        "storageConfig.blockStorage": "enabled",
        "upgradePolicy": "supportType",
        "zonalShiftConfig": "enabled",
    },
    "aws:eks/fargateProfile:FargateProfile": {"selectors": "namespace* labels"},
    "aws:eks/nodeGroup:NodeGroup": {
        "scalingConfig": "desiredSize* maxSize* minSize*",
        "launchTemplate": "version* id name",
        "nodeRepairConfig": (
            "enabled maxParallelNodesRepairedCount maxParallelNodesRepairedPercentage "
            "maxUnhealthyNodeThresholdCount maxUnhealthyNodeThresholdPercentage "
            "nodeRepairConfigOverrides"
        ),
        "nodeRepairConfig.nodeRepairConfigOverrides": (
            "minRepairWaitTimeMins* nodeMonitoringCondition* nodeUnhealthyReason* repairAction*"
        ),
        "remoteAccess": "ec2SshKey sourceSecurityGroupIds",
        "taints": "effect* key* value",
        "updateConfig": "maxUnavailable maxUnavailablePercentage updateStrategy",
        "warmPoolConfig": "maxGroupPreparedCapacity minSize poolState reuseOnScaleIn",
    },
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": {"accessScope": "type* namespaces"},
    "aws:eks/addon:Addon": {
        "namespaceConfig": "namespace",
        "podIdentityAssociations": "roleArn* serviceAccount*",
    },
    "aws:elasticache/replicationGroup:ReplicationGroup": {
        "logDeliveryConfigurations": "destination* destinationType* logFormat* logType*",
        "nodeGroupConfigurations": (
            "nodeGroupId primaryAvailabilityZone primaryOutpostArn replicaAvailabilityZones "
            "replicaCount replicaOutpostArns slots"
        ),
    },
    "aws:elasticache/parameterGroup:ParameterGroup": {"parameters": "name* value*"},
    "aws:elasticache/user:User": {"authenticationMode": "type* passwordCount passwords"},
    "aws:rds/cluster:Cluster": {
        "restoreToPointInTime": (
            "restoreToTime restoreType sourceClusterIdentifier sourceClusterResourceId "
            "useLatestRestorableTime"
        ),
        "s3Import": "bucketName* ingestionRole* sourceEngine* sourceEngineVersion* bucketPrefix",
        "scalingConfiguration": (
            "autoPause maxCapacity minCapacity secondsBeforeTimeout secondsUntilAutoPause timeoutAction"
        ),
        "serverlessv2ScalingConfiguration": "maxCapacity* minCapacity* secondsUntilAutoPause",
    },
    "aws:rds/instance:Instance": {
        "blueGreenUpdate": "enabled",
        "restoreToPointInTime": (
            "restoreTime sourceDbInstanceAutomatedBackupsArn sourceDbInstanceIdentifier "
            "sourceDbiResourceId useLatestRestorableTime"
        ),
        "s3Import": "bucketName* ingestionRole* sourceEngine* sourceEngineVersion* bucketPrefix",
    },
    "aws:rds/parameterGroup:ParameterGroup": {"parameters": "name* value* applyMethod"},
    "aws:rds/clusterParameterGroup:ClusterParameterGroup": {"parameters": "name* value* applyMethod"},
    "aws:secretsmanager/secret:Secret": {
        "replicas": "region* kmsKeyId lastAccessedDate status statusMessage"
    },
    "aws:secretsmanager/secretRotation:SecretRotation": {
        "externalSecretRotationMetadatas": "key* value*",
        "rotationRules": "automaticallyAfterDays duration scheduleExpression",
    },
    "aws:ecr/repository:Repository": {
        "encryptionConfigurations": "encryptionType kmsKey",
        "imageScanningConfiguration": "scanOnPush*",
        "imageTagMutabilityExclusionFilters": "filter* filterType*",
    },
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": {
        "rules": "applyServerSideEncryptionByDefault blockedEncryptionTypes bucketKeyEnabled",
        "rules.applyServerSideEncryptionByDefault": "sseAlgorithm* kmsMasterKeyId",
    },
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": {"rule": "objectOwnership*"},
    "aws:s3/bucketLogging:BucketLogging": {
        "targetGrants": "grantee* permission*",
        "targetGrants.grantee": "type* displayName emailAddress id uri",
        "targetObjectKeyFormat": "partitionedPrefix simplePrefix",
        "targetObjectKeyFormat.partitionedPrefix": "partitionDateSource*",
    },
    "aws:s3/bucketMetric:BucketMetric": {"filter": "accessPoint prefix tags"},
    "aws:s3/bucketVersioning:BucketVersioning": {"versioningConfiguration": "status* mfaDelete"},
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": {
        "rules": (
            "id* status* abortIncompleteMultipartUpload expiration filter "
            "noncurrentVersionExpiration noncurrentVersionTransitions prefix transitions"
        ),
        "rules.abortIncompleteMultipartUpload": "daysAfterInitiation",
        "rules.expiration": "date days expiredObjectDeleteMarker",
        "rules.filter": "and objectSizeGreaterThan objectSizeLessThan prefix tag",
        "rules.filter.and": "objectSizeGreaterThan objectSizeLessThan prefix tags",
        "rules.filter.tag": "key* value*",
        "rules.noncurrentVersionExpiration": "noncurrentDays* newerNoncurrentVersions",
        "rules.noncurrentVersionTransitions": "noncurrentDays* storageClass* newerNoncurrentVersions",
        "rules.transitions": "storageClass* date days",
    },
}
