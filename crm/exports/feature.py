"""Plugs exports into the product."""

from crm.exports.views import bp
from crm.feature import Feature

feature = Feature(name="exports", blueprints=(bp,))
