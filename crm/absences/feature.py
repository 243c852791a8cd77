"""Plugs absences into the product."""

from crm.absences import services
from crm.absences.views import bp
from crm.feature import Feature, TodayPart

feature = Feature(
    name="absences",
    blueprints=(bp,),
    today=(TodayPart("absences", "absences/today.html", services.of_today),),
)
