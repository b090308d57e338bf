"""The race on real nodes of a test cluster: kubelet's own means against memory shortage, and memguard."""
