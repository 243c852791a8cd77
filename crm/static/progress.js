/* Carries on what is under way and shows how far it is. Without this script the worker goes on alone, and a button tells how far it is. */
(() => {
  "use strict";
  const form = document.querySelector("[data-goes-on]");
  if (!form) return;
  const bar = form.querySelector("progress"), said = form.querySelector("[data-said]"), button = form.querySelector("button");
  button.hidden = true;
  let tries = 0;
  const go = async () => {
    try {
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(answer.status);
      const told = await answer.json();
      tries = 0;
      bar.value = told.done;
      said.textContent = told.said;
      if (told.ended) { location.reload(); return; }
      setTimeout(go, 200);
    } catch {
      tries += 1;
      if (tries < 20) setTimeout(go, 1000 * tries); else button.hidden = false;  // the line may be down: try again later, less and less often
    }
  };
  setTimeout(go, 200);
})();
