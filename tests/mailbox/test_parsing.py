"""What a received e-mail is and says, from what real programs write. No database, no server."""

import doctest
import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.mailbox import parsing
from crm.mailbox.parsing import Sort, cleaned, new_part, read, text_of_html


def of(raw: bytes):
    return read(email.message_from_bytes(raw))


def test_the_examples_of_the_docstrings_are_true():
    assert doctest.testmod(parsing).failed == 0


ANSWERS = {
    "Gmail, French": "Le ven. 27 nov. 2026 à 10:12, Passerelle <a@b.ca> a écrit :\n\n> Bonjour Jeanne,\n> Texte\n",
    "Gmail, French, broken": "Le ven. 27 nov. 2026 à 10:12, Passerelle <programme+m12-abcdefghij@b.ca>\na écrit :\n\n> Bonjour\n",
    "Gmail, English": "On Fri, Nov 27, 2026 at 10:12 AM Passerelle <a@b.ca>\nwrote:\n\n> Hello\n> Text\n",
    "Outlook, French": "De : Passerelle <a@b.ca>\nEnvoyé : 27 novembre 2026 10:12\nÀ : Jeanne\nObjet : Demande\n\nBonjour\n",
    "Outlook, English": "________________________________\nFrom: Passerelle <a@b.ca>\nSent: Friday\nTo: x\nSubject: y\n\nHello\n",
    "Outlook, in bold": "*De :* Passerelle <a@b.ca>\n*Envoyé :* 27 novembre\n*À :* Jeanne\n*Objet :* Demande\n\nBonjour\n",
    "older Outlook": "-----Message d'origine-----\nDe : Passerelle\nEnvoyé : vendredi\n\nBonjour\n",
    "older Outlook, English": "-----Original Message-----\nFrom: Passerelle\nSent: Friday\n\nHello\n",
    "iPhone": "> Le 27 nov. 2026 à 10:12, Passerelle <a@b.ca> a écrit :\n> \n> Bonjour\n",
    "Apple Mail": "Le 27 nov. 2026 à 10 h 12, Passerelle a écrit :\n> Bonjour\n",
    "nothing but lines": "> Bonjour\n> Texte\n",
    "nothing": "",
}


@pytest.mark.parametrize("quoted", ANSWERS.values(), ids=ANSWERS)
def test_what_is_new_in_an_answer_stands_above_what_it_quotes(quoted):
    assert new_part(f"Oui, mardi me va.\n\nJeanne\n\n{quoted}") == "Oui, mardi me va.\n\nJeanne"


WHOLE = {
    "between the lines": "Voici mes réponses.\n\n> Quel est votre nom?\nJeanne\n> Quand?\nMardi\n\nMerci",
    "under": "Le 27 nov. 2026 à 10:12, Passerelle a écrit :\n> Bonjour\n> Quand?\n\nMardi.",
    "under, after a greeting": "Bonjour!\n\nLe 27 nov. 2026 à 10:12, Passerelle a écrit :\n> Quand?\nMardi.\n> Où?\nIci.",
    "words that look like it": "Le projet avance. De : là, on verra.\nOn Monday we wrote: a plan.\nFin.",
    "a list of facts": "De : Montréal\nÀ : Québec\n\nVoilà le trajet.",
    "only what it quotes": "> Bonjour\n> Texte",
    "only an announcement": "Le 27 nov. 2026 à 10:12, Passerelle a écrit :",
    "a letter": "Bonjour,\nLe directeur de la ville m’a écrit :\nvotre permis est refusé.\nQue dois-je faire?",
    "a letter with its date": "Bonjour,\nLe 3 mars 2026, la ville m’a écrit :\nvotre permis est refusé.\nQue dois-je faire?",
    "no announcement": "Bonjour,\nOn nous a écrit.\nQue dois-je faire?",
    "under the header of a message": "Voyez plus bas.\n\nDe : P\nEnvoyé : 3 mars\nObjet : Dates\n\n> Quand?\nMardi.",
    "empty": "",
}


@pytest.mark.parametrize("text", WHOLE.values(), ids=WHOLE)
def test_nothing_is_cut_where_it_is_not_certain(text):
    assert new_part(text) == text


def test_somebody_else_may_be_quoted():
    assert new_part("Bonjour,\nLe maire m’a écrit :\n> non") == "Bonjour,\nLe maire m’a écrit :"


@given(st.text(alphabet="> De:àOnwrote\n_-*é", max_size=400))
def test_something_that_was_written_is_never_lost_whole(text):
    assert bool(new_part(text)) == bool(text.strip())
    assert new_part(text) in text or new_part(text) == text.strip()


