"""Pictures of the dashboards from what a real Prometheus answered: the layout, titles, units and colours of Grafana."""
