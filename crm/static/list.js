/* Keys for lists: j and k go from row to row, the letters of a row's own buttons press them, ? tells which there are.
   Without this script the list is used with Tab and Enter as any page is. They can be switched off, and never act while one types. */
(() => {
  "use strict";
  const rows = [...document.querySelectorAll("table[data-keys] tbody tr")];
  const all = document.querySelector("[data-all]"), many = document.querySelector("[data-ticked]");
  if (all && many) {
    const boxes = rows.map((row) => row.querySelector("input[name=file]"));
    let from = -1;
    const count = () => {
      const ticked = boxes.filter((box) => box.checked).length;
      many.textContent = ticked ? `\u00a0(${ticked})` : "";
      all.checked = ticked === boxes.length;
      all.indeterminate = ticked > 0 && ticked < boxes.length;
    };
    all.hidden = false;
    all.addEventListener("change", () => { boxes.forEach((box) => { box.checked = all.checked; }); count(); });
    boxes.forEach((box, place) => box.addEventListener("click", (event) => {
      if (event.shiftKey && from >= 0) {  // from the last one ticked to this one
        const [first, end] = from < place ? [from, place] : [place, from];
        boxes.slice(first, end + 1).forEach((one) => { one.checked = box.checked; });
      }
      from = place;
      count();
    }));
    count();
    addEventListener("pageshow", count);  // a browser that comes back keeps what was ticked
  }
  const help = document.getElementById("keys");
  if (!help || !help.showModal) return;
  const on = help.querySelector("input[type=checkbox]"), opener = document.querySelector("[data-opens=keys]");
  const store = { get: () => { try { return localStorage.getItem("keys"); } catch { return null; } },
                  set: (value) => { try { localStorage.setItem("keys", value); } catch { /* kept for this page only */ } } };
  on.checked = store.get() !== "off";
  on.addEventListener("change", () => store.set(on.checked ? "on" : "off"));
  opener.hidden = false;
  opener.addEventListener("click", () => help.showModal());

  let last = -1;
  const here = () => rows.findIndex((row) => row.contains(document.activeElement));
  const go = (place) => {
    if (!rows.length) return;
    last = Math.max(0, Math.min(rows.length - 1, place));
    const target = rows[last].querySelector("a, button");
    target.focus();
    rows[last].scrollIntoView({ block: "nearest" });
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || help.open) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
    if (event.key === "?") { event.preventDefault(); help.showModal(); return; }
    if (!on.checked) return;
    const place = here() >= 0 ? here() : last;
    if (event.key === "j") { event.preventDefault(); go(place + 1); return; }
    if (event.key === "k") { event.preventDefault(); go(place < 0 ? 0 : place - 1); return; }
    if (!/^[a-z]$/.test(event.key) || place < 0) return;
    const pressed = rows[place].querySelector(`[data-key=${event.key}]`);
    if (!pressed) return;
    event.preventDefault();
    if (pressed.tagName === "SUMMARY") {
      pressed.parentElement.open = true;
      pressed.parentElement.querySelector("select, input:not([type=hidden]), textarea").focus();
    } else pressed.click();
  });
})();
