//go:build tools

// Package tools names Helm 3, which many still install with: the chart is tried with both.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
