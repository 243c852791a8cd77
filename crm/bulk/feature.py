"""Plugs changes to many files into the product. What can be asked of them is offered by each feature (`Feature.bulk`)."""

from crm.bulk import services
from crm.bulk.of_cases import ACTIONS
from crm.bulk.views import bp
from crm.feature import Feature
from crm.jobs import Job

feature = Feature(
    name="bulk",
    blueprints=(bp,),
    bulk=ACTIONS,
    jobs=(Job("bulk", services.run_waiting, every=15), Job("forget_bulk", services.forget_old, every=3600)),
)
