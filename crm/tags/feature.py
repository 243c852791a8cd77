"""Plugs tags into the product."""

from crm.cases.filters import Facet
from crm.cases.listing import ListColumn
from crm.feature import Feature, Panel
from crm.i18n import lazy
from crm.tags import bulk, services
from crm.tags.views import bp, of_case_bp
from crm.timeline.sentences import Sentence

feature = Feature(
    name="tags",
    blueprints=(bp, of_case_bp),
    panels=(Panel("facts", "tags/panel.html", rows=services.rows, shown=services.shown),),
    merge=(services.MERGE,),
    case_facets=(Facet("tag", lazy("Tag"), services.options, services.with_tag),),
    case_columns=(ListColumn("tags", lazy("Tags"), (services.names().label("tags"),), template="tags/column.html"),),
    personal_data=(services.forget_all,),
    bulk=bulk.ACTIONS,
    event_sentences=tuple(
        Sentence(f"tag.{what}", f"tags.event.{what}", "internal", codes=frozenset({"tag"}), detail=frozenset({"name"}))
        for what in ("put_on", "taken_off")
    ),
)
