//go:build tools

// Package tools names kube-score, which e2e/lab/binaries.py builds to judge the chart. A module of its own: it needs
// older API types than Helm.
package tools

import _ "github.com/zegl/kube-score/cmd/kube-score"
