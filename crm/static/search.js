/* The search box: what is found shows under it as one types, and "/" goes to it from anywhere.
   Without this script the box is a form that leads to the page of results. */
(() => {
  "use strict";
  const form = document.querySelector("form.search");
  if (!form || !window.fetch) return;
  const box = form.querySelector("input"), shown = form.querySelector(".suggestions");
  let timer = 0, asked = 0, last = "";

  const links = () => [...shown.querySelectorAll("a")];
  const close = () => { shown.hidden = true; };
  async function look() {
    const typed = box.value.trim(), mine = ++asked;
    if (typed === last && !shown.hidden) return;
    last = typed;
    if (typed.length < 2) { close(); return; }
    try {
      const answer = await fetch(`${form.dataset.suggestions}?q=${encodeURIComponent(typed)}`, { redirect: "error" });
      if (!answer.ok || mine !== asked) return;
      shown.innerHTML = await answer.text();
      if (document.activeElement === box) shown.hidden = false;
    } catch { /* the network is away: Enter still leads to the page of results */ }
  }
  box.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, 120); });
  box.addEventListener("focus", () => { if (shown.childElementCount && box.value.trim() === last && last.length > 1) shown.hidden = false; });
  form.addEventListener("keydown", (event) => {
    const all = links(), place = all.indexOf(document.activeElement);
    if (event.key === "Escape" && !shown.hidden) { event.preventDefault(); close(); box.focus(); close(); }
    else if (event.key === "ArrowDown" && !shown.hidden && all.length) { event.preventDefault(); all[Math.min(place + 1, all.length - 1)].focus(); }
    else if (event.key === "ArrowUp" && place >= 0) { event.preventDefault(); (place ? all[place - 1] : box).focus(); }
  });
  form.addEventListener("focusout", (event) => { if (!form.contains(event.relatedTarget)) close(); });
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable], dialog")) return;
    try { if (localStorage.getItem("keys") === "off") return; } catch { /* no memory in this browser */ }
    event.preventDefault();
    box.focus();
    box.select();
  });
})();
