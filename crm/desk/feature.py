"""Plugs the start page into the product."""

from crm.desk import handoff
from crm.desk.views import bp
from crm.feature import Feature

feature = Feature(name="desk", blueprints=(bp, handoff.bp))
