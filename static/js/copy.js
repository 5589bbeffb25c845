/* A button with data-copy="id" copies that element's text and says so. */
(() => {
  "use strict";
  const SHOWN_MS = 1600;

  const copy = async (text, source) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    // Without https the browser has no clipboard for scripts: the text is selected, and copied the old way.
    getSelection().selectAllChildren(source);
    if (!document.execCommand("copy")) throw new Error("not copied");
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    const source = button && document.getElementById(button.dataset.copy);
    if (!source) return;
    const name = button.getAttribute("aria-label");
    try {
      await copy(source.textContent.trim(), source);
    } catch {
      button.setAttribute("aria-label", "Could not copy: select the text");
      return;
    }
    button.dataset.copied = "";
    button.setAttribute("aria-label", "Copied");
    setTimeout(() => {
      delete button.dataset.copied;
      button.setAttribute("aria-label", name);
    }, SHOWN_MS);
  });
})();
