"""Whether the product works: the worker page, what a monitor asks, and figures for Prometheus."""
