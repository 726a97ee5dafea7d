"""A cluster that has no nodes: an API server that kubectl can speak to, and as much of the
controllers, of the operators and of the kubelet as decides how a deployment goes. What it
refuses, and in which words, was recorded from Kubernetes 1.36 with spin-operator 0.6.1."""
