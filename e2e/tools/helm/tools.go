//go:build tools

// Package tools names Helm, which e2e/lab/binaries.py builds to render and install the chart.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
