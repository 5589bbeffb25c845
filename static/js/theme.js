/* Light, dark or as the system has it: sets the class before the first paint, and remembers the choice. */
(() => {
  "use strict";
  const KEY = "theme";
  const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

  const choice = () => {
    try {
      return localStorage.getItem(KEY) || "system";
    } catch {
      return "system"; // storage is off: the system decides
    }
  };

  const apply = () => {
    const dark = choice() === "dark" || (choice() === "system" && systemIsDark.matches);
    document.documentElement.classList.toggle("dark", dark);
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice()));
    }
    document.dispatchEvent(new CustomEvent("themechange"));
  };

  apply();
  systemIsDark.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", apply);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice]");
    if (!button) return;
    try {
      localStorage.setItem(KEY, button.dataset.themeChoice);
    } catch {
      return;
    }
    apply();
  });
})();
