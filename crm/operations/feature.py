"""Plugs the worker page and what machines ask into the product."""

from crm.feature import Feature
from crm.operations.views import bp

feature = Feature(name="operations", blueprints=(bp,))
