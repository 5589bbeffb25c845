/* What opens over the page: dialogs by data-open-dialog, menus that close by themselves, messages to dismiss. */
(() => {
  "use strict";
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-open-dialog]");
    if (opener) document.getElementById(opener.dataset.openDialog)?.showModal();
    if (event.target.closest("[data-close-dialog]")) event.target.closest("dialog").close();
    // A click on the backdrop is a click on the dialog itself.
    if (event.target.matches("dialog[open]")) event.target.close();
    event.target.closest("[data-dismiss]")?.closest("[data-toast]").remove();
    for (const menu of document.querySelectorAll("[data-menu][open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("[data-menu][open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
})();
