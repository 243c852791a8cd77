"""Plugs the directory into the product."""

from crm.directory.views import bp, of_case
from crm.feature import Feature

feature = Feature(name="directory", blueprints=(bp, of_case))
