/* Dragging cards. A move is asked of the server, which may refuse it: the card then goes back, and why is said.
   Without this script, or with a finger, each card has a link to a page that moves it. Arrows go from card to card, m opens that page. */
(() => {
  "use strict";
  const board = document.querySelector(".board"), said = document.querySelector(".board-said");
  if (!board || !window.fetch) return;
  let held = null;

  const say = (lines, bad, more) => {
    said.hidden = false;
    said.classList.toggle("board-said--bad", bad);
    said.replaceChildren(...lines.map((line) => Object.assign(document.createElement("span"), { className: "item", textContent: line })));
    if (more) said.append(Object.assign(document.createElement("a"), { href: more, textContent: board.dataset.more }));
  };
  const count = (column, by) => {
    const number = column.querySelector(".count");
    if (/^\d+$/.test(number.textContent)) number.textContent = Number(number.textContent) + by;
  };

  async function move(card, column) {
    const from = card.closest(".board-column"), to = column.dataset.stage;
    if (from === column || card.classList.contains("card--moving")) return;
    const place = card.querySelector(".card-move").href, address = new URL(place);
    card.classList.add("card--moving");
    say([board.dataset.moving], false);
    try {
      const body = new URLSearchParams({ csrf_token: board.dataset.token, to, seen: from.dataset.stage });
      const answer = await fetch(address.pathname, { method: "POST", body, headers: { Accept: "application/json" }, redirect: "error" });
      if (!answer.ok) throw new Error(answer.status);
      const told = await answer.json();
      if (told.moved) {
        column.querySelector(".cards").prepend(card);
        count(from, -1);
        count(column, 1);
        say(told.said, false);
        card.querySelector("a").focus({ preventScroll: true });
      } else {
        address.searchParams.set("to", to);
        say(told.said, true, told.stage === from.dataset.stage ? address.href : "");
      }
    } catch {
      say([board.dataset.away], true);
    } finally {
      card.classList.remove("card--moving");
    }
  }

  board.addEventListener("dragstart", (event) => {
    held = event.target.closest(".card");
    if (!held) return;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", held.dataset.reference);
    held.classList.add("card--held");
  });
  board.addEventListener("dragend", () => {
    if (held) held.classList.remove("card--held");
    held = null;
    board.querySelectorAll(".board-column--over").forEach((one) => one.classList.remove("board-column--over"));
  });
  board.addEventListener("dragover", (event) => {
    const column = event.target.closest(".board-column");
    if (!held || !column) return;
    event.preventDefault();
    board.querySelectorAll(".board-column--over").forEach((one) => one !== column && one.classList.remove("board-column--over"));
    column.classList.add("board-column--over");
  });
  board.addEventListener("drop", (event) => {
    const column = event.target.closest(".board-column");
    if (!held || !column) return;
    event.preventDefault();
    move(held, column);
  });

  board.addEventListener("keydown", (event) => {
    const card = event.target.closest(".card");
    if (!card || event.ctrlKey || event.altKey || event.metaKey) return;
    const columns = [...board.querySelectorAll(".board-column")], column = card.closest(".board-column");
    const go = (target) => { if (target) { event.preventDefault(); target.querySelector("a").focus(); } };
    const beside = (by) => {
      for (let at = columns.indexOf(column) + by; at >= 0 && at < columns.length; at += by) {
        const there = columns[at].querySelector(".card");
        if (there) return there;
      }
      return null;
    };
    if (event.key === "ArrowDown") go(card.nextElementSibling);
    else if (event.key === "ArrowUp") go(card.previousElementSibling);
    else if (event.key === "ArrowRight") go(beside(1));
    else if (event.key === "ArrowLeft") go(beside(-1));
    else if (event.key === "m") { event.preventDefault(); card.querySelector(".card-move").click(); }
  });
})();
