/* Keeps what is being typed, at most two seconds later. Without this script each button of the page does. */
(() => {
  "use strict";
  const form = document.getElementById("request");
  if (!form || !window.fetch) return;
  const saved = form.querySelector(".saved");
  const changed = new Set();
  let timer = 0, busy = false, leaving = false;

  const body = (names) => {
    const typed = new FormData(form), sent = new URLSearchParams();
    sent.set("csrf_token", typed.get("csrf_token"));
    sent.set("_save", [...names].join(","));
    sent.set("_tab", typed.get("_tab"));
    for (const [name, value] of typed) if (names.has(name)) sent.append(name, value);
    return sent;
  };
  const say = (what) => { if (saved.textContent !== what) saved.textContent = what; };
  const later = (wait) => { if (!timer) timer = setTimeout(save, wait); };

  async function save() {
    timer = 0;
    if (busy || leaving || !changed.size) return;
    const names = new Set(changed);
    changed.clear();
    busy = true;
    try {
      const sent = body(names);
      const keepalive = sent.toString().length < 60000; // what browsers let outlive its page
      const answer = await fetch(form.action, { method: "POST", body: sent, redirect: "manual", keepalive });
      if (answer.status === 410) { say(saved.dataset.gone); return; }
      if (answer.status !== 204) throw new Error(answer.status);
      say(changed.size ? "" : saved.dataset.saved);
    } catch {
      names.forEach((name) => changed.add(name));
      say(saved.dataset.waiting);
    } finally {
      busy = false;
      if (changed.size) later(2000);
    }
  }

  // What was typed before this script came, or filled in by the browser.
  for (const field of form.elements) {
    const first = [...(field.options || [])].findIndex((option) => option.defaultSelected);
    const other = field.options
      ? field.selectedIndex !== Math.max(first, 0)
      : field.checked !== field.defaultChecked || field.value !== field.defaultValue;
    if (field.name && field.type !== "hidden" && field.type !== "submit" && other) changed.add(field.name);
  }
  if (changed.size) later(2000);

  form.addEventListener("input", (event) => {
    if (!event.target.name) return;
    changed.add(event.target.name);
    later(2000);
  });
  // Leaving in any other way than by a button of the form: what is not saved yet goes along.
  addEventListener("pagehide", () => {
    if (!leaving && changed.size) navigator.sendBeacon(form.action, body(changed));
  });
  form.addEventListener("submit", () => { leaving = true; });
  addEventListener("pageshow", () => { leaving = false; });

  const area = form.querySelector("textarea[name=description]"), counter = form.querySelector(".counter");
  if (area && counter) {
    const first = counter.textContent, most = 1500, number = new Intl.NumberFormat(form.dataset.locale);
    const count = () => {
      const left = most - [...area.value.trim()].length;
      const said = left < 0 ? form.dataset.over : left <= 300 ? form.dataset.left : first;
      counter.textContent = said.replace("{n}", number.format(Math.abs(left)));
      counter.classList.toggle("error", left < 0);
    };
    area.addEventListener("input", count);
    count();
  }
})();