@given(st.text(max_size=400))
def test_html_however_wrong_gives_words_that_databases_take(html):
    assert not parsing._UNSEEN.search(cleaned(text_of_html(html)))


def test_a_mail_without_plain_text_is_read_from_its_html():
    raw = (
        b"From: Nadia <nadia@exemple.ca>\r\nSubject: Re\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        b"<html><head><style>p {color: red}</style></head><body><p>Oui,&nbsp;mardi.</p><script>alert(1)</script>"
        b"<div class=gmail_quote>Le 27 nov. 2026, Passerelle a \xc3\xa9crit :<blockquote><p>Bonjour</p></blockquote></div>"
    )
    found = of(raw)
    assert found.said == "Oui, mardi."
    assert "> Bonjour" in found.text


EXCHANGE = b"""\
From: Microsoft Outlook <postmaster@outlook.example>
To: programme+m12-abcdefghijabcdefghij@exemple.org
Subject: Undeliverable: Bonjour
Content-Type: multipart/report; report-type=delivery-status; boundary="x"

--x
Content-Type: multipart/alternative; boundary="y"

--y
Content-Type: text/html

<b>Your message couldn't be delivered.</b>
--y--
--x
Content-Type: message/delivery-status

Reporting-MTA: dns;outlook.example
X-Spam: no

Final-Recipient: rfc822;nadia@exemple.ca
Action: failed
Status: 5.1.10
Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound;
 Recipient not found
--x
Content-Type: message/rfc822

Message-ID: <12.portal.message.abcdefghijabcdefghij@exemple.org>
Subject: Bonjour

Bonjour
--x--
"""


def test_a_report_of_exchange_says_what_and_about_which_message():
    found = of(EXCHANGE.replace(b"\n", b"\r\n"))
    assert (found.sort, found.report) == (
        Sort.RETURNED,
        "5.1.10 550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found",
    )
    assert "<12.portal.message.abcdefghijabcdefghij@exemple.org>" in found.marks
    assert "programme+m12-abcdefghijabcdefghij@exemple.org" in found.marks


def test_of_several_recipients_one_failure_counts():
    both = EXCHANGE.replace(
        b"\nFinal-Recipient", b"\nFinal-Recipient: rfc822;x@y.ca\nAction: delivered\n\nFinal-Recipient"
    )
    assert of(both).sort is Sort.RETURNED


def test_a_receipt_of_reading_is_no_answer():
    raw = (
        b"From: nadia@exemple.ca\r\nSubject: Lu : Bonjour\r\n"
        b'Content-Type: multipart/report; report-type=disposition-notification; boundary="x"\r\n\r\n'
        b"--x\r\nContent-Type: text/plain\r\n\r\nLu.\r\n--x\r\nContent-Type: message/disposition-notification\r\n\r\n"
        b"Disposition: manual-action/MDN-sent-manually; displayed\r\n--x--\r\n"
    )
    assert of(raw).sort is Sort.AUTOMATIC


@pytest.mark.parametrize("said", ["no", "No", "no ; x=y"])
def test_what_says_that_no_program_wrote_it_is_somebodys(said):
    assert of(f"From: a@b.ca\r\nAuto-Submitted: {said}\r\n\r\nBonjour".encode()).sort is Sort.WORDS


def test_a_logo_under_a_signature_is_no_attachment_and_a_photo_is():
    mail = email.message.EmailMessage(policy=email.policy.default)
    mail["From"] = "nadia@exemple.ca"
    mail.set_content("Voici")
    mail.add_alternative("<p>Voici</p><img src='cid:logo@x'><img src='cid:ii_scan'>", subtype="html")
    mail.add_attachment(
        b"1", maintype="image", subtype="png", filename="logo.png", cid="<logo@x>", disposition="inline"
    )
    mail.add_attachment(b"2", maintype="image", subtype="jpeg", filename="photo.jpg", disposition="inline")
    mail.add_attachment(
        b"5", maintype="image", subtype="png", filename="scan.png", cid="<ii_scan>", disposition="attachment"
    )
    mail.add_attachment(b"6", maintype="image", subtype="png", filename="croquis.png", cid="<x>", disposition="inline")
    # As Gmail attaches anything.
    mail.add_attachment(b"4", maintype="image", subtype="jpeg", filename="permis.jpg", cid="<f_mh1>")
    mail.add_attachment(b"3", maintype="application", subtype="pdf", filename="Plan\u2028d’affaires.pdf")
    assert [one.name for one in of(bytes(mail)).attached] == [
        "photo.jpg",
        "scan.png",
        "croquis.png",
        "permis.jpg",
        "Plan d’affaires.pdf",
    ]


