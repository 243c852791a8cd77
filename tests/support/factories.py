"""Real objects, made by the product's own verbs."""

from datetime import timedelta

from crm import clock
from crm.cases import services as cases
from crm.cases.vocabulary import (
    ContactMode,
    ExchangeDirection,
    ExchangeKind,
    ExchangeResult,
    LegalForm,
    Need,
    PreferredLanguage,
    ProjectStage,
    Source,
    Stage,
)
from crm.partners.queries import by_code
from crm.partners.services import add_person
from crm.permissions.models import How
from crm.referrals import services as referrals
from crm.reminders import services as reminders
from crm.timeline.models import ActorKind

ANSWERS = {
    "lang_pref": "fr",
    "contact_name": "Nadia Benali",
    "contact_role": "lead",
    "contact_mode": "email",
    "email": "nadia@exemple.ca",
    "phone": "514 555-0142, poste 12",
    "project_name": "Outilthèque de Rosemont",
    "description": "Une bibliothèque d’outils gérée par les personnes du quartier.",
    "sector": "sharing",
    "stage": "idea",
    "legal_form": "coop",
    "coop_type": "coop_solidarity",
    "region": "06",
    "locality": "verdun",
    "needs": ["form", "funding"],
}


class Make:
    def __init__(self, session, people) -> None:
        self.session, self.people = session, people

    def case(
        self,
        *,
        owner=None,
        received_at=None,
        name="Outilthèque de Rosemont",
        language="fr",
        email="nadia@exemple.ca",
    ):
        """A new request's file, taken by `owner` when one is given."""
        case = cases.open_case(
            cases.Asker(
                name="Nadia Benali",
                role="lead",
                language=PreferredLanguage(language),
                mode=ContactMode.EMAIL,
                email=email,
            ),
            cases.Facts(
                name=name,
                description="Une bibliothèque d’outils gérée par les personnes du quartier.",
                sector="sharing",
                stage=ProjectStage.IDEA,
                legal_form=LegalForm.COOP,
                region="06",
                needs=[Need.FORM, Need.FUNDING],
            ),
            prefix="PCC",
            write_in=language,
            source=Source.WEB,
            received_at=received_at or clock.now(),
            actor=(ActorKind.PERSON, None),
        )
        if owner is not None:
            cases.assign(case, owner, owner)
        self.session.commit()
        return case

    def only_step(self, owner, due_on, title, **file):
        """A file of somebody's and its only open step, typed by them and due on a day."""
        case = self.case(owner=owner, **file)
        by_rule = reminders.open_ones(case)
        follow_up = reminders.plan_by_hand(case, title=title, reason="Statuts", due_on=due_on, owner=owner, actor=owner)
        for one in by_rule:
            reminders.cancel(one, case, owner)
        self.session.commit()
        return case, follow_up

    def exchange(self, case, actor, happened_at=None, result=ExchangeResult.TWO_WAY):
        cases.record_exchange(
            case,
            kind=ExchangeKind.CALL,
            direction=ExchangeDirection.OUTGOING,
            result=result,
            happened_at=happened_at or clock.now(),
            minutes=25,
            summary="Bon échange.",
            actor=actor,
        )
        self.session.commit()

    def assessed(self, case, actor):
        cases.assess(
            case,
            seen_version=case.project.version,
            name=case.project.name,
            project_stage=ProjectStage.EXPLORATION,
            legal_form=LegalForm.COOP_SOLIDARITY,
            region="06",
            locality="verdun",
            needs=[Need.FORM],
            summary="Le groupe veut choisir sa forme juridique.",
            actor=actor,
        )
        self.session.commit()

    def case_at(self, stage: Stage, owner=None):
        """A file brought to a stage up to referral planning by the moves a person would make."""
        owner = owner or self.people.adviser
        case = self.case(owner=owner)
        path = [Stage.CONTACT, Stage.DISCOVERY, Stage.PLANNING]
        for to in path[: path.index(stage) + 1] if stage in path else []:
            if to is Stage.DISCOVERY:
                self.exchange(case, owner)
            if to is Stage.PLANNING:
                self.assessed(case, owner)
            cases.advance(case, to, owner)
        self.session.commit()
        return case

    def body(self, code="cdrq", language="fr"):
        """A body of the directory, with a contact."""
        body = by_code(code)
        add_person(
            body, {"name": "Jean Roy", "email": f"jean@{code}.example", "language": language}, self.people.adviser
        )
        self.session.commit()
        return body

    def referral(self, case=None, body=None, *, sent=True, fields=("name", "email", "summary")):
        """A referral with its permission; sent unless said otherwise."""
        case = case or self.case_at(Stage.PLANNING)
        referral = referrals.prepare(
            case,
            body or self.body(),
            purpose="l’accompagnement au démarrage",
            fields=list(fields),
            how=How.VERBAL,
            expires_on=clock.today() + timedelta(days=90),
            actor=self.people.adviser,
        )
        if sent:
            referrals.send(referral, case, self.people.adviser)
        self.session.commit()
        return referral
