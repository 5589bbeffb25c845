/* A form with data-confirm="what will happen" is sent only after the person agreed in a dialog. */
(() => {
  "use strict";
  let waiting = null;

  document.addEventListener(
    "submit",
    (event) => {
      const form = event.target;
      const dialog = document.getElementById("confirm-dialog");
      if (!dialog || !form.hasAttribute("data-confirm")) return;
      if (waiting === form) {
        waiting = null;
        return;
      }
      event.preventDefault();
      event.stopImmediatePropagation(); // htmx must not send it either
      const { confirm, confirmTitle, confirmLabel, confirmVariant } = form.dataset;
      dialog.querySelector("#confirm-title").textContent = confirmTitle || "Are you sure?";
      dialog.querySelector("#confirm-text").textContent = confirm;
      const accept = dialog.querySelector("#confirm-accept");
      accept.textContent = confirmLabel || "Go on";
      accept.dataset.variant = confirmVariant || "danger";
      accept.onclick = () => {
        dialog.close();
        waiting = form;
        form.requestSubmit(event.submitter);
      };
      dialog.showModal();
    },
    true,
  );
})();