def test_who_sent_it_is_one_address_or_none():
    assert of(b"From: Nadia <Nadia@Exemple.CA>\r\n\r\nx").from_address == "Nadia@exemple.ca"
    assert of(b"From: nobody\r\n\r\nx").from_address == ""
    assert of(b"Subject: x\r\n\r\nx").from_address == ""


def test_an_email_that_is_attached_is_no_word_of_the_senders():
    inside = email.message.EmailMessage(policy=email.policy.default)
    inside["From"], inside["Subject"] = "autre@exemple.ca", "Secret"
    inside.set_content("Des mots d’un autre")
    mail = email.message.EmailMessage(policy=email.policy.default)
    mail["From"] = "nadia@exemple.ca"
    mail.set_content("Voici.")
    mail.add_attachment(inside)
    found = of(bytes(mail))
    assert found.said == "Voici."
    assert [one.name for one in found.attached] == ["courriel.eml"]
    assert b"Des mots" in found.attached[0].content


HTML = {
    "<html><head><title>x</title><body><p>Bonjour</p>": "Bonjour",
    "<p>Un<title>deux": "Undeux",
    "<p>1 < 2 et 3 > 2</p>": "1 < 2 et 3 > 2",
    "a<!-- <p>caché</p> -->b": "ab",
    "x<STYLE type='text/css'>p > a {}</STYLE >y": "xy",
    "<![foo[x]]><p>Bonjour": "Bonjour",
    "Avant<blockquote>Un<blockquote>Deux</blockquote></blockquote>Après": "Avant\n> Un\n> > Deux\nAprès",
}


@pytest.mark.parametrize(("markup", "words"), HTML.items())
def test_the_words_of_html_that_programs_write(markup, words):
    assert text_of_html(markup) == words


MANY = 400_000
HOSTILE = {
    "unclosed tags": b"Content-Type: text/html\r\n\r\n" + b"<a " * MANY,
    "unclosed quotes": b"Content-Type: text/html\r\n\r\n" + b"<a href='" * MANY,
    "unclosed comments": b"Content-Type: text/html\r\n\r\n" + b"<!--" * MANY,
    "charsets": b"Content-Type: text/html\r\n\r\n<meta " + b"content-type" * MANY,
    "dashes": b"\r\n" + (b"-" * 399 + b"\r\n") * 160,
    "announcements": b"\r\n" + b"--message d'origine\r\n" * 3000 + b"> a\r\nb",
    "dates": b"\r\n" + (b"Le 2026 " + "a écrit".encode() * 40 + b"!" * 60 + b"\r\n") * 200,
    "encoded words": b"Subject: " + b"=?a?q? " * MANY + b"\r\n\r\nx",
    "encoded names": b"From: " + b"=?a?q? " * MANY + b"<a@b.ca>\r\n\r\nx",
    "names of files": b"Content-Disposition: attachment; filename=" + b'";' * MANY + b"\r\n\r\nx",
    "addresses": b"To: " + b"a@b.ca, " * MANY + b"\r\nFrom: " + b"((((" * MANY + b"\r\n\r\nx",
    "parts in parts": b"".join(
        b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(60)
    ),
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_whoever_wishes_us_ill_waits_no_longer_than_others(raw):
    """Each of these took minutes to days with the libraries' own readings, or a square of its length; the suite's limit would end it."""
    assert of(raw).sort is Sort.WORDS


WRONG = [
    b"Subject: =?utf-8?b?A?=\r\nFrom: =?utf-8?b?A?= <a@b.ca>\r\n\r\nBonjour",
    b'From: a@b.ca\r\nContent-Type: image/png; name="=?utf-8?b?A?="\r\n\r\nx',
    b'From: a@b.ca\r\nContent-Type: text/plain; charset="\xff"\r\n\r\nBonjour',
    b"From: a@b.ca\r\nContent-Type: text/plain; charset=uu\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%",
    b"From: a@b.ca\r\nContent-Disposition: attachment; filename*=x'y'%FF%FE\r\n\r\nx",
    b"From: a@b.ca\r\nTo: programme+m12-abcdefghijabcdefgh\xc5\xbfj@exemple.org\r\n\r\nx",
]


@pytest.mark.parametrize("raw", WRONG)
def test_what_is_written_wrongly_is_read_all_the_same(raw):
    assert of(raw).from_address == "a@b.ca"


@given(st.binary(max_size=600))
def test_no_bytes_make_it_fail(raw):
    of(raw)
