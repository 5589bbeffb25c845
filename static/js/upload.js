/* Uploads: the name and size of the chosen file, and how far a form with data-upload has been sent.
   Without this script the form is sent as any other. */
(() => {
  "use strict";
  const UNITS = ["bytes", "KB", "MB", "GB"];
  const addressOf = ({ pathname, search }) => pathname + search;
  let shown = addressOf(location);

  const readable = (bytes) => {
    const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), UNITS.length - 1);
    return `${(bytes / 1024 ** power).toFixed(power ? 1 : 0)} ${UNITS[power]}`;
  };

  document.addEventListener("change", (event) => {
    const drop = event.target.closest(".file-drop");
    const file = event.target.files?.[0];
    if (!drop || !file) return;
    drop.closest(".field")?.removeAttribute("data-invalid");
    drop.parentElement.querySelector(".field-error")?.remove();
    drop.querySelector("[data-file-name]").textContent = file.name;
    drop.querySelector("[data-file-hint]").textContent = readable(file.size);
  });

  for (const [type, over] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
    document.addEventListener(type, (event) => event.target.closest?.(".file-drop")?.toggleAttribute("data-over", over));
  }

  const replacePage = (request) => {
    // The answer's page stands in for this one: the redirect was followed, and its messages are in it.
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    if (!page.getElementById("main")) {
      location.reload();
      return;
    }
    if (request.responseURL !== location.href) history.pushState(null, "", request.responseURL);
    shown = addressOf(location);
    document.title = page.title;
    for (const id of ["main", "toasts"]) {
      document.getElementById(id).replaceWith(document.adoptNode(page.getElementById(id)));
      window.htmx?.process(document.getElementById(id));
    }
    window.scrollTo(0, 0);
    document.getElementById("main").focus({ preventScroll: true });
  };

  // Going back to an address whose page was replaced loads it anew; going to a place on this page does not.
  window.addEventListener("popstate", () => {
    if (addressOf(location) !== shown) location.reload();
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.hasAttribute("data-upload") || event.defaultPrevented) return;
    event.preventDefault();
    const panel = form.querySelector("[data-upload-progress]");
    const [bar, text, problem] = ["progress", "[data-upload-text]", "[data-upload-problem]"].map((part) =>
      panel.querySelector(part),
    );
    const buttons = form.querySelectorAll("button");
    const fail = (message) => {
      problem.textContent = message;
      problem.hidden = false;
      buttons.forEach((button) => (button.disabled = false));
    };
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      bar.value = total ? loaded / total : 0;
      text.textContent =
        loaded < total ? `${readable(loaded)} of ${readable(total)}` : "Uploaded. Reading the file…";
    });
    request.addEventListener("load", () => {
      if (request.status >= 500 || request.status === 413) fail(problemOf(request));
      else replacePage(request);
    });
    request.addEventListener("error", () => fail("The connection was lost. Send the file again."));
    panel.hidden = false;
    problem.hidden = true;
    request.send(new FormData(form));
    buttons.forEach((button) => (button.disabled = true));
  });

  const problemOf = (request) => {
    if (request.status === 413) return "The file is larger than this portal takes.";
    return "The upload failed, and it is our fault. Try again in a moment.";
  };
})();
