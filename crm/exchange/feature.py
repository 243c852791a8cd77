"""Plugs the exchange of the directory into the product."""

from crm.exchange.views import bp
from crm.feature import Feature

feature = Feature(name="exchange", blueprints=(bp,))
