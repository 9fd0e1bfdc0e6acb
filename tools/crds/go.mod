// Modules that only their custom resource definitions are taken from; nothing here is built, so `go mod tidy`
// would empty it. go.sum has both checksums of each.
module agent-infra.dev/tools/crds

go 1.25.0

require (
	github.com/external-secrets/external-secrets v1.3.2
	sigs.k8s.io/gateway-api v1.4.1
)
