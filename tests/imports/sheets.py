"""Sheets such as programmes keep: messy on purpose."""

import io
import random

import openpyxl

TITLES = ["No", "Prénom et nom", "Courriel", "Tél.", "Langue", "Nom du projet", "Secteur", "Forme juridique", "Arrondissement",
          "Besoins", "Date de la demande", "Statut", "Suivi par", "Prochaine action", "Date de relance", "Motif de fermeture",
          "Commentaires", "Bailleur"]  # fmt: skip
MESSY = [
    ["12", "Zoé L’Érable", "zoe@exemple.ca", "514 555-0142 poste 3", "FR", "Les Livreuses unies", "Livraison", "Coop de travail", "Verdun",
     "Financement; gouvernance", "4 mars 2025", "En cours", "", "Relire le plan", "2027-01-15", "", "Très motivée.\nÀ revoir en équipe", "CDRQ"],
    ["13", "  Marc-André Côté ", "", "(438) 555-0199", "", "Vélo collectif", "vélo & cie", "OBNL", "", "argent", "15/04/2025", "Fermé", "", "", "",
     "Référé à un partenaire qui l’accompagne", "", ""],
    ["14", "Jane O’Neil", "jane@example.org", "pas de téléphone", "Anglais", "Tool Library", "", "à déterminer", "Plateau", "legal|tech",
     "05/20/2025", "nouveau", "", "", "", "", '=HYPERLINK("http://x")', ""],
    ["15", "", "sans-nom@exemple.ca", "", "", "", "", "", "", "", "", "", "", "", "", "", "", ""],
    ["16", "Sans Moyen", "", "", "", "Rien", "", "", "", "", "2025-01-02", "", "", "", "", "", "", ""],
    [],
    ["17", "Deux Fois", "zoe@exemple.ca", "", "", "Autre chose", "", "", "", "", "hier", "", "", "", "", "", "", ""],
    ["18", "Ana Silva", "zoe@exemple.ca", "", "", "Autre chose", "", "", "", "", "2025-02-03", "", "", "", "", "", "", ""],
    ["12", "Zoé L’Érable", "zoe@exemple.ca", "", "", "Les Livreuses unies", "", "", "", "", "", "", "", "", "", "", "", ""],
    ["19", "Trop Long", "long@exemple.ca", "", "", "x" * 300, "", "", "", "", "2025-02-03", "", "", "", "", "", "", "", "", "de trop"],
]  # fmt: skip


def csv_of(rows, encoding="utf-8-sig", separator=";") -> bytes:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if set(text) & set(f'"\n\r{separator}') else text

    lines = [separator.join(cell(text) for text in row) for row in rows]
    return "\r\n".join(lines).encode(encoding, "replace")


def messy() -> bytes:
    """A heading above the titles, ragged rows, blank rows, a formula, wrong dates, twins, and words of their own."""
    return csv_of([["Suivi des promoteurs 2025"], [], TITLES, *MESSY])


def xlsx_of(rows) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def many(number: int, seed: int = 1) -> list[list[str]]:
    """Rows of a long sheet, each about somebody else."""
    rnd = random.Random(seed)
    letters = "bcdfghjklmnprstv"

    def word() -> str:
        return "".join(rnd.choice(letters) + rnd.choice("aeiou") for _ in range(4)).title()

    return [
        [str(place), f"{word()} {word()}", f"{word().lower()}{place}@exemple.ca", f"{rnd.choice((514, 438, 450, 819))} {rnd.randint(200, 999)}-{rnd.randint(0, 9999):04d}", rnd.choice(["FR", "Anglais"]),
         f"{word()} {word()}", "Livraison", "Coop de travail", "Verdun", "Financement", f"2025-0{rnd.randint(1, 9)}-{rnd.randint(10, 28)}",
         rnd.choice(["Nouveau", "En cours", "Premier contact"]), "", "", "", "", f"Appelé {word()}. Suite : {word()}", ""]
        for place in range(number)
    ]  # fmt: skip
